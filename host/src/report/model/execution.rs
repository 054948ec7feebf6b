//! What a plugin has done: one export of it, called once, with its calls.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{CheckOutcome, Level};
use crate::present::{Came, Found, FoundBy, Said};

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
