//! `numeric` as the server sends it: groups of four decimal digits.

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// All its digits, as the server itself would print them; `None` for what is no numeric.
pub(super) fn text(raw: &[u8]) -> Option<String> {
    let (words, rest) = raw.as_chunks::<2>();
    let words: Vec<u16> = words.iter().map(|word| u16::from_be_bytes(*word)).collect();
    let [count, weight, sign, scale, groups @ ..] = words.as_slice() else { return None };
    if !rest.is_empty() || groups.len() != usize::from(*count) || groups.iter().any(|group| *group > 9999) {
        return None;
    }
    match *sign {
        NAN => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Some("-Infinity".to_owned()),
        0 | NEGATIVE => {}
        _ => return None,
    }
    // The power of 10,000 that the first group stands for: a signed number.
    let weight = i32::from(weight.cast_signed());
    let group = |power: i32| usize::try_from(weight - power).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let mut text = if *sign == NEGATIVE { "-".to_owned() } else { String::new() };
    if weight < 0 {
        text.push('0');
    } else {
        text += &group(weight).to_string();
        (0..weight).rev().for_each(|power| text += &format!("{:04}", group(power)));
    }
    let scale = usize::from(*scale);
    if scale > 0 {
        text.push('.');
        let mut fraction = String::new();
        let mut power = -1;
        while fraction.len() < scale {
            fraction += &format!("{:04}", group(power));
            power -= 1;
        }
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}
