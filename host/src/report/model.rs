//! What a report says, whatever it is written as. As JSON it is [`Report`] itself: times are RFC 3339
//! in UTC, durations end in their unit, and whatever has forms says which in `kind`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lessons::Lesson;
use crate::id::{Digest, RunId};
use crate::journal::{CheckOutcome, Level, RunOutcome};
use crate::language::Language;
use crate::present::{Before, Came, DriftWatch, FollowUp as Item, Found, FoundBy, Left, Said, Told, UnitState};

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

/// What people have said of the incident: of each fact the latest, of symptoms all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Incident {
    /// When it began to fail.
    pub since: Option<Statement<Timestamp>>,
    /// What was observed.
    pub symptoms: Vec<Statement<String>>,
    /// How bad it was.
    pub severity: Option<Statement<String>>,
    /// Who or what was affected.
    pub scope: Option<Statement<String>>,
    /// Who coordinates.
    pub coordinator: Option<Statement<String>>,
    /// Who decided on the rollback.
    #[serde(default)]
    pub decided_by: Option<Statement<String>>,
    /// What kind of incident it was.
    #[serde(default)]
    pub scenario: Option<Statement<String>>,
}

/// A fact with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Statement<T> {
    /// What was said.
    pub value: T,
    /// Who said it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Something that a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Decided,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Decided {
    /// To do what the preview listed.
    Preview {
        /// Who.
        by: String,
        /// How many changes were on the list.
        changes: usize,
        /// The digest of plan, parameters, plugins and rules that was previewed.
        binding: String,
    },
    /// What happens at a gate.
    Gate {
        /// What stands behind it.
        before: Before,
        /// What was asked.
        ask: String,
        /// What was said.
        answer: Said,
    },
    /// To stop and take back.
    Abort {
        /// Who.
        by: String,
    },
    /// To take back a run that had ended.
    Undo {
        /// Who.
        by: String,
    },
    /// To verify again.
    Verification {
        /// Who.
        by: String,
    },
    /// What became of a call.
    Doubt {
        /// Who.
        by: String,
        /// What was asked for.
        request: String,
        /// What became of it.
        found: Found,
    },
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

/// One export of a plugin, called once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Execution {
    /// Its number in the run.
    pub number: u32,
    /// What it was for.
    pub purpose: Purpose,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// From its beginning to its end.
    pub took_ms: Option<u64>,
    /// Whether it ended well: a check, whether it passed. Nothing is said of what goes on.
    pub is_good: Option<bool>,
    /// What was made of a measurement that did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// Its calls, in order.
    pub calls: Vec<Call>,
}

/// What was made of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// What it found.
    pub check: CheckOutcome,
    /// Why, in one sentence.
    pub summary: String,
}

/// What an execution was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To carry out a step.
    Apply,
    /// To take a step back.
    Undo,
    /// To find out what became of a call.
    Reconcile,
    /// To observe.
    Check,
    /// To carry out a follow-up.
    FollowUp,
    /// To observe, after the verification.
    Drift,
    /// To tell people.
    Notice,
}

/// A call of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// Its address, as `ripcord resolve` takes it.
    pub call: String,
    /// Whether it may change something.
    pub access: Access,
    /// When it was first sent.
    pub at: Timestamp,
    /// When its answer was recorded, or found out.
    pub until: Option<Timestamp>,
    /// How long all attempts took together; of one whose reply was found out later, until then.
    pub took_us: Option<u64>,
    /// The plugin's name for the target.
    pub role: String,
    /// The operator's name for it; empty if the role is bound to nothing.
    pub connection: String,
    /// What was asked for, and where.
    pub request: String,
    /// What came of it.
    pub result: CallResult,
    /// Whether that is what one hopes for.
    pub is_good: bool,
    /// How often it was sent, doubts in between; the host's own retries of what certainly had not
    /// happened are not counted.
    pub sent: u32,
    /// Whether it was in doubt, if only for a time.
    pub was_in_doubt: bool,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Look.
    Read,
    /// Change something.
    Change,
    /// Tell people something.
    Notice,
    /// Let time pass.
    Wait,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CallResult {
    /// It was answered.
    Answered {
        /// What came back.
        result: Came,
    },
    /// No answer is known (yet).
    Open,
    /// It did not happen, and was not sent again.
    DidNotHappen,
    /// It may have happened, and is to be sent again.
    Repeating,
    /// It can't be found out whether it happened.
    Unknowable,
    /// The time has passed, or passes.
    Waited,
}

/// A time in which nothing could go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wait {
    /// From when.
    pub from: Timestamp,
    /// Until when; nothing if it goes on.
    pub to: Option<Timestamp>,
    /// For what.
    #[serde(flatten)]
    pub why: WaitedFor,
}

/// What a run waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WaitedFor {
    /// An answer at a gate.
    Gate {
        /// The step behind it, or the one whose call it stands before.
        unit: String,
        /// What was asked.
        ask: String,
        /// What was said.
        answer: Option<Said>,
    },
    /// A process to carry it.
    Host,
    /// Nothing: it had ended, and was taken up again.
    Nobody,
}

