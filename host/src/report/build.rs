//! From a run's journal to its report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::model::*;
use crate::id::{Digest, ExecutionId};
use crate::journal::{self, Event, Recorded};
use crate::language::Language;
use crate::machine::{Fate, State};
use crate::present::left::{is_undone, left_to_do, remaining};
use crate::present::narrate::unit_of;
use crate::present::story::Story;
use crate::present::time::between;
use crate::present::{self, DriftWatch, Found, FoundBy, Said, words};

use super::{calls, lessons, log, timeline};

impl Report {
    /// The report of a run: its state, its events and the end of its chain, all from one look at the
    /// journal. In the language of its plan, unless told another one; what is overdue is so by now.
    pub fn of(
        state: &State,
        events: &[Recorded],
        head: journal::Head,
        language: Option<Language>,
        now: Timestamp,
    ) -> Self {
        let story = Story::of(events);
        let run = story.run();
        let start = story.started.map(|(_, start)| start);
        let began = story.started.map_or(Timestamp::UNIX_EPOCH, |(at, _)| at);
        let until = story.ended.or(story.last).unwrap_or(began);
        let unit = |id: &str| calls::unit(state, events, id);
        Self {
            version: VERSION,
            language: language.or(start.map(|start| start.language)).unwrap_or_default(),
            ripcord: start.map(|start| start.ripcord.clone()).unwrap_or_default(),
            target: start.map(|start| start.target.clone()).unwrap_or_default(),
            plan: Plan {
                name: start.map(|start| start.plan_name.clone()).unwrap_or_default(),
                path: start.map(|start| start.plan_path.clone()).unwrap_or_default(),
                digest: start.map_or_else(|| Digest::of(b""), |start| start.plan),
                params: start.map(|start| start.params.clone()).unwrap_or_default(),
                scenario: start.and_then(|start| start.scenario.clone()),
            },
            outcome: outcome(state),
            why: state.ended.as_ref().map(|(_, why)| why.clone()),
            began,
            ended: story.ended,
            took_ms: milliseconds(began, until),
            incident: incident(state, events),
            people: people(start.map(|start| &start.people)),
            decisions: decisions(state, events),
            hosts: story.hosts.iter().map(|(at, host)| carried(*at, host)).collect(),
            watch: watch(state, events),
            triggers: triggers(state, unit),
            steps: state.shape.steps.iter().map(|step| unit(&step.id)).collect(),
            checks: state.shape.verify.iter().map(|check| unit(&check.id)).collect(),
            waits: waits(state, events),
            doubts: doubts(state, &story),
            log: log::lines(state, events),
            remaining: remaining(state).into_iter().map(|step| remains(state, step)).collect(),
            left: left_to_do(state, &run),
            follow_ups: follow_ups(state, events, now),
            told: present::Told::all_of(state),
            drift: DriftWatch::of(state),
            lessons: lessons::lessons(state, &story, now),
            timeline: timeline::entries(state, events),
            head: Head {
                events: head.sequence,
                hash: head.hash,
                command: format!("ripcord audit {run} --head {}", head.hash),
            },
            run,
        }
    }
}

fn follow_ups(state: &State, events: &[Recorded], now: Timestamp) -> Vec<FollowUp> {
    let items = present::FollowUp::all_of(state, now).into_iter();
    items.map(|item| FollowUp { executions: calls::of_follow_up(state, events, &item.id), item }).collect()
}

fn triggers(state: &State, unit: impl Fn(&str) -> Unit) -> Vec<Trigger> {
    let Some(watch) = &state.shape.watch else { return Vec::new() };
    let measured = watch.triggers.iter().map(|shape| (&shape.id, &shape.title, shape.severity.as_ref(), None));
    let waited = watch.alerts.iter().map(|shape| {
        let alert = state.alert_for(&shape.id);
        let evidence = alert.map(|alert| Evidence {
            outcome: journal::CheckOutcome::Fail,
            summary: alert.words(),
            seen: json!({ "alert": alert }),
        });
        let severity = shape.severity.as_ref().or(alert.and_then(|alert| alert.labels.get("severity")));
        (&shape.id, &shape.title, severity, evidence)
    });
    let watched = |(id, title, severity, evidence): (&String, &String, Option<&String>, Option<Evidence>)| {
        let mut unit = unit(id);
        unit.evidence = evidence.or(unit.evidence);
        Trigger { title: title.clone(), severity: severity.cloned(), unit }
    };
    measured.chain(waited).map(watched).collect()
}

