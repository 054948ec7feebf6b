//! How the steps and checks of a run stand, each in a mark and a few words.

use crate::id::{CallId, ExecutionId};
use crate::journal::{Answer, Behind, CheckOutcome, End, GateId, Purpose, Shape};
use crate::machine::{Course, Execution, State, describe};

use super::page::Span;
use super::time::{between, duration};

/// How a step or a check stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) mark: Mark,
    pub(crate) words: String,
}

/// The same in one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Waiting,
    Running,
    Asking,
    Good,
    Bad,
    Back,
}

impl Mark {
    pub(super) fn span(self) -> Span<'static> {
        match self {
            Self::Waiting => Span::Dim("·"),
            Self::Running => Span::Plain("…"),
            Self::Asking => Span::Change("?"),
            Self::Good => Span::Good("✓"),
            Self::Bad => Span::Bad("✗"),
            Self::Back => Span::Plain("↶"),
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self.span() {
            Span::Plain(text)
            | Span::Title(text)
            | Span::Dim(text)
            | Span::Change(text)
            | Span::Good(text)
            | Span::Bad(text) => text,
        }
    }
}

/// The steps, then the checks, in file order.
pub(crate) fn units(shape: &Shape) -> impl Iterator<Item = &str> {
    let steps = shape.steps.iter().map(|step| step.id.as_str());
    steps.chain(shape.verify.iter().map(|check| check.id.as_str()))
}

/// How a step or check stands.
pub(crate) fn stand(state: &State, unit: &str) -> Stand {
    match state.step(unit) {
        Some(_) => step(state, unit),
        None => check(state, unit),
    }
}

fn step(state: &State, id: &str) -> Stand {
    let say = |mark, words: String| Stand { mark, words };
    let Some((application, execution)) = state.application(id) else {
        return not_begun(state, id);
    };
    if let Some(undo) = last(state, |purpose| *purpose == Purpose::Undo(application)) {
        return match (&undo.end, took(undo)) {
            (Some(End::Returned(_)), took) => say(Mark::Back, format!("taken back in {took}")),
            (Some(end), took) => say(Mark::Bad, format!("taking back FAILED after {took}: {}", describe(end))),
            (None, _) => say(Mark::Running, "is being taken back".to_owned()),
        };
    }
    let took = took(execution);
    match &execution.end {
        Some(End::Returned(_)) if execution.mutations().next().is_none() => {
            say(Mark::Good, format!("done in {took}; there was nothing to change"))
        }
        Some(End::Returned(_)) => say(Mark::Good, format!("done in {took}")),
        Some(End::InDoubt) => say(Mark::Bad, format!("IN DOUBT after {took}: {}", describe(&End::InDoubt))),
        Some(end) => {
            let changed = if execution.has_effects() { "what it did stays done" } else { "it has changed nothing" };
            say(Mark::Bad, format!("FAILED after {took}: {}; {changed}", describe(end)))
        }
        None if execution.doubts().any(|(ordinal, _)| is_asked(state, application, ordinal)) => {
            say(Mark::Asking, "WAITS for a person to say what became of a call".to_owned())
        }
        None if is_gated(state, application) => {
            say(Mark::Asking, "WAITS for a person: a call is not on the preview's list".to_owned())
        }
        None => say(Mark::Running, "under way".to_owned()),
    }
}

fn not_begun(state: &State, id: &str) -> Stand {
    let say = |mark, words: &str| Stand { mark, words: words.to_owned() };
    match state.gate(&GateId(id.to_owned())).map(|gate| &gate.answer) {
        Some(None) if state.ended.is_none() => return say(Mark::Asking, "WAITS for a person to say yes"),
        Some(Some((Answer::No, by))) => {
            return Stand { mark: Mark::Bad, words: format!("refused by {by}, not begun") };
        }
        Some(Some((Answer::Expired, _))) => return say(Mark::Bad, "nobody said yes in time, not begun"),
        _ => {}
    }
    let fallback = state.step(id).and_then(|step| step.fallback.as_deref());
    let needed = fallback.is_none_or(|of| !matches!(end_of(state, of), Some(End::Returned(_))));
    match fallback {
        Some(of) if !needed => Stand { mark: Mark::Waiting, words: format!("not needed: {of} has done it") },
        _ if state.ended.is_some() || state.course == Course::Back => say(Mark::Waiting, "not begun"),
        Some(of) => Stand { mark: Mark::Waiting, words: format!("only if {of} fails") },
        None => say(Mark::Waiting, "to do"),
    }
}

fn check(state: &State, id: &str) -> Stand {
    let is_this = |purpose: &Purpose| matches!(purpose, Purpose::Check(check) if check == id);
    let tries = state.executions.values().filter(|execution| is_this(&execution.purpose)).count();
    let Some(last) = last(state, is_this) else {
        let words = if state.ended.is_some() || state.course == Course::Back { "not checked" } else { "to be checked" };
        return Stand { mark: Mark::Waiting, words: words.to_owned() };
    };
    let at_try = if tries > 1 { format!(" at try {tries}") } else { String::new() };
    match (&last.judged, &last.end) {
        (Some((outcome, summary)), _) => Stand {
            mark: if *outcome == CheckOutcome::Pass { Mark::Good } else { Mark::Bad },
            words: format!("{}{at_try}: {summary}", super::words::check(*outcome)),
        },
        // What the host makes of it comes with the next event.
        (None, Some(End::Returned(_))) => Stand { mark: Mark::Running, words: format!("is checked{at_try}") },
        (None, Some(end)) => Stand { mark: Mark::Bad, words: format!("could NOT be observed: {}", describe(end)) },
        (None, None) => Stand { mark: Mark::Running, words: format!("is checked{at_try}") },
    }
}

fn end_of<'a>(state: &'a State, step: &str) -> Option<&'a End> {
    state.application(step)?.1.end.as_ref()
}

fn last(state: &State, wanted: impl Fn(&Purpose) -> bool) -> Option<&Execution> {
    state.executions.values().rev().find(|execution| wanted(&execution.purpose))
}

fn took(execution: &Execution) -> String {
    execution.ended.map(|ended| duration(between(execution.began, ended))).unwrap_or_default()
}

fn is_asked(state: &State, execution: ExecutionId, ordinal: u32) -> bool {
    state.halted_on == Some(CallId { execution, ordinal })
}

/// Whether a call of this execution waits at a gate.
fn is_gated(state: &State, execution: ExecutionId) -> bool {
    let mut open = state.gates.iter().filter(|gate| gate.answer.is_none());
    open.any(|gate| matches!(gate.opened.before, Behind::Call(call) if call.execution == execution))
}
