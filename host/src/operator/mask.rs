//! The operator's file as errors show it: without its values.
//!
//! A secret may have been written where its reference belongs, under a misspelt key, or behind a
//! missing quote. Which value that is can't be known, so none is shown but `secret:NAME`. Masks are
//! as long as what they hide, so that lines and columns stay what they are.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text with each value masked. Without `table` the text could not be parsed.
pub(super) fn mask(text: &str, table: Option<&DeTable<'_>>) -> String {
    let mut shown = text.as_bytes().to_vec();
    match table {
        Some(table) => {
            table.values().for_each(|value| mask_value(&mut shown, value));
            mask_comments(&mut shown);
        }
        None => mask_unparsed(&mut shown),
    }
    // Only whole characters were masked; should that be wrong, nothing is shown rather than too much.
    String::from_utf8(shown).unwrap_or_else(|_| "*".repeat(text.len()))
}

fn mask_value(shown: &mut [u8], value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| mask_value(shown, value)),
        DeValue::Array(array) => array.iter().for_each(|value| mask_value(shown, value)),
        DeValue::String(text) if text.starts_with("secret:") => {}
        DeValue::Boolean(_) => {}
        _ => {
            let keep: &[u8] = if value.get_ref().is_str() { b"\"'\r\n" } else { b"" };
            shown[value.span()].iter_mut().filter(|byte| !keep.contains(byte)).for_each(|byte| *byte = b'*');
        }
    }
}

/// With the values masked, a `#` begins a comment unless it stands in a quoted key; then more is
/// masked than need be.
fn mask_comments(shown: &mut [u8]) {
    for line in shown.split_mut(|byte| *byte == b'\n') {
        if let Some(start) = line.iter().position(|byte| *byte == b'#') {
            line[start + 1..].iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
        }
    }
}

/// What stands in front of a line's first `=`, and a line that begins with `[`, are names; the rest
/// may be anything, and so may all lines of a string that goes over several.
fn mask_unparsed(shown: &mut [u8]) {
    let mut inside = false;
    for line in shown.split_mut(|byte| *byte == b'\n') {
        let header = line.trim_ascii_start().starts_with(b"[");
        let names = match line.iter().position(|byte| *byte == b'=') {
            _ if inside => 0,
            Some(equals) => equals,
            None if header => line.len(),
            None => 0,
        };
        let borders = line.windows(3).filter(|three| *three == b"\"\"\"" || *three == b"'''").count();
        inside ^= borders % 2 == 1;
        line[names..]
            .iter_mut()
            .filter(|byte| !byte.is_ascii_whitespace() && !b"\"'[]{}=,#".contains(byte))
            .for_each(|byte| *byte = b'*');
    }
}
