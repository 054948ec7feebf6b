//! What each step and each check did: its executions and their calls.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::build::milliseconds;
use super::model::*;
use crate::capability::{Reply, command, http, notify};
use crate::id::{CallId, ExecutionId};
use crate::journal::{self, CheckOutcome, End, Event, Recorded};
use crate::machine::{self, Fate, Made, Mutation, State};
use crate::present::board::stand;
use crate::present::narrate::unit_of;
use crate::present::time::between;
use crate::present::{Came, words};
use crate::process::Ending;

/// A step or a check with all that was executed for it.
pub(super) fn unit(state: &State, events: &[Recorded], id: &str) -> Unit {
    let moments = Moments::of(events);
    let of_unit = state.executions.iter().filter(|(number, known)| {
        unit_of(state, **number) == Some(id) && !matches!(known.purpose, journal::Purpose::Drift(_))
    });
    let is_measurement = state.trigger(id).is_some();
    let executions = of_unit.clone().map(|(number, known)| execution(&moments, *number, known, is_measurement));
    let evidence = of_unit.clone().filter_map(|(_, known)| evidence(known)).next_back();
    Unit { id: id.to_owned(), standing: stand(state, id), executions: executions.collect(), evidence }
}

/// All that was executed for a follow-up.
pub(super) fn of_follow_up(state: &State, events: &[Recorded], id: &str) -> Vec<Execution> {
    let moments = Moments::of(events);
    let of_item = state.executions.iter().filter(|(number, _)| unit_of(state, **number) == Some(id));
    of_item.map(|(number, known)| execution(&moments, *number, known, false)).collect()
}

