//! What happened, in order.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::journal::CheckOutcome;
use crate::present::{Came, Found, FoundBy, Said};

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
