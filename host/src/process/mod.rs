//! Programs that outlive the host, and are found again.
//!
//! Between the host and a program stands a *supervisor*: this same executable, started as `ripcord
//! supervise`, in a session of its own. It keeps the program's deadline, collects what it
//! prints and writes down how it ended, whatever becomes of the host meanwhile.
//!
//! - [`Supervisors::prepare`] starts the supervisor and hands it the [`Spec`] through its standard input, for an
//!   environment holds secrets and must not be on disk. The supervisor gets ready and waits. If the
//!   host dies now, the pipe closes and the supervisor ends without having started anything.
//! - [`Held::run`] says "go". The supervisor makes `started` durable, starts the program in a
//!   process group of its own, and makes the end durable.
//! - [`recover`] finds out, in another host and from the marker alone, what became of it.
//!
//! Everything that is known about one program is in one append-only file in the spool folder, its
//! *record*. The supervisor holds the file's lock for as long as it lives: that, and not a process
//! id, tells whether it still does. Ids are reused, and mean nothing in another container.

mod alive;
mod host;
mod output;
mod program;
mod record;
mod recovery;
mod supervisor;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Payload;
use crate::failure::Failure;

pub use host::{Held, Supervisors};
pub use program::{is_program, program_in};
pub use recovery::{Recovered, recover, sweep};
pub use supervisor::supervise;

/// How long a program that was asked to end (SIGTERM) may take before it is made to (SIGKILL).
pub const GRACE: Duration = Duration::from_secs(2);

/// How long a program's pipes are read after its end, if something that left its group still has
/// them open.
const LINGER: Duration = Duration::from_millis(200);

/// What the host allows the supervisor beyond the program's time-out and [`GRACE`]: for a pipeline
/// that gives up a call at `timeout + GRACE + MARGIN`, the supervisor's own answer comes first.
pub const MARGIN: Duration = Duration::from_secs(5);

/// A program to run. Not `Debug`: the environment may hold secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The program, as an absolute path, and its arguments. They are no place for secrets: every
    /// user of the machine can see them.
    pub argv: Vec<String>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
    /// Its whole environment: nothing else is inherited.
    pub env: BTreeMap<String, String>,
    /// What is taken out of its output before that is written down, in every form that
    /// [`Scrubber`](crate::secret::Scrubber) knows: the secrets in `env`.
    pub redact: Vec<String>,
    /// When its whole process group is ended, counted from its start.
    pub timeout: Duration,
    /// How much of stdout and of stderr is kept: the beginning and the end.
    pub output_bytes_max: usize,
}

/// What a supervisor is told: its record, by its absolute path, and what to run.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task<S> {
    record: OsString,
    spec: S,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What it printed.
    pub stdout: Payload,
    /// What it complained about.
    pub stderr: Payload,
    /// Something of either is missing, and a line in its place says how much.
    pub truncated: bool,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// By the host, at its deadline.
    TimedOut,
}

/// Why it is not known how a program ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Nothing was started, and it may work later: no disk left, no more processes.
    #[error("{0}")]
    Unsupervised(String),
    /// The program can't be started: there is none, or it is no program.
    #[error("{0}")]
    NotStarted(String),
    /// It was started, and its end was not recorded. [`recover`] may know more.
    #[error("{0}")]
    Lost(String),
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Unsupervised(problem) => Self::transient(problem),
            ProcessError::NotStarted(problem) => Self::permanent(problem),
            ProcessError::Lost(problem) => Self::unknown(problem),
        }
    }
}
