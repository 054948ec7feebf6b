//! What is tested from outside, with the program itself: it is its own supervisor.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod git;
#[path = "../../../tests/it/world/postgres.rs"]
mod postgres;
mod preview;
mod process;
mod sql;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use serde_json::Value;

const SUPERVISOR: &str = env!("CARGO_BIN_EXE_ripcord");

/// A folder with the spool in it, in which the programs run.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn spool(&self) -> PathBuf {
        self.path("spool")
    }
}

/// Another process that is the host, so that it can be killed.
struct Host {
    process: Child,
    /// Of the call that it has got ready.
    marker: Value,
}

impl Host {
    /// Starts an ignored test, which prints its marker.
    fn start(test: &str, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let marker = lines.find_map(|line| line.unwrap().strip_prefix("marker ").map(String::from));
        let marker = marker.expect("it got ready");
        Self { process, marker: serde_json::from_str(&marker).unwrap() }
    }

    fn kill(mut self) -> Value {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.marker
    }
}

fn wait_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "waited too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a file that a program writes, with a whole line in it.
fn wait_for(path: &Path) -> String {
    wait_until(|| std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))).trim().to_owned()
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().expect("a process id")).unwrap()
}

fn is_alive(pid: Pid) -> bool {
    // In a container nobody may collect orphans: a zombie has ended.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z ")
}

fn text(output: &ripcord::capability::Payload) -> &str {
    std::str::from_utf8(&output.0).unwrap()
}
