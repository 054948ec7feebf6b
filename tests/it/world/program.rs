//! `ripcord` as a process: what it is given, and what it says.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
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
        Self::of(Path::new(env!("CARGO_BIN_EXE_ripcord-under-fault")), folder, arguments)
    }

    /// The program as a user has it.
    pub(crate) fn shipped(folder: &Path, arguments: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("ripcord");
        assert!(program.is_file(), "{} is not built; run:  cargo xtask test", program.display());
        Self::of(&program, folder, arguments)
    }

    fn of(program: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
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

    /// The same, started by another program: `PROGRAM ARGUMENTS… ripcord …`.
    pub(crate) fn through(mut self, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(self.command.get_program()).args(self.command.get_args());
        command.env_clear().envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.line = format!("{program} {} {}", arguments.join(" "), self.line);
        self.command = command;
        self
    }

    /// The same on a terminal of its own: see [`Terminal`].
    pub(crate) fn on_a_terminal(self) -> Terminal {
        Terminal::open(self.command, self.line)
    }

    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = Heard::listen(child.stdout.take().unwrap());
        let stderr = Heard::listen(child.stderr.take().unwrap());
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

/// What a process says on one of its streams, as it says it.
pub(super) struct Heard {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Heard {
    pub(super) fn listen(mut from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal whose other side is gone fails; a pipe ends.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                heard.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { text, reader }
    }

    pub(super) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn into_rest(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// Waits until something holds that another process sees to.
fn wait_for(what: &str, holds: impl Fn() -> bool, said: impl Fn() -> String) {
    let until = Instant::now() + PATIENCE / 2;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain for {what}:\n{}", said());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An invocation that goes on. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdout: Option<Heard>,
    stderr: Option<Heard>,
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
        self.signal(Signal::INT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has said this.
    pub(crate) fn until_says(&self, text: &str) {
        let said = || {
            let so_far = |heard: &Option<Heard>| heard.as_ref().map(Heard::so_far).unwrap_or_default();
            format!("{}\n{}", so_far(&self.stdout), so_far(&self.stderr))
        };
        wait_for(text, || said().contains(text), said);
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
        let text = |heard: Option<Heard>| heard.unwrap().into_rest();
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

/// An invocation on a pseudo-terminal, which `script` has made: what is typed is read by the terminal's own
/// line discipline, and `^C` becomes a signal there. Dropped, the terminal is closed, as a window is.
pub(crate) struct Terminal {
    script: Child,
    keyboard: Option<ChildStdin>,
    screen: Option<Heard>,
    line: String,
}

impl Terminal {
    fn open(command: Command, line: String) -> Self {
        let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"));
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
        let mut script = Command::new("script");
        script.args(["-qefc", &format!("stty cols 120 rows 40; exec {}", words.join(" ")), "/dev/null"]);
        script
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("TERM", "xterm");
        if let Some(folder) = command.get_current_dir() {
            script.current_dir(folder);
        }
        let mut script = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`script` is not there; run:  apt-get install -y bsdutils");
        let screen = Heard::listen(script.stdout.take().unwrap());
        Self { keyboard: script.stdin.take(), screen: Some(screen), script, line }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).unwrap();
    }

    /// All that was ever written to it, escape codes included.
    pub(crate) fn shows(&self) -> String {
        self.screen.as_ref().map(Heard::so_far).unwrap_or_default()
    }

    pub(crate) fn until_shows(&self, text: &str) {
        wait_for(text, || self.shows().contains(text), || format!("{}\n{}", self.line, self.shows()));
    }

    /// Closes the terminal under whatever runs on it.
    pub(crate) fn close(mut self) {
        self.script.kill().unwrap();
        self.script.wait().unwrap();
    }

    /// Waits for the program's end: its code, and all that was shown.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.script.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "{} goes on and on:\n{}", self.line, self.shows());
            std::thread::sleep(Duration::from_millis(5));
        };
        (status.code(), self.screen.take().unwrap().into_rest())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
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
