//! A repository with its files, and libgit2's errors in words.
//!
//! libgit2 runs no hooks and asks nobody anything. A handle is one thread's at a time; an open one is
//! kept for the next call ([`Handles`]), because it knows the index, whose reading costs more than all
//! else of most calls. What has changed on the disk in the meantime libgit2 finds by itself.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use git2::{Commit, ErrorCode, Index, Oid, Repository, RepositoryOpenFlags, RepositoryState, Signature, Time, Tree};
use jiff::Timestamp;

use super::connection::Author;
use crate::failure::Failure;

/// An open working copy.
pub(super) struct WorkingCopy {
    pub(super) repository: Repository,
    pub(super) root: PathBuf,
    /// Whether the file system keeps the executable bit (`core.fileMode`).
    pub(super) keeps_modes: bool,
    /// When its index was last read, at the earliest.
    stamp: Cell<Option<Stamp>>,
}

/// The open handles of one working copy that nobody works with just now.
pub(super) struct Handles {
    root: PathBuf,
    idle: Mutex<Vec<WorkingCopy>>,
}

impl Handles {
    pub(super) fn new(copy: WorkingCopy) -> Self {
        Self { root: copy.root.clone(), idle: Mutex::new(vec![copy]) }
    }

    /// Works with a handle: an idle one that still knows what stands there, else a new one.
    pub(super) fn with<T>(&self, work: impl FnOnce(&WorkingCopy) -> Result<T, Failure>) -> Result<T, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let copy = match idle {
            Some(copy) if copy.is_current() => copy,
            _ => WorkingCopy::open(&self.root)?,
        };
        let done = work(&copy)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
        Ok(done)
    }
}

/// By what a repository and its index are recognised. Whoever writes an index puts a new file there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    folder: (u64, u64),
    /// Inode, size, and when it was changed; none if there is no index.
    index: Option<(u64, u64, i64, i64)>,
}

impl Stamp {
    fn of(folder: &Path) -> Option<Self> {
        let found = fs::metadata(folder).ok()?;
        let index = fs::metadata(folder.join("index")).ok();
        let index = index.map(|index| (index.ino(), index.size(), index.ctime(), index.ctime_nsec()));
        Some(Self { folder: (found.dev(), found.ino()), index })
    }
}

/// Where the working copy stands.
pub(super) struct Head<'a> {
    /// The reference that a commit moves: `refs/heads/main`, or `HEAD` itself if it is detached.
    pub(super) reference: String,
    pub(super) commit: Commit<'a>,
}

impl Head<'_> {
    pub(super) fn tree(&self) -> Result<Tree<'_>, Failure> {
        self.commit.tree().map_err(failed(format_args!("read commit {}", self.commit.id())))
    }
}

impl WorkingCopy {
    pub(super) fn open(root: &Path) -> Result<Self, Failure> {
        let repository = Repository::open_ext(root, RepositoryOpenFlags::NO_SEARCH, &[] as &[&Path]).map_err(|error| {
            let advice = match error.code() {
                ErrorCode::NotFound => "; `path` has to be the root of a working copy, the folder that has `.git`",
                ErrorCode::Owner => "; trust it with `git config --global --add safe.directory` and the folder, as the user that ripcord runs as",
                _ => "",
            };
            Failure::permanent(format!("can't open the working copy {}: {}{advice}", root.display(), error.message()))
        })?;
        if repository.is_bare() {
            return Err(Failure::permanent(format!(
                "{} is a bare repository: it has no working copy to roll back; name a clone of it",
                root.display()
            )));
        }
        let stamp = Cell::new(Stamp::of(repository.path()));
        let modes = repository.config().and_then(|config| config.get_bool("core.filemode"));
        Ok(Self { keeps_modes: modes.unwrap_or(true), repository, root: root.to_owned(), stamp })
    }

