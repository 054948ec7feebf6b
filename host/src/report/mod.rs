//! The incident report: what somebody reads the day after, and keeps.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::id::ExecutionId;
use crate::journal::{Behind, End, Event, Head, Level, Purpose, Recorded};
use crate::machine::{State, describe};
use crate::present::board::{stand, units};
use crate::present::left::{left_to_do, remaining};
use crate::present::narrate::unit_of;
use crate::present::story::Story;
use crate::present::time::{between, clock, date_time, duration};
use crate::present::{clean, words};

const TEMPLATE: &str = include_str!("report.md.jinja");

/// Why there is no report: the template and what it is given don't fit, which no input can cause.
#[derive(Debug, thiserror::Error)]
#[error("internal: the report's template can't be filled in: {0}")]
pub struct ReportError(#[from] minijinja::Error);

/// The report of a run, as Markdown. Times are given in this zone, with its offset.
///
/// # Errors
/// [`ReportError`], if ripcord itself is broken.
pub fn markdown(state: &State, events: &[Recorded], head: Head, zone: &TimeZone) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build()?);
    // Here and not in the template, where one value would be forgotten one day.
    environment.set_formatter(|out, _, value| Ok(out.write_str(&escape(&value.to_string()))?));
    Ok(environment.render_str(TEMPLATE, Serde(Report::of(state, events, head, zone)))?)
}

/// A value as one line of Markdown that means nothing but itself, in a table too.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    // New lines are the one control character that a message has for good reason.
    let text = text.trim().replace("\r\n", "\n").replace('\n', " ");
    let mut characters = clean(&text).chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(character) = characters.next() {
        let starts_a_block = escaped.is_empty() && matches!(character, '#' | '-' | '+' | '=' | ':');
        let begins_an_entity =
            character == '&' && characters.peek().is_some_and(|next| next.is_alphanumeric() || *next == '#');
        if starts_a_block || begins_an_entity || r"\`*_[]<>|~$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    // `1.` and `1)` begin a list.
    let digits = escaped.chars().take_while(char::is_ascii_digit).count();
    let behind = escaped[digits..].strip_prefix(['.', ')']);
    if digits > 0 && behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(' ')) {
        escaped.insert(digits, '\\');
    }
    escaped
}

/// All that the template needs, in words.
#[derive(Serialize)]
struct Report {
    target: String,
    outcome: String,
    why: String,
    run: String,
    plan: String,
    params: Vec<String>,
    began: String,
    ended: Option<String>,
    took: String,
    approved: String,
    hosts: Vec<String>,
    units: Vec<[String; 2]>,
    timeline: Vec<Row>,
    doubts: Vec<String>,
    log: Vec<String>,
    remaining: Vec<String>,
    left: Vec<String>,
    events: u64,
    head: String,
}

/// A line of the timeline.
#[derive(Serialize)]
struct Row {
    time: String,
    step: String,
    what: String,
    result: String,
    took: String,
}

impl Report {
    fn of(state: &State, events: &[Recorded], head: Head, zone: &TimeZone) -> Self {
        let story = Story::of(events);
        let (outcome, why) = match &state.ended {
            Some((outcome, why)) => (outcome.to_string(), why.clone()),
            None => ("not ended".to_owned(), "the run is under way, waits for a person, or was cut off".to_owned()),
        };
        let began = story.started.map_or(Timestamp::UNIX_EPOCH, |(at, _)| at);
        let until = story.ended.or(story.last).unwrap_or(began);
        let start = story.started.map(|(_, start)| start);
        let param = |(name, value): (&String, &String)| format!("{name} = {value}");
        let hosts = story.hosts.iter().map(|(at, host)| {
            format!("{}: process {} on {}, ripcord {}", date_time(*at, zone), host.pid, host.machine, host.ripcord)
        });
        Self {
            target: start.map(|start| start.target.clone()).unwrap_or_default(),
            outcome,
            why,
            run: story.run().to_string(),
            plan: start
                .map(|start| format!("{} ({}, {})", start.plan_name, start.plan_path, start.plan))
                .unwrap_or_default(),
            params: start.map(|start| start.params.iter().map(param).collect()).unwrap_or_default(),
            began: date_time(began, zone),
            ended: story.ended.map(|at| date_time(at, zone)),
            took: duration(between(began, until)),
            approved: start
                .map(|start| format!("{}, {}", start.approval.by, start.approval.binding))
                .unwrap_or_default(),
            hosts: hosts.collect(),
            units: units(&state.shape).map(|unit| [unit.to_owned(), stand(state, unit).words]).collect(),
            timeline: timeline(state, events, zone),
            doubts: doubts(state, &story, zone),
            log: log(state, &story, zone),
            remaining: remaining(state).into_iter().map(str::to_owned).collect(),
            left: left_to_do(state, &story.run()),
            events: head.sequence,
            head: head.hash.to_string(),
        }
    }
}

