//! What each service is sent, its limits, and that nobody is called.

use proptest::prelude::*;
use serde_json::Value;

use super::at;
use crate::capability::notify::format::Format;
use crate::capability::notify::incident::Incident;
use crate::capability::notify::notice::Notice;
use crate::capability::notify::{Call, Severity, State};

const FORMATS: [Format; 8] = [
    Format::Slack,
    Format::Discord,
    Format::Teams,
    Format::Pagerduty,
    Format::Statuspage,
    Format::Cachet,
    Format::Cachet2,
    Format::Json,
];

fn payload(format: Format, call: &Call, incident: Option<&Incident>) -> Value {
    let notice = Notice::new(at().run.as_str(), &at().key(), call);
    format.request(&notice, "kctbh9vrtdwd", incident).unwrap().payload
}

#[test]
fn each_service_is_sent_what_its_documentation_shows() {
    let call = Call {
        subject: "Conector <facebook> desactivado & en revisión".to_owned(),
        text: "Hemos detectado un problema.\n\n@here: mirad <!channel> y [esto](https://evil.example) & más."
            .to_owned(),
        fields: vec![("Conector".into(), "facebook".into()), ("Versión restaurada".into(), "v1.4.2".into())],
        state: Some(State::Identified),
        severity: Some(Severity::Warning),
    };
    for format in FORMATS {
        let shown = serde_json::to_string_pretty(&payload(format, &call, None)).unwrap();
        insta::assert_snapshot!(format!("{format:?}").to_lowercase(), shown.replace('\u{2060}', "<WJ>"));
    }
    let incident = Incident { id: "7".to_owned(), state: State::Identified };
    for format in [Format::Statuspage, Format::Cachet] {
        let shown = serde_json::to_string_pretty(&payload(format, &call, Some(&incident))).unwrap();
        insta::assert_snapshot!(format!("{format:?}_update").to_lowercase(), shown.replace('\u{2060}', "<WJ>"));
    }
}

#[test]
fn a_notice_with_next_to_nothing_in_it_is_still_one() {
    for format in FORMATS {
        for call in [Call::default(), Call { fields: vec![(String::new(), String::new())], ..Call::default() }] {
            check(format, &call);
        }
    }
}

#[test]
fn a_notice_that_is_far_too_long_is_cut_where_a_reader_sees_it() {
    let long = Call {
        subject: "ä".repeat(70_000),
        text: "🔥".repeat(400_000),
        fields: (0..2_000).map(|number| (format!("{number} {}", "名".repeat(3_000)), "値<&>".repeat(3_000))).collect(),
        ..Call::default()
    };
    for format in FORMATS {
        check(format, &long);
        let payload = payload(format, &long, None).to_string();
        assert!(payload.contains('…'), "{format:?} shows no mark");
        assert!(payload.contains("🔥🔥🔥"), "{format:?} lost all of the text");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_a_plugin_says_keeps_the_limits_and_calls_nobody(
        subject in words(40),
        text in words(60),
        fields in proptest::collection::vec((words(6), words(8)), 0..40),
        state in proptest::option::of(proptest::sample::select(vec![State::Investigating, State::Resolved])),
        severity in proptest::option::of(proptest::sample::select(vec![Severity::Info, Severity::Critical])),
    ) {
        let call = Call { subject, text, fields, state, severity };
        for format in FORMATS {
            check(format, &call);
        }
    }
}

/// Texts with all that makes trouble: mentions, markup, characters beyond 16 bits, joined ones, both
/// directions, controls, quotes, and very long runs of them.
fn words(count: usize) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "@everyone",
            "@here",
            "@channel",
            "@Everyone",
            "<!here>",
            "<!channel>",
            "<@U024BE7LH>",
            "<@&12345>",
            "<#C02>",
            "<at>",
            "</at>",
            "<AT id=\"0\">",
            "<id:customize>",
            "</disable:12345>",
            "[a](https://b)",
            "&amp;",
            "&lt;!here&gt;",
            "👨‍👩‍👧‍👦",
            "🇪🇸",
            "e\u{301}",
            "\u{202e}abc",
            "שלום",
            "\u{200d}",
            "\u{0}\u{7}\u{1b}[31m",
            "\r\n",
            "\n",
            "\t",
            "\"",
            "\\",
            "{{ x }}",
            "{% endif %}",
            "\u{2028}",
            "\u{feff}",
            "𝔸",
            "*",
            "_",
            "`",
            "|",
            "</script>",
        ])
        .prop_map(str::to_owned),
        ".{0,12}",
        ("[a-z<&@🔥 ]", 1_usize..600).prop_map(|(character, times)| character.repeat(times)),
    ];
    proptest::collection::vec(word, 0..count).prop_map(|words| words.concat())
}

