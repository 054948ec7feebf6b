//! Running the user's own `git` for what needs the network: their ssh, their credential helpers, and
//! never a hook or a prompt.
//!
//! Everything about the process stands here: what it may inherit, how it ends with its caller, and how
//! one is found again whose host has died.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::failure::Failure;

/// Of each stream, what is kept; the rest is read and dropped.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// How often it is looked whether a lost attempt has ended.
const LOST_EVERY: Duration = Duration::from_millis(200);

/// The variable that marks the processes of an attempt: its children inherit it, and it can be found
/// again after the host's death.
const MARK: &str = "RIPCORD_GIT_ATTEMPT";

/// What another git has set for its own children would redirect ours; traces would show credentials.
const NOT_INHERITED: [&str; 15] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG_PARAMETERS",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_PACKET",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_CURL_VERBOSE",
];

/// A `git` that is ready to be started.
pub(super) struct Attempt {
    command: Command,
    marker: AttemptMarker,
}

/// What finds an attempt's processes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptMarker {
    mark: String,
}

/// How `git` ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Attempt {
    /// A `git` with these arguments, to be run in a working copy. `key` names the call. `has_ssh` says
    /// that the user has configured a way of their own to call ssh.
    pub(super) fn prepare(folder: &Path, key: &str, has_ssh: bool, arguments: &[&str]) -> Self {
        let mark = format!("{key}-{:016x}", rand::random::<u64>());
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(folder)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "credential.interactive=false"])
            .args(arguments)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            // Programs that would ask on a screen. A credential helper is the way to have a password.
            .env("GIT_ASKPASS", "false")
            .env("SSH_ASKPASS", "false")
            .env("GCM_INTERACTIVE", "never")
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for variable in NOT_INHERITED {
            command.env_remove(variable);
        }
        if !has_ssh && std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        }
        Self { command, marker: AttemptMarker { mark } }
    }

    /// What is durable before it starts.
    pub(super) fn marker(&self) -> &AttemptMarker {
        &self.marker
    }

    /// Runs it to its end. Dropping the future kills it with all that it has started.
    pub(super) async fn run(mut self) -> Result<Finished, Failure> {
        let mut child = self.command.spawn().map_err(|error| {
            Failure::permanent(format!("can't start `git`: {error}; install it, or put it on the PATH of ripcord"))
        })?;
        let group = Group(child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (status, stdout, stderr) = tokio::join!(child.wait(), collect(stdout), collect(stderr));
        drop(group);
        let status = status.map_err(|error| Failure::unknown(format!("can't wait for `git`: {error}")))?;
        Ok(Finished { status, stdout, stderr })
    }
}

/// Waits until no process of an attempt whose host has died is left. What it printed is lost.
pub(super) async fn recover(marker: &AttemptMarker) {
    while is_running(&marker.mark) {
        tokio::time::sleep(LOST_EVERY).await;
    }
}

/// Kills a process group when it goes out of scope: `git` does its work in children of its own.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // There is nothing left of a group that has ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

async fn collect(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    // What can't be read any more is missing from a message, no more.
    let _ = (&mut stream).take(OUTPUT_BYTES_MAX).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// Whether a process of this user has the mark in its environment. Git's children run as the same user.
fn is_running(mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().map(|process| process.path().join("environ")).any(|environment: PathBuf| {
        std::fs::read(environment)
            .is_ok_and(|variables| variables.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()))
    })
}
