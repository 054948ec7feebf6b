//! All that happened, in order.

use super::build::{behind, name};
use super::model::{Entry, Happening, Noted};
use crate::capability::Call;
use crate::journal::{
    CheckOutcome, DriftOutcome, End, Event, FollowUpOutcome, IncidentNoted, Outcome, Purpose, Question, Recorded,
    Request,
};
use crate::machine::{State, describe};
use crate::present::time::between;
use crate::present::{Came, Found, FoundBy, Said, words};

pub(super) fn entries(state: &State, events: &[Recorded]) -> Vec<Entry> {
    let mut hosts = 0;
    let entries = events.iter().filter_map(|recorded| entry(state, recorded, &mut hosts));
    entries.collect()
}

fn entry(state: &State, Recorded { at, event, .. }: &Recorded, hosts: &mut usize) -> Option<Entry> {
    let asked = |call| state.mutation(call).map(|known| words::request(&known.request)).unwrap_or_default();
    let of = |execution| Some(name(state, execution));
    // Of what was watched for half an hour only that is told which was not as it should be.
    let is_drift =
        |execution| state.executions.get(&execution).is_some_and(|known| matches!(known.purpose, Purpose::Drift(_)));
    let is_measurement = |execution| state.trigger(&name(state, execution)).is_some() || is_drift(execution);
    let (unit, took_us, what) = match event {
        Event::IncidentNoted(said) => (None, None, Happening::Noted { by: said.by.clone(), noted: noted(said) }),
        Event::RunStarted(start) => (None, None, Happening::Began { by: start.approval.by.clone() }),
        Event::HostAttached(host) => {
            *hosts += 1;
            if *hosts == 1 {
                return None;
            }
            (None, None, Happening::WentOn { pid: host.pid, machine: host.machine.clone() })
        }
        Event::GateOpened(opened) => {
            (Some(behind(state, &opened.before)), None, Happening::GateOpened { ask: opened.ask.clone() })
        }
        Event::GateAnswered { gate, answer, by } => {
            let unit = state.gate(gate).map(|gate| behind(state, &gate.opened.before));
            (unit, None, Happening::GateAnswered { answer: Said::of(*answer, by) })
        }
        Event::Called { call, .. } if is_measurement(call.execution) => return None,
        Event::Judged { execution, outcome: CheckOutcome::Pass, .. } if is_measurement(*execution) => return None,
        Event::Called { call, request, outcome, took_us } => {
            let (request, result) = (words::request(request), Came::from(outcome));
            (of(call.execution), Some(*took_us), Happening::Read { request, result })
        }
        Event::Answered { call, outcome, took_us } => {
            let mutation = state.mutation(*call)?;
            (of(call.execution), Some(*took_us), answered(&mutation.request, outcome))
        }
        Event::Doubted { call, seen } => {
            (of(call.execution), None, Happening::Doubted { request: asked(*call), seen: seen.clone() })
        }
        Event::Settled { call, by, verdict } => {
            let (found, found_by) = (Found::from(verdict), FoundBy::from(by));
            (of(call.execution), None, Happening::Settled { request: asked(*call), found, found_by })
        }
        Event::ExecutionEnded { execution, end } => {
            let known = state.executions.get(execution)?;
            let took = u64::try_from(between(known.began, *at).as_micros()).ok();
            (of(*execution), took, ended(&known.purpose, end)?)
        }
        Event::Judged { execution, outcome, summary } => {
            (of(*execution), None, Happening::Judged { check: *outcome, summary: summary.clone() })
        }
        Event::AlertsReceived(received) => (None, None, Happening::Alerted { said: words::alerts(received) }),
        Event::Tripped { trigger, .. } => {
            let title = state.condition(trigger).map(|(title, _)| title.to_owned()).unwrap_or_default();
            (Some(trigger.clone()), None, Happening::Tripped { title })
        }
        Event::Halted { question: Question::DidItHappen { call, .. } } => {
            (of(call.execution), None, Happening::Asked { request: asked(*call) })
        }
        Event::AbortRequested { by } => (None, None, Happening::AbortRequested { by: by.clone() }),
        Event::UndoRequested { by } => (None, None, Happening::UndoRequested { by: by.clone() }),
        Event::VerificationRequested { by } => (None, None, Happening::VerificationRequested { by: by.clone() }),
        Event::FollowUpRequested(request) => {
            (Some(request.item.clone()), None, Happening::FollowUpRequested { by: request.approval.by.clone() })
        }
        Event::FollowUpEnded { item, outcome, why } => {
            let why = why.clone();
            let what = match outcome {
                FollowUpOutcome::Done => Happening::FollowUpDone { why },
                FollowUpOutcome::Failed | FollowUpOutcome::Refused => Happening::FollowUpFailed { why },
            };
            (Some(item.clone()), None, what)
        }
        Event::FollowUpNoted(noted) => {
            let (by, note) = (noted.by.clone(), noted.note.clone().unwrap_or_default());
            let what = match noted.done {
                true => Happening::FollowUpSaidDone { by, note },
                false => Happening::FollowUpNoted { by, note },
            };
            (Some(noted.item.clone()), None, what)
        }
        Event::DriftBegan(wanted) => {
            (None, None, Happening::DriftBegan { by: wanted.by.clone(), checks: wanted.checks.clone() })
        }
        Event::DriftEnded { found: DriftOutcome::Held, why } => (None, None, Happening::DriftHeld { why: why.clone() }),
        Event::DriftEnded { why, .. } => (None, None, Happening::DriftEnded { why: why.clone() }),
        Event::RunEnded { outcome, why } => {
            (None, None, Happening::Ended { outcome: (*outcome).into(), why: why.clone() })
        }
        Event::ExecutionBegan { .. }
        | Event::ClockRead { .. }
        | Event::SleepBegan { .. }
        | Event::Intended { .. }
        | Event::Unsettled { .. }
        | Event::Logged { .. } => return None,
    };
    Some(Entry { at: *at, unit, took_us, what })
}

