//! Notices: who is told what, and when, by a run itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::CallId;

/// A notice of the plan, as far as it decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NoticeShape {
    /// Its name in the plan.
    pub id: String,
    /// When it is sent.
    pub on: Vec<Occasion>,
}

/// When people are told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A trigger has tripped; nobody has been asked yet, and nothing is done.
    Tripped,
    /// The first step is about to begin: it was agreed to, and its gate is open.
    Begun,
    /// It stops half-way: it waits for somebody to say whether a call happened, or it ends so.
    Halted,
    /// It ends rolled back and verified.
    Verified,
    /// It ends without having changed anything.
    Unchanged,
    /// It ends with what it did taken back.
    Undone,
    /// What was verified does not hold any more; only while `ripcord watch RUN` looks.
    Drifted,
}

impl Occasion {
    /// All of them, in the order in which a run comes to them.
    pub const ALL: [Self; 7] =
        [Self::Tripped, Self::Begun, Self::Halted, Self::Verified, Self::Unchanged, Self::Undone, Self::Drifted];

    /// Its name in a plan.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tripped => "tripped",
            Self::Begun => "begun",
            Self::Halted => "halted",
            Self::Verified => "verified",
            Self::Unchanged => "unchanged",
            Self::Undone => "undone",
            Self::Drifted => "drifted",
        }
    }
}

impl std::fmt::Display for Occasion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A notice that is sent: each is sent once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sending {
    /// Its name in the plan.
    pub notice: String,
    /// On which occasion.
    pub on: Occasion,
    /// The call that the run has halted on, if it waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
}
