//! What people have said of the incident, and what they decided.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::present::{Before, Found, Said};

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
