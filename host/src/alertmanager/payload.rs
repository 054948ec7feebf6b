//! The webhook's body: Alertmanager's version 4, and Grafana's, which has the same shape and calls it 1.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::id::Digest;
use crate::journal::{Alert, AlertStatus};

/// The versions whose shape this is.
const VERSIONS: [&str; 2] = ["4", "1"];

/// How much of a label or an annotation is kept, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// How much of all labels of an alert is kept, and of all its annotations, names included, in bytes.
const TEXTS_BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

/// What else stands there is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    version: String,
    group_key: String,
    #[serde(default)]
    truncated_alerts: u64,
    alerts: Vec<Sent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    status: AlertStatus,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: Timestamp,
    #[serde(default)]
    fingerprint: String,
}

/// The alerts of a body, and how many more its sender has left out.
///
/// # Errors
/// What is wrong with it, for its sender.
pub(super) fn read(body: &[u8]) -> Result<(Vec<Alert>, u64), String> {
    let payload: Payload = serde_json::from_slice(body)
        .map_err(|error| format!("this is no notification of Alertmanager's or Grafana's: {error}"))?;
    let Payload { version, group_key, truncated_alerts, alerts } = payload;
    if !VERSIONS.contains(&version.as_str()) {
        return Err(format!("version {} is not known; known are 4 (Alertmanager) and 1 (Grafana)", shortened(version)));
    }
    let group = shortened(group_key);
    let alert = |Sent { status, labels, annotations, starts_at, fingerprint }| Alert {
        status,
        group: group.clone(),
        // Old ones send none.
        fingerprint: if fingerprint.is_empty() { of(&labels) } else { shortened(fingerprint) },
        starts_at,
        labels: all_shortened(labels),
        annotations: all_shortened(annotations),
        triggers: Vec::new(),
    };
    Ok((alerts.into_iter().map(alert).collect(), truncated_alerts))
}

fn of(labels: &BTreeMap<String, String>) -> String {
    Digest::of(format!("{labels:?}").as_bytes()).to_string()
}

fn all_shortened(texts: BTreeMap<String, String>) -> BTreeMap<String, String> {
    first_of(texts.into_iter().map(|(name, text)| (shortened(name), shortened(text))), TEXTS_BYTES_MAX)
}

/// As many of these texts, names included, as have room in so many bytes.
pub(crate) fn first_of(
    texts: impl IntoIterator<Item = (String, String)>,
    bytes_max: usize,
) -> BTreeMap<String, String> {
    let mut left = bytes_max;
    let has_room = |(name, text): &(String, String)| match left.checked_sub(name.len() + text.len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    texts.into_iter().filter(has_room).collect()
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}
