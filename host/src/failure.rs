//! Why a call gave no reply: the one error type that crosses into a guest.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::secret::{Scrub, Scrubber};

/// What a caller may conclude about the target when there is no reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// It did not happen: a rule forbids it.
    #[error("denied: {0}")]
    Denied(Problem),
    /// It certainly did not happen, and may work later.
    #[error("{0}")]
    Transient(Problem),
    /// It certainly did not happen, and will not work later either.
    #[error("{0}")]
    Permanent(Problem),
    /// It may have happened.
    #[error("it may have happened: {0}")]
    Unknown(Problem),
}

/// What went wrong, for people, with what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// One sentence: what was tried, on what, and what came back.
    pub message: String,
    /// What was seen, as a JSON object.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

impl Problem {
    /// A problem with nothing to show beside its message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), evidence: Value::Null }
    }

    /// A request has left, and no answer came: `{"no-answer": true}`, which the contract promises.
    pub fn no_answer(message: impl Into<String>) -> Self {
        Self { message: message.into(), evidence: json!({ "no-answer": true }) }
    }
}

impl Failure {
    /// A [`Failure::Denied`] with this message.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied(Problem::new(message))
    }

    /// A [`Failure::Transient`] with this message.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient(Problem::new(message))
    }

    /// A [`Failure::Permanent`] with this message.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(Problem::new(message))
    }

    /// A [`Failure::Unknown`] with this message.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown(Problem::new(message))
    }

    /// What went wrong, whatever follows from it.
    pub fn problem(&self) -> &Problem {
        match self {
            Self::Denied(problem) | Self::Transient(problem) | Self::Permanent(problem) | Self::Unknown(problem) => {
                problem
            }
        }
    }
}

impl Scrub for Failure {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Denied(problem) | Self::Transient(problem) | Self::Permanent(problem) | Self::Unknown(problem) => {
                let Problem { message, evidence } = problem;
                message.scrub(scrubber);
                evidence.scrub(scrubber);
            }
        }
    }
}
