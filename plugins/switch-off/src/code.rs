//! The code of a part: some paths of a working copy.

use ripcord_plugin::git::{ASSUMED_ID, Moved, Pushed, WorkingCopy};
use ripcord_plugin::{Failure, Result, log};

pub(crate) const CODE: WorkingCopy = WorkingCopy::role("code");

/// What is taken back, and how.
#[derive(Debug, Clone)]
pub struct Code {
    /// Files, and folders that end with `/`.
    pub paths: Vec<String>,
    /// The tag, branch or commit whose code is good.
    pub version: String,
    /// Whether what was taken back is committed, with this message.
    pub commit: Option<String>,
    /// The branch of the remote that the commit is pushed to.
    pub push: Option<String>,
}

/// How things stand before anything is touched.
pub(crate) struct Seen {
    /// What the version names.
    pub(crate) commit: String,
    /// Where the working copy is.
    pub(crate) head: String,
    /// The files that differ from the version's.
    differing: Vec<String>,
    lease: Option<String>,
}

/// What became of the code.
pub(crate) struct Restored {
    pub(crate) changed: Vec<String>,
    pub(crate) head: String,
    pub(crate) pushed: Option<String>,
}

impl Seen {
    pub(crate) fn is_restored(&self) -> bool {
        self.differing.is_empty()
    }
}

impl Code {
    /// The paths, for people.
    pub(crate) fn named(&self) -> String {
        self.paths.join(", ")
    }

    pub(crate) fn look(&self) -> Result<Seen> {
        let commit = CODE.resolve(&self.version)?;
        // A restore deletes what a version does not have: a mistyped path would go unnoticed.
        for path in &self.paths {
            match path.strip_suffix('/') {
                None => drop(CODE.show(&commit, path)?),
                Some(folder) if CODE.log(&commit, &[folder], 1)?.is_empty() => {
                    return Err(Failure::permanent(format!(
                        "no commit up to {} has to do with {path}; nothing was touched. Correct `paths`",
                        self.version
                    )));
                }
                Some(_) => {}
            }
        }
        let head = CODE.resolve("HEAD")?;
        let lease = self.push.as_deref().map(|branch| lease(branch, &head)).transpose()?.flatten();
        // What is to be committed has to be in `HEAD`; else the working copy counts.
        let place = self.commit.is_some().then_some("HEAD");
        let paths: Vec<&str> = self.paths.iter().map(|path| path.trim_end_matches('/')).collect();
        let differing = CODE.diff(&commit, place, &paths)?.paths.into_iter().map(|changed| changed.path).collect();
        Ok(Seen { commit, head, differing, lease })
    }

    pub(crate) fn restore(&self, seen: &Seen) -> Result<Restored> {
        log::info(format!("restoring {} from {}", self.named(), self.version));
        let changed = restore(&seen.commit, &seen.differing, &seen.head)?.changed;
        let mut restored = Restored { changed, head: seen.head.clone(), pushed: None };
        if let Some(message) = &self.commit {
            restored.head = commit(message, &seen.differing, &seen.head)?;
        }
        if let Some(branch) = self.push.as_deref().filter(|_| restored.head != seen.head) {
            push(&restored.head, branch, seen.lease.as_deref())?;
            restored.pushed = Some(branch.to_owned());
        }
        Ok(restored)
    }
}

/// What the remote's branch has to be at when it is pushed to. It is asked for before anything is touched, and has to
/// be the working copy's commit: else the push would publish other people's unpublished commits, or take published ones
/// away.
pub(crate) fn lease(branch: &str, head: &str) -> Result<Option<String>> {
    let remote = CODE.remote_head(branch)?;
    if remote.as_deref() == Some(head) {
        return Ok(remote);
    }
    let remote = remote.as_deref().unwrap_or("no commit");
    Err(Failure::permanent(format!(
        "the remote's {branch} is at {remote}, the working copy at {head}; nothing was touched. Bring both to the same \
         commit first, or leave `push` out"
    )))
}

pub(crate) fn restore(commit: &str, paths: &[String], head: &str) -> Result<Moved> {
    let assumed = Moved { head: head.to_owned(), previous: head.to_owned(), changed: paths.to_vec() };
    CODE.restore(commit, paths).idempotent().assume(assumed).send()
}

/// The commit that `HEAD` is at afterwards: the same as before if there was nothing to commit.
pub(crate) fn commit(message: &str, paths: &[String], head: &str) -> Result<String> {
    let assumed = Moved { head: ASSUMED_ID.to_owned(), previous: head.to_owned(), changed: paths.to_vec() };
    Ok(CODE.commit(message, paths).assume(assumed).send()?.head)
}

pub(crate) fn push(head: &str, branch: &str, lease: Option<&str>) -> Result<Pushed> {
    let assumed = Pushed { branch: branch.to_owned(), head: head.to_owned(), previous: lease.map(str::to_owned) };
    // With its lease, a second push of the same commit finds it there already.
    CODE.push(head, branch, lease).idempotent().assume(assumed).send()
}
