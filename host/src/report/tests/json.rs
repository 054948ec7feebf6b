use super::*;

/// The shape is documented in docs/report.md. A change that is not an addition counts the version up.
#[test]
fn these_are_the_reports() {
    for (name, events) in runs() {
        let text = written(&events, Format::Json);
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report(&events), "{name}");
        insta::assert_snapshot!(format!("json_{name}"), text);
    }
}