fn timeline(state: &State, events: &[Recorded], zone: &TimeZone) -> Vec<Row> {
    let rows = events.iter().filter_map(|Recorded { at, event, .. }| {
        let asked = |call| state.mutation(call).map(|known| words::request(&known.request)).unwrap_or_default();
        let step = |execution| name(state, execution);
        let took = |micros: &u64| duration(Duration::from_micros(*micros));
        let (step, what, result, took) = match event {
            Event::GateOpened(opened) => {
                (behind(state, &opened.before), format!("asked: {}", opened.ask), "waits".to_owned(), String::new())
            }
            Event::GateAnswered { gate, answer, by } => {
                let step = state.gate(gate).map(|gate| behind(state, &gate.opened.before)).unwrap_or_default();
                (step, "answered".to_owned(), words::answer(*answer, by), String::new())
            }
            Event::Called { call, request, outcome, took_us } => {
                (step(call.execution), words::request(request), words::result(outcome, None), took(took_us))
            }
            Event::Answered { call, outcome, took_us } => {
                (step(call.execution), asked(*call), words::result(outcome, None), took(took_us))
            }
            Event::Doubted { call, seen } => {
                (step(call.execution), asked(*call), format!("in doubt: {seen}"), String::new())
            }
            Event::Settled { call, by, verdict } => {
                let found = format!("{}; {}", words::verdict(verdict), words::settler(by));
                (step(call.execution), asked(*call), found, String::new())
            }
            Event::ExecutionEnded { execution, end } => {
                let (what, result) = ended(state, *execution, end)?;
                let known = state.executions.get(execution)?;
                (step(*execution), what, result, duration(between(known.began, *at)))
            }
            Event::Judged { execution, outcome, summary } => {
                let result = format!("{}: {summary}", words::check(*outcome));
                (step(*execution), "verification".to_owned(), result, String::new())
            }
            Event::Halted { question: crate::journal::Question::DidItHappen { call, .. } } => {
                (step(call.execution), asked(*call), "halted: a person has to say".to_owned(), String::new())
            }
            Event::AbortRequested { by } => row("stop and take back", by),
            Event::UndoRequested { by } => row("take back what was done", by),
            Event::VerificationRequested { by } => row("verify again", by),
            Event::RunEnded { outcome, why } => {
                ("run".to_owned(), "ended".to_owned(), format!("{outcome}: {why}"), String::new())
            }
            _ => return None,
        };
        Some(Row { time: clock(*at, zone), step, what, result, took })
    });
    rows.collect()
}

fn row(asked: &str, by: &str) -> (String, String, String, String) {
    ("run".to_owned(), format!("{by} asks to {asked}"), String::new(), String::new())
}

fn ended(state: &State, execution: ExecutionId, end: &End) -> Option<(String, String)> {
    let what = match &state.executions.get(&execution)?.purpose {
        Purpose::Apply(_) => "the step",
        Purpose::Undo(_) => "taking it back",
        // What was found stands in the line of its answer.
        Purpose::Check(_) | Purpose::Reconcile(_) => return None,
    };
    let result = match end {
        End::Returned(_) => "done".to_owned(),
        end => format!("failed: {}", describe(end)),
    };
    Some((what.to_owned(), result))
}

fn doubts(state: &State, story: &Story<'_>, zone: &TimeZone) -> Vec<String> {
    let lines = story.doubts.iter().map(|doubt| {
        let asked = state.mutation(doubt.call).map(|known| words::request(&known.request)).unwrap_or_default();
        let found = match doubt.settled {
            Some((at, by, verdict)) => {
                format!("{} ({}, {})", words::verdict(verdict), words::settler(by), clock(at, zone))
            }
            None => "it is still open".to_owned(),
        };
        format!("{} {} {asked}: {}. Found out: {found}", clock(doubt.at, zone), doubt.call, doubt.seen)
    });
    lines.collect()
}

fn log(state: &State, story: &Story<'_>, zone: &TimeZone) -> Vec<String> {
    let that_matter = story.log.iter().filter(|(_, _, level, _)| *level >= Level::Info);
    let lines = that_matter.map(|(at, execution, level, message)| {
        let level = match level {
            Level::Debug | Level::Info => "",
            Level::Warn => "warning: ",
            Level::Error => "error: ",
        };
        format!("{} {}: {level}{message}", clock(*at, zone), name(state, *execution))
    });
    lines.collect()
}

fn name(state: &State, execution: ExecutionId) -> String {
    unit_of(state, execution).unwrap_or("run").to_owned()
}

/// The step that a gate stands before, or stands in.
fn behind(state: &State, before: &Behind) -> String {
    match before {
        Behind::Step(step) => step.clone(),
        Behind::Call(call) => name(state, call.execution),
    }
}
