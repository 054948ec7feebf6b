//! What there is: containers in scope, their logs, what they use.

use std::collections::HashMap;
use std::str::FromStr;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, ContainerStatsResponse, HealthStatusEnum};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder, StatsOptionsBuilder,
};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::engine::Engine;
use super::{Container, Health, LogLine, LogTail, State, Usage};
use crate::failure::Failure;

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// The most lines of a log that are asked for.
const LINES_MAX: u32 = 100_000;

impl Engine {
    /// All containers in scope, by name.
    pub(super) async fn containers(&self) -> Result<Vec<Container>, Failure> {
        self.those(|_, _| true).await
    }

    /// The containers in scope that go by a name: the one of that name, or all of the service. An outsider is
    /// denied in the same words as one that is not there.
    pub(super) async fn named(&self, asked: &str) -> Result<Vec<Container>, Failure> {
        let has_services = self.connection.settings.project.is_some();
        let mut found = self
            .those(|name, labels| name == asked || (has_services && labels.get(SERVICE).is_some_and(|is| is == asked)))
            .await?;
        if found.iter().any(|container| container.name == asked) {
            found.retain(|container| container.name == asked);
        }
        if found.is_empty() {
            let scope = self.connection.scope();
            let remedy = self.widened(asked).await?;
            return Err(Failure::denied(format!(
                "there is no container `{asked}` among those of this connection, which has {scope}{remedy}"
            )));
        }
        Ok(found)
    }

    /// What would put a container in scope that is outside by its project or its labels: the names instead of those,
    /// as they are now. One that is outside by its name was denied before anybody was asked.
    async fn widened(&self, asked: &str) -> Result<String, Failure> {
        let instead_of = self.connection.beyond_names();
        if instead_of.is_empty() {
            return Ok("; `docker ps -a` lists what there is".to_owned());
        }
        let names = self.containers().await?.into_iter().map(|container| container.name);
        let names = names.chain([asked.to_owned()]).map(|name| toml::Value::from(globset::escape(&name)).to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        Ok(format!(
            "; to allow it, in ripcord.toml, in place of {instead_of} of this connection:  containers = [{names}]"
        ))
    }

    /// The one container that goes by a name.
    pub(super) async fn one(&self, asked: &str) -> Result<Container, Failure> {
        let mut found = self.named(asked).await?;
        if found.len() > 1 {
            let names: Vec<_> = found.into_iter().map(|container| container.name).collect();
            return Err(Failure::permanent(format!(
                "service `{asked}` has several containers, {}: name one",
                names.join(", ")
            )));
        }
        found.pop().ok_or_else(|| Failure::permanent(format!("there is no container `{asked}`")))
    }

    /// The containers in scope of which this holds, each as it is now.
    async fn those(&self, wanted: impl Fn(&str, &HashMap<String, String>) -> bool) -> Result<Vec<Container>, Failure> {
        let client = self.client().await.map_err(|trouble| self.failed("list the containers", trouble))?;
        let settings = &self.connection.settings;
        let project = settings.project.iter().map(|project| format!("{PROJECT}={project}"));
        let labels = settings.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let filters = HashMap::from([("label".to_owned(), project.chain(labels).collect::<Vec<_>>())]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = client.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.failure("list the containers", &error))?;
        let chosen = listed.into_iter().filter_map(|summary| {
            let names = summary.names.unwrap_or_default();
            let name = names.iter().map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'))?;
            let labels = summary.labels.unwrap_or_default();
            (self.connection.has_name(name) && wanted(name, &labels)).then_some(summary.id?)
        });
        // One that is gone by now was not there.
        let looks = try_join_all(chosen.map(async |id| self.look(client, &id).await)).await?;
        let mut containers: Vec<Container> = looks.into_iter().flatten().collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// A container by its id, as it is now; none if it is not there.
    pub(super) async fn look(&self, client: &Docker, id: &str) -> Result<Option<Container>, Failure> {
        match client.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(inspected) => Ok(Some(container(inspected))),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.failure(&format!("look at container {}", short(id)), &error)),
        }
    }

    /// How many seconds a container has to stop, if it says so itself; below zero for any number.
    pub(super) async fn stop_timeout(&self, client: &Docker, id: &str) -> Result<Option<i64>, Failure> {
        let inspected = client.inspect_container(id, None::<InspectContainerOptions>).await;
        let inspected = inspected.map_err(|error| self.failure(&format!("look at container {}", short(id)), &error))?;
        Ok(inspected.config.and_then(|config| config.stop_timeout))
    }

