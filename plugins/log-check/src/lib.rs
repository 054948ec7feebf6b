//! Observes a log: lines that should not be there, how often they come, lines that have to be there. The log is
//! a container's, or what a program prints (`journalctl`, `tail`). More can be asked by the plan's `expect`.

use std::collections::BTreeMap;

use ripcord_plugin::command::{Ending, Program};
use ripcord_plugin::docker::{Engine, LogPeriod};
use ripcord_plugin::lines::Expected;
use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Role, Span, Verdict, clock, export_check};
use serde::Deserialize;
use serde_json::json;

const CONTAINERS: &str = "containers";
const COMMAND: &str = "command";

struct LogCheck;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    container: Option<String>,
    arguments: Option<BTreeMap<String, String>>,
    #[serde(default = "newest")]
    lines: u32,
    since: Option<Span>,
    #[serde(default)]
    deny: Vec<String>,
    max: Option<usize>,
    per_minute_max: Option<f64>,
    percent_max: Option<f64>,
    #[serde(default)]
    among: Vec<String>,
    #[serde(default)]
    require: Vec<String>,
}

fn newest() -> u32 {
    1000
}

impl Check for LogCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Log check",
            description: "Reads a container's log, or what a program prints that changes nothing, like journalctl. \
                          `log` (lines, denied, missing, per_minute, percent, truncated) is evidence for the plan's \
                          `expect`. One of its two roles has to be bound.",
            parameters: include_str!("parameters.json"),
            roles: vec![
                Role::read(CONTAINERS, "docker", "to read the container's log").optional(),
                Role::read(COMMAND, "command", "to have the log printed").optional(),
            ],
            can_undo: false,
        }
    }

    fn check(context: &Context, config: Config) -> Result<Verdict> {
        let expected = Expected {
            deny: config.deny.clone(),
            max: config.max,
            per_minute_max: config.per_minute_max,
            percent_max: config.percent_max,
            among: config.among.clone(),
            require: config.require.clone(),
        };
        let patterns = expected.patterns("")?;
        if config.per_minute_max.is_some() && config.since.is_none() {
            return Err(Failure::permanent("`per-minute-max` needs `since`: how long the log is that is looked at"));
        }
        let (name, log) = read(context, &config)?;
        let seen = patterns.sort(log.lines, log.period);
        let (lines, denied, among) = (seen.lines.len(), seen.denied.len(), seen.among);
        let verdict = match patterns.wrong(&name, &seen).into_iter().next() {
            Some(wrong) => Verdict::fail(wrong),
            None if config.percent_max.is_some() && among == 0 => {
                Verdict::inconclusive(format!("{name} has no line of which a share could be counted"))
            }
            None => Verdict::pass(format!("{name} has {lines} lines, {denied} of them should not be there")),
        };
        let verdict = verdict.measurement("lines", lines as f64, "").measurement("denied-lines", denied as f64, "");
        Ok(verdict.evidence(json!({ "log": seen.evidence(log.truncated) })))
    }
}

/// What it is the log of, and the lines that count.
fn read(context: &Context, config: &Config) -> Result<(String, LogPeriod)> {
    match (context.is_bound(CONTAINERS), context.is_bound(COMMAND), &config.container) {
        (true, false, Some(container)) if config.arguments.is_none() => of_container(container, config),
        (false, true, None) => of_program(config),
        (true, false, None) => Err(Failure::permanent("`container` has to say whose log is read")),
        (true, ..) => Err(Failure::permanent(
            "the log of a container is read with the role `containers` alone, and without `arguments`",
        )),
        (false, true, Some(_)) => {
            Err(Failure::permanent("`container` needs the role `containers`, and not the role `command`"))
        }
        (false, false, _) => Err(Failure::permanent(
            "no log to read: bind the role `containers` and say which `container`, or bind the role `command`",
        )),
    }
}

fn of_container(container: &str, config: &Config) -> Result<(String, LogPeriod)> {
    let now = clock::now();
    let now = now.seconds.saturating_mul(1000).saturating_add(i64::from(now.nanoseconds / 1_000_000));
    let age = |since: Span| i64::try_from(since.0.as_millis()).unwrap_or(i64::MAX);
    let since = config.since.map(|since| now.saturating_sub(age(since)));
    let log = Engine::role(CONTAINERS).log_since(container, config.lines, since, now)?;
    Ok((format!("the log of {container}"), log))
}

fn of_program(config: &Config) -> Result<(String, LogPeriod)> {
    let arguments = config.arguments.iter().flatten();
    let run = arguments.fold(Program::role(COMMAND).run(), |run, (name, value)| run.argument(name, value));
    let output = run.send()?;
    // grep ends with 1 where it finds nothing, and then says nothing.
    let is_empty = output.exit_code() == Some(1) && output.stdout.0.is_empty() && output.stderr.0.is_empty();
    match output.ending {
        Ending::Exited(0) => {}
        _ if is_empty => {}
        _ => return Err(Failure::transient(output.expect_success().err().map_or_else(String::new, said))),
    }
    let text = output.stdout.text();
    let all: Vec<&str> = text.lines().collect();
    let newest = all.len().saturating_sub(config.lines as usize);
    let lines = all[newest..].iter().map(|line| (*line).to_owned()).collect();
    let (period, truncated) = (config.since.map(|since| since.0), output.truncated || newest > 0);
    Ok(("the printed log".to_owned(), LogPeriod { lines, period, truncated }))
}

fn said(failure: Failure) -> String {
    failure.message().to_owned()
}

export_check!(LogCheck);
