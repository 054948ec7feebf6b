use crate::present::fixture::SCRIPT;

use super::*;

#[test]
fn these_are_the_reports() {
    for (name, events) in runs() {
        insta::assert_snapshot!(format!("html_{name}"), written(&events, Format::Html));
    }
}

/// A symptom, a reply, a log line and a program's output each hold a script and a tag.
#[test]
fn nothing_from_outside_is_markup() {
    let html = written(&verified(), Format::Html);
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains(SCRIPT));
    // It is all there, to be read.
    assert!(html.matches("&lt;script&gt;").count() >= 4, "{}", html.matches("&lt;script&gt;").count());
}

#[test]
fn it_asks_for_nothing_and_holds_no_style_that_its_policy_would_turn_away() {
    for (name, events) in runs() {
        let html = written(&events, Format::Html);
        for forbidden in ["http://", "https://", " style=", "<link", "<script", "@import", "src="] {
            let outside = html.replace("src=x", "");
            assert!(!outside.contains(forbidden), "{name}: {forbidden}");
        }
        assert!(html.contains("default-src &#x27;none&#x27;; style-src &#x27;sha256-"), "{name}");
    }
}
