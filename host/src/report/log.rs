//! The log lines that matter: what plugins wrote for people, and what failed programs said last.

use super::build::name;
use super::model::LogLine;
use crate::capability::{Payload, Reply, command};
use crate::journal::{Event, Level, Outcome, Recorded, Request};
use crate::machine::State;
use crate::process::Ending;

/// How many of a failed program's last lines are shown.
const LINES_MAX: usize = 12;
/// How long one of them may be.
const LINE_CHARS_MAX: usize = 400;

pub(super) fn lines(state: &State, events: &[Recorded]) -> Vec<LogLine> {
    let lines = events.iter().filter_map(|Recorded { at, event, .. }| match event {
        Event::Logged { execution, level, message } if *level > Level::Debug => Some(LogLine {
            at: *at,
            unit: name(state, *execution),
            level: *level,
            source: "log".to_owned(),
            text: message.clone(),
        }),
        Event::Called { call, request, outcome, .. } => failed(request, outcome).map(|(source, text)| LogLine {
            at: *at,
            unit: name(state, call.execution),
            level: Level::Error,
            source,
            text,
        }),
        Event::Answered { call, outcome, .. } => {
            failed(&state.mutation(*call)?.request, outcome).map(|(source, text)| LogLine {
                at: *at,
                unit: name(state, call.execution),
                level: Level::Error,
                source,
                text,
            })
        }
        _ => None,
    });
    lines.collect()
}

/// What a program that failed said last: where it complains, else where it prints.
fn failed(request: &Request, outcome: &Outcome) -> Option<(String, String)> {
    let Ok(Reply::Command(command::Reply { ending, stdout, stderr, .. })) = outcome else { return None };
    if *ending == Ending::Exited(0) {
        return None;
    }
    let text = [stderr, stdout].into_iter().map(last_lines).find(|text| !text.is_empty())?;
    Some((request.connection.clone(), text))
}

fn last_lines(output: &Payload) -> String {
    let text = String::from_utf8_lossy(&output.0);
    let lines: Vec<_> = text.trim_end().lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LINES_MAX));
    last.map(|line| line.chars().take(LINE_CHARS_MAX).collect::<String>()).collect::<Vec<_>>().join("\n")
}
