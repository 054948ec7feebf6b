//! `command`: programs that the operator has named.

mod connection;
mod doctor;
mod driver;
mod template;

use serde::{Deserialize, Serialize};

use super::{CapabilityCall, Payload};
use crate::secret::{Scrub, Scrubber};

pub use crate::process::Ending;
pub use connection::Connection;

/// A request to run the connection's program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The values of the placeholders that the operator left open.
    pub arguments: Vec<(String, String)>,
}

/// What the program did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// How it ended.
    pub ending: Ending,
    /// What it printed.
    pub stdout: Payload,
    /// What it complained about.
    pub stderr: Payload,
    /// Something of either is missing.
    #[serde(default)]
    pub truncated: bool,
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`].
    pub fn reports_failure(&self) -> bool {
        self.ending != Ending::Exited(0)
    }
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        "run"
    }

    fn target(&self) -> String {
        self.arguments.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    fn summary(&self) -> String {
        format!("run {}", self.target()).trim_end().to_owned()
    }
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { ending: _, stdout, stderr, truncated: _ } = self;
        stdout.scrub(scrubber);
        stderr.scrub(scrubber);
    }
}
