//! Carries calls out at a real engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::connection::{Connection, GRACE_DEFAULT, said};
use super::engine::Engine;
use super::exec::ReadyExec;
use super::switch::{self, ReadySwitch, Switch};
use super::{Call, Reply};
use crate::capability::{At, CapabilityCall, Detail, Driver, Exactly, Prepared, Settlement};
use crate::failure::Failure;

pub(super) struct LiveDriver {
    engine: Arc<Engine>,
}

impl LiveDriver {
    pub(super) fn new(connection: Connection, base: PathBuf) -> Self {
        Self { engine: Arc::new(Engine::new(connection, base)) }
    }
}

#[async_trait]
impl Driver for LiveDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        let connection = &self.engine.connection;
        format!("{} at {}", connection.scope(), connection.settings.host)
    }

    fn exactly(&self, call: &Call) -> Exactly {
        let grace = call.grace().map(|seconds| format!("--time={seconds}"));
        let words = match call {
            Call::Exec { container, argv } => [&["exec".to_owned(), container.clone()], argv.as_slice()].concat(),
            _ => std::iter::once(call.operation().to_owned())
                .chain(grace)
                .chain(call.containers().iter().cloned())
                .collect(),
        };
        let words = std::iter::once("docker").chain(words.iter().map(String::as_str));
        Exactly::new(crate::shell::line(words)).with("host", self.engine.connection.settings.host.clone())
    }

    async fn detail(&self, _at: &At, call: &Call) -> Option<Detail> {
        let mut detail = Detail::default();
        match (Switch::of(call), call) {
            (Some(switch), _) => match self.engine.ready_to_switch(call, switch).await {
                Ok(ready) => detail.notes = ready.notes(),
                Err(failure) => detail.obstacle = Some(failure.to_string()),
            },
            (None, Call::Exec { container, .. }) => match self.engine.one(container).await {
                Ok(found) => detail.notes = vec![format!("{} is {} now", found.name, found.state)],
                Err(failure) => detail.obstacle = Some(failure.to_string()),
            },
            _ => return None,
        }
        Some(detail)
    }

    /// The containers' own time to stop, where it is longer than Docker's.
    fn overtime(&self, call: &Call, marker: Option<&Value>) -> Duration {
        switch::grace(call, marker).saturating_sub(said(call).unwrap_or(GRACE_DEFAULT))
    }

    async fn read(&self, _at: &At, call: &Call) -> Result<Reply, Failure> {
        match call {
            Call::List => Ok(Reply::Containers(self.engine.containers().await?)),
            Call::Inspect { container } => Ok(Reply::Container(Box::new(self.engine.one(container).await?))),
            Call::Logs { container, tail, since } => Ok(Reply::Logs(self.engine.logs(container, *tail, *since).await?)),
            Call::Stats { container } => Ok(Reply::Stats(self.engine.stats(container).await?)),
            Call::Exec { .. } => match ReadyExec::new(&self.engine, call).await?.run().await {
                Ok(output) => Ok(Reply::Output(output)),
                // It changes nothing, so to have lost it is no doubt.
                Err(Failure::Unknown(problem)) => Err(Failure::Transient(problem)),
                Err(failure) => Err(failure),
            },
            Call::Stop { .. } | Call::Start { .. } | Call::Restart { .. } => {
                Err(Failure::permanent(format!("internal: `{}` is no read", call.operation())))
            }
        }
    }

    async fn prepare(&self, _at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        match Switch::of(call) {
            Some(switch) => {
                let ready = self.engine.ready_to_switch(call, switch).await?;
                Ok(Box::new(ReadySwitch { engine: Arc::clone(&self.engine), ready }))
            }
            None => Ok(Box::new(ReadyExec::new(&self.engine, call).await?)),
        }
    }

    async fn settle(&self, _at: &At, call: &Call, marker: Option<&Value>) -> Settlement<Reply> {
        // The intent, with its marker, is durable before anything is asked of the engine.
        let Some(marker) = marker else { return Settlement::DidNotHappen };
        match Switch::of(call) {
            Some(switch) => self.engine.settle_switch(switch, switch::grace(call, Some(marker)), marker).await,
            None => self.engine.settle_exec(marker).await,
        }
    }
}
