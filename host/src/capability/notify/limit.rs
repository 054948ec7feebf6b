//! Keeping to a service's limits, and to its readers' peace: texts are cut with a visible mark, and a
//! mention of everybody is only text.

use std::sync::LazyLock;

use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

/// What shows that something is left out. It is the same in every language.
pub(super) const MARK: &str = "…";

/// Takes no room, and keeps what stands before it from being one word with what stands behind it.
const WORD_JOINER: char = '\u{2060}';

/// How long a text is for a service that counts characters and does not say which: UTF-16 code units,
/// of which there are never fewer than of any other kind of character.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// As much of a text's beginning as [`cut`] has to see to cut it to `limit`: a plugin may hand over
/// megabytes.
pub(super) fn head(text: &str, limit: usize) -> &str {
    // Room for a character of many parts beyond the limit, so that there is something to cut.
    let end = text.char_indices().nth(limit.saturating_add(64)).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

/// The text with `escape` put in place of each character that has one, cut so that it has at most
/// `limit` units ([`length`]), never within what a reader takes for one character, nor within an
/// escape.
pub(super) fn cut(text: &str, limit: usize, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let mut whole = String::with_capacity(text.len() + 16);
    let (mut units, mut fits) = (0, 0);
    let room = limit.saturating_sub(length(MARK));
    for grapheme in text.graphemes(true) {
        let start = whole.len();
        for character in grapheme.chars() {
            match escape(character) {
                Some(escaped) => whole.push_str(escaped),
                None => whole.push(character),
            }
        }
        units += length(&whole[start..]);
        if units <= room {
            fits = whole.len();
        }
        if units > limit {
            whole.truncate(fits);
            whole.truncate(whole.trim_end().len());
            if limit > 0 {
                whole.push_str(MARK);
            }
            return whole;
        }
    }
    whole
}

/// The first of them, and in the last place the mark if there are more.
pub(super) fn few<T: Clone>(items: &[T], limit: usize, mark: impl Fn() -> T) -> Vec<T> {
    if items.len() <= limit {
        return items.to_vec();
    }
    let kept = items.iter().take(limit.saturating_sub(1)).cloned();
    kept.chain((limit > 0).then(mark)).collect()
}

/// `@everyone`, `@here`, `@channel`.
#[expect(clippy::unwrap_used, reason = "a constant expression, compiled by the tests")]
static CALL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)@(everyone|here|channel)").unwrap());

/// `<@user>`, `<@&role>`, `<#channel>`, `<!here>`, `<id:…>`, `</command:…>`, and Teams' `<at>` and `</at>`.
#[expect(clippy::unwrap_used, reason = "a constant expression, compiled by the tests")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)<([@#!/]|id:|at\b)").unwrap());

/// The text with every mention made ineffective by a character that nobody sees.
pub(super) fn without_mentions(text: &str) -> String {
    // One after the other: `<@everyone` is both.
    let text = CALL.replace_all(text, format!("@{WORD_JOINER}$1"));
    MENTION.replace_all(&text, format!("<{WORD_JOINER}$1")).into_owned()
}

/// The text with every Markdown link shown as it is written: a link that reads as one address could
/// lead to another.
pub(super) fn without_links(text: &str) -> String {
    text.replace("](", &format!("]{WORD_JOINER}("))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(_: char) -> Option<&'static str> {
        None
    }

    #[test]
    fn a_text_is_cut_between_characters_with_a_mark_that_counts() {
        for (text, limit, expected) in [
            ("short", 5, "short"),
            ("longer", 5, "long…"),
            ("one two three", 8, "one two…"),
            ("", 0, ""),
            ("x", 0, ""),
            ("xy", 1, "…"),
            // One character beyond the 16 bits counts as two.
            ("🔥🔥🔥", 6, "🔥🔥🔥"),
            ("🔥🔥🔥", 5, "🔥🔥…"),
            // A family is one character, and so is a letter with its accent.
            ("ab👨‍👩‍👧‍👦c", 10, "ab…"),
            ("abe\u{301}d", 4, "ab…"),
            ("🇪🇸🇪🇸", 6, "🇪🇸…"),
        ] {
            let cut = cut(text, limit, plain);
            assert_eq!(cut, expected, "{text:?} to {limit}");
            assert!(length(&cut) <= limit);
        }
    }

    #[test]
    fn an_escape_is_kept_whole_and_counts_as_long_as_it_is() {
        let escape = |character| (character == '<').then_some("&lt;");
        assert_eq!(cut("a<b", 6, escape), "a&lt;b");
        assert_eq!(cut("a<b", 5, escape), "a…");
        assert_eq!(cut("<<<", 9, escape), "&lt;&lt;…");
    }

    #[test]
    fn a_mention_reads_the_same_and_calls_nobody() {
        for (text, inert) in [
            ("<@everyone> @HERE", "<~@~everyone> @~HERE"),
            ("<!channel> <@U1> <#C1> <id:x>", "<~!channel> <~@U1> <~#C1> <~id:x>"),
            ("<at>ana</at> <atlas>", "<~at>ana<~/at> <atlas>"),
            ("ops@example.org, a < b", "ops@example.org, a < b"),
        ] {
            assert_eq!(without_mentions(text).replace(WORD_JOINER, "~"), inert);
        }
    }

    #[test]
    fn a_list_that_is_too_long_says_so_in_its_last_place() {
        assert_eq!(few(&[1, 2, 3], 3, || 0), [1, 2, 3]);
        assert_eq!(few(&[1, 2, 3, 4], 3, || 0), [1, 2, 0]);
        assert_eq!(few(&[1, 2], 0, || 0), [0; 0]);
    }
}
