//! How the steps and checks of a run stand.

use serde::{Deserialize, Serialize};

use crate::id::{CallId, ExecutionId};
use crate::journal::{Answer, Behind, CheckOutcome, End, GateId, Purpose, Shape, TriggerShape};
use crate::language::Language;
use crate::machine::{Attempt, Course, Execution, Standing, State, describe};

use super::page::Span;
use super::time::{between, duration};

/// How a step, a check or a trigger stands. Durations are as a person reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum UnitState {
    /// A step has done its part.
    Done {
        /// How long it took.
        took: String,
    },
    /// A step has found everything as it should be.
    NothingToChange {
        /// How long it took.
        took: String,
    },
    /// A step was taken back.
    TakenBack {
        /// How long taking it back took.
        took: String,
    },
    /// A step could not be taken back.
    TakingBackFailed {
        /// How long the attempt took.
        took: String,
        /// What went wrong.
        why: String,
    },
    /// A step is being taken back.
    BeingTakenBack,
    /// A step has ended with a call in doubt.
    InDoubt {
        /// How long it took.
        took: String,
        /// What that means.
        why: String,
    },
    /// A step has failed, and what it did stays done.
    FailedAndStays {
        /// How long it took.
        took: String,
        /// What went wrong.
        why: String,
    },
    /// A step has failed, and has changed nothing.
    FailedUnchanged {
        /// How long it took.
        took: String,
        /// What went wrong.
        why: String,
    },
    /// A step waits for somebody to say what became of a call.
    WaitsForWord,
    /// A step waits for somebody to agree to a call that was not previewed.
    WaitsAtCall,
    /// A step is under way.
    UnderWay,
    /// A step waits for a yes before it begins.
    WaitsForYes,
    /// Somebody said no to a step.
    Refused {
        /// Who.
        by: String,
    },
    /// Nobody has said yes to a step in time.
    Expired,
    /// A fallback that is not needed.
    NotNeeded {
        /// The step that it stands in for.
        of: String,
    },
    /// A fallback that begins if its step fails.
    OnlyIf {
        /// The step that it stands in for.
        of: String,
    },
    /// A step that did not get its turn.
    NotBegun,
    /// A step that has yet to begin.
    ToDo,
    /// A check that did not get its turn.
    NotChecked,
    /// A check that has yet to begin.
    ToBeChecked,
    /// A check is under way.
    Checking {
        /// Which try it is.
        at_try: AtTry,
    },
    /// A check found what was expected.
    Passed {
        /// Which try it was.
        at_try: AtTry,
        /// What it found.
        summary: String,
    },
    /// A check found something else.
    Failed {
        /// Which try it was.
        at_try: AtTry,
        /// What it found.
        summary: String,
    },
    /// A check found nothing that says anything.
    Inconclusive {
        /// Which try it was.
        at_try: AtTry,
        /// What it found.
        summary: String,
    },
    /// A check broke off.
    BrokeOff {
        /// Why.
        why: String,
    },
    /// A trigger that has yet to be measured.
    ToBeMeasured,
    /// A trigger that did not get its turn.
    NotMeasured,
    /// A trigger is measured for the first time.
    Measuring,
    /// A trigger that has not tripped (yet).
    Measured {
        /// What the last measurement found.
        check: CheckOutcome,
        /// In one sentence.
        summary: String,
        /// How many measurements have failed,
        failed: u32,
        /// of how many,
        measured: u32,
        /// and how many may.
        allowed: u32,
    },
    /// The last attempt to measure a trigger has ended with an error.
    NotMeasurable {
        /// Which.
        why: String,
        /// How many errors in a row it is,
        errors: u32,
        /// and how many are allowed.
        allowed: u32,
    },
    /// A trigger that can't be measured, and is not any more.
    GivenUp {
        /// Why.
        why: String,
    },
    /// The alert that a trigger waits for has not come yet.
    Awaited,
    /// The alert that a trigger waits for has not come.
    NotAlerted,
    /// The alert that a trigger waits for has come.
    Alerted {
        /// What it says.
        summary: String,
    },
    /// A trigger has failed more often than it may.
    Tripped {
        /// What the last measurement that failed found.
        summary: String,
        /// How many measurements have failed,
        failed: u32,
        /// of how many,
        measured: u32,
        /// and how many may.
        allowed: u32,
    },
}