    pub(super) fn head(&self) -> Result<Head<'_>, Failure> {
        let head = self.repository.head().map_err(|error| match error.code() {
            ErrorCode::UnbornBranch => Failure::permanent(format!(
                "{} has no commit yet: HEAD names a branch without one",
                self.root.display()
            )),
            _ => failed(format_args!("read HEAD of {}", self.root.display()))(error),
        })?;
        let reference = match self.repository.head_detached() {
            Ok(true) => "HEAD".to_owned(),
            Ok(false) => head.name().map_err(failed("read the name of the current branch"))?.to_owned(),
            Err(error) => return Err(failed("read HEAD")(error)),
        };
        let commit = head.peel_to_commit().map_err(failed(format_args!("read the commit of {reference}")))?;
        Ok(Head { reference, commit })
    }

    /// The index as it is on the disk now.
    pub(super) fn index(&self) -> Result<Index, Failure> {
        let reading = || failed(format!("read the index of {}", self.root.display()));
        let mut index = self.repository.index().map_err(reading())?;
        // By itself libgit2 compares no more than the checksum, which `index.skipHash` leaves out.
        let now = Stamp::of(self.repository.path());
        index.read(now != self.stamp.replace(now)).map_err(reading())?;
        Ok(index)
    }

    /// Whether nothing has changed on the disk that this handle would not notice.
    fn is_current(&self) -> bool {
        let known = self.stamp.get();
        known.is_some() && known == Stamp::of(self.repository.path())
    }

    /// The commit that a revision names.
    pub(super) fn commit(&self, revision: &str) -> Result<Commit<'_>, Failure> {
        let object = self.repository.revparse_single(revision).map_err(|error| match error.code() {
            ErrorCode::NotFound => Failure::permanent(format!(
                "there is no revision `{revision}` in {}; a new tag or commit of the remote has to be fetched first",
                self.root.display()
            )),
            ErrorCode::Ambiguous => {
                Failure::permanent(format!("`{revision}` could be several objects: write more of the id"))
            }
            _ => failed(format_args!("resolve `{revision}` in {}", self.root.display()))(error),
        })?;
        object.peel_to_commit().map_err(|_| {
            let kind = object.kind().map_or("object", |kind| kind.str());
            Failure::permanent(format!("`{revision}` names a {kind}, not a commit"))
        })
    }

    pub(super) fn find_commit(&self, id: Oid) -> Result<Commit<'_>, Failure> {
        self.repository.find_commit(id).map_err(failed(format_args!("read commit {id}")))
    }

    pub(super) fn find_tree(&self, id: Oid) -> Result<Tree<'_>, Failure> {
        self.repository.find_tree(id).map_err(failed(format_args!("read tree {id}")))
    }

    /// A merge or a rebase that somebody has begun is theirs to finish.
    pub(super) fn refuse_unfinished(&self, operation: &str) -> Result<(), Failure> {
        let state = self.repository.state();
        let index = self.index()?;
        if state == RepositoryState::Clean && !index.has_conflicts() {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "can't {operation} in {}: a merge, a rebase or the like is unfinished there; finish or abort it first \
             (`git status` says how)",
            self.root.display()
        )))
    }

    /// Author and committer, at the run's time, so that a repeat gives the same id.
    pub(super) fn author(&self, configured: Option<&Author>, at: Timestamp) -> Result<Signature<'static>, Failure> {
        let (name, email) = match configured {
            Some(Author { name, email }) => (name.clone(), email.clone()),
            None => {
                let config = self.repository.config().and_then(|mut config| config.snapshot());
                let config = config.map_err(failed("read git's configuration"))?;
                let value = |key| config.get_str(key).ok().filter(|value| !value.is_empty()).map(str::to_owned);
                value("user.name").zip(value("user.email")).ok_or_else(|| {
                    Failure::permanent(format!(
                        "nobody is configured to commit in {}: add  author = {{ name = \"…\", email = \"…\" }}  to this \
                         connection in ripcord.toml",
                        self.root.display()
                    ))
                })?
            }
        };
        Signature::new(&name, &email, &Time::new(at.as_second(), 0))
            .map_err(failed(format_args!("commit as `{name} <{email}>`")))
    }
}

/// libgit2's error while doing something, as a failure: nothing has happened yet.
pub(super) fn failed(tried: impl std::fmt::Display) -> impl FnOnce(git2::Error) -> Failure {
    move |error| {
        let message = format!("can't {tried}: {}", error.message());
        match error.code() {
            ErrorCode::Locked => Failure::transient(message),
            _ => Failure::permanent(message),
        }
    }
}

/// The operating system's error while doing something to a file, as a failure.
pub(super) fn failed_io(tried: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::permanent(format!("can't {tried} {}: {error}", path.display()))
}
