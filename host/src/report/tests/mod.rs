//! Reports of runs as they could have been, in each format.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chart;
mod html;
mod json;
mod markdown;

use jiff::tz::TimeZone;
use jiff::{Timestamp, tz};

use super::*;
use crate::journal::Recorded;
use crate::language::Language;
use crate::present::fixture::{fold, halted, head, refused, undone, verified, watched};

/// A run for each way to end, one that waits, and one that has watched first.
fn runs() -> [(&'static str, Vec<Recorded>); 5] {
    let watched = ("watched", watched());
    [("verified", verified()), ("halted", halted()), ("undone", undone()), ("refused", refused()), watched]
}

/// When somebody reads them.
fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn report(events: &[Recorded]) -> Report {
    Report::of(&fold(events), events, head(events), None, now())
}

fn written(events: &[Recorded], format: Format) -> String {
    let madrid = TimeZone::fixed(tz::offset(1));
    report(events).write(format, &madrid).unwrap()
}

#[test]
fn a_point_in_time_is_understood_as_people_say_it() {
    let zone = TimeZone::fixed(tz::offset(1));
    let now: Timestamp = "2026-11-22T18:03:12Z".parse().unwrap();
    for (text, at) in [
        ("17:45", "2026-11-22T16:45:00Z"),
        ("19:03:12", "2026-11-22T18:03:12Z"),
        // It is 19:03 here: 23:10 was yesterday.
        ("23:10", "2026-11-21T22:10:00Z"),
        ("8:05", "2026-11-22T07:05:00Z"),
        ("2026-11-22 17:45", "2026-11-22T16:45:00Z"),
        ("2026-11-20T17:45:30", "2026-11-20T16:45:30Z"),
        ("2026-11-22T17:45:00-03:00", "2026-11-22T20:45:00Z"),
        ("2026-11-22T17:45:00Z", "2026-11-22T17:45:00Z"),
        ("25m", "2026-11-22T17:38:12Z"),
        (" 1h 30m ago ", "2026-11-22T16:33:12Z"),
    ] {
        let at: Timestamp = at.parse().unwrap();
        let expected = if at > now { Err(SinceError::Future(text.to_owned())) } else { Ok(at) };
        assert_eq!(since(text, now, &zone), expected, "{text}");
    }
    for text in ["", "yesterday", "2026-11-22", "25", "17:61", "1745", "12:00 pm", "-5m"] {
        assert!(matches!(since(text, now, &zone), Err(SinceError::Unknown(_))), "{text}");
    }
}

/// Of each fact the last word counts, and symptoms add up; each with who said it and when.
#[test]
fn what_people_say_of_the_incident_adds_up() {
    let incident = report(&verified()).incident;
    let severity = incident.severity.unwrap();
    assert_eq!((severity.value.as_str(), severity.by.as_str()), ("SEV 1", "Luis"));
    assert_eq!(
        incident.symptoms.iter().map(|symptom| symptom.by.as_str()).collect::<Vec<_>>(),
        ["Iris", "Iris", "Luis"]
    );
    assert_eq!(incident.since.unwrap().by, "Iris");
    assert_eq!(incident.coordinator.unwrap().value, "Marta Vidal");
}

/// What people say of the incident changes nothing in the run, whenever they say it.
#[test]
fn a_note_changes_nothing_in_the_run() {
    for (name, events) in runs() {
        let said = events.iter().filter(|recorded| !matches!(recorded.event, crate::journal::Event::IncidentNoted(_)));
        let without: Vec<_> = said.cloned().collect();
        let mut between = Vec::new();
        for recorded in &without {
            between.push(recorded.clone());
            let event = crate::journal::Event::IncidentNoted(Default::default());
            between.push(Recorded { event, ..recorded.clone() });
        }
        assert_eq!(fold(&between), fold(&without), "{name}");
        assert_eq!(report(&between).took_ms, report(&without).took_ms, "{name}");
    }
}

#[test]
fn a_file_s_name_says_what_it_is_written_as() {
    for (name, format) in [
        ("a/report.md", Some(Format::Markdown)),
        ("report.HTML", Some(Format::Html)),
        ("incident.2026.json", Some(Format::Json)),
        ("report", None),
        ("report.pdf", None),
        (".html", None),
    ] {
        assert_eq!(Format::of_file(Path::new(name)), format, "{name}");
    }
}

/// The plan says the language, unless the reader asks for another one.
#[test]
fn a_report_is_in_the_language_of_its_plan() {
    let events = refused();
    assert!(written(&events, Format::Markdown).starts_with("# Reversión de genia/connectors/facebook: detenido"));
    let english = Report::of(&fold(&events), &events, head(&events), Some(Language::En), now());
    assert!(english.write(Format::Markdown, &TimeZone::UTC).unwrap().starts_with("# Rollback of"));
}
