//! The journal: the append-only, hash-chained record of each run, and the bytes that a run needs to
//! be resumed and replayed after an upgrade.

mod alert;
mod chain;
mod drift;
mod event;
mod follow_up;
mod gate;
mod good_state;
mod harm;
mod incident;
mod limits;
mod lock;
mod notice;
mod shape;
mod sqlite;
mod watch;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, RunId};

pub use alert::{Alert, AlertKey, AlertStatus, AlertsReceived};
pub use chain::Altered;
pub use drift::{DriftBegan, DriftOutcome};
pub use event::*;
pub use follow_up::{FollowUpNoted, FollowUpOutcome, FollowUpRequested, FollowUpShape, FollowUpStep, Owner};
pub use gate::{Answer, Behind, GateId, GateOpened};
pub(crate) use good_state::GOOD_STATE;
pub use good_state::GoodState;
pub use harm::Harm;
pub use incident::IncidentNoted;
pub use limits::Limits;
pub use lock::{LockError, RunLock};
pub use notice::{NoticeShape, Occasion, Sending};
pub use shape::{CheckShape, OnFailure, Shape, StepShape};
pub use sqlite::SqliteJournal;
pub use watch::{AlertShape, Then, TriggerShape, WATCH, WatchShape};

/// An event in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// From 1, without gaps.
    pub sequence: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// An event that is not yet in the journal, with the time at which it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The end of a run's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last event's place.
    pub sequence: u64,
    /// The last event's hash, which covers all before it.
    pub hash: Digest,
}

/// A run from its two ends, for a list of runs.
#[derive(Debug, Clone)]
pub struct Outline {
    /// The run.
    pub run: RunId,
    /// Its first event and its last, or why they can't be read: a run that is damaged does not hide
    /// the others. The chain between them is not checked.
    pub ends: Result<(Recorded, Recorded), ReadError>,
}

/// What begins a run, written all together or not at all.
pub struct Beginning {
    /// The run.
    pub run: RunId,
    /// Its first events.
    pub events: Vec<Dated>,
    /// What it holds until it ends: its target, working copies, databases.
    pub holds: Vec<String>,
    /// The bytes that it keeps: plan and plugins.
    pub blobs: Vec<Blob>,
}

/// Bytes with their digest, which was computed once. A copy shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    digest: Digest,
    bytes: Bytes,
}

impl Blob {
    /// Computes the digest.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes }
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Where runs are recorded. Appends are durable when they return.
///
/// It is a trait so that a replicated log can stand behind it one day, and so that a test can put
/// itself in between.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Begins a run, unless something that it wants to hold is held.
    async fn begin(&self, beginning: Beginning) -> Result<Head, BeginError>;

    /// Appends behind `expected`, or not at all: if the run's head is another one by now, that is
    /// [`AppendError::Moved`].
    async fn append(&self, run: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError>;

    /// As [`Journal::append`] of a run's end, which lets go of all that it holds.
    async fn append_end(&self, run: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError> {
        let head = self.append(run, expected, events).await?;
        self.release(run).await?;
        Ok(head)
    }

    /// The events behind a head (all of them if none), with the head after them. The chain is
    /// checked: an altered or missing event is an error that names it.
    async fn read(&self, run: &RunId, after: Option<Head>) -> Result<(Vec<Recorded>, Head), ReadError>;

    /// The names of all runs, newest first.
    async fn runs(&self) -> Result<Vec<RunId>, ReadError>;

    /// All runs from their two ends, newest first; cheap, however long they are.
    async fn outlines(&self) -> Result<Vec<Outline>, ReadError>;

    /// The runs on a target in which a step's receipt says what state it has left, the newest first, and
    /// at most 1,000. How they ended is for their records to say.
    async fn with_good_states(&self, target: &str) -> Result<Vec<RunId>, ReadError>;

    /// The bytes with this digest. They are checked.
    async fn blob(&self, digest: Digest) -> Result<Vec<u8>, ReadError>;

    /// Holds for a run that has begun, all or none.
    async fn hold(&self, run: &RunId, resources: &[String]) -> Result<(), BeginError>;

    /// Lets go of all that a run holds.
    async fn release(&self, run: &RunId) -> Result<(), StorageError>;

    /// Who holds a resource.
    async fn holder(&self, resource: &str) -> Result<Option<RunId>, ReadError>;
}

/// The store itself failed: no disk left, no rights, not a database.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path}: {problem}{}{remedy}", if remedy.is_empty() { "" } else { ": " })]
pub struct StorageError {
    /// The file.
    pub path: String,
    /// What went wrong.
    pub problem: String,
    /// What to do about it; empty if nobody can know.
    pub remedy: String,
}

/// Why a run could not begin.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BeginError {
    /// Another run holds what this one wants.
    #[error("{resource} is held by run {holder}")]
    Held {
        /// What it wants.
        resource: String,
        /// Who has it.
        holder: RunId,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended in between.
    #[error("run {run} has moved on to event {}", head.sequence)]
    Moved {
        /// The run.
        run: RunId,
        /// Where it is now.
        head: Head,
    },
    /// There is no such run.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// The store failed. What was to be appended may or may not be there after a restart.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What of an altered record is as it was written: the events before the first one that is not.
#[derive(Debug, Clone, Default)]
pub struct Sound {
    /// From where the reading began on.
    pub events: Vec<Recorded>,
    /// The last of them.
    pub head: Option<Head>,
}

impl From<Altered> for ReadError {
    fn from(altered: Altered) -> Self {
        Self::Altered(Box::new(altered), Box::default())
    }
}

/// Why something can't be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// There is no such run.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// There are no such bytes.
    #[error("the journal does not have {0}")]
    NoSuchBlob(Digest),
    /// The record is not what was written.
    #[error("{0}")]
    Altered(Box<Altered>, Box<Sound>),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
