#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::payload::read;
use crate::journal::AlertStatus;

/// As Alertmanager's documentation shows it.
const ALERTMANAGER: &str = r#"{"version": "4", "groupKey": "{}:{alertname=\"A\"}", "truncatedAlerts": 2, "status": "firing",
    "receiver": "r", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "alerts": [
    {"status": "firing", "labels": {"alertname": "A", "severity": "page"}, "annotations": {"summary": "it burns"},
     "startsAt": "2026-11-23T04:41:48.928Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p",
     "fingerprint": "0459280cffbb4f7e"},
    {"status": "resolved", "labels": {"alertname": "B"}, "startsAt": "2026-11-23T06:41:48+02:00", "new-key": [1]}]}"#;

#[test]
fn what_alertmanager_sends_is_understood() {
    let (alerts, left_out) = read(ALERTMANAGER.as_bytes()).unwrap();
    assert_eq!((alerts.len(), left_out), (2, 2));
    assert_eq!(alerts[0].words(), "A fires: it burns");
    assert_eq!((alerts[0].severity(), alerts[0].fingerprint.as_str()), (Some("page"), "0459280cffbb4f7e"));
    assert_eq!(
        (alerts[1].status, alerts[1].starts_at.to_string().as_str()),
        (AlertStatus::Resolved, "2026-11-23T04:41:48Z")
    );
    assert!(!alerts[1].fingerprint.is_empty(), "one without a fingerprint is told by its labels");
}

#[test]
fn what_is_something_else_is_not() {
    for (body, says) in [
        ("", "EOF"),
        ("[]", "no notification"),
        ("{\"version\": \"4\"}", "missing field `groupKey`"),
        (&ALERTMANAGER.replace("\"4\"", "\"5\""), "version 5 is not known"),
        (&ALERTMANAGER.replace("\"resolved\"", "\"odd\""), "unknown variant `odd`"),
    ] {
        let problem = read(body.as_bytes()).unwrap_err();
        assert!(problem.contains(says), "{problem}");
    }
}