    pub(super) async fn logs(&self, asked: &str, tail: u32, since: Option<i64>) -> Result<LogTail, Failure> {
        let id = self.one(asked).await?.id;
        let what = format!("read the log of {asked}");
        let client = self.client().await.map_err(|trouble| self.failed(&what, trouble))?;
        // The engine counts in seconds.
        let since = since.and_then(|since| i32::try_from(since.div_euclid(1000)).ok()).unwrap_or(0);
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).since(since);
        let options = options.tail(&tail.min(LINES_MAX).to_string()).build();
        let mut lines = client.logs(&id, Some(options));
        let mut logs = LogTail { lines: Vec::new(), truncated: false };
        let (mut bytes, limit) = (0, self.connection.settings.output_limit);
        while let Some(output) = lines.try_next().await.map_err(|error| self.failure(&what, &error))? {
            let line = log_line(&output);
            bytes += line.text.len();
            logs.lines.push(line);
            while bytes > limit {
                bytes -= logs.lines.remove(0).text.len();
                logs.truncated = true;
            }
        }
        Ok(logs)
    }

    pub(super) async fn stats(&self, asked: &str) -> Result<Usage, Failure> {
        let container = self.one(asked).await?;
        if container.state != State::Running {
            return Ok(Usage { cpu_percent: None, memory_bytes: 0, memory_limit_bytes: None });
        }
        let what = format!("measure container {asked}");
        let client = self.client().await.map_err(|trouble| self.failed(&what, trouble))?;
        // Not `one_shot`: how busy it is takes two looks.
        let options = StatsOptionsBuilder::default().stream(false).build();
        let mut stats = client.stats(&container.id, Some(options));
        match stats.next().await {
            Some(Ok(stats)) => Ok(measured(stats)),
            Some(Err(error)) => Err(self.failure(&what, &error)),
            None => Err(Failure::transient(format!("{what}: the engine said nothing"))),
        }
    }
}

/// What is enough of an id to be recognised.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn container(inspected: ContainerInspectResponse) -> Container {
    let state = inspected.state.unwrap_or_default();
    let config = inspected.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    Container {
        id: inspected.id.unwrap_or_default(),
        name: inspected.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        service: labels.get(SERVICE).cloned(),
        image: config.image.unwrap_or_default(),
        image_id: inspected.image.unwrap_or_default(),
        state: match state.status {
            Some(ContainerStateStatusEnum::RUNNING) => State::Running,
            Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
            Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
            Some(ContainerStateStatusEnum::REMOVING) => State::Removing,
            Some(ContainerStateStatusEnum::EXITED) => State::Exited,
            Some(ContainerStateStatusEnum::DEAD) => State::Dead,
            _ => State::Created,
        },
        health: match state.health.and_then(|health| health.status) {
            Some(HealthStatusEnum::STARTING) => Health::Starting,
            Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
            Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
            _ => Health::None,
        },
        restarts: inspected.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        exit_code: state.exit_code.unwrap_or(0),
        out_of_memory: state.oom_killed.unwrap_or(false),
        started_at: state.started_at.as_deref().and_then(milliseconds),
        finished_at: state.finished_at.as_deref().and_then(milliseconds),
        labels: labels.into_iter().collect(),
    }
}

/// The engine writes the year 1 for never.
fn milliseconds(text: &str) -> Option<i64> {
    Timestamp::from_str(text).ok().map(Timestamp::as_millisecond).filter(|&milliseconds| milliseconds > 0)
}

fn log_line(output: &LogOutput) -> LogLine {
    let (is_stderr, message) = match output {
        LogOutput::StdErr { message } => (true, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            (false, message)
        }
    };
    let text = String::from_utf8_lossy(message);
    let text = text.trim_end_matches(['\n', '\r']);
    let (at, text) = match text.split_once(' ') {
        Some((at, rest)) if milliseconds(at).is_some() => (milliseconds(at), rest),
        _ => (milliseconds(text), if milliseconds(text).is_some() { "" } else { text }),
    };
    LogLine { at, is_stderr, text: text.to_owned() }
}

fn measured(stats: ContainerStatsResponse) -> Usage {
    let (cpu, before) = (stats.cpu_stats.unwrap_or_default(), stats.precpu_stats.unwrap_or_default());
    let total = |usage: Option<bollard::models::ContainerCpuUsage>| usage.and_then(|usage| usage.total_usage);
    let used = total(cpu.cpu_usage).zip(total(before.cpu_usage)).map(|(now, before)| now.saturating_sub(before));
    let passed = cpu.system_cpu_usage.zip(before.system_cpu_usage).map(|(now, before)| now.saturating_sub(before));
    let processors = f64::from(cpu.online_cpus.unwrap_or(1));
    let percent = |(used, passed): (u64, u64)| used as f64 / passed as f64 * processors * 100.0;
    let memory = stats.memory_stats.unwrap_or_default();
    // As `docker stats` has it: what the page cache could give back is not used.
    let cache = memory.stats.as_ref().and_then(|stats| stats.get("inactive_file").or(stats.get("total_inactive_file")));
    Usage {
        cpu_percent: used.zip(passed).filter(|&(_, passed)| passed > 0).map(percent),
        memory_bytes: memory.usage.unwrap_or(0).saturating_sub(cache.copied().unwrap_or(0)),
        memory_limit_bytes: memory.limit,
    }
}
