//! What is written down. The events of a run, in order, are the run: its state is their fold
//! ([`crate::machine::State`]), and nothing else is kept.
//!
//! A name or a meaning here is a format that old runs are stored in: fields are added with a
//! default, and never change their meaning.

mod call;
mod start;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AlertsReceived, Answer, DriftBegan, DriftOutcome, FollowUpNoted, FollowUpOutcome, FollowUpRequested, GateId,
    GateOpened, IncidentNoted, Sending,
};
use crate::capability::{Repeat, Reply};
use crate::failure::Failure;
use crate::id::{CallId, ExecutionId};

pub use call::{Outcome, Request, Settler, Verdict};
pub use start::{Approval, HostAttached, Listed, RunStarted};

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The first event of every run.
    RunStarted(Box<RunStarted>),
    /// A process took the run's lock and carries the run from here on.
    HostAttached(HostAttached),
    /// A gate waits for a person.
    GateOpened(GateOpened),
    /// A person (or the expiry) answered a gate.
    GateAnswered {
        /// The gate.
        gate: GateId,
        /// What was said.
        answer: Answer,
        /// Who; empty for an expiry.
        by: String,
    },
    /// An export of a plugin is called on a fresh instance.
    ExecutionBegan {
        /// Its number: one more than the last.
        execution: ExecutionId,
        /// Which export, and for what.
        purpose: Purpose,
        /// Its configuration, with all templates filled in.
        config: Value,
    },
    /// A read of the clock.
    ClockRead {
        /// Where.
        call: CallId,
        /// The reply.
        now: Timestamp,
    },
    /// A sleep; durable before it begins.
    SleepBegan {
        /// Where.
        call: CallId,
        /// When it ends, whatever happens in between.
        until: Timestamp,
    },
    /// A call that had no effect: a read, or a mutation that was denied.
    Called {
        /// Where.
        call: CallId,
        /// The call.
        request: Request,
        /// Its reply.
        #[serde(with = "call::outcome")]
        outcome: Outcome,
        /// How long all attempts took together.
        took_us: u64,
    },
    /// A mutation is about to leave; durable before it does. Written again, with a new marker, when
    /// the call is repeated after a doubt was settled.
    Intended {
        /// Where.
        call: CallId,
        /// The call.
        request: Request,
        /// What may be done if its fate can't be found out.
        repeat: Repeat,
        /// What the driver needs to find out what became of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        marker: Option<Value>,
        /// The reply that the plugin expects: the one that it gets if a person says that it
        /// happened, and gives no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assume: Option<Reply>,
    },
    /// A mutation's reply; durable before the plugin sees it.
    Answered {
        /// The mutation.
        call: CallId,
        /// Its reply. Never [`Failure::Unknown`]: that is a doubt.
        #[serde(with = "call::outcome")]
        outcome: Outcome,
        /// How long all attempts took together.
        took_us: u64,
    },
    /// No reply came, and the mutation may have happened. (After a crash this event is missing, and
    /// an intent without an answer says the same.)
    Doubted {
        /// The mutation.
        call: CallId,
        /// What was seen.
        seen: String,
    },
    /// A doubt has an answer.
    Settled {
        /// The mutation.
        call: CallId,
        /// Who found it.
        by: Settler,
        /// The answer.
        verdict: Verdict,
    },
    /// Neither driver, policy nor plugin could settle a doubt.
    Unsettled {
        /// The mutation.
        call: CallId,
        /// What they saw.
        seen: String,
    },
    /// A line of the plugin's, or one of the host's about it.
    Logged {
        /// The execution that wrote it.
        execution: ExecutionId,
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
    /// An execution is over and will not be replayed by `resume`.
    ExecutionEnded {
        /// Which.
        execution: ExecutionId,
        /// How.
        end: End,
    },
    /// The host's judgement of a check's result, with the plan's `expect`.
    Judged {
        /// The check's execution.
        execution: ExecutionId,
        /// Whether it counts as passed.
        outcome: CheckOutcome,
        /// Why, in one sentence.
        summary: String,
    },
    /// Alerts came that somebody else has measured.
    AlertsReceived(AlertsReceived),
    /// A trigger has failed more often than it may, or the alert that it waits for fires. What it stands for is
    /// noted as a symptom in the same moment.
    Tripped {
        /// Which.
        trigger: String,
        /// By what.
        #[serde(flatten)]
        cause: Cause,
    },
    /// The run waits for an answer that only a person has.
    Halted {
        /// What is asked.
        question: Question,
    },
    /// A person asked to stop and take back.
    AbortRequested {
        /// Who.
        by: String,
    },
    /// A person asked to take back a run that has ended.
    UndoRequested {
        /// Who.
        by: String,
    },
    /// A person asked to verify again after a verification that failed.
    VerificationRequested {
        /// Who.
        by: String,
    },
    /// A person, or ripcord at a trigger that has tripped, said something about the incident. It changes
    /// nothing in the run.
    IncidentNoted(IncidentNoted),
    /// A follow-up of a run that has ended is carried out.
    FollowUpRequested(FollowUpRequested),
    /// It is not carried out any more.
    FollowUpEnded {
        /// Which.
        item: String,
        /// What came of it.
        outcome: FollowUpOutcome,
        /// Why, in one sentence.
        why: String,
    },
    /// A person said something of a follow-up.
    FollowUpNoted(FollowUpNoted),
    /// A run that was verified is watched, to see whether that stays true.
    DriftBegan(DriftBegan),
    /// It is not watched any more.
    DriftEnded {
        /// What came of it.
        #[serde(flatten)]
        found: DriftOutcome,
        /// Why, in one sentence.
        why: String,
    },
    /// The run is in a known state.
    RunEnded {
        /// Which.
        outcome: RunOutcome,
        /// Why, in one sentence.
        why: String,
    },
}

