//! A working copy that the operator has named, and its remote.

use serde::{Deserialize, Serialize};

use crate::bindings::action::ripcord::plugin::git as wit;
use crate::{Repeat, Result};

pub use wit::{Change, ChangedPath, CommitInfo, Difference, Moved, Pushed};

/// An object id that stands for one that is not yet known: for [`Move::assume`] and
/// [`Push::assume`].
pub const ASSUMED_ID: &str = "0000000000000000000000000000000000000000";

/// The working copy behind a role.
#[derive(Debug, Clone, Copy)]
pub struct WorkingCopy<'a> {
    role: &'a str,
}

impl<'a> WorkingCopy<'a> {
    /// The working copy that the plan has bound to a role.
    pub const fn role(role: &'a str) -> Self {
        Self { role }
    }

    /// The object id of the commit that a revision names.
    pub fn resolve(&self, revision: &str) -> Result<String> {
        wit::resolve(self.role, revision)
    }

    /// The newest `limit` commits (at most 1,000) that touch one of the paths; all commits if no path
    /// is given.
    pub fn log(&self, revision: &str, paths: &[impl AsRef<str>], limit: u32) -> Result<Vec<CommitInfo>> {
        wit::log(self.role, revision, &owned(paths), limit)
    }

    /// What differs between two revisions, or between a revision and the working copy.
    pub fn diff(&self, from: &str, to: Option<&str>, paths: &[impl AsRef<str>]) -> Result<Difference> {
        wit::diff(self.role, from, to, &owned(paths))
    }

    /// A file as it is in a revision.
    pub fn show(&self, revision: &str, path: &str) -> Result<Vec<u8>> {
        wit::show(self.role, revision, path)
    }

    /// What the working copy has changed against `HEAD`.
    pub fn status(&self, paths: &[impl AsRef<str>]) -> Result<Vec<ChangedPath>> {
        wit::status(self.role, &owned(paths))
    }

    /// The commit at the remote's branch now; none if there is no such branch.
    pub fn remote_head(&self, branch: &str) -> Result<Option<String>> {
        wit::remote_head(self.role, branch)
    }

    /// Makes paths what they are in a revision.
    pub fn restore(&self, revision: &str, paths: &[impl AsRef<str>]) -> Move<'a> {
        self.moving(Motion::Restore { revision: revision.to_owned(), paths: owned(paths) })
    }

    /// Moves the current branch, index and working copy to a revision.
    pub fn reset(&self, revision: &str) -> Move<'a> {
        self.moving(Motion::Reset { revision: revision.to_owned() })
    }

    /// Commits the opposite of a commit.
    pub fn revert(&self, revision: &str) -> Move<'a> {
        self.moving(Motion::Revert { revision: revision.to_owned() })
    }

    /// Commits the given paths as they are now.
    pub fn commit(&self, message: &str, paths: &[impl AsRef<str>]) -> Move<'a> {
        self.moving(Motion::Commit { message: message.to_owned(), paths: owned(paths) })
    }

    /// Pushes a revision to a branch of the remote, only if the branch is still at `lease`.
    pub fn push(&self, revision: &str, branch: &str, lease: Option<&str>) -> Push<'a> {
        Push {
            role: self.role,
            revision: revision.to_owned(),
            branch: branch.to_owned(),
            lease: lease.map(str::to_owned),
            repeat: Repeat::Once,
            assume: None,
        }
    }

    fn moving(&self, motion: Motion) -> Move<'a> {
        Move { role: self.role, motion, repeat: Repeat::Once, assume: None }
    }
}

/// A mutation of the working copy that is not yet made.
#[derive(Debug, Clone)]
#[must_use = "nothing moves until `send`"]
pub struct Move<'a> {
    role: &'a str,
    motion: Motion,
    repeat: Repeat,
    assume: Option<Moved>,
}

#[derive(Debug, Clone)]
enum Motion {
    Restore { revision: String, paths: Vec<String> },
    Reset { revision: String },
    Revert { revision: String },
    Commit { message: String, paths: Vec<String> },
}

impl Move<'_> {
    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Doing it twice has the effect of doing it once.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers.
    pub fn assume(self, moved: Moved) -> Self {
        Self { assume: Some(moved), ..self }
    }

    /// Does it.
    pub fn send(self) -> Result<Moved> {
        let (role, repeat, assume) = (self.role, &self.repeat, self.assume.as_ref());
        match self.motion {
            Motion::Restore { revision, paths } => wit::restore(role, &revision, &paths, repeat, assume),
            Motion::Reset { revision } => wit::reset(role, &revision, repeat, assume),
            Motion::Revert { revision } => wit::revert(role, &revision, repeat, assume),
            Motion::Commit { message, paths } => wit::commit(role, &message, &paths, repeat, assume),
        }
    }
}

/// A push that is not yet made.
#[derive(Debug, Clone)]
#[must_use = "nothing is pushed until `send`"]
pub struct Push<'a> {
    role: &'a str,
    revision: String,
    branch: String,
    lease: Option<String>,
    repeat: Repeat,
    assume: Option<Pushed>,
}

impl Push<'_> {
    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Doing it twice has the effect of doing it once.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers.
    pub fn assume(self, pushed: Pushed) -> Self {
        Self { assume: Some(pushed), ..self }
    }

    /// Does it.
    pub fn send(self) -> Result<Pushed> {
        let Self { role, revision, branch, lease, repeat, assume } = self;
        wit::push(role, &revision, &branch, lease.as_deref(), &repeat, assume.as_ref())
    }
}

/// A mutation as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the parameters are those of the contract's git.wit")]
pub enum Call {
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

/// A mutation's reply as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Of `restore`, `reset`, `revert` and `commit`.
    Moved(Moved),
    /// Of `push`.
    Pushed(Pushed),
}

fn owned(paths: &[impl AsRef<str>]) -> Vec<String> {
    paths.iter().map(|path| path.as_ref().to_owned()).collect()
}
