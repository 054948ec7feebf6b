//! `stop`, `start`, `restart`: all containers of a call at once.

use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::query_parameters::{RestartContainerOptions, StartContainerOptions, StopContainerOptions};
use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::connection::{GRACE_DEFAULT, GRACE_MAX, said};
use super::engine::{Engine, Trouble};
use super::look::short;
use super::{Call, Changed, Container, Reply, State};
use crate::capability::{CapabilityCall, Prepared, Settlement};
use crate::failure::Failure;

/// How long after the containers' own time an attempt that nobody watches may still go on.
const MARGIN: Duration = Duration::from_secs(2);
/// How often a settling looks.
const EVERY: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Stop(Option<i32>),
    Start,
    Restart(Option<i32>),
}

impl Switch {
    /// What a call asks for, if it switches anything.
    pub(super) fn of(call: &Call) -> Option<Self> {
        let seconds = call.grace().map(|grace| i32::try_from(grace).unwrap_or(i32::MAX));
        match call {
            Call::Stop { .. } => Some(Self::Stop(seconds)),
            Call::Start { .. } => Some(Self::Start),
            Call::Restart { .. } => Some(Self::Restart(seconds)),
            _ => None,
        }
    }

    /// Whether a container is as asked for, given what it was.
    fn is_done(self, before: &Before, now: &Container) -> bool {
        let began_anew = now.started_at > before.started_at;
        match self {
            Self::Stop(_) => !now.state.is_up(),
            Self::Start => now.state.is_up() || began_anew,
            Self::Restart(_) => began_anew,
        }
    }

    /// Whether nothing needs to be done to a container.
    fn is_superfluous(self, before: &Before) -> bool {
        match self {
            Self::Stop(_) => !before.state.is_up(),
            Self::Start => matches!(before.state, State::Running | State::Restarting),
            Self::Restart(_) => false,
        }
    }
}

/// A container as it was before: the marker has one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Before {
    id: String,
    name: String,
    state: State,
    started_at: Option<i64>,
    /// How many seconds it has to stop, if it says so itself; below zero for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<i64>,
}

impl Before {
    fn new(container: Container, stop_timeout: Option<i64>) -> Self {
        let Container { id, name, state, started_at, .. } = container;
        Self { id, name, state, started_at, stop_timeout }
    }

    /// How long the engine waits for it to stop. What would wait for ever is waited for as long as anything is.
    fn grace(&self) -> Duration {
        match self.stop_timeout.map(u64::try_from) {
            None => GRACE_DEFAULT,
            Some(Ok(seconds)) => Duration::from_secs(seconds).min(GRACE_MAX),
            Some(Err(_)) => GRACE_MAX,
        }
    }
}

/// How long the engine may wait for the containers of a call to stop: as long as the call says, else as long as the
/// most patient of them wants. Without a marker nobody has looked yet.
pub(super) fn grace(call: &Call, marker: Option<&Value>) -> Duration {
    let before = marker.and_then(|marker| serde_json::from_value::<Vec<Before>>(marker["containers"].clone()).ok());
    let longest = before.into_iter().flatten().map(|before| before.grace()).max();
    match Switch::of(call) {
        Some(Switch::Stop(_) | Switch::Restart(_)) => said(call).or(longest).unwrap_or(GRACE_DEFAULT),
        _ => GRACE_DEFAULT,
    }
}

/// The containers that a call is about.
pub(super) struct Ready {
    client: Docker,
    line: String,
    switch: Switch,
    containers: Vec<Before>,
}

impl Engine {
    pub(super) async fn ready_to_switch(&self, call: &Call, switch: Switch) -> Result<Ready, Failure> {
        let named = try_join_all(call.containers().iter().map(|name| self.named(name))).await?;
        let line = call.summary();
        let client = self.client().await.map_err(|trouble| self.failed(&line, trouble))?.clone();
        let mut containers: Vec<Before> = Vec::new();
        for container in named.into_iter().flatten() {
            if !containers.iter().any(|known| known.id == container.id) {
                let stop_timeout = match switch {
                    Switch::Stop(None) | Switch::Restart(None) => self.stop_timeout(&client, &container.id).await?,
                    _ => None,
                };
                containers.push(Before::new(container, stop_timeout));
            }
        }
        Ok(Ready { client, line, switch, containers })
    }

