//! Text from elsewhere, and how wide it is.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A text as one line that can't do anything to a terminal, nor look like another one: what controls
/// or is not to be seen is written out, `\u{1b}`.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

/// Control characters, the separators that some terminals take for new lines, and what reorders or
/// hides the text around it (the "Trojan Source" characters).
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns a clean text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// A clean text, filled up with spaces.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// A clean text that takes no more columns than these. For tables and reports alone: a target that
/// somebody agrees to is never cut.
pub(super) fn shorten(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut left = columns.saturating_sub(1);
    let kept = text.chars().take_while(|character| {
        let wide = character.width().unwrap_or(0);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    });
    Cow::Owned(kept.chain(['…']).collect())
}

/// A clean text in lines of at most these columns, of which the first may have fewer. It breaks at
/// spaces only: a path or a command that is longer stays whole, to be copied.
pub(super) fn wrap(text: &str, first: usize, columns: usize) -> Vec<String> {
    let indent = " ".repeat(text.len() - text.trim_start_matches(' ').len());
    let mut lines = vec![indent.clone()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let limit = if lines.len() == 1 { first } else { columns };
        match lines.last_mut() {
            Some(line) if *line == indent && (limit == columns || width(line) + width(word) <= limit) => {
                line.push_str(word);
            }
            Some(line) if *line != indent && width(line) + 1 + width(word) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

/// A clean line in pieces of at most these columns, for a page so narrow that no word fits.
pub(super) fn broken(line: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for character in line.chars() {
        let wide = character.width().unwrap_or(0);
        if taken + wide > columns {
            pieces.push(String::new());
            taken = 0;
        }
        taken += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces
}

/// `1 change`, `2 changes`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
