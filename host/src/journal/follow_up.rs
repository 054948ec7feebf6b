//! What stays to be done after a run: what the run keeps of its plan, and what is written down of it.

use serde::{Deserialize, Serialize};

use super::Approval;

/// Something that stays to be done after a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUpShape {
    /// Its name in the plan.
    pub id: String,
    /// What is to be done, in the people's words.
    pub what: String,
    /// Who sees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How long after the run's end it is due; never if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// How ripcord carries it out; people do it if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<FollowUpStep>,
}

/// Who sees to a follow-up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Owner {
    /// The role, if the plan's people have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The name, if there is one: a role may have nobody yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A follow-up that ripcord carries out, as far as it decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUpStep {
    /// Whether a person has to say yes first.
    #[serde(default)]
    pub gate: bool,
    /// The checks of the verification that need not hold any more once it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<String>,
}

/// A person asks ripcord to carry a follow-up out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUpRequested {
    /// Which.
    pub item: String,
    /// What was previewed, and who agreed to it.
    pub approval: Approval,
}

/// A person says something of a follow-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUpNoted {
    /// Which.
    pub item: String,
    /// Who.
    pub by: String,
    /// Whether it is done.
    #[serde(default)]
    pub done: bool,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What came of carrying a follow-up out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowUpOutcome {
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// A person said no, or nobody said yes in time, or somebody stopped it.
    Refused,
}