/// A call of which it was not known whether it had happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Doubt {
    /// The call's address.
    pub call: String,
    /// The step that it belongs to.
    pub unit: String,
    /// When the doubt came up.
    pub at: Timestamp,
    /// What was asked for.
    pub request: String,
    /// What was seen.
    pub seen: String,
    /// How it was settled.
    pub settled: Option<Settled>,
}

/// How a doubt was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settled {
    /// When.
    pub at: Timestamp,
    /// What had become of the call.
    pub found: Found,
    /// Who or what found it out.
    pub found_by: FoundBy,
}

/// A line that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// The step or check that it belongs to.
    pub unit: String,
    /// How much it matters.
    pub level: Level,
    /// Where it comes from: `log` for a plugin's line, else the connection of a program.
    pub source: String,
    /// The line, or the last lines of a program's output.
    pub text: String,
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

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The step or check that it belongs to; nothing if it is about the whole run.
    pub unit: Option<String>,
    /// How long it took.
    pub took_us: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Happening {
    /// Somebody said something of the incident.
    Noted {
        /// Who.
        by: String,
        /// What.
        noted: Vec<Noted>,
    },
    /// The run began.
    Began {
        /// Who had agreed to it.
        by: String,
    },
    /// Another process went on with it.
    WentOn {
        /// Its process id.
        pid: u32,
        /// The machine's name.
        machine: String,
    },
    /// A gate was opened.
    GateOpened {
        /// What was asked.
        ask: String,
    },
    /// A gate was answered.
    GateAnswered {
        /// What was said.
        answer: Said,
    },
    /// A look at something.
    Read {
        /// What was asked for.
        request: String,
        /// What came back.
        result: Came,
    },
    /// A change.
    Change {
        /// What was asked for.
        request: String,
        /// What came back.
        result: Came,
    },
    /// A notice.
    Notice {
        /// What was sent.
        request: String,
        /// What became of it.
        result: Came,
    },
    /// It was not known whether a call had happened.
    Doubted {
        /// What was asked for.
        request: String,
        /// What was seen.
        seen: String,
    },
    /// It was found out.
    Settled {
        /// What was asked for.
        request: String,
        /// What had become of it.
        found: Found,
        /// Who or what found it out.
        found_by: FoundBy,
    },
    /// The run waited for somebody to say what had become of a call.
    Asked {
        /// What was asked for.
        request: String,
    },
    /// A step was done.
    Done,
    /// A step was taken back.
    TakenBack,
    /// A step failed.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// A step could not be taken back.
    TakingBackFailed {
        /// What went wrong.
        why: String,
    },
    /// A notice of the plan was not sent, or not to all.
    NotTold {
        /// What went wrong.
        why: String,
    },
    /// Alerts came.
    Alerted {
        /// Which.
        said: String,
    },
    /// A trigger failed more often than it may.
    Tripped {
        /// The condition that it stands for.
        title: String,
    },
    /// A check was judged.
    Judged {
        /// What it found.
        check: CheckOutcome,
        /// Why, in one sentence.
        summary: String,
    },
    /// Somebody asked to stop and take back.
    AbortRequested {
        /// Who.
        by: String,
    },
    /// Somebody asked to take back.
    UndoRequested {
        /// Who.
        by: String,
    },
    /// Somebody asked to verify again.
    VerificationRequested {
        /// Who.
        by: String,
    },
    /// A follow-up was to be carried out.
    FollowUpRequested {
        /// Who wanted it.
        by: String,
    },
    /// It was done.
    FollowUpDone {
        /// In one sentence.
        why: String,
    },
    /// It failed, or was refused.
    FollowUpFailed {
        /// Why.
        why: String,
    },
    /// Somebody said that it is done.
    FollowUpSaidDone {
        /// Who.
        by: String,
        /// And what else.
        note: String,
    },
    /// Somebody noted something of it.
    FollowUpNoted {
        /// Who.
        by: String,
        /// What.
        note: String,
    },
    /// What was verified was watched.
    DriftBegan {
        /// Who wanted it.
        by: String,
        /// Which checks.
        checks: Vec<String>,
    },
    /// All of it was still so.
    DriftHeld {
        /// In one sentence.
        why: String,
    },
    /// It was not any more, or nobody knew.
    DriftEnded {
        /// In one sentence.
        why: String,
    },
    /// The run got into a known state.
    Ended {
        /// Which.
        outcome: Outcome,
        /// Why, as the run wrote it down.
        why: String,
    },
}

/// Something that somebody said of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Noted {
    /// What was observed.
    Symptom {
        /// In these words.
        text: String,
    },
    /// How bad it is.
    Severity {
        /// In these words.
        text: String,
    },
    /// Who or what is affected.
    Scope {
        /// In these words.
        text: String,
    },
    /// When it began to fail.
    Since {
        /// Then.
        at: Timestamp,
    },
    /// Who coordinates.
    Coordinator {
        /// This person.
        text: String,
    },
    /// Who decided on the rollback.
    DecidedBy {
        /// This person.
        text: String,
    },
    /// What kind of incident it was.
    Scenario {
        /// In these words.
        text: String,
    },
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
