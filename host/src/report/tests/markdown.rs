use crate::present::fixture::{EVIL, SCRIPT, failed_check};
use crate::report::markdown::escape;

use super::*;

#[test]
fn a_value_means_nothing_but_itself() {
    for (text, escaped) in [
        ("plain text, http.genia-admin", "plain text, http.genia-admin"),
        ("a | b", r"a \| b"),
        ("`rm`\r\n# not a title", r"\`rm\` # not a title"),
        ("# no title", r"\# no title"),
        ("1. no list", r"1\. no list"),
        ("- no list", r"\- no list"),
        ("<img src=x> [x](y) a_b", r"\<img src=x\> \[x\](y) a\_b"),
        ("\u{1b}[2J", r"\\u{1b}\[2J"),
        ("&lt; & b&", r"\&lt; & b&"),
        ("ask @iris, not a@b.example", r"ask @<!-- -->iris, not a@b.example"),
    ] {
        assert_eq!(escape(text), escaped);
    }
}

/// Whatever servers have said, a table has as many cells in each row as in its head, and nothing of it
/// is HTML.
#[test]
fn no_value_breaks_a_table_or_becomes_a_tag() {
    assert!(EVIL.contains('|') && EVIL.contains('\n') && EVIL.contains('`') && SCRIPT.contains('<'));
    for events in runs().into_iter().map(|(_, events)| events).chain([failed_check()]) {
        let (mut cells, mut is_code) = (None, false);
        for line in written(&events, Format::Markdown).lines() {
            is_code ^= line.trim_start().starts_with("```");
            if is_code {
                continue;
            }
            let line = line.replace(r"\|", "").replace(r"\<", "").replace("<!-- -->", "");
            assert!(!line.contains('<'), "{line}");
            let bars = line.matches('|').count();
            match (line.starts_with('|'), cells) {
                (true, Some(expected)) => assert_eq!(bars, expected, "{line}"),
                (true, None) => cells = Some(bars),
                (false, _) => {
                    assert_eq!(bars, 0, "{line}");
                    cells = None;
                }
            }
        }
        assert!(!is_code, "a fence is left open");
    }
}

#[test]
fn these_are_the_reports() {
    for (name, events) in runs() {
        insta::assert_snapshot!(format!("markdown_{name}"), written(&events, Format::Markdown));
    }
}
