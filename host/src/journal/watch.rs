//! What a run that watches keeps of its plan.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GateId;

/// The gate between the watching and the plan's steps; no step, check or trigger has this name.
pub const WATCH: &str = "watch";

impl GateId {
    /// The gate between the watching and the plan's steps.
    pub fn watch() -> Self {
        Self(WATCH.to_owned())
    }
}

/// The watching that comes before the steps, as far as it decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WatchShape {
    /// How long, from the run's beginning, whoever carries it by then.
    pub window_ms: u64,
    /// What happens when a trigger trips.
    pub then: Then,
    /// After how long no answer counts as no; never if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Those that are measured, in file order.
    pub triggers: Vec<TriggerShape>,
    /// Those that wait for an alert, in file order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertShape>,
    /// Where alerts are received, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// What happens when a trigger trips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// A person is asked.
    #[default]
    Ask,
    /// The steps are carried out.
    Run,
}

/// A trigger that waits for an alert of an Alertmanager's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlertShape {
    /// Its name in the plan.
    pub id: String,
    /// The condition that it stands for, in the people's words.
    pub title: String,
    /// How bad it is if it trips, in the people's words; as bad as the alert says if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Regular expressions that the whole values of these labels have to match.
    pub labels: BTreeMap<String, String>,
}

/// A trigger. The limits are strict: one more than the limit is too many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TriggerShape {
    /// Its name in the plan.
    pub id: String,
    /// The condition that it stands for, in the people's words.
    pub title: String,
    /// How bad it is if it trips, in the people's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// From the end of one measurement to the beginning of the next.
    pub interval_ms: u64,
    /// From the run's beginning to the first measurement.
    #[serde(default)]
    pub initial_delay_ms: u64,
    /// How many measurements are enough; if not said, it is measured until the window is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How many measurements may fail before it trips.
    #[serde(default)]
    pub failure_limit: u32,
    /// How many may say nothing before it is given up.
    #[serde(default)]
    pub inconclusive_limit: u32,
    /// How many attempts in a row may end with an error before it is given up.
    pub consecutive_error_limit: u32,
}
