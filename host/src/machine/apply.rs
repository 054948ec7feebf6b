//! `state × event → state`.

use jiff::Timestamp;

use super::follow_up::After;
use super::state::{Course, Execution, Fate, Gate, Made, Mutation, State};
use super::watch::not_waited_for;
use crate::id::{CallId, ExecutionId};
use crate::journal::{Answer, Behind, End, Event, GateId, Purpose, RunOutcome, Settler, Verdict};

/// An event that can't follow on what has been recorded: the journal is not one of ripcord's, or
/// ripcord is broken. Nothing goes on from there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal has an event that can't stand there: {0}")]
pub struct Impossible(pub String);

impl State {
    /// The state after one more event.
    ///
    /// The events of people can come at any time, twice, or too late: those that mean nothing any
    /// more change nothing. All others are this program's own, and one that does not fit is
    /// [`Impossible`].
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), Impossible> {
        if self.began.is_some() == matches!(event, Event::RunStarted(_)) {
            return Err(Impossible(
                if self.began.is_some() { "a second start" } else { "an event before the start" }.to_owned(),
            ));
        }
        if let Event::IncidentNoted(_) = event {
            return Ok(());
        }
        self.count_time(at, event);
        match event {
            Event::RunStarted(start) => {
                self.began = Some(at);
                self.shape = start.shape.clone();
                self.approval = start.approval.clone();
            }
            Event::HostAttached(_) => {
                // A new host looks at every open doubt again before it asks anybody.
                self.unsettled.clear();
                self.halted_on = None;
                self.attached = Some(at);
            }
            Event::GateOpened(opened) => {
                if self.gate(&opened.gate).is_some() {
                    return Err(Impossible(format!("gate {} is opened twice", opened.gate)));
                }
                self.gates.push(Gate { opened: opened.clone(), answer: None });
            }
            Event::GateAnswered { gate, answer, by } => {
                if let Some(gate) =
                    self.gates.iter_mut().find(|known| known.opened.gate == *gate && known.answer.is_none())
                {
                    // An expiry is absolute, whoever noticed it.
                    let is_late = gate.opened.expires.is_some_and(|expires| at > expires);
                    let answer = if is_late { Answer::Expired } else { *answer };
                    gate.answer = Some((answer, by.clone()));
                } else if *gate == GateId::watch() && self.may_be_ended_early() {
                    self.gates.push(Gate { opened: not_waited_for(), answer: Some((*answer, by.clone())) });
                }
            }
            Event::ExecutionBegan { execution, purpose, config } => {
                if *execution != self.next_execution() {
                    return Err(Impossible(format!("execution {execution} begins out of turn")));
                }
                self.executions.insert(
                    *execution,
                    Execution {
                        purpose: purpose.clone(),
                        config: config.clone(),
                        began: at,
                        calls: Vec::new(),
                        end: None,
                        ended: None,
                        judged: None,
                        held_ms: 0,
                    },
                );
            }
            Event::ClockRead { call, now } => self.add(*call, Made::Clock(*now))?,
            Event::SleepBegan { call, until } => self.add(*call, Made::Sleep(*until))?,
            Event::Called { call, request, outcome, .. } => {
                self.add(*call, Made::Read { request: request.clone(), outcome: outcome.clone() })?;
            }
            Event::Intended { call, request, repeat, marker, assume } => {
                let mutation = Mutation {
                    request: request.clone(),
                    repeat: repeat.clone(),
                    marker: marker.clone(),
                    assume: assume.clone(),
                    intended: at,
                    doubted: 0,
                    lost: None,
                    intended_before: self.next_execution(),
                    fate: Fate::Open,
                    told: false,
                    repeated: self.mutation(*call).is_some_and(|known| known.fate == Fate::Repeating),
                };
                self.intend(*call, mutation)?;
            }
            Event::Answered { call, outcome, .. } => {
                let mutation = self.awaited(*call)?;
                mutation.fate = Fate::Answered(outcome.clone());
                mutation.told = false;
                self.forget_question(*call);
            }
            Event::Doubted { call, seen } => {
                let mutation = self.awaited(*call)?;
                mutation.doubted += 1;
                mutation.lost = Some(seen.clone());
            }
            Event::Settled { call, by, verdict } => self.settled(*call, by, verdict)?,
            Event::Unsettled { call, seen } => {
                let mutation = self.awaited(*call)?;
                if mutation.is_in_doubt() {
                    // Repeating it has failed: what is known of it is what its first intent said.
                    mutation.fate = Fate::Open;
                    self.unsettled.insert(*call, seen.clone());
                }
            }
            Event::Logged { .. } | Event::IncidentNoted(_) => {}
            Event::ExecutionEnded { execution, end } => {
                // A doubt that outlives its execution is looked at afresh before the run may end.
                self.unsettled.retain(|call, _| call.execution != *execution);
                let execution = self.running(*execution)?;
                execution.end = Some(end.clone());
                execution.ended = Some(at);
                if execution.is_beside() {
                    execution.give_doubts_up();
                }
            }
            Event::Judged { execution, outcome, summary } => {
                let known = self.executions.get_mut(execution);
                let known =
                    known.ok_or_else(|| Impossible(format!("execution {execution} is judged but never began")))?;
                known.judged = Some((*outcome, summary.clone()));
            }
            Event::AlertsReceived(received) => {
                self.alerts.extend(received.alerts.iter().cloned());
                self.alerts_repeated += received.repeated;
            }
            Event::Tripped { trigger, cause } => self.tripped = Some((trigger.clone(), *cause)),
            Event::Halted { question: crate::journal::Question::DidItHappen { call, .. } } => {
                if self.awaited(*call)?.is_in_doubt() {
                    self.halted_on = Some(*call);
                }
            }
            Event::AbortRequested { by } => {
                if self.ended.is_none() && self.course != Course::Back {
                    self.course = Course::Back;
                    // What people were told of the way there is not what they are told of this one's end.
                    self.sent_from = self.next_execution();
                }
                self.stop_follow_up(by);
            }
            Event::UndoRequested { .. } => {
                if self.ended.take_if(|(outcome, _)| *outcome != RunOutcome::Undone).is_some() {
                    self.course = Course::Back;
                    self.after = None;
                    self.sent_from = self.next_execution();
                    self.try_undos_again();
                }
            }
            Event::VerificationRequested { .. } => {
                if self.ended.take_if(|(outcome, _)| *outcome == RunOutcome::Halted).is_some() {
                    self.verify_from = self.next_execution();
                    self.sent_from = self.verify_from;
                }
            }
            Event::RunEnded { outcome, why } => {
                self.ended = Some((*outcome, why.clone()));
                self.ended_at = Some(at);
            }
            Event::FollowUpRequested(request) => self.request_follow_up(request)?,
            Event::FollowUpEnded { item, outcome, why } => self.end_follow_up(at, item, *outcome, why)?,
            Event::FollowUpNoted(noted) => self.note_follow_up(at, noted),
            Event::DriftBegan(wanted) => self.begin_drift(at, wanted)?,
            Event::DriftEnded { found, why } => self.end_drift(at, found, why)?,
        }
        Ok(())
    }

    /// An undo that went wrong goes on where it got stuck: what it has taken back stays so.
    fn try_undos_again(&mut self) {
        let went_wrong = |execution: &Execution| {
            matches!(execution.purpose, Purpose::Undo(_)) && !matches!(execution.end, None | Some(End::Returned(_)))
        };
        let again: Vec<_> =
            self.executions.iter().filter(|(_, execution)| went_wrong(execution)).map(|(&id, _)| id).collect();
        self.try_again(&again);
    }

    /// Opens executions again. What was agreed to or refused before a call that is made anew says nothing
    /// of that one, which may be another.
    pub(super) fn try_again(&mut self, again: &[ExecutionId]) {
        for id in again {
            self.executions.get_mut(id).into_iter().for_each(Execution::try_again);
        }
        self.gates.retain(|gate| match gate.opened.before {
            Behind::Call(call) if again.contains(&call.execution) => {
                self.executions.get(&call.execution).is_some_and(|known| (call.ordinal as usize) < known.calls.len())
            }
            Behind::Call(_) | Behind::Step(_) | Behind::FollowUp(_) | Behind::Watch { .. } => true,
        });
    }

    /// Whether an open gate holds the run up. One that was left open by an abort holds up nothing.
    fn is_at_a_gate(&self) -> bool {
        self.gates.iter().filter(|gate| gate.answer.is_none()).any(|gate| match &gate.opened.before {
            Behind::Step(_) | Behind::Watch { .. } => self.course == Course::Forward,
            Behind::FollowUp(item) => self.after == Some(After::FollowUp(item.clone())),
            Behind::Call(call) => self.goes_on(call.execution),
        })
    }

    fn running(&mut self, id: ExecutionId) -> Result<&mut Execution, Impossible> {
        match self.executions.get_mut(&id) {
            Some(execution) if execution.end.is_none() => Ok(execution),
            Some(_) => Err(Impossible(format!("execution {id} has ended, but something follows"))),
            None => Err(Impossible(format!("execution {id} never began"))),
        }
    }

    fn add(&mut self, call: CallId, made: Made) -> Result<(), Impossible> {
        let calls = &mut self.running(call.execution)?.calls;
        if calls.len() != call.ordinal as usize {
            return Err(Impossible(format!("call {call} is out of turn; {} were made", calls.len())));
        }
        calls.push(made);
        Ok(())
    }

    fn intend(&mut self, call: CallId, mutation: Mutation) -> Result<(), Impossible> {
        let calls = &mut self.running(call.execution)?.calls;
        match calls.get_mut(call.ordinal as usize) {
            None => self.add(call, Made::Mutation(Box::new(mutation))),
            Some(Made::Mutation(known)) if matches!(known.fate, Fate::Cleared | Fate::Repeating) => {
                **known = Mutation { doubted: known.doubted, ..mutation };
                Ok(())
            }
            Some(_) => Err(Impossible(format!("call {call} is intended a second time, and nothing had cleared it"))),
        }
    }

    fn settled(&mut self, call: CallId, by: &Settler, verdict: &Verdict) -> Result<(), Impossible> {
        let by_person = matches!(by, Settler::Person(_));
        let mutation = match self.awaited(call) {
            // What is not in doubt any more is answered too late; a person's first word stands until
            // the target itself says something.
            Ok(mutation) if !mutation.is_in_doubt() && *by != Settler::Driver => return Ok(()),
            Err(_) if by_person => return Ok(()),
            awaited => awaited?,
        };
        mutation.fate = match verdict {
            Verdict::Happened(reply) => Fate::Answered(Ok(reply.clone())),
            Verdict::DidNotHappen => Fate::Cleared,
            Verdict::Repeat => Fate::Repeating,
            Verdict::Unknowable => Fate::Unknowable,
        };
        mutation.told = by_person;
        self.forget_question(call);
        Ok(())
    }

    fn forget_question(&mut self, call: CallId) {
        self.unsettled.remove(&call);
        self.halted_on = self.halted_on.filter(|halted| *halted != call);
    }

    /// A mutation that the host may still find something out about.
    fn awaited(&mut self, call: CallId) -> Result<&mut Mutation, Impossible> {
        let execution = self.executions.get_mut(&call.execution);
        match execution.and_then(|execution| execution.calls.get_mut(call.ordinal as usize)) {
            Some(Made::Mutation(mutation)) if mutation.is_in_doubt() || mutation.told => Ok(mutation),
            _ => Err(Impossible(format!("call {call} is answered, but it is no open mutation"))),
        }
    }

    /// Time counts between two events of a host that holds the run, and not while it waits at a gate:
    /// not the time in which no host was there, nor the time that a person takes. While it watches, while
    /// people are told, and when it has ended, it counts for what is executed, and not for the run.
    fn count_time(&mut self, at: Timestamp, event: &Event) {
        let waiting = self.is_at_a_gate();
        // A person's event says nothing of whether a host is there; the host's own next one does.
        if event.is_from_a_person() && !waiting {
            return;
        }
        let attached = matches!(event, Event::HostAttached(_));
        let since = self.last_at.replace(at);
        let (Some(since), false, false) = (since, waiting, attached) else { return };
        let passed = u64::try_from(at.duration_since(since).as_millis()).unwrap_or(0);
        let is_open = |known: &&mut Execution| known.end.is_none();
        let is_notice = |known: &Execution| matches!(known.purpose, Purpose::Notice(_));
        let tells = self.executions.values().any(|known| known.end.is_none() && is_notice(known));
        if !self.is_watching() && self.ended.is_none() && !tells {
            self.held_ms += passed;
        }
        for execution in self.executions.values_mut().filter(is_open) {
            if !tells || is_notice(execution) {
                execution.held_ms += passed;
            }
        }
    }
}
