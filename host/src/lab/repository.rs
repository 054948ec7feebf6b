//! GENIA's repository: a working copy, and the bare remote next to it.

use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{BAD, CONNECTOR, GOOD, LabError};

/// The connector as it should be.
const CODE: &str = include_str!("genia/facebook.ts");
const PACKAGE: &str = include_str!("genia/package.json");

/// What makes v1.5.0 a bad one: Facebook knows no parameter `token`.
const BREAKAGE: (&str, &str) = ("access_token: token", "token");

/// The working copy.
pub(super) struct Repository {
    path: PathBuf,
}

impl Repository {
    /// Makes both below `folder`, with the good version committed, tagged and pushed.
    pub(super) async fn create(folder: &Path) -> Result<Self, LabError> {
        let repository = Self { path: folder.join("genia") };
        git(folder, &["init", "--quiet", "--bare", "genia.git"]).await?;
        git(folder, &["init", "--quiet", "genia"]).await?;
        for path in ["genia.git", "genia"] {
            // `init --initial-branch` is younger than some gits that are still about.
            git(&folder.join(path), &["symbolic-ref", "HEAD", "refs/heads/main"]).await?;
        }
        // ripcord works with the user's settings and the lab without: both have to see the same files.
        repository.git(&["config", "core.autocrlf", "false"]).await?;
        repository.git(&["remote", "add", "origin", "../genia.git"]).await?;
        repository.release(GOOD, CODE, "Publish on Facebook pages").await?;
        Ok(repository)
    }

    /// Commits, tags and pushes the version that does not work.
    pub(super) async fn release_bad_version(&self) -> Result<(), LabError> {
        let code = CODE.replace(BREAKAGE.0, BREAKAGE.1);
        self.release(BAD, &code, "Tidy up the parameters of the Facebook connector").await
    }

    async fn release(&self, version: &str, code: &str, message: &str) -> Result<(), LabError> {
        let number = |text: &str| text.replace(GOOD.trim_start_matches('v'), version.trim_start_matches('v'));
        let folder = self.path.join("src/lib/connectors");
        let connector = folder.join(format!("{CONNECTOR}.ts"));
        std::fs::create_dir_all(&folder).map_err(|error| LabError::file(&folder, error))?;
        for (path, text) in [(connector, number(code)), (self.path.join("package.json"), number(PACKAGE))] {
            std::fs::write(&path, text).map_err(|error| LabError::file(&path, error))?;
        }
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", message]).await?;
        self.git(&["tag", version]).await?;
        self.git(&["push", "--quiet", "origin", "main", version]).await?;
        Ok(())
    }

    /// The commit that `HEAD` is at.
    pub(super) async fn head(&self) -> Result<String, LabError> {
        self.git(&["rev-parse", "HEAD"]).await
    }

    /// The commit that the remote's main is at.
    pub(super) async fn remote_head(&self) -> Result<String, LabError> {
        git(&self.path.with_extension("git"), &["rev-parse", "refs/heads/main"]).await
    }

    /// What the working copy has changed and not committed; empty if nothing.
    pub(super) async fn status(&self) -> Result<String, LabError> {
        self.git(&["status", "--porcelain"]).await
    }

    /// The newest commits, one a line.
    pub(super) async fn log(&self, commits: u32) -> Result<String, LabError> {
        self.git(&["log", "--format=%h %an: %s", &format!("--max-count={commits}")]).await
    }

    async fn git(&self, arguments: &[&str]) -> Result<String, LabError> {
        git(&self.path, arguments).await
    }
}

/// Runs `git`, with none of the user's settings: they may sign, run hooks or use other names. Returns
/// what it prints.
async fn git(folder: &Path, arguments: &[&str]) -> Result<String, LabError> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env_clear();
    // Without HOME and XDG_CONFIG_HOME there is no user whose settings could be found.
    command
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Marta Vidal").env(format!("GIT_{who}_EMAIL"), "marta@genia.example");
    }
    let output = command.output().await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LabError::NoGit,
        _ => LabError::program("git", error),
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LabError::program(
            format!("git {}", arguments.join(" ")),
            format!("{} in {}: {said}", output.status, folder.display()),
        ))
    }
}