/// The limits as the services document them, measured anew.
fn check(format: Format, call: &Call) {
    let payload = payload(format, call, None);
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{format:?}: {value} is no text")).to_owned();
    let within = |value: &Value, min: usize, max: usize| {
        let length = text(value).encode_utf16().count();
        assert!((min..=max).contains(&length), "{format:?}: {length} units in {value}");
    };
    let bytes = payload.to_string().len();
    match format {
        Format::Slack => {
            within(&payload["text"], 1, 40_000);
            let blocks = payload["blocks"].as_array().unwrap();
            assert!((1..=50).contains(&blocks.len()));
            for block in blocks {
                if let Some(one) = block.get("text") {
                    within(&one["text"], 1, 3_000);
                }
                let fields: Vec<&Value> = block["fields"].as_array().into_iter().flatten().collect();
                assert!(fields.len() <= 10 && (block.get("text").is_some() || !fields.is_empty()));
                fields.iter().for_each(|field| within(&field["text"], 1, 2_000));
            }
        }
        Format::Discord => {
            within(&payload["content"], 1, 2_000);
            assert_eq!(payload["allowed_mentions"], serde_json::json!({ "parse": [] }));
            let embeds: Vec<&Value> = payload["embeds"].as_array().into_iter().flatten().collect();
            assert!(embeds.len() <= 1);
            for embed in embeds {
                within(&embed["description"], 1, 4_096);
                let fields = embed["fields"].as_array().unwrap();
                assert!(fields.len() <= 25);
                let mut together = text(&embed["description"]).encode_utf16().count();
                for field in fields {
                    within(&field["name"], 1, 256);
                    within(&field["value"], 1, 1_024);
                    together +=
                        text(&field["name"]).encode_utf16().count() + text(&field["value"]).encode_utf16().count();
                }
                assert!(together <= 6_000, "{together} characters together");
            }
        }
        Format::Teams => {
            assert!(bytes <= 28 * 1024, "{bytes} bytes");
            let card = &payload["attachments"][0]["content"];
            assert_eq!((text(&card["type"]).as_str(), text(&card["version"]).as_str()), ("AdaptiveCard", "1.4"));
            // Without entities nothing is a mention, and without a `<at>` a workflow makes none.
            assert!(card.get("msteams").is_none());
        }
        Format::Pagerduty => {
            assert!(bytes <= 512 * 1000, "{bytes} bytes");
            within(&payload["payload"]["summary"], 1, 1_024);
            within(&payload["dedup_key"], 1, 255);
            assert!(["info", "warning", "error", "critical"].contains(&text(&payload["payload"]["severity"]).as_str()));
            assert!(payload["payload"]["custom_details"].is_object());
        }
        Format::Statuspage => {
            within(&payload["incident"]["name"], 1, 255);
            within(&payload["incident"]["body"], 1, 25_000 + 50 * 1_300);
        }
        Format::Cachet | Format::Cachet2 => {
            within(&payload["name"], 1, 255);
            assert!(bytes <= 64 << 10, "{bytes} bytes");
            assert!((1..=4).contains(&payload["status"].as_u64().unwrap()));
        }
        Format::Json => assert!(bytes <= 1 << 20, "{bytes} bytes"),
    }
    no_mention(format, &payload);
}

fn no_mention(format: Format, value: &Value) {
    match value {
        Value::String(text) => {
            let lower = text.to_lowercase();
            for live in ["@everyone", "@here", "@channel", "<!", "<@", "<#", "<at", "</", "<id:"] {
                assert!(!lower.contains(live), "{format:?}: {live} in {text:?}");
            }
            if matches!(format, Format::Discord | Format::Teams) {
                assert!(!text.contains("]("), "{format:?}: a link in {text:?}");
            }
            assert!(!text.contains(|character: char| character.is_control() && !matches!(character, '\n' | '\t')));
        }
        Value::Array(items) => items.iter().for_each(|item| no_mention(format, item)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            no_mention(format, &Value::String(name.clone()));
            no_mention(format, member);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
