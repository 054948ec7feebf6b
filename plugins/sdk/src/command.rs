//! Programs that the operator has named.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bindings::action::ripcord::plugin::command as wit;
use crate::failure::tail;
use crate::{Failure, Payload, Result};

/// The program behind a role.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    role: &'a str,
}

impl<'a> Program<'a> {
    /// The program that the plan has bound to a role.
    pub const fn role(role: &'a str) -> Self {
        Self { role }
    }

    /// A run of the program. There is no shell: [`Run::argument`] fills in the placeholders that the
    /// operator left open.
    pub fn run(&self) -> Run<'a> {
        Run { role: self.role, call: Call { arguments: Vec::new() }, assume: None }
    }
}

/// A run that is not yet started.
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `send`"]
pub struct Run<'a> {
    role: &'a str,
    call: Call,
    assume: Option<Output>,
}

impl Run<'_> {
    /// With a value for a placeholder. The operator's pattern has to allow it.
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.call.arguments.push((name.into(), value.into()));
        self
    }

    /// The reply with which a preview answers.
    pub fn assume(self, output: Output) -> Self {
        Self { assume: Some(output), ..self }
    }

    /// Runs the program and waits for its end. A program that fails is a reply.
    pub fn send(self) -> Result<Output> {
        let arguments: Vec<_> =
            self.call.arguments.into_iter().map(|(name, value)| wit::Argument { name, value }).collect();
        let assume = self.assume.map(wit::Output::from);
        let output = wit::run(self.role, &arguments, assume.as_ref())?;
        Ok(Output { role: self.role.to_owned(), ..output.into() })
    }
}

/// A run as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The values of the placeholders.
    pub arguments: Vec<(String, String)>,
}

/// What the program did.
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
    /// The role that ran it, for messages.
    #[serde(skip)]
    role: String,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// By the host, at its deadline.
    TimedOut,
}

impl Output {
    /// A program that exited with this code and printed nothing: mostly for [`Run::assume`].
    pub fn exited(code: i32) -> Self {
        Self {
            ending: Ending::Exited(code),
            stdout: Payload::default(),
            stderr: Payload::default(),
            truncated: false,
            role: "the program".to_owned(),
        }
    }

    /// The exit code, if it ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        match self.ending {
            Ending::Exited(code) => Some(code),
            Ending::Signalled(_) | Ending::TimedOut => None,
        }
    }

    /// The output, if the program exited with 0; else a failure with how it ended and the last of
    /// what it said.
    pub fn expect_success(self) -> Result<Self> {
        if self.exit_code() == Some(0) {
            return Ok(self);
        }
        // Programs tell the reason last.
        let said = if self.stderr.0.is_empty() { &self.stdout.0 } else { &self.stderr.0 };
        let said = tail(said);
        let shown = if said.is_empty() { String::new() } else { format!(": {said}") };
        Err(Failure::permanent(format!("`{}` {}{shown}", self.role, self.ending))
            .with_evidence(json!({ "role": self.role, "ending": self.ending, "said": said })))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signalled(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("was ended by the host at its deadline"),
        }
    }
}

impl From<Output> for wit::Output {
    fn from(output: Output) -> Self {
        let ending = match output.ending {
            Ending::Exited(code) => wit::Ending::Exited(code),
            Ending::Signalled(signal) => wit::Ending::Signalled(signal),
            Ending::TimedOut => wit::Ending::TimedOut,
        };
        Self { ending, stdout: output.stdout.0, stderr: output.stderr.0, truncated: output.truncated }
    }
}

impl From<wit::Output> for Output {
    fn from(output: wit::Output) -> Self {
        let ending = match output.ending {
            wit::Ending::Exited(code) => Ending::Exited(code),
            wit::Ending::Signalled(signal) => Ending::Signalled(signal),
            wit::Ending::TimedOut => Ending::TimedOut,
        };
        let (stdout, stderr) = (output.stdout.into(), output.stderr.into());
        Self { ending, stdout, stderr, truncated: output.truncated, ..Self::exited(0) }
    }
}
