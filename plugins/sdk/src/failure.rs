//! Why something did not work.

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::bindings::action::ripcord::plugin::types::{Failure, Problem};

/// What a plugin's functions return.
pub type Result<T> = std::result::Result<T, Failure>;

/// The constructors are named after what a caller may conclude about the target; see the contract's
/// `types.wit`.
impl Failure {
    /// It did not happen: a rule forbids it.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied(problem(message))
    }

    /// It certainly did not happen, and may work later.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient(problem(message))
    }

    /// It certainly did not happen, and will not work later either.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(problem(message))
    }

    /// It may have happened.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown(problem(message))
    }

    /// What went wrong, whatever follows from it.
    pub fn problem(&self) -> &Problem {
        match self {
            Self::Denied(problem) | Self::Transient(problem) | Self::Permanent(problem) | Self::Unknown(problem) => {
                problem
            }
        }
    }

    /// One sentence: what was tried, on what, and what came back.
    pub fn message(&self) -> &str {
        &self.problem().message
    }

    /// Whether a request had left and no answer came: the service is there, and does not answer in time.
    pub fn is_no_answer(&self) -> bool {
        let evidence = serde_json::from_str::<Value>(&self.problem().evidence).unwrap_or_default();
        evidence["no-answer"] == true
    }

    /// With more to say behind its message: what follows from it, what to do next.
    pub fn and(mut self, more: &str) -> Self {
        let problem = self.problem_mut();
        problem.message = format!("{}; {more}", problem.message);
        self
    }

    /// With what was seen: a JSON object.
    pub fn with_evidence(mut self, evidence: Value) -> Self {
        self.problem_mut().evidence = evidence.to_string();
        self
    }

    fn problem_mut(&mut self) -> &mut Problem {
        match self {
            Self::Denied(problem) | Self::Transient(problem) | Self::Permanent(problem) | Self::Unknown(problem) => {
                problem
            }
        }
    }
}

fn problem(message: impl Into<String>) -> Problem {
    Problem { message: message.into(), evidence: "{}".to_owned() }
}

/// Reads the plan's configuration; an error names the key.
pub(crate) fn parse_config<T: DeserializeOwned>(json: &str) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let key = error.path().to_string();
        Failure::permanent(format!("the configuration, at `{key}`: {}", error.inner()))
    })
}

/// Reads a JSON text that the host kept for the plugin.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Failure::permanent(format!("{what} can't be read: {error}")))
}

/// How much of a body or an output a message shows.
const EXCERPT_BYTES_MAX: usize = 500;

/// The first of a text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT_BYTES_MAX)]).trim().to_owned();
    if bytes.len() > EXCERPT_BYTES_MAX { shown + " …" } else { shown }
}

/// The last of a text.
pub(crate) fn tail(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(EXCERPT_BYTES_MAX)..]).trim().to_owned();
    if bytes.len() > EXCERPT_BYTES_MAX { format!("… {shown}") } else { shown }
}
