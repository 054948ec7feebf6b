//! `ripcord` as a process: what it is given, and what it says.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ripcord_tests::fault::{VARIABLE, Window};
use rustix::process::{Pid, Signal};
use serde_json::Value;

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// An invocation that has not begun.
pub(crate) struct Ripcord {
    command: Command,
    line: String,
}

impl Ripcord {
    pub(crate) fn new(folder: &Path, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_ripcord-under-fault");
        Self::through(&[program], folder, arguments)
    }

    /// The program as a user has it, behind the words of a program that starts it in some other way.
    pub(crate) fn shipped(behind: &[&str], folder: &Path, arguments: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("ripcord");
        assert!(program.is_file(), "{} is not built; run:  cargo xtask test", program.display());
        Self::through(&[behind, &[program.to_str().unwrap()]].concat(), folder, arguments)
    }

    fn through(program: &[&str], folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .current_dir(folder)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("RIPCORD_STATE", folder.join("state"))
            .env("GENIA_TOKEN", super::TOKEN)
            .env("USER", "tester")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, line: format!("ripcord {}", arguments.join(" ")) }
    }

    /// Dies in this window of its n-th mutation.
    pub(crate) fn killed(mut self, window: Window, mutation: u32) -> Self {
        let value = format!("{}:{mutation}", window.name());
        self.command.env(VARIABLE, &value);
        self.line = format!("{VARIABLE}={value} {}", self.line);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Running { child, stdout: Some(stdout), stderr: Some(stderr), line: self.line }
    }

    /// Waits for its end.
    pub(crate) fn run(self) -> Ran {
        self.spawn().wait()
    }

    /// Runs to an end with this code; anything else fails the test.
    pub(crate) fn expect(self, code: i32) -> Ran {
        let ran = self.run();
        assert_eq!(ran.status.code(), Some(code), "{ran}");
        ran
    }

    /// Runs until its power cut; anything else fails the test.
    pub(crate) fn expect_killed(self) -> Ran {
        let ran = self.run();
        assert_eq!(ran.status.signal(), Some(9), "{ran}");
        ran
    }
}

fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// An invocation that goes on. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    line: String,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, Signal::INT).unwrap();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) -> Ran {
        self.child.kill().unwrap();
        self.wait()
    }

    pub(crate) fn wait(mut self) -> Ran {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                let _ = self.child.kill();
                break self.child.wait().unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |handle: Option<JoinHandle<String>>| handle.unwrap().join().unwrap();
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        Ran { status, stdout, stderr, line: std::mem::take(&mut self.line) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An invocation that has ended.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    line: String,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\n{}\n--- stdout\n{}\n--- stderr\n{}", self.line, self.status, self.stdout, self.stderr)
    }
}

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What was run.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// Both texts.
    pub(crate) fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails the test unless one of the texts has this in it.
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.said().contains(text), "it does not say `{text}`:\n{self}");
        self
    }

    /// The name of a preview.
    pub(crate) fn approval(&self) -> String {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix("approval: "));
        line.unwrap_or_else(|| panic!("no approval:\n{self}")).trim().to_owned()
    }

    /// The lines of `--json`.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}` is no JSON ({error}):\n{self}"))
        };
        self.stdout.lines().map(parse).collect()
    }
}
