//! The containers: stopped before the database is exchanged, started in order, and waited for.

use std::time::Duration;

use ripcord_plugin::docker::{Changed, Container, Engine, Health, State};
use ripcord_plugin::{Failure, Result, Span, clock, log};

pub(crate) const CONTAINERS: Engine = Engine::role("containers");

/// How long to wait between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// A container's state is known before anything is touched: one that is not there is found out then.
pub(crate) fn look(names: &[String]) -> Result<Vec<Container>> {
    names.iter().map(|name| CONTAINERS.inspect(name, None)).collect()
}

/// Stops what runs of these.
pub(crate) fn stop(containers: &[Container]) -> Result<Vec<Changed>> {
    let up: Vec<&Container> = containers.iter().filter(|container| is_up(container.state)).collect();
    if up.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = up.iter().map(|container| container.name.as_str()).collect();
    log::info(format!("stopping {}", names.join(", ")));
    let assumed = up.iter().map(|container| changed(&container.name, container.state, State::Exited)).collect();
    all_well("stop", CONTAINERS.stop(&names).idempotent().assume(assumed).send()?)
}

/// Starts a group at once.
pub(crate) fn start(names: &[String]) -> Result<Vec<Changed>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    log::info(format!("starting {}", names.join(", ")));
    let assumed = names.iter().map(|name| changed(name, State::Exited, State::Running)).collect();
    all_well("start", CONTAINERS.start(names).idempotent().assume(assumed).send()?)
}

/// Waits until all are healthy: running, and `healthy` where they have a check.
pub(crate) fn wait_until_healthy(names: &[String], within: Span) -> Result<()> {
    if within.0.is_zero() || names.is_empty() {
        return Ok(());
    }
    let begun = clock::now().seconds;
    loop {
        let mut waiting = Vec::new();
        for name in names {
            let container = CONTAINERS.inspect(name, Some(&assumed(name)))?;
            match (container.state, container.health) {
                (State::Running, Health::None | Health::Healthy) => {}
                (state, health) => waiting.push((name, state, health, container.restarts)),
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        if clock::now().seconds.saturating_sub(begun) >= i64::try_from(within.0.as_secs()).unwrap_or(i64::MAX) {
            let seen = waiting.iter().map(|(name, state, health, restarts)| {
                let last = last_words(name);
                format!("{name} is {state:?}, {health:?}, restarted {restarts} times{last}")
            });
            return Err(Failure::permanent(format!(
                "after {within} these are not healthy: {}",
                seen.collect::<Vec<_>>().join("; ")
            )));
        }
        clock::sleep(EVERY);
    }
}

/// What a container said last, for the person who has to find out why.
fn last_words(name: &str) -> String {
    match CONTAINERS.logs(name, 1, None) {
        Ok(logs) => logs.lines.last().map(|line| format!(" (its log: {})", line.text)).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

fn all_well(what: &str, changed: Vec<Changed>) -> Result<Vec<Changed>> {
    let problems: Vec<_> = changed
        .iter()
        .filter_map(|changed| Some(format!("{} ({})", changed.name, changed.problem.as_ref()?)))
        .collect();
    if problems.is_empty() {
        return Ok(changed);
    }
    Err(Failure::permanent(format!("could not {what} {}", problems.join(", "))))
}

fn changed(name: &str, before: State, after: State) -> Changed {
    Changed { name: name.to_owned(), before, after, problem: None }
}

/// What a preview takes a container for that it has assumed to be started.
fn assumed(name: &str) -> Container {
    Container {
        id: String::new(),
        name: name.to_owned(),
        service: None,
        image: String::new(),
        image_id: String::new(),
        state: State::Running,
        health: Health::Healthy,
        restarts: 0,
        exit_code: 0,
        out_of_memory: false,
        started_at: None,
        finished_at: None,
        labels: Vec::new(),
    }
}

/// Whether a program of it runs, or is about to by itself.
pub(crate) fn is_up(state: State) -> bool {
    matches!(state, State::Running | State::Paused | State::Restarting)
}
