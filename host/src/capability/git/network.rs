//! Running the user's own `git` for what needs the network: their ssh, their credential helpers, and
//! never a hook or a prompt.
//!
//! It runs under a supervisor ([`process`]): it ends at its deadline with all that it has started, even
//! if the host is gone, and how it ended is found again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::capability::{At, Opening};
use crate::failure::Failure;
use crate::process::{self, Ending, Held, ProcessError, Recovered, Spec, Supervisors};

/// Of each stream, what is kept.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// What another git has set for its own children would redirect ours; traces would show credentials.
const NOT_INHERITED: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG_PARAMETERS",
];

/// The user's `git`, run in a working copy.
#[derive(Clone)]
pub(super) struct Git {
    /// Its absolute path; none if there is none, which local work does not mind.
    program: Option<String>,
    root: PathBuf,
    supervisors: Supervisors,
    spool: PathBuf,
    /// The longest that it may run.
    timeout: Duration,
    /// What it may repeat of the remote's URL, and nobody may read.
    passwords: Vec<String>,
}

/// How `git` ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ending: Ending,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// Something in the middle of either is missing.
    pub(super) truncated: bool,
}

impl Git {
    /// Finds `git`. That there is none is said when it is needed.
    pub(super) fn find(root: PathBuf, opening: &Opening, timeout: Duration, passwords: Vec<String>) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let program = process::program_in(&path, "git").and_then(|program| program.into_os_string().into_string().ok());
        Self {
            program,
            root,
            supervisors: opening.supervisors.clone(),
            spool: opening.spool.clone(),
            timeout,
            passwords,
        }
    }

    /// The working copy.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A `git` with these arguments, ready to go. `has_ssh` says that the user has configured a way of
    /// their own to call ssh.
    pub(super) async fn hold(&self, at: &At, has_ssh: bool, arguments: &[&str]) -> Result<Held, Failure> {
        let Some(program) = &self.program else {
            let path = std::env::var("PATH").unwrap_or_default();
            return Err(Failure::permanent(format!(
                "there is no `git` in PATH, which is `{path}`, and what needs the network is done by it; install it, or \
                 start ripcord with a PATH that has it"
            )));
        };
        let argv = [program.as_str(), "-c", "core.hooksPath=/dev/null", "-c", "credential.interactive=false"];
        let spec = Spec {
            argv: argv.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect(),
            cwd: self.root.clone(),
            env: environment(has_ssh),
            redact: self.passwords.clone(),
            timeout: self.timeout,
            output_bytes_max: OUTPUT_BYTES_MAX,
        };
        Ok(self.supervisors.prepare(&self.spool, &at.key(), &spec).await?)
    }

    /// Runs a `git` that changes nothing.
    pub(super) async fn look(&self, at: &At, has_ssh: bool, arguments: &[&str]) -> Result<Finished, Failure> {
        match self.hold(at, has_ssh, arguments).await?.run_unrecorded().await {
            Ok(finished) => Ok(finished.into()),
            // To have lost it is no doubt.
            Err(ProcessError::Lost(problem)) => Err(Failure::transient(problem)),
            Err(error) => Err(error.into()),
        }
    }

    /// Finds out what became of a [`Held`] one, once it has ended.
    pub(super) async fn recover(&self, marker: &Value) -> Recovered {
        process::recover(&self.spool, marker).await
    }

    /// The longest that one lives: it is given time to clean up.
    pub(super) fn lives_at_most(&self) -> Duration {
        self.timeout + process::GRACE
    }
}

impl Finished {
    pub(super) fn is_success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }

    /// How it ended and what it complained about.
    pub(super) fn said(&self) -> String {
        let stderr = self.stderr.trim();
        match self.ending {
            Ending::Exited(code) => format!("`git` exited with {code}: {stderr}"),
            Ending::Signalled(signal) => format!("`git` was ended by signal {signal}: {stderr}"),
            Ending::TimedOut => format!("`git` took longer than the connection's `timeout` and was ended: {stderr}"),
        }
    }
}

impl From<process::Finished> for Finished {
    fn from(finished: process::Finished) -> Self {
        let process::Finished { ending, stdout, stderr, truncated } = finished;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { ending, stdout: text(stdout.0), stderr: text(stderr.0), truncated }
    }
}

fn is_inherited(name: &str) -> bool {
    let traces = name.starts_with("GIT_TRACE") || name == "GIT_CURL_VERBOSE";
    !traces && !NOT_INHERITED.contains(&name)
}

/// Ripcord's own environment, as far as it is fit for `git`, and what keeps it from asking anybody.
fn environment(has_ssh: bool) -> BTreeMap<String, String> {
    let inherited =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut env: BTreeMap<_, _> = inherited.filter(|(name, _)| is_inherited(name)).collect();
    for (name, value) in [
        // Its words are what a verdict is made of.
        ("LC_ALL", "C"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // Programs that would ask on a screen. A credential helper is the way to have a password.
        ("GIT_ASKPASS", "false"),
        ("SSH_ASKPASS", "false"),
        ("GCM_INTERACTIVE", "never"),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    if !has_ssh && !env.contains_key("GIT_SSH_COMMAND") && !env.contains_key("GIT_SSH") {
        env.insert("GIT_SSH_COMMAND".to_owned(), "ssh -oBatchMode=yes".to_owned());
    }
    env
}