fn evidence(execution: &machine::Execution) -> Option<Evidence> {
    let (outcome, summary) = execution.judged.clone()?;
    let seen = match &execution.end {
        Some(End::Returned(verdict)) => verdict.get("evidence").cloned().unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    Some(Evidence { outcome, summary, seen })
}

fn execution(moments: &Moments, number: ExecutionId, known: &machine::Execution, is_measurement: bool) -> Execution {
    let calls = (0..).zip(&known.calls).filter_map(|(ordinal, made)| {
        let id = CallId { execution: number, ordinal };
        call(id, made, moments.calls.get(&id))
    });
    Execution {
        number: number.0,
        purpose: match known.purpose {
            journal::Purpose::Apply(_) => Purpose::Apply,
            journal::Purpose::Undo(_) => Purpose::Undo,
            journal::Purpose::Reconcile(_) => Purpose::Reconcile,
            journal::Purpose::Check(_) => Purpose::Check,
            journal::Purpose::FollowUp(_) => Purpose::FollowUp,
            journal::Purpose::Drift(_) => Purpose::Drift,
            journal::Purpose::Notice(_) => Purpose::Notice,
        },
        began: known.began,
        ended: known.ended,
        took_ms: known.ended.map(|ended| milliseconds(known.began, ended)),
        is_good: match (&known.judged, &known.end) {
            (Some((outcome, _)), _) => Some(*outcome == CheckOutcome::Pass),
            (None, Some(end)) => Some(matches!(end, End::Returned(_))),
            (None, None) => None,
        },
        finding: known
            .judged
            .clone()
            .filter(|(outcome, _)| is_measurement && *outcome != CheckOutcome::Pass)
            .map(|(check, summary)| Finding { check, summary }),
        calls: calls.collect(),
    }
}

fn call(id: CallId, made: &Made, moment: Option<&Moment>) -> Option<Call> {
    let moment = moment.cloned().unwrap_or_default();
    let (access, request, result, is_good) = match made {
        Made::Clock(_) => return None,
        Made::Sleep(until) => {
            return Some(Call {
                call: id.to_string(),
                access: Access::Wait,
                at: moment.began?,
                until: Some(*until),
                took_us: moment.began.map(|began| micros(between(began, *until))),
                role: String::new(),
                connection: String::new(),
                request: String::new(),
                result: CallResult::Waited,
                is_good: true,
                sent: 1,
                was_in_doubt: false,
            });
        }
        Made::Read { request, outcome } => {
            let result = CallResult::Answered { result: Came::from(outcome) };
            (Access::Read, request, result, is_good(outcome))
        }
        Made::Mutation(mutation) => {
            let access = if mutation.request.call.is_notice() { Access::Notice } else { Access::Change };
            let is_good = matches!(&mutation.fate, Fate::Answered(outcome) if is_good(outcome));
            (access, &mutation.request, fate(mutation), is_good)
        }
    };
    Some(Call {
        call: id.to_string(),
        access,
        at: moment.began?,
        until: moment.until,
        took_us: moment.took_us,
        role: request.role.clone(),
        connection: request.connection.clone(),
        request: words::request(request),
        result,
        is_good,
        sent: moment.sent.max(1),
        was_in_doubt: moment.was_in_doubt,
    })
}

fn fate(mutation: &Mutation) -> CallResult {
    match &mutation.fate {
        Fate::Open => CallResult::Open,
        Fate::Cleared => CallResult::DidNotHappen,
        Fate::Repeating => CallResult::Repeating,
        Fate::Unknowable => CallResult::Unknowable,
        Fate::Answered(outcome) => CallResult::Answered { result: Came::from(outcome) },
    }
}

/// Whether an outcome is what one hopes for. What the plugin makes of it is another thing.
fn is_good(outcome: &journal::Outcome) -> bool {
    match outcome {
        Ok(Reply::Http(http::Reply { status, .. })) => *status < 400,
        Ok(Reply::Command(command::Reply { ending, .. })) => *ending == Ending::Exited(0),
        Ok(Reply::Notify(reply)) => *reply == notify::Reply::Sent,
        Ok(_) => true,
        Err(_) => false,
    }
}

/// When the calls of a run were made, which only its events say.
struct Moments {
    calls: BTreeMap<CallId, Moment>,
}

#[derive(Clone, Default)]
struct Moment {
    began: Option<Timestamp>,
    until: Option<Timestamp>,
    took_us: Option<u64>,
    sent: u32,
    was_in_doubt: bool,
}

impl Moments {
    fn of(events: &[Recorded]) -> Self {
        let mut moments = Self { calls: BTreeMap::new() };
        for Recorded { at, event, .. } in events {
            moments.add(*at, event);
        }
        moments
    }

    fn add(&mut self, at: Timestamp, event: &Event) {
        let (Event::Called { call, .. }
        | Event::SleepBegan { call, .. }
        | Event::Intended { call, .. }
        | Event::Answered { call, .. }
        | Event::Doubted { call, .. }
        | Event::Unsettled { call, .. }
        | Event::Settled { call, .. }) = event
        else {
            return;
        };
        let moment = self.calls.entry(*call).or_default();
        match event {
            Event::Called { took_us, .. } => {
                let took = SignedDuration::from_micros(i64::try_from(*took_us).unwrap_or(0));
                let began = at.checked_sub(took).unwrap_or(at);
                *moment = Moment {
                    began: Some(began),
                    until: Some(at),
                    took_us: Some(*took_us),
                    sent: 1,
                    was_in_doubt: false,
                };
            }
            Event::SleepBegan { .. } => moment.began = Some(at),
            Event::Intended { .. } => {
                moment.began = moment.began.or(Some(at));
                moment.sent += 1;
            }
            Event::Answered { took_us, .. } => {
                moment.until = Some(at);
                moment.took_us = Some(*took_us);
            }
            Event::Doubted { .. } | Event::Unsettled { .. } => moment.was_in_doubt = true,
            Event::Settled { .. } => {
                moment.was_in_doubt = true;
                moment.until = Some(at);
                moment.took_us = moment.began.map(|began| micros(between(began, at)));
            }
            _ => {}
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
