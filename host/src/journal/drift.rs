//! What is written down of a run that is watched after it was verified.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::ExecutionId;

/// Somebody has the run's verification go on, to see whether it stays true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DriftBegan {
    /// Who.
    pub by: String,
    /// Until when, whoever carries it by then.
    pub until: Timestamp,
    /// From the end of one measurement of a check to the next.
    pub interval_ms: u64,
    /// How many measurements of a check may fail in a row.
    #[serde(default)]
    pub failure_limit: u32,
    /// The checks, in file order.
    pub checks: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum DriftOutcome {
    /// All that was verified was still so.
    Held,
    /// A check that had passed does not any more.
    Drifted {
        /// Which.
        check: String,
        /// The first of the measurements in a row that failed.
        first_failed: ExecutionId,
    },
    /// Of these checks nobody knows: their last measurement said nothing.
    Unknown {
        /// Which.
        checks: Vec<String>,
    },
}