fn watch(state: &State, events: &[Recorded]) -> Option<Watch> {
    let shape = state.shape.watch.as_ref()?;
    let tripped = events.iter().find_map(|recorded| match &recorded.event {
        Event::Tripped { trigger, .. } => Some(Tripped {
            trigger: trigger.clone(),
            title: state.condition(trigger).map(|(title, _)| title.to_owned()).unwrap_or_default(),
            at: recorded.at,
        }),
        _ => None,
    });
    let mut steps = state.executions.values().filter(|known| matches!(known.purpose, journal::Purpose::Apply(_)));
    Some(Watch {
        window_ms: shape.window_ms,
        until: state.watches_until()?,
        tripped,
        steps_began: steps.next().map(|first| first.began),
    })
}

fn outcome(state: &State) -> Outcome {
    let waits = state.halted_on.is_some() || state.gates.iter().any(|gate| gate.answer.is_none());
    match state.ended {
        Some((outcome, _)) => outcome.into(),
        None if waits => Outcome::Waiting,
        None => Outcome::Open,
    }
}

/// What people have said of the incident, with who said it and when. Who has agreed has decided, unless
/// somebody says otherwise.
fn incident(state: &State, events: &[Recorded]) -> Incident {
    let mut incident = Incident { decided_by: agreed(state, events), ..Incident::default() };
    for Recorded { at, event, .. } in events {
        let Event::IncidentNoted(noted) = event else { continue };
        let by = |value: &String| Statement { value: value.clone(), by: noted.by.clone(), at: *at };
        incident.symptoms.extend(noted.symptoms.iter().map(by));
        let since = noted.since.map(|value| Statement { value, by: noted.by.clone(), at: *at });
        incident.since = since.or(incident.since);
        incident.severity = noted.severity.as_ref().map(by).or(incident.severity);
        incident.scope = noted.scope.as_ref().map(by).or(incident.scope);
        incident.coordinator = noted.coordinator.as_ref().map(by).or(incident.coordinator);
        incident.decided_by = noted.decided_by.as_ref().map(by).or(incident.decided_by);
        incident.scenario = noted.scenario.as_ref().map(by).or(incident.scenario);
    }
    incident
}

/// Who has agreed that something is done, first of all: at the gate of a watch, or to the preview of a run
/// that asks nobody any more.
fn agreed(state: &State, events: &[Recorded]) -> Option<Statement<String>> {
    let asks = state.shape.watch.as_ref().is_some_and(|watch| watch.then == journal::Then::Ask);
    events.iter().find_map(|Recorded { at, event, .. }| {
        let by = match event {
            Event::RunStarted(start) if !asks => &start.approval.by,
            Event::GateAnswered { gate, answer: journal::Answer::Yes, by } if *gate == journal::GateId::watch() => by,
            _ => return None,
        };
        Some(Statement { value: by.clone(), by: by.clone(), at: *at })
    })
}

/// A plan to start from leaves names empty.
fn people(people: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let named = people.into_iter().flatten().filter(|(_, name)| !name.trim().is_empty());
    named.map(|(role, name)| (role.clone(), name.clone())).collect()
}

fn decisions(state: &State, events: &[Recorded]) -> Vec<Decision> {
    let mut answered = Vec::new();
    let decided = events.iter().filter_map(|Recorded { at, event, .. }| {
        let what = match event {
            Event::RunStarted(start) => Decided::Preview {
                by: start.approval.by.clone(),
                changes: start.approval.listed.len(),
                binding: start.approval.binding.clone(),
            },
            Event::GateAnswered { gate, .. } => {
                let known = state.gate(gate)?;
                // Of several answers the first one counts.
                if answered.contains(&gate) {
                    return None;
                }
                answered.push(gate);
                let (answer, by) = known.answer.as_ref()?;
                Decided::Gate {
                    before: (&known.opened.before).into(),
                    ask: known.opened.ask.clone(),
                    answer: Said::of(*answer, by),
                }
            }
            Event::AbortRequested { by } => Decided::Abort { by: by.clone() },
            Event::UndoRequested { by } => Decided::Undo { by: by.clone() },
            Event::VerificationRequested { by } => Decided::Verification { by: by.clone() },
            Event::Settled { call, by: journal::Settler::Person(by), verdict } => {
                let request = words::request(&state.mutation(*call)?.request);
                Decided::Doubt { by: by.clone(), request, found: Found::from(verdict) }
            }
            _ => return None,
        };
        Some(Decision { at: *at, what })
    });
    decided.collect()
}

