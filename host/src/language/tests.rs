#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;

/// `group.key` and text of each entry.
fn entries(language: Language) -> BTreeMap<String, String> {
    let groups = language.table().as_object().expect("the table can be read").clone();
    let entries = groups.into_iter().flat_map(|(group, entries)| {
        let entries = entries.as_object().unwrap().clone();
        entries.into_iter().map(move |(key, text)| (format!("{group}.{key}"), text.as_str().unwrap().to_owned()))
    });
    entries.collect()
}

fn fields(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).map(|mark| mark.split_once('}').unwrap().0).collect()
}

#[test]
fn each_language_says_the_same_things() {
    let english = entries(Language::En);
    for &language in Language::ALL {
        let said = entries(language);
        assert_eq!(said.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language:?}");
        for (key, text) in &said {
            assert_eq!(fields(text), fields(&english[key]), "{language:?} {key}");
            assert_eq!(text.matches('`').count() % 2, 0, "{language:?} {key}");
        }
    }
}

#[test]
fn a_field_may_hold_anything_and_may_say_something_itself() {
    let said = json!({ "kind": "failed", "at-try": { "kind": "again", "number": 3 }, "summary": "{took} `{x}`" });
    assert_eq!(Language::En.say("stand", &said), "did NOT pass at try 3: {took} `{x}`");
    assert_eq!(Language::Es.say("check", &"fail"), "NO correcto");
    assert_eq!(
        Language::En.say("left", &json!({ "kind": "cannot-undo", "steps": ["a", "b"] })).matches("a, b").count(),
        1
    );
    assert_eq!(Language::En.say("stand", &json!({ "kind": "never heard of" })), "stand.never heard of");
}

/// The kinds of an enum, from the one place that knows them: serde's own complaint.
fn kinds<T: serde::de::DeserializeOwned>(of: Value) -> BTreeSet<String> {
    let complaint = serde_json::from_value::<T>(of).err().expect("`?` is no kind").to_string();
    complaint.split('`').skip(1).step_by(2).filter(|name| *name != "?").map(str::to_owned).collect()
}

#[test]
fn whatever_can_be_said_has_words() {
    use crate::present::{AtTry, Before, Came, DriftState, Found, FoundBy, Left, Said, UnitState};
    use crate::report::{CallResult, Decided, Happening, Lesson, Noted, Outcome, WaitedFor};
    let tagged = json!({ "kind": "?" });
    let groups = [
        ("stand", kinds::<UnitState>(tagged.clone())),
        ("at-try", kinds::<AtTry>(tagged.clone())),
        ("left", kinds::<Left>(tagged.clone())),
        ("before", kinds::<Before>(tagged.clone())),
        ("answer", kinds::<Said>(tagged.clone())),
        ("found", kinds::<Found>(tagged.clone())),
        ("found-by", kinds::<FoundBy>(tagged.clone())),
        ("result", kinds::<Came>(tagged.clone())),
        ("call", kinds::<CallResult>(tagged.clone())),
        ("follow-up", kinds::<crate::machine::FollowUpState>(tagged.clone())),
        ("drift", kinds::<DriftState>(tagged.clone())),
        ("lesson", kinds::<Lesson>(tagged.clone())),
        ("decision", kinds::<Decided>(tagged.clone())),
        ("happened", kinds::<Happening>(tagged.clone())),
        ("noted", kinds::<Noted>(tagged.clone())),
        ("wait", kinds::<WaitedFor>(tagged)),
        ("outcome", kinds::<Outcome>(json!("?"))),
        ("headline", kinds::<Outcome>(json!("?"))),
        ("check", kinds::<crate::journal::CheckOutcome>(json!("?"))),
        ("level", kinds::<crate::journal::Level>(json!("?"))),
    ];
    for (group, kinds) in groups {
        let words = Language::En.table()[group].as_object().expect(group);
        assert_eq!(words.keys().cloned().collect::<BTreeSet<_>>(), kinds, "{group}");
    }
    let happened: BTreeSet<_> = Language::En.table()["happened"].as_object().unwrap().keys().collect();
    let named: BTreeSet<_> = Language::En.table()["kind"].as_object().unwrap().keys().collect();
    assert!(named.is_superset(&happened), "{:?}", happened.difference(&named));
}