impl Event {
    /// Whether a process that does not carry the run may write it: the people's events.
    pub fn is_from_a_person(&self) -> bool {
        matches!(
            self,
            Self::GateAnswered { .. }
                | Self::Settled { by: Settler::Person(_), .. }
                | Self::AbortRequested { .. }
                | Self::UndoRequested { .. }
                | Self::VerificationRequested { .. }
                | Self::IncidentNoted(_)
                | Self::FollowUpNoted(_)
        )
    }
}

/// What an execution is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The step's `apply`.
    Apply(String),
    /// `undo` of what this execution did.
    Undo(ExecutionId),
    /// `reconcile` of this call.
    Reconcile(CallId),
    /// The check's `check`.
    Check(String),
    /// The follow-up's `apply`.
    FollowUp(String),
    /// The check's `check`, after the verification: whether it is still so.
    Drift(String),
    /// The notice's `apply`.
    Notice(Sending),
}

impl Purpose {
    /// The name of the export.
    pub fn export(&self) -> &'static str {
        match self {
            Self::Apply(_) | Self::FollowUp(_) | Self::Notice(_) => "apply",
            Self::Undo(_) => "undo",
            Self::Reconcile(_) => "reconcile",
            Self::Check(_) | Self::Drift(_) => "check",
        }
    }
}

/// What has tripped a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The measurement that was one too many.
    #[serde(rename = "execution")]
    Measurement(ExecutionId),
    /// An alert: which of all that were received, from 0.
    #[serde(rename = "alert")]
    Alert(usize),
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// For the report.
    Info,
    /// Something was not as expected.
    Warn,
    /// Something failed.
    Error,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It returned: an action's receipt, a check's verdict, a reconciliation; `null` for an undo.
    Returned(Value),
    /// It returned a failure.
    Failed(Failure),
    /// It trapped; the message names what it did.
    Trapped(String),
    /// It went over a limit; the message names which.
    LimitExceeded(String),
    /// Its time-out, or the plan's, is over.
    TimedOut(String),
    /// A call of it is in doubt, and its fallback takes over.
    InDoubt,
    /// A person said no to a call that the preview did not list.
    Refused,
    /// It was given up for an abort, or begun anew after a crash (a reconciliation).
    Abandoned,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// As expected.
    Pass,
    /// Not as expected.
    Fail,
    /// It could not be observed, or says nothing.
    Inconclusive,
}

/// The one question that a halted run asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Question {
    /// Did this mutation happen? `ripcord resolve`.
    DidItHappen {
        /// Which.
        call: CallId,
        /// What was seen.
        seen: String,
    },
}

/// The known state in which a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Rolled back, and verified.
    Verified,
    /// Nothing was done, because there was nothing to do or a person said no.
    Unchanged,
    /// It failed or was stopped, and what it did was taken back.
    Undone,
    /// It stopped half-way; a person is needed.
    Halted,
}

impl std::fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Unchanged => "unchanged",
            Self::Undone => "undone",
            Self::Halted => "halted",
        })
    }
}
