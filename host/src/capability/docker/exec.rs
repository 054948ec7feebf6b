//! `exec`: a program in a running container. The engine makes it ready and starts it in two requests, and
//! keeps its exit code under a name: that is the marker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::engine::{Engine, Trouble};
use super::{Call, Ending, Output, Reply, State};
use crate::capability::{CapabilityCall, Payload, Prepared, Settlement};
use crate::failure::Failure;

/// How often a settling looks.
const EVERY: Duration = Duration::from_millis(100);

/// A program that is ready in its container, and has not started.
pub(super) struct ReadyExec {
    engine: Arc<Engine>,
    line: String,
    id: String,
}

impl ReadyExec {
    /// Makes a program ready. That has no effect on the container.
    pub(super) async fn new(engine: &Arc<Engine>, call: &Call) -> Result<Self, Failure> {
        let Call::Exec { container, argv } = call else {
            return Err(Failure::permanent("internal: a call that runs no program".to_owned()));
        };
        let line = call.summary();
        let found = engine.one(container).await?;
        if found.state != State::Running {
            return Err(Failure::permanent(format!(
                "{line}: the container is {}, and has to run for that",
                found.state
            )));
        }
        let client = engine.client().await.map_err(|trouble| engine.failed(&line, trouble))?;
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(argv.clone()),
            ..ExecConfig::default()
        };
        let created = client.create_exec(&found.id, config).await.map_err(|error| engine.failure(&line, &error))?;
        Ok(Self { engine: Arc::clone(engine), line, id: created.id })
    }

    pub(super) async fn run(&self) -> Result<Output, Failure> {
        let engine = &self.engine;
        let ended = |error: &bollard::errors::Error| match engine.trouble(error) {
            trouble @ (Trouble::Unreachable(..) | Trouble::Unfit(_)) => trouble.before_effect(&self.line),
            Trouble::Answered(status, message) => {
                Failure::permanent(format!("{}: the engine answered {status}: {message}", self.line))
            }
            Trouble::Lost(why) => {
                Failure::unknown(format!("{}: the connection to the engine was lost: {why}", self.line))
            }
        };
        let client = engine.client().await.map_err(|trouble| trouble.before_effect(&self.line))?;
        let started = client.start_exec(&self.id, None::<StartExecOptions>).await.map_err(|error| ended(&error))?;
        let (mut stdout, mut stderr, mut truncated) = (Vec::new(), Vec::new(), false);
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(chunk) = output.next().await {
                let (kept, message) = match chunk.map_err(|error| ended(&error))? {
                    LogOutput::StdErr { message } => (&mut stderr, message),
                    LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                        (&mut stdout, message)
                    }
                };
                let room = engine.connection.settings.output_limit.saturating_sub(kept.len());
                kept.extend_from_slice(&message[..message.len().min(room)]);
                truncated |= message.len() > room;
            }
        }
        // The output's end comes a moment before the engine knows of the program's.
        match self.engine.ended(&self.id).await {
            Ok(Known::Ended(code)) => {
                Ok(Output { ending: Ending::Exited(code), stdout: Payload(stdout), stderr: Payload(stderr), truncated })
            }
            Ok(Known::NotStarted | Known::Gone) => {
                Err(Failure::unknown(format!("{}: the engine does not know how it ended", self.line)))
            }
            Err(failure) => Err(Failure::unknown(format!("{}: {failure}", self.line))),
        }
    }
}

#[async_trait]
impl Prepared<Reply> for ReadyExec {
    fn marker(&self) -> Option<Value> {
        Some(json!({ "exec": self.id }))
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        Ok(Reply::Output(self.run().await?))
    }
}

/// What the engine knows of a program.
enum Known {
    Ended(i64),
    NotStarted,
    /// Its container was restarted or removed, or it ended some minutes ago.
    Gone,
}

impl Engine {
    /// What became of a program whose end nobody saw. What it printed is lost.
    pub(super) async fn settle_exec(&self, marker: &Value) -> Settlement<Reply> {
        let Some(id) = marker["exec"].as_str() else {
            return Settlement::Unknown("what was noted of the program can't be read".to_owned());
        };
        let lost = || Payload(Vec::new());
        match self.ended(id).await {
            Ok(Known::Ended(code)) => Settlement::Happened(Reply::Output(Output {
                ending: Ending::Exited(code),
                stdout: lost(),
                stderr: lost(),
                truncated: true,
            })),
            Ok(Known::NotStarted) => Settlement::DidNotHappen,
            Ok(Known::Gone) => Settlement::Unknown(
                "the engine has forgotten the program, as it does some minutes after the end of one, or when its \
                 container is restarted or removed"
                    .to_owned(),
            ),
            Err(failure) => Settlement::Unknown(failure.to_string()),
        }
    }

    /// Waits for a program's end. The engine has no deadline for programs: the connection's time-out ends the
    /// waiting, and the program goes on.
    async fn ended(&self, id: &str) -> Result<Known, Failure> {
        let what = "look for the program's end";
        let client = self.client().await.map_err(|trouble| self.failed(what, trouble))?;
        let until = tokio::time::Instant::now() + self.connection.settings.timeout;
        loop {
            let seen = match client.inspect_exec(id).await {
                Ok(seen) => seen,
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                    return Ok(Known::Gone);
                }
                Err(error) => return Err(self.failure(what, &error)),
            };
            match (seen.running, seen.exit_code) {
                (Some(true), _) => {}
                (_, Some(code)) => return Ok(Known::Ended(code)),
                (_, None) if seen.pid.unwrap_or(0) == 0 => return Ok(Known::NotStarted),
                (_, None) => {}
            }
            if tokio::time::Instant::now() >= until {
                let pid = seen.pid.unwrap_or(0);
                return Err(Failure::unknown(format!("it still runs, as process {pid} of the engine's machine")));
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
