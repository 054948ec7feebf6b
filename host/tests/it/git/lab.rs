//! A real repository, made and looked at with the real `git`, and the driver of a connection to it.
//!
//! The crate's own tests include this file too. `super` says what `ripcord` is, and which program
//! supervises.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::SUPERVISOR;
use super::ripcord::capability::git::{Call, Connection, Moved, Reply};
use super::ripcord::capability::{At, CapabilityConnection, Driver, OpenError, Opening};
use super::ripcord::failure::Failure;
use super::ripcord::id::{ExecutionId, RunId};
use super::ripcord::process::Supervisors;
use super::ripcord::secret::Secrets;

pub(super) type GitDriver = Arc<dyn Driver<Call = Call, Reply = Reply>>;

/// A working copy with three commits, tagged `v1`, `v2` and `v3`, on `main`.
pub(super) struct Lab {
    pub(super) folder: tempfile::TempDir,
    pub(super) settings: String,
}

impl Lab {
    pub(super) fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap(), settings: String::new() };
        std::fs::create_dir(lab.root()).unwrap();
        lab.git(&["init", "--quiet", "--initial-branch=main"]);
        lab.git(&["config", "user.name", "Ops"]);
        lab.git(&["config", "user.email", "ops@example.org"]);
        lab.write("src/a.ts", "a one\n");
        lab.write("src/b.ts", "b one\n");
        lab.write("old/gone.ts", "gone\n");
        lab.write("run.sh", "#!/bin/sh\n");
        std::fs::set_permissions(lab.root().join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        std::os::unix::fs::symlink("src/a.ts", lab.root().join("link")).unwrap();
        lab.record("v1");
        lab.write("src/a.ts", "a two\n");
        lab.write("src/new/c.ts", "c two\n");
        lab.git(&["rm", "--quiet", "old/gone.ts", "run.sh", "link"]);
        lab.record("v2");
        lab.write("src/a.ts", "a three, and longer than the others\n");
        lab.record("v3");
        lab
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn content(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| error.kind().to_string())
    }

    /// Commits everything and tags it.
    pub(super) fn record(&self, tag: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", tag]);
        self.git(&["tag", tag]);
    }

    /// Two more commits, `link` and `file`, in which `src` is a link to a folder outside, with a file
    /// of a name that `src` has too, and a file.
    pub(super) fn swap_kinds(&self, outside: &Path) {
        std::fs::create_dir(outside).unwrap();
        std::fs::write(outside.join("a.ts"), "not ours\n").unwrap();
        self.git(&["rm", "--quiet", "-r", "src"]);
        std::os::unix::fs::symlink("../outside", self.root().join("src")).unwrap();
        self.record("link");
        self.git(&["rm", "--quiet", "src"]);
        self.write("src", "a file\n");
        self.record("file");
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let (success, output) = self.try_git(arguments);
        assert!(success, "git {arguments:?}: {output}");
        output
    }

    pub(super) fn try_git(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(self.root()).args(arguments).env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
        // The same ids in each lab, so that two labs can be compared.
        command.env("GIT_AUTHOR_DATE", "@1700000000 +0000").env("GIT_COMMITTER_DATE", "@1700000000 +0000");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap().trim_end().to_owned())
    }

    pub(super) fn id(&self, revision: &str) -> String {
        self.git(&["rev-parse", &format!("{revision}^{{commit}}")])
    }

    /// All that a person can see of the working copy, as git sees it, and that git finds it sound.
    pub(super) fn seen(&self) -> (String, String, String) {
        self.git(&["fsck", "--strict", "--no-dangling"]);
        assert_eq!(self.left_over(), Vec::<String>::new());
        (
            self.git(&["status", "--porcelain", "--branch"]),
            self.git(&["rev-parse", "HEAD"]),
            self.git(&["ls-files", "--stage"]),
        )
    }

    /// What ripcord may have left beside the index.
    fn left_over(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.root().join(".git")).unwrap().flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".lock") || name.starts_with(".ripcord")).collect()
    }

    pub(super) fn driver(&self) -> GitDriver {
        self.open().unwrap()
    }

    pub(super) fn open(&self) -> Result<GitDriver, OpenError> {
        open(self.folder.path(), &self.settings)
    }

    pub(super) async fn mutate(&self, ordinal: u32, call: Call) -> Result<Reply, Failure> {
        self.driver().prepare(&at(ordinal), &call).await?.perform().await
    }

    pub(super) async fn moved(&self, ordinal: u32, call: Call) -> Moved {
        match self.mutate(ordinal, call).await {
            Ok(Reply::Moved(moved)) => moved,
            other => panic!("{other:?}"),
        }
    }
}

/// Opens the connection of the lab in a folder, with more settings than its path.
pub(super) fn open(folder: &Path, settings: &str) -> Result<GitDriver, OpenError> {
    let connection: Connection = toml::from_str(&format!("path = \"app\"\n{settings}")).unwrap();
    let opening = Opening {
        secrets: Arc::new(Secrets::new(BTreeMap::new(), folder)),
        spool: folder.join("spool"),
        base: folder.to_owned(),
        supervisors: Supervisors::new(SUPERVISOR),
    };
    connection.open(&opening).now_or_never().expect("nothing to wait for")
}

pub(super) fn at(ordinal: u32) -> At {
    At {
        run: RunId::from("20261122-180312-k7qm".to_owned()),
        execution: ExecutionId(3),
        ordinal,
        began: "2026-11-22T18:03:12Z".parse().unwrap(),
        deadline: Duration::from_secs(20),
        idempotency_key: None,
    }
}

pub(super) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn restore(revision: &str, paths: &[&str]) -> Call {
    Call::Restore { revision: revision.to_owned(), paths: strings(paths) }
}

pub(super) fn commit(message: &str, paths: &[&str]) -> Call {
    Call::Commit { message: message.to_owned(), paths: strings(paths) }
}

pub(super) fn reset(revision: &str) -> Call {
    Call::Reset { revision: revision.to_owned() }
}

pub(super) fn revert(revision: &str) -> Call {
    Call::Revert { revision: revision.to_owned() }
}
