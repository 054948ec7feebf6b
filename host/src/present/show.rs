//! `ripcord show`: one run, from its beginning to what is left to do.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::id::{CallId, ExecutionId, RunId};
use crate::journal::{Head, Purpose, Recorded, Then, TriggerShape};
use crate::machine::{Execution, Made, State, describe};

use super::board::{stand, units};
use super::left::left_to_do;
use super::narrate::{made, unit_of};
use super::page::{Page, Span};
use super::story::Story;
use super::text::{pad, width};
use super::time::{between, date_time, duration};
use super::{Style, drift, follow_ups, notices, words};

/// All that is known of a run, for a person who reads it now.
pub fn run(state: &State, events: &[Recorded], head: Head, now: Timestamp, style: &Style) -> String {
    let story = Story::of(events);
    let mut page = Page::new(style);
    header(&mut page, state, &story);
    for unit in units(&state.shape) {
        show_unit(&mut page, state, &story, unit);
    }
    follow_ups::section(&mut page, state, &story, now);
    drift::section(&mut page, state);
    notices::section(&mut page, state);
    gates(&mut page, state);
    doubts(&mut page, state, &story);
    let left = left_to_do(state, &story.run());
    if !left.is_empty() {
        page.gap();
        page.line(0, &[Span::Title("Left to do")]);
        left.iter().for_each(|item| page.labelled(2, Span::Plain("- "), &item.words()));
    }
    page.gap();
    page.line(0, &[Span::Dim(&format!("{} events, the last of them is {}", head.sequence, head.hash))]);
    page.finish()
}

fn header(page: &mut Page<'_>, state: &State, story: &Story<'_>) {
    let zone = page.style.zone.clone();
    let run = story.run();
    let (standing, why) = match &state.ended {
        Some((outcome, why)) => (outcome.to_string().to_uppercase(), why.clone()),
        None if state.halted_on.is_some() => ("HALTED".to_owned(), "it waits for a person's answer".to_owned()),
        None if state.gates.iter().any(|gate| gate.answer.is_none()) => {
            ("AT A GATE".to_owned(), "it waits for a person to say yes".to_owned())
        }
        None if state.is_watching() => ("WATCHING".to_owned(), watching(state, &run, &zone)),
        None => ("NOT ENDED".to_owned(), "a process carries it, or it was cut off".to_owned()),
    };
    page.line(0, &[Span::Title(&format!("Run {run}: {standing}"))]);
    page.labelled(2, Span::Plain(""), &why);
    page.gap();
    let mut field = |name: &str, value: &str| page.labelled(2, Span::Dim(&pad(name, 12)), value);
    let Some((at, start)) = story.started else { return };
    field("plan", &format!("{} ({}, {})", start.plan_name, start.plan_path, start.plan));
    field("target", &start.target);
    let params: Vec<_> = start.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if !params.is_empty() {
        field("parameters", &params.join(", "));
    }
    let (until, how) = match story.ended {
        Some(ended) => (ended, "ended after"),
        None => (story.last.unwrap_or(at), "last heard of after"),
    };
    field("started", &format!("{}, {how} {}", date_time(at, &zone), duration(between(at, until))));
    if let (Some(watch), Some(until)) = (&start.shape.watch, state.watches_until()) {
        let window = duration(Duration::from_millis(watch.window_ms));
        let then = match watch.then {
            Then::Ask => "asks a person when a trigger trips",
            Then::Run => "takes the plan's steps when a trigger trips",
        };
        field("watches", &format!("for {window}, until {}; {then}", date_time(until, &zone)));
    }
    field("approved", &format!("by {}, {}", start.approval.by, start.approval.binding));
    if let Some((_, host)) = story.hosts.last() {
        let before = match story.hosts.len() - 1 {
            0 => String::new(),
            others => format!(", after {}", super::text::count(others, "other", "others")),
        };
        let host = format!("by process {} on {} (ripcord {}){before}", host.pid, host.machine, host.ripcord);
        field("carried", &host);
    }
}

/// Until when it watches, and how not to wait.
fn watching(state: &State, run: &RunId, zone: &TimeZone) -> String {
    let until = state.watches_until().map(|until| date_time(until, zone)).unwrap_or_default();
    format!(
        "it watches until {until}, or until a trigger trips; `ripcord approve {run} watch` takes the plan's steps now, \
         and with --no the watching ends"
    )
}

