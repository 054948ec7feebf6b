//! `git`: a working copy that the operator has named, and its remote.
//!
//! Two ways: what is local is done in process by libgit2, and every local mutation is a *move*
//! of paths and of a branch, carried out in the same steps (`carry.rs`) and settled by the same look at
//! what stands there; what needs the network is done by the user's own `git` (`push.rs`).

mod carry;
mod connection;
mod detail;
mod doctor;
mod driver;
mod durable;
mod entry;
mod files;
mod history;
mod kept;
mod locks;
mod movement;
mod names;
mod network;
mod push;
mod read;
mod restore;
mod working_copy;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{CapabilityCall, Payload};
use crate::secret::{Scrub, Scrubber};

pub use connection::Connection;

/// A request. Revisions are what `git rev-parse` takes for a commit. The fields are the parameters of
/// `wit/git.wit`, and documented there.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// The commit that a revision names.
    Resolve { revision: String },
    /// Commits that touch a path, newest first.
    Log { revision: String, paths: Vec<String>, limit: u32 },
    /// What differs between two revisions, or between one and the working copy.
    Diff { from: String, to: Option<String>, paths: Vec<String> },
    /// A file as it is in a revision.
    Show { revision: String, path: String },
    /// What the working copy has changed.
    Status { paths: Vec<String> },
    /// The commit at the remote's branch.
    RemoteHead { branch: String },
    /// Makes paths what they are in a revision.
    Restore { revision: String, paths: Vec<String> },
    /// Moves branch, index and working copy to a revision.
    Reset { revision: String },
    /// Commits the opposite of a commit.
    Revert { revision: String },
    /// Commits the given paths.
    Commit { message: String, paths: Vec<String> },
    /// Pushes a revision to a branch that is still at `lease`.
    Push { revision: String, branch: String, lease: Option<String> },
}

/// The answer, one form for each kind of call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Of `resolve`.
    Resolved(String),
    /// Of `log`.
    Commits(Vec<Commit>),
    /// Of `diff`.
    Difference {
        /// The paths that differ.
        paths: Vec<ChangedPath>,
        /// A unified diff.
        patch: String,
    },
    /// Of `show`.
    Content(Payload),
    /// Of `status`.
    Status(Vec<ChangedPath>),
    /// Of `remote-head`.
    RemoteHead(Option<String>),
    /// Of `restore`, `reset`, `revert` and `commit`.
    Moved(Moved),
    /// Of `push`.
    Pushed(Pushed),
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`]. What git can't do is a failure of the call.
    pub fn reports_failure(&self) -> bool {
        false
    }
}

/// A commit's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Commit {
    /// Its object id.
    pub id: String,
    /// Its parents' object ids.
    pub parents: Vec<String>,
    /// `Name <address>`
    pub author: String,
    /// Seconds since 1970-01-01 UTC.
    pub committed_at: i64,
    /// The whole message.
    pub message: String,
}

/// A path that is another one in two states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedPath {
    /// Relative to the root, with `/`.
    pub path: String,
    /// What became of it.
    pub change: Change,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added,
    /// It has other content.
    Modified,
    /// It is gone.
    Deleted,
}

/// What a mutation of the working copy left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The commit that `HEAD` is at now.
    pub head: String,
    /// The commit that it was at before.
    pub previous: String,
    /// The paths that have other content now.
    pub changed: Vec<String>,
}

/// What a push left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// The branch on the remote.
    pub branch: String,
    /// What it is at now.
    pub head: String,
    /// What it was at before.
    pub previous: Option<String>,
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Log { .. } => "log",
            Self::Diff { .. } => "diff",
            Self::Show { .. } => "show",
            Self::Status { .. } => "status",
            Self::RemoteHead { .. } => "remote-head",
            Self::Restore { .. } => "restore",
            Self::Reset { .. } => "reset",
            Self::Revert { .. } => "revert",
            Self::Commit { .. } => "commit",
            Self::Push { .. } => "push",
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Restore { revision, paths } => format!("{} from {revision}", several(paths)),
            Self::Commit { paths, .. } | Self::Status { paths } => several(paths),
            Self::Push { revision, branch, .. } => format!("{branch} to {revision}"),
            Self::Resolve { revision }
            | Self::Reset { revision }
            | Self::Revert { revision }
            | Self::Log { revision, .. } => revision.clone(),
            Self::Diff { from, to, .. } => format!("{from} {}", to.as_deref().unwrap_or("working copy")),
            Self::Show { revision, path } => format!("{path} from {revision}"),
            Self::RemoteHead { branch } => branch.clone(),
        }
    }

    fn summary(&self) -> String {
        format!("{} {}", self.operation(), self.target())
    }
}

/// Two lists of paths never read the same: an approval is bound to this text.
fn several(paths: &[String]) -> String {
    let quoted = paths.iter().map(|path| match path.contains([' ', '"', '\\']) {
        true => format!("{path:?}"),
        false => path.clone(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Resolved(id) => id.scrub(scrubber),
            Self::Commits(commits) => commits.iter_mut().for_each(|commit| commit.scrub(scrubber)),
            Self::Difference { paths, patch } => {
                paths.iter_mut().for_each(|changed| changed.scrub(scrubber));
                patch.scrub(scrubber);
            }
            Self::Content(content) => content.scrub(scrubber),
            Self::Status(paths) => paths.iter_mut().for_each(|changed| changed.scrub(scrubber)),
            Self::RemoteHead(head) => head.scrub(scrubber),
            Self::Moved(Moved { head, previous, changed }) => {
                head.scrub(scrubber);
                previous.scrub(scrubber);
                changed.scrub(scrubber);
            }
            Self::Pushed(Pushed { branch, head, previous }) => {
                branch.scrub(scrubber);
                head.scrub(scrubber);
                previous.scrub(scrubber);
            }
        }
    }
}

impl Scrub for Commit {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { id, parents, author, committed_at: _, message } = self;
        id.scrub(scrubber);
        parents.scrub(scrubber);
        author.scrub(scrubber);
        message.scrub(scrubber);
    }
}

impl Scrub for ChangedPath {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { path, change: _ } = self;
        path.scrub(scrubber);
    }
}
