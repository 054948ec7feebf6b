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

/// A drop now and then is no way to hold a place for ever.
#[tokio::test]
async fn a_slow_sender_s_time_ends_whatever_it_does() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = super::brief::BriefListener::new(listener, std::time::Duration::from_millis(200), 1);
    let router = axum::Router::new().route("/alerts", axum::routing::post(async |_: axum::body::Bytes| "noted"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    // The only place is taken until then.
    let mut next = tokio::net::TcpStream::connect(address).await.unwrap();
    next.write_all(b"POST /alerts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    next.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut rest = Vec::new();
    // It is cut, with or without a last word.
    let _ = reader.read_to_end(&mut rest).await;
    dripping.abort();
    serving.abort();
}
