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

/// Each key of the report, its executions and its calls is in the page for people.
#[test]
fn the_page_names_each_key() {
    let page = include_str!("../../../../docs/report.md");
    let report = serde_json::to_value(super::report(&verified())).unwrap();
    let execution = &report["steps"][0]["executions"][0];
    let watched = serde_json::to_value(super::report(&watched())).unwrap();
    let (watch, trigger) = (&watched["watch"], &watched["triggers"][0]);
    for object in [
        &report,
        &report["plan"],
        &report["incident"],
        &report["hosts"][0],
        execution,
        &execution["calls"][0],
        watch,
        &watch["tripped"],
        trigger,
        &trigger["executions"][1],
        &trigger["executions"][1]["finding"],
    ] {
        for key in object.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{key}`")), "docs/report.md does not name `{key}`");
        }
    }
}