fn carried(at: Timestamp, host: &journal::HostAttached) -> Host {
    Host {
        at,
        pid: host.pid,
        machine: host.machine.clone(),
        ripcord: host.ripcord.clone(),
        taken_over_from: host.taken_over_from,
    }
}

/// The times in which nothing could go on: at gates, without a process, and after an end that was not
/// the last.
fn waits(state: &State, events: &[Recorded]) -> Vec<Wait> {
    let mut waits = Vec::new();
    let mut last: Option<(Timestamp, &Event)> = None;
    // What is done when the run has ended is no part of it, however long that takes.
    for Recorded { at, event, .. } in events.iter().filter(|recorded| !is_after_the_end(events, recorded)) {
        match event {
            Event::GateOpened(opened) => {
                let known = state.gate(&opened.gate).and_then(|gate| gate.answer.as_ref());
                let to = events.iter().find_map(|recorded| match &recorded.event {
                    Event::GateAnswered { gate, .. } if *gate == opened.gate && recorded.at >= *at => Some(recorded.at),
                    _ => None,
                });
                let why = WaitedFor::Gate {
                    unit: behind(state, &opened.before),
                    ask: opened.ask.clone(),
                    answer: known.map(|(answer, by)| Said::of(*answer, by)),
                };
                waits.push(Wait { from: *at, to, why });
            }
            Event::HostAttached(_) => {
                if let Some((from, before)) = last {
                    let why = match before {
                        Event::RunEnded { .. } => WaitedFor::Nobody,
                        _ => WaitedFor::Host,
                    };
                    waits.push(Wait { from, to: Some(*at), why });
                }
            }
            _ => {}
        }
        // What people say does not show that a process is there.
        if !event.is_from_a_person() && !matches!(event, Event::RunStarted(_)) {
            last = Some((*at, event));
        }
    }
    waits
}

/// Whether an event comes after an end that has lasted: that nobody has taken the run up again since.
fn is_after_the_end(events: &[Recorded], recorded: &Recorded) -> bool {
    let place = |wanted: &dyn Fn(&Event) -> bool| {
        let found = events.iter().rev().find(|other| wanted(&other.event));
        found.map_or(0, |found| found.sequence)
    };
    let ended = place(&|event| matches!(event, Event::RunEnded { .. }));
    let again = place(&|event| matches!(event, Event::UndoRequested { .. } | Event::VerificationRequested { .. }));
    ended > again && recorded.sequence > ended
}

fn doubts(state: &State, story: &Story<'_>) -> Vec<Doubt> {
    let doubts = story.doubts.iter().map(|doubt| Doubt {
        call: doubt.call.to_string(),
        unit: name(state, doubt.call.execution),
        at: doubt.at,
        request: state.mutation(doubt.call).map(|known| words::request(&known.request)).unwrap_or_default(),
        seen: doubt.seen.to_owned(),
        settled: doubt.settled.map(|(at, by, verdict)| Settled {
            at,
            found: Found::from(verdict),
            found_by: FoundBy::from(by),
        }),
    });
    doubts.collect()
}

fn remains(state: &State, step: &str) -> Remaining {
    let executions = state.executions.iter().filter(|(id, execution)| {
        matches!(&execution.purpose, journal::Purpose::Apply(id) if id == step) && !is_undone(state, **id)
    });
    let changes = executions.flat_map(|(_, execution)| execution.effects());
    let changes = changes.map(|(_, mutation)| Change {
        request: words::request(&mutation.request),
        is_certain: matches!(mutation.fate, Fate::Answered(_)),
    });
    Remaining { step: step.to_owned(), changes: changes.collect() }
}

/// The step or check that an execution belongs to.
pub(super) fn name(state: &State, execution: ExecutionId) -> String {
    unit_of(state, execution).unwrap_or_default().to_owned()
}

/// The step that a gate stands before, or stands in.
pub(super) fn behind(state: &State, before: &journal::Behind) -> String {
    match before {
        journal::Behind::Step(id) | journal::Behind::FollowUp(id) => id.clone(),
        journal::Behind::Call(call) => name(state, call.execution),
        journal::Behind::Watch { trigger } => trigger.clone().unwrap_or_default(),
    }
}

pub(super) fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(between(from, to).as_millis()).unwrap_or(u64::MAX)
}
