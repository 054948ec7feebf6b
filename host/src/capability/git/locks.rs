//! Git's lock files: holding the index's, and clearing away what a killed host of ours left behind.
//!
//! A lock file says that some program is at work, and nothing in git says which, or whether it still
//! lives: `git commit` keeps `index.lock` for as long as its editor is open, without an open file. So
//! neither a lock's age nor the absence of a process that has it open proves that it is stale, and
//! only what is *provably this call's own* is removed:
//!
//! - `index.lock` is taken here and not by libgit2. It appears with its content, which names the call,
//!   in one step (a hard link fails if the name exists). A call's name is used by one host at a time,
//!   the one that has the run's lock, so a lock with this call's name is a dead attempt's.
//! - the branch's lock is made by libgit2. It is this call's if it holds the beginning of the very
//!   commit id that this call sets, nothing or all of it, and no process has it open (git keeps the
//!   lock of a reference open until it has written the id), and the call has begun before.
//! - locks of files that only this call has (its kept reference, its own copy of the index) are its own.
//!
//! Everything else is somebody's: a transient failure that names the file.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::movement::Move;
use super::working_copy::{WorkingCopy, failed_io};
use super::{durable, kept};
use crate::capability::At;
use crate::failure::Failure;

/// The index's lock, held until it is dropped.
pub(super) struct IndexLock {
    path: PathBuf,
}

impl IndexLock {
    pub(super) fn take(copy: &WorkingCopy, at: &At) -> Result<Self, Failure> {
        let path = copy.repository.path().join("index.lock");
        let own = Private::of(copy, at).lock;
        let content = format!("ripcord {}\n", at.key());
        remove(&own)?;
        fs::write(&own, &content).map_err(failed_io("write", &own))?;
        let linked = fs::hard_link(&own, &path);
        remove(&own)?;
        match linked {
            Ok(()) => Ok(Self { path }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::read_to_string(&path) {
                Ok(found) if found == content => Ok(Self { path }),
                Ok(found) => Err(locked(&path, found.strip_prefix("ripcord ").map(str::trim_end))),
                Err(_) => Err(locked(&path, None)),
            },
            Err(error) => Err(failed_io("create the lock", &path)(error)),
        }
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the index's lock can't be removed; delete it");
        }
    }
}

/// The files that only this call uses.
pub(super) struct Private {
    /// Becomes the index.
    pub(super) index: PathBuf,
    /// A folder for new files, on the working copy's own file system.
    pub(super) files: PathBuf,
    /// Becomes the index's lock.
    lock: PathBuf,
}

impl Private {
    pub(super) fn of(copy: &WorkingCopy, at: &At) -> Self {
        let folder = copy.repository.path();
        let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
        // A linked worktree's `.git` may be elsewhere, where nothing can be renamed from.
        let beside = if device(folder) == device(&copy.root) { folder } else { &copy.root };
        let name = |folder: &Path, what| folder.join(format!(".ripcord-{}.{what}", at.key()));
        Self { index: name(folder, "index"), files: name(beside, "files"), lock: name(folder, "lock") }
    }

    pub(super) fn clear(&self) -> Result<(), Failure> {
        remove(&with_lock(&self.index))?;
        remove(&self.index)?;
        match fs::remove_dir_all(&self.files) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed_io("remove", &self.files)(error)),
            _ => Ok(()),
        }
    }
}

/// Removes what a dead attempt of this call has left beside the index. It is no part of the target.
pub(super) fn clear_index(copy: &WorkingCopy, at: &At) -> Result<(), Failure> {
    Private::of(copy, at).clear()?;
    match IndexLock::take(copy, at) {
        // Somebody else's is theirs.
        Ok(_) | Err(Failure::Transient(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Removes the references' locks that an attempt of this call may have left, and refuses those of
/// others.
pub(super) fn clear_references(copy: &WorkingCopy, at: &At, record: &Move, begun: bool) -> Result<(), Failure> {
    remove(&with_lock(&copy.repository.commondir().join(kept::reference(at))))?;
    if record.head == record.previous {
        return Ok(());
    }
    let folder = if record.reference == "HEAD" { copy.repository.path() } else { copy.repository.commondir() };
    let lock = with_lock(&folder.join(&record.reference));
    let found = match fs::read_to_string(&lock) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(_) => return Err(locked(&lock, None)),
    };
    if begun && format!("{}\n", record.head).starts_with(&found) && is_open_nowhere(&lock) {
        remove(&lock)?;
        return durable::file(folder);
    }
    Err(locked(&lock, None))
}

fn with_lock(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed_io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn locked(path: &Path, call: Option<&str>) -> Failure {
    let path = path.display();
    Failure::transient(match call {
        Some(call) => format!(
            "{path} is held by ripcord's call {call}: if no `ripcord` carries that run any more, `ripcord resume` it, or \
             delete the file"
        ),
        None => format!(
            "{path} exists: another git is at work there, or one was killed; if none is (`ps -ef | grep git`), delete it"
        ),
    })
}

/// Whether no process has a file open. False also if that can't be known: without `/proc`, or for a
/// file of another user, whose processes don't show their files.
fn is_open_nowhere(path: &Path) -> bool {
    let Ok(meta) = fs::metadata(path) else { return false };
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return false;
    }
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    !processes.flatten().any(|process| {
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { return false };
        files.flatten().any(|file| {
            fs::metadata(file.path()).is_ok_and(|open| open.dev() == meta.dev() && open.ino() == meta.ino())
        })
    })
}
