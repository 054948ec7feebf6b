//! Carrying a move out, step by step, so that a kill between any two of them leaves a state from
//! which the same call goes on:
//!
//! 1. the index is locked, and what [`Move`] says of the present is looked at once more;
//! 2. the old state is kept (durable: from here on the call has *begun*);
//! 3. the files are written, and a private copy of the index with them;
//! 4. the private index takes the index's place, in one rename;
//! 5. the branch moves, last, only if it still is where it was;
//! 6. the lock goes.
//!
//! Up to the end of step 2 a failure says that nothing happened. A failure after it puts back what was
//! there, in the same way; only if that fails too, it is a doubt. A second attempt goes on with a move
//! that was cut off.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use git2::Index;
use git2::build::CheckoutBuilder;

use super::entry::{self, Standing};
use super::locks::{self, IndexLock};
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
        let begun = kept::begun(self.copy, self.at)?.is_some();
        let ready = || {
            let lock = self.lock(begun)?;
            self.keep()?;
            Ok((lock, self.record.changes(self.copy)?, self.record.moved(self.copy)?))
        };
        // What an earlier attempt has begun, a failure now does not make undone.
        let (lock, changes, moved) = ready().map_err(|failure| if begun { self.doubt(&failure) } else { failure })?;
        let done = self.write(&changes).and_then(|index| self.publish(&index)).and_then(|()| self.advance());
        if let Err(failure) = done {
            return Err(match self.put_back() {
                Ok(()) => failure,
                Err(second) => self.doubt(&Failure::unknown(format!("{failure}; putting it back: {second}"))),
            });
        }
        drop(lock);
        Ok(moved)
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
        let path = locks::private(self.copy, self.at, "index");
        locks::clear_private(self.copy, self.at)?;
        let current = self.copy.repository.path().join("index");
        fs::copy(&current, &path).map_err(failed_io("copy", &current))?;
        let mut index = Index::open(&path).map_err(failed("open a copy of the index"))?;
        self.copy.repository.set_index(&mut index).map_err(failed("use a copy of the index"))?;
        if self.record.writes {
            self.delete(changes, &mut index)?;
            self.check_out(changes)?;
        }
        self.stage(changes, &mut index)?;
        index.write().map_err(failed("write the index"))?;
        durable::file(&path)?;
        if self.record.writes {
            self.check_written(changes)?;
        }
        Ok(path)
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

    fn delete(&self, changes: &[Change], index: &mut Index) -> Result<(), Failure> {
        for change in changes.iter().filter(|change| change.after.is_none()) {
            let file = self.copy.root.join(&change.path);
            // A link that has already taken the folder's place: what is behind it is not ours.
            let gone = self.copy.link_above(&change.path).is_some();
            match if gone { Ok(()) } else { fs::remove_file(&file) } {
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(failed_io("delete", &file)(error));
                }
                _ => {}
            }
            // As git does: a folder goes with its last file. `remove_dir` fails on one that is not empty.
            for folder in file.ancestors().skip(1).take_while(|folder| *folder != self.copy.root) {
                if gone || fs::remove_dir(folder).is_err() {
                    break;
                }
            }
            let removed = index.remove(Path::new(&change.path), 0);
            if let Err(error) = removed
                && error.code() != git2::ErrorCode::NotFound
            {
                return Err(failed(format_args!("remove {} from the index", change.path))(error));
            }
        }
        // Checking out reads the index from its file.
        index.write().map_err(failed("write the index"))
    }

    fn check_out(&self, changes: &[Change]) -> Result<(), Failure> {
        let mut options = CheckoutBuilder::new();
        // That nothing of anybody's is overwritten has been looked at path by path.
        options.force().disable_pathspec_match(true).update_index(true);
        let mut any = false;
        for change in changes.iter().filter(|change| change.after.is_some()) {
            options.path(change.path.as_str());
            any = true;
        }
        // Without a path it would mean all of them.
        if !any {
            return Ok(());
        }
        let to = self.copy.find_tree(self.record.to)?;
        self.copy.repository.checkout_tree(to.as_object(), Some(&mut options)).map_err(failed("write the files"))?;
        for change in changes.iter().filter(|change| change.after.is_some_and(|after| after.kind != entry::Kind::Link))
        {
            durable::file(&self.copy.root.join(&change.path))?;
        }
        Ok(())
    }

    /// Brings the index to the new state where checking out had no reason to.
    fn stage(&self, changes: &[Change], index: &mut Index) -> Result<(), Failure> {
        for Change { path, after, .. } in changes {
            let staging = || failed(format!("stage {path}"));
            match after {
                Some(after) if entry::in_index(index, path) != Some(*after) => {
                    // The file's size and times go into the index with it, so that git need not read
                    // it again; if it is another one by now, git has to.
                    if index.add_path(Path::new(path)).is_err() || entry::in_index(index, path) != Some(*after) {
                        index.add(&bare(path, *after)).map_err(staging())?;
                    }
                }
                None if entry::in_index(index, path).is_some() => {
                    index.remove(Path::new(path), 0).map_err(staging())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What was written is what was meant: nothing is published on libgit2's word alone.
    fn check_written(&self, changes: &[Change]) -> Result<(), Failure> {
        for change in changes {
            let standing = self.copy.standing(&change.path)?;
            let expected = self.copy.same(standing.content(), change.after);
            if !expected || (change.after.is_none() && standing == Standing::Folder && !shadows(changes, &change.path))
            {
                return Err(Failure::permanent(format!("{} is not what was written", change.path)));
            }
        }
        Ok(())
    }

    /// Undoes the steps from 3 on. The branch moved last, so a failure means that it did not.
    fn put_back(&self) -> Result<(), Failure> {
        let Move { reference, previous, from, to, writes, .. } = self.record.clone();
        let record = Move { reference, previous, head: previous, from: to, to: from, writes };
        let back = Carrying { record: &record, ..*self };
        let index = back.write(&record.changes(self.copy)?)?;
        back.publish(&index)?;
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

/// Whether a change has its place below this path.
pub(super) fn shadows(changes: &[Change], path: &str) -> bool {
    changes.iter().any(|change| change.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
}

/// An index entry without anything about its file.
fn bare(path: &str, entry: entry::Entry) -> git2::IndexEntry {
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
