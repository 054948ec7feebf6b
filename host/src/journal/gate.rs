//! Gates: points where a person has to say yes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::CallId;

/// A gate's name: the step's or the follow-up's, `call-3.0` for a call that the preview did not list, or `watch`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GateId(pub String);

impl std::fmt::Display for GateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A gate that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GateOpened {
    /// Its name.
    pub gate: GateId,
    /// What stands behind it.
    pub before: Behind,
    /// The question, for people.
    pub ask: String,
    /// When no answer counts as no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// What stands behind a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Behind {
    /// A step that the plan guards.
    Step(String),
    /// A follow-up that the plan guards.
    FollowUp(String),
    /// A mutation that the preview did not list.
    Call(CallId),
    /// The steps of a plan whose triggers are watched.
    Watch {
        /// The trigger that has tripped; none if a person did not wait for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trigger: Option<String>,
    },
}

/// An answer to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Go on.
    Yes,
    /// Don't.
    No,
    /// Nobody answered in time, which counts as no.
    Expired,
}
