#![allow(clippy::unwrap_used)]

use jiff::tz::TimeZone;

use super::*;
use crate::present::fixture::{EVIL, failed_check, fold, halted, head};

fn report(events: &[Recorded]) -> String {
    markdown(&fold(events), events, head(events), &TimeZone::UTC).unwrap()
}

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
    ] {
        assert_eq!(escape(text), escaped);
    }
}

/// Whatever servers have said, a table has as many cells in each row as in its head.
#[test]
fn no_value_breaks_a_table() {
    assert!(EVIL.contains('|') && EVIL.contains('\n') && EVIL.contains('`'));
    for events in [failed_check(), halted()] {
        let mut cells = None;
        for line in report(&events).lines() {
            let bars = line.replace(r"\|", "").matches('|').count();
            match (line.starts_with('|'), cells) {
                (true, Some(expected)) => assert_eq!(bars, expected, "{line}"),
                (true, None) => cells = Some(bars),
                (false, _) => {
                    assert_eq!(bars, 0, "{line}");
                    cells = None;
                }
            }
        }
    }
}

#[test]
fn this_is_the_report() {
    insta::assert_snapshot!(report(&failed_check()), @"");
}
