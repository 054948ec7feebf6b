//! Observes a container: whether it runs, is healthy and stays up, what its log says and what it uses.
//! More can be asked by the plan's `expect`, as in `container.image == 'andrea:1.4.2'`.

mod logs;
mod restarts;

use ripcord_plugin::docker::{Container, Engine, Health, State, Usage};
use ripcord_plugin::{Check, Context, Manifest, Result, Role, Span, Verdict, clock, export_check};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::logs::Logs;

const CONTAINERS: Engine = Engine::role("containers");

/// How long after a container's first line the engine may note its start.
const NOTED_WITHIN_MS: i64 = 1000;

struct ContainerCheck;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    container: String,
    #[serde(default = "running")]
    state: State,
    #[serde(default)]
    health: Wanted,
    #[serde(default)]
    restarts: u64,
    window: Option<Span>,
    settled: Option<Span>,
    logs: Option<Logs>,
    cpu_percent_max: Option<f64>,
    memory_bytes_max: Option<u64>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Wanted {
    #[default]
    Healthy,
    Any,
}

impl Check for ContainerCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Container check",
            description: "Looks at a container. `container` (name, state, health, restarts, started, running_seconds, \
                          image, image_id, exit_code, out_of_memory), `logs` (lines, denied, missing, per_minute, \
                          percent, truncated) and `usage` (cpu_percent, memory_bytes) are evidence for the plan's `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("containers", "docker", "to look at the container")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        observe(&config)
    }
}

/// What is wrong: the first that is found is what the verdict says.
enum Finding {
    Wrong(String),
    /// It may yet become right.
    Unsettled(String),
}

fn observe(config: &Config) -> Result<Verdict> {
    let name = &config.container;
    let patterns = config.logs.as_ref().map(|logs| logs.expected().patterns("logs.")).transpose()?;
    let first = CONTAINERS.inspect(name, None)?;
    let is_watched = config.state == State::Running && first.state == State::Running;
    let (container, mut findings) = match config.window {
        Some(window) if is_watched => {
            clock::sleep(window.0);
            let second = CONTAINERS.inspect(name, None)?;
            let findings: Vec<_> = restarts::within(&first, &second, window, config.restarts).into_iter().collect();
            (second, findings)
        }
        _ => (first, Vec::new()),
    };
    let now = milliseconds_now();
    let ran = container.started_at.map(|started| now.saturating_sub(started).max(0)).map(|ran| ran as f64 / 1000.0);
    if container.state != config.state {
        let ended = match container.state {
            State::Restarting | State::Exited | State::Dead if container.out_of_memory => {
                ": it ended for want of memory".to_owned()
            }
            State::Restarting | State::Exited | State::Dead => format!(": it exited with {}", container.exit_code),
            _ => String::new(),
        };
        let (is, wanted) = (said(container.state), said(config.state));
        findings.insert(0, Finding::Wrong(format!("{name} is {is}, expected {wanted}{ended}")));
    } else if config.state == State::Running {
        if config.window.is_none() {
            let settled = config.settled.unwrap_or(restarts::SETTLED);
            findings.extend(restarts::before(&container, ran, settled, config.restarts));
        }
        match container.health {
            _ if config.health == Wanted::Any => {}
            Health::Unhealthy => findings.push(Finding::Wrong(format!("the health check of {name} fails"))),
            Health::Starting => {
                findings.push(Finding::Unsettled(format!("the health check of {name} has not passed yet")));
            }
            Health::Healthy | Health::None => {}
        }
    }

    let mut evidence = Map::new();
    evidence.insert("container".to_owned(), shown(&container, ran));
    let mut measurements = vec![("restarts", container.restarts as f64, "")];
    measurements.extend(ran.filter(|_| container.state == State::Running).map(|ran| ("running", ran, "s")));
    if let (Some(logs), Some(patterns)) = (&config.logs, &patterns) {
        let (seen, truncated) = logs.look(CONTAINERS, name, began(&container), now, patterns)?;
        findings.extend(patterns.wrong(&format!("the log of {name}"), &seen).into_iter().map(Finding::Wrong));
        measurements.push(("denied-lines", seen.denied.len() as f64, ""));
        evidence.insert("logs".to_owned(), seen.evidence(truncated));
    }
    let has_limit = config.cpu_percent_max.is_some() || config.memory_bytes_max.is_some();
    if has_limit && container.state == State::Running {
        let usage = CONTAINERS.stats(name)?;
        findings.extend(over(config, &usage));
        measurements.extend(usage.cpu_percent.map(|percent| ("cpu", percent, "%")));
        measurements.push(("memory", usage.memory_bytes as f64, "bytes"));
        let usage = json!({ "cpu_percent": usage.cpu_percent, "memory_bytes": usage.memory_bytes });
        evidence.insert("usage".to_owned(), usage);
    }

    let wrong = findings.iter().find_map(|finding| match finding {
        Finding::Wrong(what) => Some(what.clone()),
        Finding::Unsettled(_) => None,
    });
    let verdict = match (wrong, findings.pop()) {
        (Some(wrong), _) => Verdict::fail(wrong),
        (None, Some(Finding::Unsettled(what) | Finding::Wrong(what))) => Verdict::inconclusive(what),
        (None, None) => Verdict::pass(format!("{name} is {}", said(container.state))),
    };
    Ok(measurements.into_iter().fold(verdict.evidence(Value::Object(evidence)), |verdict, (name, value, unit)| {
        verdict.measurement(name, value, unit)
    }))
}

fn over(config: &Config, usage: &Usage) -> Vec<Finding> {
    let name = &config.container;
    let cpu = config.cpu_percent_max.zip(usage.cpu_percent).filter(|(max, now)| now > max);
    let memory = config.memory_bytes_max.filter(|&max| usage.memory_bytes > max);
    let cpu = cpu.map(|(max, now)| format!("{name} takes {now:.1} % of a processor, expected at most {max} %"));
    let bytes = usage.memory_bytes;
    let memory = memory.map(|max| format!("{name} has {bytes} bytes of memory, expected at most {max}"));
    cpu.into_iter().chain(memory).map(Finding::Wrong).collect()
}

fn shown(container: &Container, ran: Option<f64>) -> Value {
    let labels: Map<_, _> = container.labels.iter().map(|label| (label.name.clone(), json!(label.value))).collect();
    json!({
        "name": container.name,
        "service": container.service,
        "state": said(container.state),
        "health": match container.health {
            Health::None => "none",
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        },
        "restarts": container.restarts,
        "started": container.started_at,
        "running_seconds": ran.filter(|_| container.state == State::Running),
        "image": container.image,
        "image_id": container.image_id,
        "exit_code": container.exit_code,
        "out_of_memory": container.out_of_memory,
        "labels": labels,
    })
}

fn said(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Running => "running",
        State::Paused => "paused",
        State::Restarting => "restarting",
        State::Removing => "removing",
        State::Exited => "exited",
        State::Dead => "dead",
    }
}

/// Since when its log is that of its last start; none if all of it is. The engine notes a start a moment after
/// the first lines, so the end before it is the better bound.
fn began(container: &Container) -> Option<i64> {
    let (started, ended) = (container.started_at?, container.finished_at?);
    Some(if ended <= started { ended } else { started.saturating_sub(NOTED_WITHIN_MS) })
}

fn running() -> State {
    State::Running
}

fn milliseconds_now() -> i64 {
    let now = clock::now();
    now.seconds.saturating_mul(1000).saturating_add(i64::from(now.nanoseconds / 1_000_000))
}

export_check!(ContainerCheck);