/// Which try of a check it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AtTry {
    /// The first, which needs no mention.
    First,
    /// A later one.
    Again {
        /// From 2.
        number: usize,
    },
}

impl UnitState {
    /// In English, for the terminal.
    pub(crate) fn words(&self) -> String {
        Language::En.say("stand", self)
    }

    /// The same in one character.
    pub(crate) fn mark(&self) -> Mark {
        match self {
            Self::Done { .. }
            | Self::NothingToChange { .. }
            | Self::Passed { .. }
            | Self::Measured { check: CheckOutcome::Pass, .. } => Mark::Good,
            Self::TakenBack { .. } => Mark::Back,
            Self::BeingTakenBack | Self::UnderWay | Self::Checking { .. } | Self::Measuring => Mark::Running,
            Self::WaitsForWord | Self::WaitsAtCall | Self::WaitsForYes => Mark::Asking,
            Self::NotNeeded { .. }
            | Self::OnlyIf { .. }
            | Self::NotBegun
            | Self::ToDo
            | Self::NotChecked
            | Self::ToBeChecked
            | Self::ToBeMeasured
            | Self::NotMeasured
            | Self::Awaited
            | Self::NotAlerted => Mark::Waiting,
            Self::TakingBackFailed { .. }
            | Self::InDoubt { .. }
            | Self::FailedAndStays { .. }
            | Self::FailedUnchanged { .. }
            | Self::Refused { .. }
            | Self::Expired
            | Self::Failed { .. }
            | Self::Inconclusive { .. }
            | Self::BrokeOff { .. }
            | Self::Measured { .. }
            | Self::NotMeasurable { .. }
            | Self::GivenUp { .. }
            | Self::Alerted { .. }
            | Self::Tripped { .. } => Mark::Bad,
        }
    }
}

/// A [`UnitState`] in one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
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

/// What is watched, then the steps, then the checks, in file order.
pub(crate) fn units(shape: &Shape) -> impl Iterator<Item = &str> {
    let triggers = shape.watch.iter().flat_map(|watch| &watch.triggers).map(|trigger| trigger.id.as_str());
    let alerts = shape.watch.iter().flat_map(|watch| &watch.alerts).map(|trigger| trigger.id.as_str());
    let steps = shape.steps.iter().map(|step| step.id.as_str());
    triggers.chain(alerts).chain(steps).chain(shape.verify.iter().map(|check| check.id.as_str()))
}

/// How a step, a check or a trigger stands.
pub(crate) fn stand(state: &State, unit: &str) -> UnitState {
    match (state.step(unit), state.trigger(unit)) {
        (Some(_), _) => step(state, unit),
        (None, Some(of)) => trigger(state, of),
        (None, None) if state.alert_trigger(unit).is_some() => alert(state, unit),
        (None, None) => check(state, unit),
    }
}

fn alert(state: &State, trigger: &str) -> UnitState {
    match state.alert_for(trigger) {
        Some(alert) => UnitState::Alerted { summary: alert.words() },
        None if state.is_watching() => UnitState::Awaited,
        None => UnitState::NotAlerted,
    }
}

