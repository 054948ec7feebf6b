//! Processes, begun and waited for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The `ripcord` of the same build: beside this binary's folder.
pub(crate) fn ripcord() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let ripcord = this.ancestors().nth(2).unwrap().join("ripcord");
    assert!(ripcord.is_file(), "{} is not there; run:  cargo xtask bench", ripcord.display());
    ripcord
}

/// From the start of a process to its end. What it says is nobody's, unless it fails: then it is asked
/// again.
pub(crate) fn whole(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let took = began.elapsed();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if !status.success() {
        let again = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        panic!("{command:?} ended with {status}: {}", String::from_utf8_lossy(&again.stderr));
    }
    took
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = git.output().unwrap();
    assert!(output.status.success(), "{git:?}: {}", String::from_utf8_lossy(&output.stderr));
}