    /// Looks at each container until all are as asked for, or the first attempt can't go on any more.
    pub(super) async fn settle_switch(&self, switch: Switch, grace: Duration, marker: &Value) -> Settlement<Reply> {
        let Ok(before) = serde_json::from_value::<Vec<Before>>(marker["containers"].clone()) else {
            return Settlement::Unknown("what was noted of the containers can't be read".to_owned());
        };
        let until = tokio::time::Instant::now() + grace + MARGIN;
        loop {
            let now = match self.now(&before).await {
                Ok(now) => now,
                Err(failure) => return Settlement::Unknown(failure.to_string()),
            };
            let pairs = || before.iter().zip(&now);
            if let Some((gone, _)) = pairs().find(|(_, now)| now.is_none()) {
                return Settlement::Unknown(format!(
                    "container {} ({}) is not there any more",
                    gone.name,
                    short(&gone.id)
                ));
            }
            let is_done = |(before, now): (&Before, &Option<Container>)| {
                now.as_ref().is_some_and(|now| switch.is_superfluous(before) || switch.is_done(before, now))
            };
            let all = pairs().all(is_done);
            if !all && tokio::time::Instant::now() < until {
                tokio::time::sleep(EVERY).await;
                continue;
            }
            // Sent again, it would be told that what was stopped by the first attempt never ran.
            let any = all || pairs().any(|(before, now)| !switch.is_superfluous(before) && is_done((before, now)));
            if !any {
                return Settlement::DidNotHappen;
            }
            let changed = pairs().filter_map(|(before, now)| {
                let now = now.as_ref()?;
                let problem = (!is_done((before, &Some(now.clone())))).then(|| format!("it is {} still", now.state));
                Some(Changed { name: before.name.clone(), before: before.state, after: now.state, problem })
            });
            return Settlement::Happened(Reply::Changed(changed.collect()));
        }
    }

    async fn now(&self, before: &[Before]) -> Result<Vec<Option<Container>>, Failure> {
        let client = self.client().await.map_err(|trouble| self.failed("look at the containers", trouble))?;
        try_join_all(before.iter().map(|before| self.look(client, &before.id))).await
    }
}

impl Ready {
    /// What a person should know beforehand.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |before: &Before| {
            let more = match before.grace() {
                _ if self.switch.is_superfluous(before) => ": nothing to do".to_owned(),
                grace if grace > GRACE_DEFAULT => {
                    format!(", and has {} to stop", humantime::format_duration(grace))
                }
                _ => String::new(),
            };
            format!("{} is {} now{more}", before.name, before.state)
        };
        self.containers.iter().map(note).collect()
    }

    async fn switch(&self, before: &Before) -> Result<(), bollard::errors::Error> {
        let id = &before.id;
        match self.switch {
            switch if switch.is_superfluous(before) => Ok(()),
            Switch::Stop(t) => self.client.stop_container(id, Some(StopContainerOptions { signal: None, t })).await,
            Switch::Start => self.client.start_container(id, None::<StartContainerOptions>).await,
            Switch::Restart(t) => {
                self.client.restart_container(id, Some(RestartContainerOptions { signal: None, t })).await
            }
        }
    }
}

/// A switch that is ready, with the engine that it goes to.
pub(super) struct ReadySwitch {
    pub(super) engine: std::sync::Arc<Engine>,
    pub(super) ready: Ready,
}

#[async_trait]
impl Prepared<Reply> for ReadySwitch {
    fn marker(&self) -> Option<Value> {
        Some(serde_json::json!({ "containers": self.ready.containers }))
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { engine, ready } = *self;
        let answers = join_all(ready.containers.iter().map(|before| ready.switch(before))).await;
        let mut problems = Vec::new();
        for answer in answers {
            match answer.map_err(|error| engine.trouble(&error)) {
                Ok(()) => problems.push(None),
                Err(Trouble::Answered(status, message)) => {
                    problems.push(Some(format!("the engine answered {status}: {message}")));
                }
                // Others of the call may have happened.
                Err(Trouble::Unreachable(why, _) | Trouble::Unfit(why) | Trouble::Lost(why)) => {
                    return Err(Failure::unknown(format!("{}: no answer of the engine: {why}", ready.line)));
                }
            }
        }
        let now = engine.now(&ready.containers).await;
        let now = now.map_err(|failure| Failure::unknown(format!("{}: {failure}", ready.line)))?;
        let changed = ready.containers.into_iter().zip(now).zip(problems).map(|((before, now), problem)| {
            let after = now.map_or(State::Removing, |now| now.state);
            Changed { name: before.name, before: before.state, after, problem }
        });
        Ok(Reply::Changed(changed.collect()))
    }
}