fn trigger(state: &State, shape: &TriggerShape) -> UnitState {
    let tally = state.tally(&shape.id);
    let (failed, measured, allowed) = (tally.failed, tally.measured(), shape.failure_limit);
    // That comes with the event behind the last measurement.
    let has_tripped = state.tripped.as_ref().is_some_and(|(id, _)| *id == shape.id);
    match (tally.standing(shape), tally.last) {
        (Standing::GivenUp(why), _) => UnitState::GivenUp { why },
        (Standing::Tripped, Some(Attempt::Measured(_, summary) | Attempt::Error(summary))) if has_tripped => {
            UnitState::Tripped { summary, failed, measured, allowed }
        }
        (_, Some(Attempt::Measured(check, summary))) => {
            UnitState::Measured { check, summary, failed, measured, allowed }
        }
        (_, Some(Attempt::Error(why))) => {
            UnitState::NotMeasurable { why, errors: tally.errors, allowed: shape.consecutive_error_limit }
        }
        (_, None) if !state.is_watching() => UnitState::NotMeasured,
        (_, None) => {
            let is_this = |purpose: &Purpose| matches!(purpose, Purpose::Check(id) if *id == shape.id);
            match last(state, is_this) {
                Some(Execution { end: None | Some(End::Returned(_)), .. }) => UnitState::Measuring,
                _ => UnitState::ToBeMeasured,
            }
        }
    }
}

fn step(state: &State, id: &str) -> UnitState {
    let Some((application, execution)) = state.application(id) else {
        return not_begun(state, id);
    };
    if let Some(undo) = last(state, |purpose| *purpose == Purpose::Undo(application)) {
        return match (&undo.end, took(undo)) {
            (Some(End::Returned(_)), took) => UnitState::TakenBack { took },
            (Some(end), took) => UnitState::TakingBackFailed { took, why: describe(end) },
            (None, _) => UnitState::BeingTakenBack,
        };
    }
    let took = took(execution);
    match &execution.end {
        Some(End::Returned(_)) if execution.mutations().next().is_none() => UnitState::NothingToChange { took },
        Some(End::Returned(_)) => UnitState::Done { took },
        Some(end @ End::InDoubt) => UnitState::InDoubt { took, why: describe(end) },
        Some(end) if execution.has_effects() => UnitState::FailedAndStays { took, why: describe(end) },
        Some(end) => UnitState::FailedUnchanged { took, why: describe(end) },
        None if execution.doubts().any(|(ordinal, _)| is_asked(state, application, ordinal)) => UnitState::WaitsForWord,
        None if is_gated(state, application) => UnitState::WaitsAtCall,
        None => UnitState::UnderWay,
    }
}

fn not_begun(state: &State, id: &str) -> UnitState {
    match state.gate(&GateId(id.to_owned())).map(|gate| &gate.answer) {
        Some(None) if state.ended.is_none() => return UnitState::WaitsForYes,
        Some(Some((Answer::No, by))) => return UnitState::Refused { by: by.clone() },
        Some(Some((Answer::Expired, _))) => return UnitState::Expired,
        _ => {}
    }
    let fallback = state.step(id).and_then(|step| step.fallback.clone());
    let is_needed = |of: &String| !matches!(end_of(state, of), Some(End::Returned(_)));
    match fallback {
        Some(of) if !is_needed(&of) => UnitState::NotNeeded { of },
        _ if state.ended.is_some() || state.course == Course::Back => UnitState::NotBegun,
        Some(of) => UnitState::OnlyIf { of },
        None => UnitState::ToDo,
    }
}

fn check(state: &State, id: &str) -> UnitState {
    let is_this = |purpose: &Purpose| matches!(purpose, Purpose::Check(check) if check == id);
    let tries = state.executions.values().filter(|execution| is_this(&execution.purpose)).count();
    let Some(last) = last(state, is_this) else {
        let is_over = state.ended.is_some() || state.course == Course::Back;
        return if is_over { UnitState::NotChecked } else { UnitState::ToBeChecked };
    };
    let at_try = if tries > 1 { AtTry::Again { number: tries } } else { AtTry::First };
    match (&last.judged, &last.end) {
        (Some((outcome, summary)), _) => {
            let summary = summary.clone();
            match outcome {
                CheckOutcome::Pass => UnitState::Passed { at_try, summary },
                CheckOutcome::Fail => UnitState::Failed { at_try, summary },
                CheckOutcome::Inconclusive => UnitState::Inconclusive { at_try, summary },
            }
        }
        // What the host makes of it comes with the next event.
        (None, Some(End::Returned(_)) | None) => UnitState::Checking { at_try },
        (None, Some(end)) => UnitState::BrokeOff { why: describe(end) },
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