fn noted(said: &IncidentNoted) -> Vec<Noted> {
    let symptoms = said.symptoms.iter().map(|text| Noted::Symptom { text: text.clone() });
    let severity = said.severity.clone().map(|text| Noted::Severity { text });
    let scope = said.scope.clone().map(|text| Noted::Scope { text });
    let since = said.since.map(|at| Noted::Since { at });
    let coordinator = said.coordinator.clone().map(|text| Noted::Coordinator { text });
    let decided_by = said.decided_by.clone().map(|text| Noted::DecidedBy { text });
    let scenario = said.scenario.clone().map(|text| Noted::Scenario { text });
    let people = scenario.into_iter().chain(decided_by).chain(coordinator);
    symptoms.chain(severity).chain(scope).chain(since).chain(people).collect()
}

fn answered(request: &Request, outcome: &Outcome) -> Happening {
    let result = Came::from(outcome);
    let is_notice = Call::is_notice(&request.call);
    let request = words::request(request);
    if is_notice { Happening::Notice { request, result } } else { Happening::Change { request, result } }
}

/// What was found by looking stands in the line of its answer.
fn ended(purpose: &Purpose, end: &End) -> Option<Happening> {
    Some(match (purpose, end) {
        // Of a follow-up, what came of it is told when that is known.
        (Purpose::Check(_) | Purpose::Drift(_) | Purpose::Reconcile(_) | Purpose::FollowUp(_), _) => return None,
        (Purpose::Notice(_), End::Returned(_)) => return None,
        (Purpose::Notice(_), end) => Happening::NotTold { why: describe(end) },
        (Purpose::Apply(_), End::Returned(_)) => Happening::Done,
        (Purpose::Undo(_), End::Returned(_)) => Happening::TakenBack,
        (Purpose::Apply(_), end) => Happening::Failed { why: describe(end) },
        (Purpose::Undo(_), end) => Happening::TakingBackFailed { why: describe(end) },
    })
}
