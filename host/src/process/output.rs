//! What a program prints, as far as it is kept.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::secret::{Scrub, Scrubber};

/// The beginning and the end of a stream. It never stops reading, so that the program never waits,
/// and never holds more than it will keep.
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// How much is kept of either side.
    half: usize,
    /// How much more is held until secrets are taken out, so that none is cut in two and missed.
    slack: usize,
    total: u64,
}

impl Capture {
    /// Keeps `bytes_max`; no secret is longer than `slack` in any form.
    pub(super) fn new(bytes_max: usize, slack: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: bytes_max / 2, slack, total: 0 }
    }

    /// Reads to the end. What was read so far stays if it is dropped.
    pub(super) async fn fill(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 64 << 10];
        // A pipe that can't be read any more has ended, for what it's worth.
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            self.push(&buffer[..read]);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let side = self.half + self.slack;
        let (head, rest) = bytes.split_at(bytes.len().min(side - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(side)..];
        let overflow = (self.tail.len() + rest.len()).saturating_sub(side);
        self.tail.drain(..overflow);
        self.tail.extend(rest);
    }

    /// What is kept, without secrets, and whether something is missing.
    pub(super) fn finish(self, scrubber: &Scrubber) -> (Vec<u8>, bool) {
        let Self { mut head, tail, half, slack, total } = self;
        let mut tail = Vec::from(tail);
        let held = head.len() + tail.len();
        if held as u64 == total {
            head.append(&mut tail);
            head.scrub(scrubber);
            if head.len() <= 2 * half {
                return (head, false);
            }
            tail = head.split_off(head.len() - half);
            head.truncate(half);
        } else {
            head.scrub(scrubber);
            tail.scrub(scrubber);
            // The inner ends may hold a part of a secret that was not recognised.
            head.truncate(half.min(head.len().saturating_sub(slack)));
            tail.drain(..tail.len().saturating_sub(half).max(slack.min(tail.len())));
        }
        head.truncate(whole_characters(&head));
        let begin = tail.iter().take(3).take_while(|&&byte| byte & 0b1100_0000 == 0b1000_0000).count();
        let missing = total.saturating_sub((head.len() + tail.len() - begin) as u64);
        head.extend_from_slice(format!("\n[… {missing} bytes left out here …]\n").as_bytes());
        head.extend_from_slice(&tail[begin..]);
        (head, true)
    }
}

/// The length without a character that is cut in two at the end: one such would make a whole text
/// unreadable in JSON.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn captured(text: &[u8], chunk: usize, bytes_max: usize, secret: Option<&str>) -> (String, bool) {
        let scrubber = Scrubber::default();
        secret.into_iter().for_each(|secret| scrubber.add(secret));
        let mut capture = Capture::new(bytes_max, secret.map_or(0, |secret| 6 * secret.len()));
        text.chunks(chunk).for_each(|chunk| capture.push(chunk));
        let (bytes, truncated) = capture.finish(&scrubber);
        (String::from_utf8(bytes).unwrap(), truncated)
    }

    #[test]
    fn the_beginning_and_the_end_are_kept_however_the_bytes_arrive() {
        for chunk in [1, 3, 7, 1000] {
            assert_eq!(captured(b"0123456789", chunk, 10, None), ("0123456789".into(), false));
            let (text, truncated) = captured(b"0123456789abcdef", chunk, 10, None);
            assert_eq!((text.as_str(), truncated), ("01234\n[… 6 bytes left out here …]\nbcdef", true));
        }
    }

    #[test]
    fn no_character_is_cut_in_two() {
        // Five bytes from either side end in the middle of an ñ.
        let (text, truncated) = captured("ñañañañaña".as_bytes(), 5, 10, None);
        assert_eq!((text.as_str(), truncated), ("ñañ\n[… 6 bytes left out here …]\naña", true));
        let (text, truncated) = captured("añañañañañ".as_bytes(), 5, 10, None);
        assert_eq!((text.as_str(), truncated), ("aña\n[… 6 bytes left out here …]\nñañ", true));
    }

    #[test]
    fn no_part_of_a_secret_is_left_wherever_the_cut_falls() {
        let secret = "QWERTZUIOP";
        for before in 0..80 {
            for after in 0..80 {
                let text = format!("{}{secret}{}", "-".repeat(before), ".".repeat(after));
                let (kept, _) = captured(text.as_bytes(), 9, 20, Some(secret));
                let left = kept.replace("[redacted]", "").replace("bytes left out here", "");
                assert!(!left.contains(|c: char| secret.contains(c)), "{before} {after}: {kept}");
            }
        }
    }
}
