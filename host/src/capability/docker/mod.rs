//! `docker`: containers of an engine that the operator has named.

mod connection;
mod doctor;
mod driver;
mod engine;
mod exec;
mod look;
mod rule;
mod switch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CapabilityCall, Payload};
use crate::secret::{Scrub, Scrubber};

pub use connection::Connection;

/// A request to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// All containers in scope.
    List,
    /// One container.
    Inspect {
        /// Its name, or its service's.
        container: String,
    },
    /// The newest lines of a log.
    Logs {
        /// Its name, or its service's.
        container: String,
        /// How many at most.
        tail: u32,
        /// Since when, in milliseconds since 1970.
        since: Option<i64>,
    },
    /// What a container uses.
    Stats {
        /// Its name, or its service's.
        container: String,
    },
    /// Stops containers.
    Stop {
        /// Their names, or their services'.
        containers: Vec<String>,
        /// How many seconds they have; their own time if not said.
        grace: Option<u32>,
    },
    /// Starts containers.
    Start {
        /// Their names, or their services'.
        containers: Vec<String>,
    },
    /// Stops and starts containers.
    Restart {
        /// Their names, or their services'.
        containers: Vec<String>,
        /// As for `Stop`.
        grace: Option<u32>,
    },
    /// Runs a program in a container.
    Exec {
        /// Its name, or its service's.
        container: String,
        /// The program and its arguments.
        argv: Vec<String>,
    },
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Of `List`, by name.
    Containers(Vec<Container>),
    /// Of `Inspect`.
    Container(Box<Container>),
    /// Of `Logs`.
    Logs(LogTail),
    /// Of `Stats`.
    Stats(Usage),
    /// Of `Stop`, `Start`, `Restart`: each container, in the order of the call.
    Changed(Vec<Changed>),
    /// Of `Exec`.
    Output(Output),
}

/// A container as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its compose service.
    pub service: Option<String>,
    /// The image as it was asked for.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// What it does.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// How often the engine has restarted it.
    pub restarts: u64,
    /// How it ended the last time.
    pub exit_code: i64,
    /// Whether that was for want of memory.
    pub out_of_memory: bool,
    /// When it began, in milliseconds since 1970.
    pub started_at: Option<i64>,
    /// When it ended, in milliseconds since 1970.
    pub finished_at: Option<i64>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the engine's own words")]
pub enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl State {
    /// Whether a program of it runs, or is about to by itself.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        })
    }
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// There is no check.
    None,
    /// It has not said anything yet.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

/// Lines of a container's log, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogTail {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Older ones are missing: they were over the connection's limit.
    pub truncated: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogLine {
    /// When, in milliseconds since 1970.
    pub at: Option<i64>,
    /// Whether it came on stderr.
    pub is_stderr: bool,
    /// Without its end of line.
    pub text: String,
}

/// What a container uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Usage {
    /// Of one processor.
    pub cpu_percent: Option<f64>,
    /// Memory without the page cache, in bytes.
    pub memory_bytes: u64,
    /// In bytes.
    pub memory_limit_bytes: Option<u64>,
}

/// What became of a container that was to be stopped, started or restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// What it did before.
    pub before: State,
    /// What it does now.
    pub after: State,
    /// Why that is not as was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a program in a container did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
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
}

/// How a program in a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself or by a signal (128 and its number), with this code.
    Exited(i64),
    /// Nobody can say.
    Lost,
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`].
    pub fn reports_failure(&self) -> bool {
        match self {
            Self::Changed(changed) => changed.iter().any(|changed| changed.problem.is_some()),
            Self::Output(output) => output.ending != Ending::Exited(0),
            Self::Containers(_) | Self::Container(_) | Self::Logs(_) | Self::Stats(_) => false,
        }
    }
}

impl Call {
    /// The containers that it is about, as the plugin names them.
    pub(super) fn containers(&self) -> &[String] {
        match self {
            Self::List => &[],
            Self::Inspect { container }
            | Self::Logs { container, .. }
            | Self::Stats { container }
            | Self::Exec { container, .. } => std::slice::from_ref(container),
            Self::Stop { containers, .. } | Self::Start { containers } | Self::Restart { containers, .. } => containers,
        }
    }

    /// How long the engine waits for the containers before it kills them, if the call says so.
    pub(super) fn grace(&self) -> Option<u32> {
        match self {
            Self::Stop { grace, .. } | Self::Restart { grace, .. } => *grace,
            _ => None,
        }
    }
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        match self {
            Self::List => "list",
            Self::Inspect { .. } => "inspect",
            Self::Logs { .. } => "logs",
            Self::Stats { .. } => "stats",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Restart { .. } => "restart",
            Self::Exec { .. } => "exec",
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Exec { container, argv } => {
                format!("{container}: {}", crate::shell::line(argv.iter().map(String::as_str)))
            }
            _ => self.containers().join(", "),
        }
    }

    fn targets(&self) -> &[String] {
        match self {
            Self::Stop { containers, .. } | Self::Start { containers } | Self::Restart { containers, .. } => containers,
            _ => &[],
        }
    }

    fn summary(&self) -> String {
        match self {
            Self::Logs { container, tail, .. } => format!("logs {container} (the newest {tail})"),
            Self::Exec { container, argv } => {
                format!("exec in {container}: {}", crate::shell::line(argv.iter().map(String::as_str)))
            }
            _ => format!("{} {}", self.operation(), self.target()).trim_end().to_owned(),
        }
    }
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Containers(containers) => containers.iter_mut().for_each(|container| container.scrub(scrubber)),
            Self::Container(container) => container.scrub(scrubber),
            Self::Logs(logs) => logs.lines.iter_mut().for_each(|line| line.text.scrub(scrubber)),
            Self::Changed(changed) => {
                changed.iter_mut().filter_map(|changed| changed.problem.as_mut()).for_each(|text| text.scrub(scrubber));
            }
            Self::Output(Output { ending: _, stdout, stderr, truncated: _ }) => {
                stdout.scrub(scrubber);
                stderr.scrub(scrubber);
            }
            Self::Stats(_) => {}
        }
    }
}

impl Scrub for Container {
    fn scrub(&mut self, scrubber: &Scrubber) {
        // Ids, times and states are the engine's own; an image's name and labels are people's.
        self.image.scrub(scrubber);
        self.labels.values_mut().for_each(|value| value.scrub(scrubber));
    }
}
