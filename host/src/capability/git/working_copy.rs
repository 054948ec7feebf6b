//! A repository with its files, opened for one call, and libgit2's errors in words.
//!
//! libgit2 runs no hooks and asks nobody anything. Opening costs some 0.1 ms; a handle can't be
//! shared between threads.

use std::path::{Path, PathBuf};

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
        let modes = repository.config().and_then(|config| config.get_bool("core.filemode"));
        Ok(Self { keeps_modes: modes.unwrap_or(true), repository, root: root.to_owned() })
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

    /// The index as it is on the disk now, whatever this handle works with.
    pub(super) fn index(&self) -> Result<Index, Failure> {
        let path = self.repository.path().join("index");
        Index::open(&path).map_err(failed(format_args!("read {}", path.display())))
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
