//! Containers of a Docker engine that the operator has named.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bindings::action::ripcord::plugin::docker as wit;
use crate::failure::tail;
use crate::{Failure, Payload, Repeat, Result};

pub use wit::{Changed, Container, Health, Label, LogLine, LogTail, State, Usage};

/// The containers behind a role.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'a> {
    role: &'a str,
}

impl<'a> Engine<'a> {
    /// The containers that the plan has bound to a role.
    pub const fn role(role: &'a str) -> Self {
        Self { role }
    }

    /// All of them, stopped ones too. `assumed` is what a preview answers with behind an assumed reply.
    pub fn list(&self, assumed: Option<&[Container]>) -> Result<Vec<Container>> {
        wit::list(self.role, assumed)
    }

    /// One of them, by its name or its compose service's. `assumed` is what a preview answers with behind an
    /// assumed reply.
    pub fn inspect(&self, container: &str, assumed: Option<&Container>) -> Result<Container> {
        wit::inspect(self.role, container, assumed)
    }

    /// The newest `tail` lines of a log, of those since `since` (milliseconds since 1970).
    pub fn logs(&self, container: &str, tail: u32, since: Option<i64>) -> Result<LogTail> {
        wit::logs(self.role, container, tail, since)
    }

    /// The newest `tail` lines that are not older than `since`, and the period that they are from; both times
    /// are milliseconds since 1970. (The engine itself counts in seconds.)
    pub fn log_since(&self, container: &str, tail: u32, since: Option<i64>, now: i64) -> Result<LogPeriod> {
        let LogTail { lines, truncated } = self.logs(container, tail, since)?;
        let is_cut = truncated || lines.len() >= tail as usize;
        // Where there were more lines than these, nothing is known of the time before them.
        let first = lines.first().and_then(|line| line.at).filter(|_| is_cut).max(since).or(since);
        let period = first.map(|first| u64::try_from(now.saturating_sub(first)).unwrap_or(0));
        let counts = |at: Option<i64>| at.zip(since).is_none_or(|(at, since)| at >= since);
        let lines = lines.into_iter().filter(|line| counts(line.at)).map(|line| line.text).collect();
        Ok(LogPeriod { lines, period: period.map(Duration::from_millis), truncated })
    }

    /// What a container uses now. Takes one to two seconds.
    pub fn stats(&self, container: &str) -> Result<Usage> {
        wit::stats(self.role, container)
    }

    /// A stop of containers, all at once.
    pub fn stop(&self, containers: &[impl AsRef<str>]) -> Switch<'a> {
        self.switching(Kind::Stop, containers)
    }

    /// A start of containers, all at once.
    pub fn start(&self, containers: &[impl AsRef<str>]) -> Switch<'a> {
        self.switching(Kind::Start, containers)
    }

    /// A restart of containers, all at once.
    pub fn restart(&self, containers: &[impl AsRef<str>]) -> Switch<'a> {
        self.switching(Kind::Restart, containers)
    }

    /// A program in a running container. There is no shell, and the operator has to allow it.
    pub fn exec(&self, container: &str, argv: &[impl AsRef<str>]) -> Exec<'a> {
        let argv = argv.iter().map(|argument| argument.as_ref().to_owned()).collect();
        Exec { role: self.role, container: container.to_owned(), argv, assume: None }
    }

    fn switching(&self, kind: Kind, containers: &[impl AsRef<str>]) -> Switch<'a> {
        let containers = containers.iter().map(|name| name.as_ref().to_owned()).collect();
        Switch { role: self.role, kind, containers, grace: None, repeat: Repeat::Once, assume: None }
    }
}

/// What a container has logged in a period that ends now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPeriod {
    /// Oldest first.
    pub lines: Vec<String>,
    /// How long it is, if that is known.
    pub period: Option<Duration>,
    /// Older lines are missing: they were over the connection's limit.
    pub truncated: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Stop,
    Start,
    Restart,
}

/// A stop, start or restart that is not yet asked for.
#[derive(Debug, Clone)]
#[must_use = "nothing is switched until `send`"]
pub struct Switch<'a> {
    role: &'a str,
    kind: Kind,
    containers: Vec<String>,
    grace: Option<u32>,
    repeat: Repeat,
    assume: Option<Vec<Changed>>,
}