fn show_unit(page: &mut Page<'_>, state: &State, story: &Story<'_>, unit: &str) {
    let stand = stand(state, unit);
    let columns = units(&state.shape).map(width).max().unwrap_or(0);
    page.gap();
    let mark = stand.mark().text();
    page.labelled(0, Span::Title(&format!("{mark} {}  ", pad(unit, columns))), &stand.words());
    if let Some(TriggerShape { title, severity, .. }) = state.trigger(unit) {
        let severity = severity.as_ref().map(|severity| format!(" (severity {severity})")).unwrap_or_default();
        page.line(4, &[Span::Dim(&format!("{title}{severity}"))]);
    }
    let of_unit = |(id, known): &(&ExecutionId, &Execution)| {
        unit_of(state, **id) == Some(unit) && !matches!(known.purpose, Purpose::Drift(_))
    };
    let executions: Vec<_> = state.executions.iter().filter(of_unit).collect();
    // Of a check that was tried often, the last try says it all.
    let is_check = state.step(unit).is_none();
    let first = if is_check { executions.len().saturating_sub(1) } else { 0 };
    for (id, execution) in executions.into_iter().skip(first) {
        let line = match &execution.purpose {
            Purpose::Apply(_) | Purpose::Check(_) | Purpose::FollowUp(_) | Purpose::Drift(_) | Purpose::Notice(_) => {
                None
            }
            Purpose::Undo(_) => Some("taking it back:".to_owned()),
            Purpose::Reconcile(call) => Some(match &execution.end {
                Some(crate::journal::End::Returned(_)) | None => format!("what became of {call}? The plugin looked:"),
                Some(end) => format!("what became of {call}? The plugin could not find out: {}", describe(end)),
            }),
        };
        if let Some(line) = line {
            page.line(4, &[Span::Dim(&line)]);
        }
        calls(page, story, *id, execution);
    }
}

pub(super) fn calls(page: &mut Page<'_>, story: &Story<'_>, execution: ExecutionId, known: &Execution) {
    let zone = page.style.zone.clone();
    for (ordinal, call) in (0..).zip(&known.calls) {
        let id = CallId { execution, ordinal };
        let Some(line) = made(call, story.took_us(id), &zone) else { continue };
        let address = pad(&id.to_string(), 5);
        let kind = match call {
            Made::Mutation(_) => Span::Change("CHANGE  "),
            Made::Read { .. } => Span::Dim("reads   "),
            Made::Clock(_) | Made::Sleep(_) => Span::Dim("        "),
        };
        page.line(4, &[Span::Dim(&address), kind, Span::Plain(&line)]);
    }
}

fn gates(page: &mut Page<'_>, state: &State) {
    if state.gates.is_empty() {
        return;
    }
    let zone = page.style.zone.clone();
    page.gap();
    page.line(0, &[Span::Title("Gates")]);
    for gate in &state.gates {
        let answer = match (&gate.answer, gate.opened.expires) {
            (Some((answer, by)), _) => words::answer(*answer, by),
            (None, Some(expires)) => format!("not answered; counts as no from {}", date_time(expires, &zone)),
            (None, None) => "not answered".to_owned(),
        };
        let ask = format!("before {}: {} {answer}", words::behind(&gate.opened.before), gate.opened.ask);
        page.labelled(2, Span::Plain("- "), &ask);
    }
}

fn doubts(page: &mut Page<'_>, state: &State, story: &Story<'_>) {
    if story.doubts.is_empty() {
        return;
    }
    page.gap();
    page.line(0, &[Span::Title("Doubts")]);
    for doubt in &story.doubts {
        let call = doubt.call;
        let asked = state.mutation(call).map(|known| words::request(&known.request)).unwrap_or_default();
        let found = match doubt.settled {
            Some((_, by, verdict)) => format!("{}; {}", words::verdict(verdict), words::settler(by)),
            None => "open".to_owned(),
        };
        page.labelled(2, Span::Plain("- "), &format!("{call} {asked}: {} → {found}", doubt.seen));
    }
}
