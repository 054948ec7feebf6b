//! A plan's skeleton, as a run keeps it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FollowUpShape, NoticeShape, WatchShape};

/// The skeleton of a plan: all that decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shape {
    /// In file order.
    pub steps: Vec<StepShape>,
    /// In file order.
    pub verify: Vec<CheckShape>,
    /// What is watched before the first step; only in runs that `watch` has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchShape>,
    /// What stays to be done afterwards, in file order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follow_ups: Vec<FollowUpShape>,
    /// What people are told, and when, in file order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeShape>,
    /// How long one execution of each step and each check may take. What it decides, the host decides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timeouts_ms: BTreeMap<String, u64>,
}

/// A step, as far as it decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StepShape {
    /// Its name in the plan.
    pub id: String,
    /// The step that it stands in for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Whether a person has to say yes first.
    #[serde(default)]
    pub gate: bool,
    /// What happens when it and its fallbacks have failed.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether its plugin can take back what it did.
    pub can_undo: bool,
}

/// A check of the verification, as far as it decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckShape {
    /// Its name in the plan.
    pub id: String,
    /// For how long a check that does not pass is tried again.
    #[serde(default)]
    pub within_ms: u64,
    /// How long to wait between two tries.
    #[serde(default)]
    pub every_ms: u64,
}

/// What happens when a step has failed and nothing stands in for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Keep what was done and ask a person.
    #[default]
    Halt,
    /// Take back what was done, newest first.
    Undo,
}