impl Switch<'_> {
    /// How many seconds the containers have to stop before the engine kills them; their own time unless said.
    pub fn grace(self, seconds: u32) -> Self {
        Self { grace: Some(seconds), ..self }
    }

    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Doing it twice has the effect of doing it once.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers.
    pub fn assume(self, changed: Vec<Changed>) -> Self {
        Self { assume: Some(changed), ..self }
    }

    /// Asks, and waits for all of them. A container that is not as asked for is a `problem` in the reply.
    pub fn send(self) -> Result<Vec<Changed>> {
        let Self { role, kind, containers, grace, repeat, assume } = self;
        match kind {
            Kind::Stop => wit::stop(role, &containers, grace, &repeat, assume.as_deref()),
            Kind::Start => wit::start(role, &containers, &repeat, assume.as_deref()),
            Kind::Restart => wit::restart(role, &containers, grace, &repeat, assume.as_deref()),
        }
    }
}

/// A program that is not yet started.
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `send`"]
pub struct Exec<'a> {
    role: &'a str,
    container: String,
    argv: Vec<String>,
    assume: Option<Output>,
}

impl Exec<'_> {
    /// The reply with which a preview answers.
    pub fn assume(self, output: Output) -> Self {
        Self { assume: Some(output), ..self }
    }

    /// Runs it and waits for its end. A program that fails is a reply.
    pub fn send(self) -> Result<Output> {
        let Self { role, container, argv, assume } = self;
        let output = wit::exec(role, &container, &argv, assume.map(wit::Output::from).as_ref())?;
        Ok(Output { program: argv.into_iter().next().unwrap_or_default(), ..output.into() })
    }
}

/// A mutation as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the parameters are those of the contract's docker.wit")]
pub enum Call {
    /// Stops containers.
    Stop { containers: Vec<String>, grace: Option<u32> },
    /// Starts containers.
    Start { containers: Vec<String> },
    /// Restarts containers.
    Restart { containers: Vec<String>, grace: Option<u32> },
    /// Runs a program in a container.
    Exec { container: String, argv: Vec<String> },
}

/// A mutation's reply as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Of `stop`, `start` and `restart`.
    Changed(Vec<Changed>),
    /// Of `exec`.
    Output(Output),
}

/// What a program in a container did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// How it ended.
    pub ending: Ending,
    /// What it printed.
    pub stdout: Payload,
    /// What it complained about.
    pub stderr: Payload,
    /// Something of either is missing.
    #[serde(default)]
    pub truncated: bool,
    /// Its name, for messages.
    #[serde(skip)]
    program: String,
}

/// How a program in a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// With this code; 128 and its number for a signal.
    Exited(i64),
    /// Nobody can say.
    Lost,
}

impl Output {
    /// A program that exited with this code and printed nothing: mostly for [`Exec::assume`].
    pub fn exited(code: i64) -> Self {
        Self {
            ending: Ending::Exited(code),
            stdout: Payload::default(),
            stderr: Payload::default(),
            truncated: false,
            program: "the program".to_owned(),
        }
    }

    /// The output, if the program exited with 0; else a failure with how it ended and the last of what it
    /// said.
    pub fn expect_success(self) -> Result<Self> {
        let how = match self.ending {
            Ending::Exited(0) => return Ok(self),
            Ending::Exited(code) => format!("exited with {code}"),
            Ending::Lost => "ended, and nobody knows how".to_owned(),
        };
        let said = tail(if self.stderr.0.is_empty() { &self.stdout.0 } else { &self.stderr.0 });
        let shown = if said.is_empty() { String::new() } else { format!(": {said}") };
        Err(Failure::permanent(format!("`{}` {how}{shown}", self.program))
            .with_evidence(json!({ "program": self.program, "ending": self.ending, "said": said })))
    }
}

impl From<Output> for wit::Output {
    fn from(output: Output) -> Self {
        let ending = match output.ending {
            Ending::Exited(code) => wit::Ending::Exited(code),
            Ending::Lost => wit::Ending::Lost,
        };
        Self { ending, stdout: output.stdout.0, stderr: output.stderr.0, truncated: output.truncated }
    }
}

impl From<wit::Output> for Output {
    fn from(output: wit::Output) -> Self {
        let ending = match output.ending {
            wit::Ending::Exited(code) => Ending::Exited(code),
            wit::Ending::Lost => Ending::Lost,
        };
        let (stdout, stderr) = (output.stdout.into(), output.stderr.into());
        Self { ending, stdout, stderr, truncated: output.truncated, ..Self::exited(0) }
    }
}
