//! The demo's preview, as its operator sees it at a desk and on a phone.

use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::Regex;
use ripcord::component::Components;
use ripcord::lab::{CONNECTOR, GOOD, Lab};
use ripcord::operator::Operator;
use ripcord::pipeline::Depth;
use ripcord::plan::Plan;
use ripcord::present::{Style, View, preview, preview_json};
use ripcord::runner::{self, Opens, PreviewReport, Seams, Sources, Untouched};

use crate::{Place, SUPERVISOR};

async fn previewed(lab: &Lab, place: &Place) -> PreviewReport {
    let components = Components::new(place.path("components")).unwrap();
    let operator = Operator::load(&lab.operator()).unwrap();
    let plan_text = std::fs::read_to_string(lab.plan()).unwrap();
    let plan = Plan::parse("plan.toml", &plan_text).unwrap();
    let params = [("connector".to_owned(), CONNECTOR.to_owned()), ("version".to_owned(), GOOD.to_owned())];
    let sources = Sources {
        plan: &plan,
        plan_path: "plan.toml".as_ref(),
        plan_text: &plan_text,
        params: &params,
        operator: &operator,
        with_triggers: false,
        opens: Opens::Run,
        kept: None,
    };
    let checked = runner::check(&components, sources).await.unwrap();
    let opening = runner::opening(&operator, &place.spool(), SUPERVISOR.as_ref());
    let seams: Arc<dyn Seams> = Arc::new(Untouched);
    let job = checked.open(&opening, &seams).await.unwrap();
    runner::preview(&components, &job, &seams, Depth::Whole).await.unwrap()
}

/// What is another one each time, in as many letters: lines break where they would.
fn still(lab: &Lab, text: &str) -> String {
    let folder = lab.folder().display().to_string();
    let mut text = text.replace(&folder, &format!("/lab{}", "-".repeat(folder.len() - 4)));
    for (pattern, still) in [
        (r"127\.0\.0\.1:\d{5}", "127.0.0.1:55555"),
        (r"sha256:[0-9a-f]{64}", &format!("sha256:{}", "5".repeat(64))),
        (r"\b[0-9a-f]{40}\b", &"c".repeat(40)),
        (r"\b[0-9a-f]{12}\b", &"c".repeat(12)),
        // At 40 columns an id is broken.
        (r"\b[0-9a-f]{30,39}\n +[0-9a-f]{1,10}\b", "cccccccc…"),
        (r"\b20\d\d-\d\d-\d\d\b", "2026-11-22"),
        (r"\b\d\d:\d\d:\d\d\b", "18:03:12"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, still).into_owned();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_preview() {
    // As long on every machine: the page is as wide as it is.
    let folder = tempfile::Builder::new().prefix("ripcord-").tempdir_in("/tmp").unwrap();
    let lab = Lab::start(&folder.path().join("lab")).await.unwrap();
    lab.break_deploy().await.unwrap();
    let place = Place::new();
    std::fs::create_dir(place.spool()).unwrap();
    let before = lab.snapshot().await.unwrap();
    let report = previewed(&lab, &place).await;
    assert_eq!(lab.snapshot().await.unwrap(), before);

    let style = |width| Style { colour: false, width, zone: TimeZone::UTC };
    let shown = |report: &PreviewReport, width| still(&lab, &preview(report, &View::default(), &style(width)));
    insta::assert_snapshot!("demo_80", shown(&report, 80));
    insta::assert_snapshot!("demo_40", shown(&report, 40));

    // The world is the same, and so is the preview, to the last byte; in both forms.
    let again = previewed(&lab, &place).await;
    assert_eq!(preview(&again, &View::default(), &style(100)), preview(&report, &View::default(), &style(100)));
    assert_eq!(preview_json(&again, None).to_string(), preview_json(&report, None).to_string());
}
