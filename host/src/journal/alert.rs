//! Alerts that were received while a run watched.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What came of alerts that were received at once. Each state of an alert is written down when it comes first;
/// an Alertmanager repeats itself, and its repetitions are only counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlertsReceived {
    /// Those that were new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// How many were known already, since the last event of this kind.
    #[serde(default)]
    pub repeated: u64,
    /// How many the sender has left out, or were too many to be written down.
    #[serde(default)]
    pub left_out: u64,
}

/// An alert in one of its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// Whether it fires still.
    pub status: AlertStatus,
    /// The key of the group in which it was sent.
    pub group: String,
    /// What its labels come down to.
    pub fingerprint: String,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// What it is about; its name is `alertname`.
    pub labels: BTreeMap<String, String>,
    /// What it says to people. Kept of an alert that a trigger waits for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The triggers that wait for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
}

/// Whether an alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertStatus {
    /// It does.
    Firing,
    /// It does not any more.
    Resolved,
}

/// What tells one state of one alert from all others.
pub type AlertKey = (AlertStatus, String, String, Timestamp);

impl Alert {
    /// What tells it from all others.
    pub fn key(&self) -> AlertKey {
        (self.status, self.group.clone(), self.fingerprint.clone(), self.starts_at)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("an alert without a name", String::as_str)
    }

    /// How bad it is, in the words of whoever wrote its rule.
    pub fn severity(&self) -> Option<&str> {
        self.labels.get("severity").map(String::as_str)
    }

    /// Name and meaning, in one sentence.
    pub fn words(&self) -> String {
        let said = ["summary", "description", "message"].iter().find_map(|key| self.annotations.get(*key));
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        let does = match self.status {
            AlertStatus::Firing => "fires",
            AlertStatus::Resolved => "fires no more",
        };
        format!("{} {does}{said}", self.name())
    }
}
