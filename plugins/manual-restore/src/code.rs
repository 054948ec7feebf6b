//! The code: back to a commit, by a commit on top or by moving the branch.

use ripcord_plugin::git::{self, ASSUMED_ID, Moved, Pushed, WorkingCopy};
use ripcord_plugin::{Failure, Result, log};

use crate::config::{By, Code};

pub(crate) const CODE: WorkingCopy = WorkingCopy::role("code");

/// What has to be done, found out before anything is touched.
pub(crate) struct Way {
    /// The revision as the plan, or the last good state, names it.
    pub(crate) to: String,
    /// The commit that it is.
    pub(crate) commit: String,
    /// Where the working copy is.
    pub(crate) previous: String,
    by: By,
    /// The paths that differ between the two.
    paths: Vec<String>,
    message: String,
    push: Option<Target>,
}

/// A branch of the remote, and what it has to be at.
struct Target {
    branch: String,
    lease: String,
}

impl Way {
    /// `good` is the revision of the last good state.
    pub(crate) fn find(good: Option<String>, code: &Code) -> Result<Self> {
        let to = match (&code.to, good) {
            (Some(to), _) => to.clone(),
            (None, Some(revision)) => revision,
            (None, None) => {
                return Err(Failure::permanent(
                    "no commit is known to go back to: ripcord knows of no good state of this target. Write \
                     `code.to`, the tag or the commit whose code is good",
                ));
            }
        };
        let (commit, previous) = (CODE.resolve(&to)?, CODE.resolve("HEAD")?);
        let push = code.push.as_deref().map(|branch| Target::find(branch, &previous)).transpose()?;
        let none: [&str; 0] = [];
        let differing = CODE.diff(&commit, Some("HEAD"), &none)?.paths;
        let paths = differing.into_iter().map(|changed| changed.path).collect();
        Ok(Self { message: code.message(&to), by: code.by, to, commit, previous, paths, push })
    }

    /// Whether the working copy already is where it is to be.
    pub(crate) fn is_there(&self) -> bool {
        match self.by {
            By::Revert => self.paths.is_empty(),
            By::Reset => self.commit == self.previous,
        }
    }

    /// Goes it; the commit that `HEAD` is at then.
    pub(crate) fn go(&self) -> Result<String> {
        if self.is_there() {
            log::info(format!("the code already is that of {}", self.to));
            return Ok(self.previous.clone());
        }
        log::info(format!("taking the code back to {}", self.to));
        let head = match self.by {
            By::Revert => replace(&self.commit, &self.paths, &self.message, &self.previous)?,
            By::Reset => reset(&self.commit, &self.previous)?,
        };
        if let Some(Target { branch, lease }) = &self.push {
            push(&head, branch, lease)?;
        }
        Ok(head)
    }
}

impl Target {
    /// A branch that is at the working copy's commit. Anything else there was pushed by somebody else, and
    /// would be lost or published by accident.
    fn find(branch: &str, head: &str) -> Result<Self> {
        match CODE.remote_head(branch)? {
            Some(remote) if remote == head => Ok(Self { branch: branch.to_owned(), lease: remote }),
            remote => Err(Failure::permanent(format!(
                "the remote's {branch} is at {}, the working copy at {head}: somebody has pushed what is not here, or \
                 what is here was never pushed. Nothing was touched. Bring both to the same commit first (`git pull \
                 --ff-only`, or `git push`), or leave `code.push` out",
                remote.as_deref().unwrap_or("no commit")
            ))),
        }
    }
}

/// The code of a commit, as a commit on top of `head`.
fn replace(commit: &str, paths: &[String], message: &str, head: &str) -> Result<String> {
    let at = |head: &str, previous: &str| Moved {
        head: head.to_owned(),
        previous: previous.to_owned(),
        changed: paths.to_vec(),
    };
    CODE.restore(commit, paths).idempotent().assume(at(head, head)).send()?;
    Ok(CODE.commit(message, paths).assume(at(ASSUMED_ID, head)).send()?.head)
}

fn reset(commit: &str, previous: &str) -> Result<String> {
    let assumed = Moved { head: commit.to_owned(), previous: previous.to_owned(), changed: Vec::new() };
    Ok(CODE.reset(commit).idempotent().assume(assumed).send()?.head)
}

fn push(head: &str, branch: &str, lease: &str) -> Result<()> {
    let assumed = Pushed { branch: branch.to_owned(), head: head.to_owned(), previous: Some(lease.to_owned()) };
    // With its lease, a second push of the same commit finds it there already.
    CODE.push(head, branch, Some(lease)).idempotent().assume(assumed).send()?;
    Ok(())
}

/// What an `apply` did to the code before it ended.
#[derive(Default)]
pub(crate) struct Done {
    /// The commit of before.
    previous: Option<String>,
    /// The paths that were replaced, if the code was.
    replaced: Option<Vec<String>>,
    committed: bool,
    pushed: Option<String>,
}

impl Done {
    /// Takes in one of its mutations, and what came back if anything did.
    pub(crate) fn add(&mut self, call: git::Call, reply: Option<git::Reply>) -> Result<()> {
        let moved = match reply {
            Some(git::Reply::Moved(moved)) => Some(moved),
            _ => None,
        };
        match call {
            git::Call::Restore { paths, .. } => {
                self.replaced = Some(paths);
                // A restore does not move `HEAD`, and without its reply `apply` went no further.
                self.previous = Some(moved.map_or_else(|| CODE.resolve("HEAD"), |moved| Ok(moved.previous))?);
            }
            git::Call::Commit { .. } => self.committed = moved.is_none_or(|moved| moved.head != moved.previous),
            git::Call::Reset { .. } => self.previous = moved.map(|moved| moved.previous),
            git::Call::Push { branch, .. } => self.pushed = Some(branch),
            git::Call::Revert { .. } => {}
        }
        Ok(())
    }

    /// The way back to the code of before, found out before anything is touched; none if it never changed.
    pub(crate) fn back(&self) -> Result<Option<Back<'_>>> {
        let Some(previous) = &self.previous else { return Ok(None) };
        let head = CODE.resolve("HEAD")?;
        let target = self.pushed.as_deref().map(|branch| Target::find(branch, &head)).transpose()?;
        // Before the commit the changes are this step's own.
        let committed = self.replaced.as_deref().filter(|_| self.committed);
        let changed = committed.map(|paths| CODE.status(paths)).transpose()?.unwrap_or_default();
        if let Some(changed) = changed.first() {
            return Err(Failure::permanent(format!(
                "there are local changes in {}, which would be lost; nothing was touched. Commit them or put them aside",
                changed.path
            )));
        }
        Ok(Some(Back { done: self, previous, head, target }))
    }
}

/// The way back to the code of before.
pub(crate) struct Back<'a> {
    done: &'a Done,
    previous: &'a str,
    head: String,
    target: Option<Target>,
}

impl Back<'_> {
    /// Puts the code of before back.
    pub(crate) fn go(&self, config: &Code) -> Result<()> {
        let Self { done, previous, head, target } = self;
        log::info(format!("putting the code of {previous} back"));
        let head = match &done.replaced {
            None => reset(previous, head)?,
            Some(paths) if done.committed => {
                replace(previous, paths, &format!("Undo: {}", config.message(previous)), head)?
            }
            Some(paths) => {
                let assumed = Moved { head: head.clone(), previous: head.clone(), changed: paths.clone() };
                CODE.restore(previous, paths).idempotent().assume(assumed).send()?;
                head.clone()
            }
        };
        if let Some(Target { branch, lease }) = target {
            push(&head, branch, lease)?;
        }
        Ok(())
    }
}
