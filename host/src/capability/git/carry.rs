//! Carrying a move out, step by step, so that a kill between any two of them leaves a state from
//! which the same call goes on:
//!
//! 1. the index is locked, and what [`Move`] says of the present is looked at once more;
//! 2. the old state is kept (durable: from here on the call has *begun*);
//! 3. the files are written aside and renamed into place, and a private copy of the index is written:
//!    at any moment a path has its old content, its new one, or (a folder in place of a file) none;
//! 4. the private index takes the index's place, in one rename;
//! 5. the branch moves, last, only if it still is where it was;
//! 6. the lock goes.
//!
//! Up to the end of step 2 a failure says that nothing happened. A failure after it puts back what was
//! there, in the same way; only if that fails too, it is a doubt. A second attempt goes on with a move
//! that was cut off.

use std::fs;
use std::path::{Path, PathBuf};

use git2::Index;

use super::entry::{self, Entry};
use super::files;
use super::locks::{self, IndexLock, Private};
use super::movement::{Change, Move, Progress};
use super::working_copy::{WorkingCopy, failed, failed_io};
use super::{Moved, durable, kept};
use crate::capability::At;
use crate::failure::{Failure, Problem};

/// A move on its way. The tests stop it after each step.
pub(super) struct Carrying<'a> {
    pub(super) copy: &'a WorkingCopy,
    pub(super) at: &'a At,
    pub(super) record: &'a Move,
    /// The call in one line.
    pub(super) title: &'a str,
}

impl Carrying<'_> {
    pub(super) fn carry_out(&self) -> Result<Moved, Failure> {
        if self.record.is_nothing() {
            return self.record.moved(self.copy);
        }
        let begun = kept::begun(self.copy, self.at, self.title)?.is_some_and(|begun| begun.is_this);
        let ready = || {
            let lock = self.lock(begun)?;
            self.keep()?;
            Ok((lock, self.record.changes(self.copy)?, self.record.moved(self.copy)?))
        };
        // What an earlier attempt has begun, a failure now does not make undone.
        let (lock, changes, moved) = ready().map_err(|failure| if begun { self.doubt(&failure) } else { failure })?;
        self.finish(&changes)?;
        drop(lock);
        Ok(moved)
    }

    /// Steps 3 to 5, all or, as far as that is possible, none.
    pub(super) fn finish(&self, changes: &[Change]) -> Result<(), Failure> {
        let done = self.write(changes).and_then(|index| self.publish(&index)).and_then(|()| self.advance());
        done.map_err(|failure| match self.put_back() {
            Ok(()) => failure,
            Err(second) => self.doubt(&Failure::unknown(format!("{failure}; and it can't be put back: {second}"))),
        })
    }

    pub(super) fn lock(&self, begun: bool) -> Result<IndexLock, Failure> {
        let lock = IndexLock::take(self.copy, self.at)?;
        locks::clear_references(self.copy, self.at, self.record, begun)?;
        if let Progress::Elsewhere(seen) = self.record.progress(self.copy)? {
            return Err(Failure::permanent(format!(
                "{}: {seen}; somebody has been at work there just now",
                self.title
            )));
        }
        Ok(lock)
    }

    pub(super) fn keep(&self) -> Result<(), Failure> {
        kept::keep(self.copy, self.at, self.record, self.title)
    }

    /// Writes the files, and the index that goes with them, which is not yet the repository's.
    pub(super) fn write(&self, changes: &[Change]) -> Result<PathBuf, Failure> {
        let private = Private::of(self.copy, self.at);
        private.clear()?;
        // What is written is written through a handle whose index is not the repository's.
        let aside = WorkingCopy::open(&self.copy.root)?;
        if self.record.writes {
            files::write(self.copy, &aside, &private, self.record.to, changes)?;
        }
        let current = self.copy.repository.path().join("index");
        fs::copy(&current, &private.index).map_err(failed_io("copy", &current))?;
        let mut index = Index::open(&private.index).map_err(failed("open a copy of the index"))?;
        aside.repository.set_index(&mut index).map_err(failed("use a copy of the index"))?;
        stage(changes, &mut index)?;
        index.write().map_err(failed("write the index"))?;
        durable::file(&private.index)?;
        Ok(private.index)
    }

    pub(super) fn publish(&self, index: &Path) -> Result<(), Failure> {
        let current = self.copy.repository.path().join("index");
        fs::rename(index, &current).map_err(failed_io("replace", &current))?;
        durable::file(&current)
    }

    pub(super) fn advance(&self) -> Result<(), Failure> {
        let Move { reference, previous, head, .. } = self.record;
        if previous == head || self.copy.head()?.commit.id() == *head {
            return Ok(());
        }
        let log = format!("ripcord: {} ({})", self.title, self.at.key());
        let moved = self.copy.repository.reference_matching(reference, *head, true, *previous, &log);
        moved.map_err(failed(format_args!("move {reference} from {previous} to {head}")))?;
        let folder = if reference == "HEAD" { self.copy.repository.path() } else { self.copy.repository.commondir() };
        durable::file(&folder.join(reference))
    }

    /// Undoes the steps from 3 on, unless somebody else has been at work there, or the branch has moved
    /// after all.
    fn put_back(&self) -> Result<(), Failure> {
        match self.record.progress(self.copy)? {
            Progress::Untouched => {}
            Progress::Half if self.copy.head()?.commit.id() == self.record.previous => {
                let Move { reference, previous, from, to, writes, .. } = self.record.clone();
                let record = Move { reference, previous, head: previous, from: to, to: from, writes };
                let back = Carrying { record: &record, ..*self };
                let index = back.write(&record.changes(self.copy)?)?;
                back.publish(&index)?;
            }
            Progress::Half | Progress::Done => {
                return Err(Failure::unknown(format!("{} has moved already", self.record.reference)));
            }
            Progress::Elsewhere(seen) => return Err(Failure::unknown(seen)),
        }
        Private::of(self.copy, self.at).clear()?;
        kept::forget(self.copy, self.at)
    }

    fn doubt(&self, failure: &Failure) -> Failure {
        let Problem { message, evidence } = failure.problem();
        let kept = kept::reference(self.at);
        Failure::Unknown(Problem {
            message: format!("{}: {message}; what was there before is kept under {kept}", self.title),
            evidence: evidence.clone(),
        })
    }
}

/// Brings an index to the new state.
fn stage(changes: &[Change], index: &mut Index) -> Result<(), Failure> {
    // A file can't be added while the index has something below it.
    for Change { path, after, .. } in changes {
        if after.is_none() && entry::in_index(index, path).is_some() {
            index.remove(Path::new(path), 0).map_err(failed(format_args!("take {path} out of the index")))?;
        }
    }
    for Change { path, after, .. } in changes {
        let Some(after) = *after else { continue };
        // With the file's size and times, so that git need not read it again; if the file is another
        // one by now, git has to.
        if index.add_path(Path::new(path)).is_err() || entry::in_index(index, path) != Some(after) {
            index.add(&bare(path, after)).map_err(failed(format_args!("stage {path}")))?;
        }
    }
    Ok(())
}

/// An index entry without anything about its file.
fn bare(path: &str, entry: Entry) -> git2::IndexEntry {
    let never = git2::IndexTime::new(0, 0);
    git2::IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode: entry.kind.mode().into(),
        uid: 0,
        gid: 0,
        file_size: 0,
        id: entry.id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}
