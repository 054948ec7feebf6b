//! What a report says, whatever it is written as. As JSON it is [`Report`] itself: times are RFC 3339
//! in UTC, durations end in their unit, and whatever has forms says which in `kind`.

mod execution;
mod incident;
mod timeline;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lessons::Lesson;
use crate::id::{Digest, RunId};
use crate::journal::{CheckOutcome, RunOutcome};
use crate::language::Language;
use crate::present::{DriftWatch, FollowUp as Item, Left, Told, UnitState};

pub use execution::*;
pub use incident::*;
pub use timeline::*;

/// Counts up when a reader of the JSON would have to change. New fields don't count.
pub const VERSION: u32 = 1;

/// The incident report of a run, built from its journal alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The language that people read it in.
    pub language: Language,
    /// The run.
    pub run: RunId,
    /// The version of ripcord that began it.
    pub ripcord: String,
    /// What it rolled back.
    pub target: String,
    /// The plan that was carried out.
    pub plan: Plan,
    /// How it stands.
    pub outcome: Outcome,
    /// Why, as the run wrote it down.
    pub why: Option<String>,
    /// When the run began.
    pub began: Timestamp,
    /// When it last got into a known state.
    pub ended: Option<Timestamp>,
    /// From its beginning to its end, or to what was last heard of it.
    pub took_ms: u64,
    /// What people have said of the incident.
    pub incident: Incident,
    /// The people whom the plan names, by role; roles that nobody has are left out.
    pub people: BTreeMap<String, String>,
    /// Who decided what, in order.
    pub decisions: Vec<Decision>,
    /// The processes that carried the run, in order.
    pub hosts: Vec<Host>,
    /// How long was watched before the steps, and what came of it.
    #[serde(default)]
    pub watch: Option<Watch>,
    /// What was watched, in the plan's order.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// The steps, in the plan's order.
    pub steps: Vec<Unit>,
    /// The verification, in the plan's order.
    pub checks: Vec<Unit>,
    /// The times in which nothing could go on.
    pub waits: Vec<Wait>,
    /// The calls of which it was not known whether they had happened.
    pub doubts: Vec<Doubt>,
    /// The log lines that matter.
    pub log: Vec<LogLine>,
    /// What was changed and not taken back.
    pub remaining: Vec<Remaining>,
    /// What people have to do, most urgent first.
    pub left: Vec<Left>,
    /// What stays to be done, in the plan's order.
    #[serde(default)]
    pub follow_ups: Vec<FollowUp>,
    /// Whether what was verified was still so later.
    #[serde(default)]
    pub drift: Option<DriftWatch>,
    /// Who was told of it by the plan's notices, in order.
    #[serde(default)]
    pub told: Vec<Told>,
    /// What the plan should learn.
    #[serde(default)]
    pub lessons: Vec<Lesson>,
    /// All of it in order.
    pub timeline: Vec<Entry>,
    /// The end of the journal's chain, and how to check it.
    pub head: Head,
}

impl Report {
    /// The steps, then the checks, then the triggers.
    pub(super) fn units(&self) -> impl Iterator<Item = &Unit> {
        self.steps.iter().chain(&self.checks).chain(self.triggers.iter().map(|trigger| &trigger.unit))
    }
}

/// The plan of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Where it was read.
    pub path: String,
    /// Its text.
    pub digest: Digest,
    /// The values of its parameters.
    pub params: BTreeMap<String, String>,
    /// The kind of incident that it answers to.
    #[serde(default)]
    pub scenario: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Rolled back, and verified.
    Verified,
    /// Nothing was done.
    Unchanged,
    /// What was done was taken back.
    Undone,
    /// It stopped half-way.
    Halted,
    /// It waits for somebody's answer.
    Waiting,
    /// It is under way, or was cut off.
    Open,
}

impl From<RunOutcome> for Outcome {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Verified => Self::Verified,
            RunOutcome::Unchanged => Self::Unchanged,
            RunOutcome::Undone => Self::Undone,
            RunOutcome::Halted => Self::Halted,
        }
    }
}

/// A process that carried a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Host {
    /// From when on.
    pub at: Timestamp,
    /// Its process id.
    pub pid: u32,
    /// The machine's name.
    pub machine: String,
    /// Its version of ripcord.
    pub ripcord: String,
    /// The process before it, which was gone.
    pub taken_over_from: Option<u32>,
}

/// A step or a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unit {
    /// Its name in the plan.
    pub id: String,
    /// How it stands.
    pub standing: UnitState,
    /// All that was executed for it, in order.
    pub executions: Vec<Execution>,
    /// What a check or a trigger found, at its last try.
    pub evidence: Option<Evidence>,
}

/// How long was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Watch {
    /// The window, from the run's beginning.
    pub window_ms: u64,
    /// When it was over, or would have been.
    pub until: Timestamp,
    /// The trigger that tripped.
    pub tripped: Option<Tripped>,
    /// When the first step began.
    pub steps_began: Option<Timestamp>,
}

/// A trigger that tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tripped {
    /// Its name in the plan.
    pub trigger: String,
    /// The condition that it stands for.
    pub title: String,
    /// When.
    pub at: Timestamp,
}

/// A trigger that was watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trigger {
    /// The condition that it stands for.
    pub title: String,
    /// How bad that is, as the plan says.
    pub severity: Option<String>,
    /// Its measurements.
    #[serde(flatten)]
    pub unit: Unit,
}

/// A follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUp {
    /// What it is and how it stands.
    #[serde(flatten)]
    pub item: Item,
    /// All that ripcord has executed for it, in order.
    pub executions: Vec<Execution>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// What was made of it.
    pub outcome: CheckOutcome,
    /// Why, in one sentence.
    pub summary: String,
    /// What was seen, as the plugin returned it.
    pub seen: Value,
}

/// What a step changed that was not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Remaining {
    /// The step.
    pub step: String,
    /// Its changes, in order.
    pub changes: Vec<Change>,
}

/// A change that was not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// What was asked for.
    pub request: String,
    /// Whether it is known to have happened.
    pub is_certain: bool,
}

/// The end of a journal's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Head {
    /// How many events there are.
    pub events: u64,
    /// The last one's hash, which covers all before it.
    pub hash: Digest,
    /// The command that compares the journal with this hash.
    pub command: String,
}
