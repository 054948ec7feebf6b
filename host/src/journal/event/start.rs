//! What a run begins with, and who carries it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, RunId};
use crate::journal::{GoodState, Limits, Shape};
use crate::language::Language;

/// What a run is made of. The bytes behind the digests are kept with the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunStarted {
    /// The run.
    pub run: RunId,
    /// The version of ripcord that began it.
    pub ripcord: String,
    /// The plan's name.
    pub plan_name: String,
    /// Where the plan was read.
    pub plan_path: String,
    /// The plan's text.
    pub plan: Digest,
    /// The values of its parameters.
    pub params: BTreeMap<String, String>,
    /// Who does what, by role, as the plan says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, String>,
    /// The kind of incident that it answers to, as the plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The language of its report.
    #[serde(default)]
    pub language: Language,
    /// What it rolls back; no other run may work on it at the same time.
    pub target: String,
    /// Where the operator's file was read. A run obeys the file of the day, not the one of its start.
    pub operator_path: String,
    /// The component of each step and each check.
    pub plugins: BTreeMap<String, Digest>,
    /// What the state machine needs to know of the plan.
    pub shape: Shape,
    /// What the guests were allowed to use.
    pub limits: Limits,
    /// What was previewed and agreed to.
    pub approval: Approval,
    /// The target's good states that were known then, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub good_states: Vec<GoodState>,
}

/// What a person agreed to: everything that a run may do without asking again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approval {
    /// Who agreed.
    pub by: String,
    /// The digest of plan, parameters, plugins and operator's rules that was previewed.
    pub binding: String,
    /// The mutations that were listed.
    pub listed: Vec<Listed>,
}

/// A mutation on a preview's list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// `http.coolify`
    pub connection: String,
    /// `POST`
    pub operation: String,
    /// What it is done to, with [`HOLE`](crate::pipeline::HOLE) for each value that the preview assumed.
    pub target: String,
}

/// A process that carries a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostAttached {
    /// Its process id.
    pub pid: u32,
    /// The machine's name.
    pub machine: String,
    /// Its version of ripcord.
    pub ripcord: String,
    /// The process that held the run before, and is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over_from: Option<u32>,
}
