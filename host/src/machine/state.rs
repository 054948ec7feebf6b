//! What is known of a run: the fold of its events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::capability::{Repeat, Reply};
use crate::id::{CallId, ExecutionId};
use crate::journal::{
    Answer, Approval, Behind, CheckOutcome, End, Event, GateId, GateOpened, Outcome, Purpose, Request, RunOutcome,
    Settler, Shape, StepShape, Verdict,
};

/// All that is known of a run. Built by [`State::apply`] alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The plan's skeleton.
    pub shape: Shape,
    /// What was agreed to.
    pub approval: Approval,
    /// All executions, by number.
    pub executions: BTreeMap<ExecutionId, Execution>,
    /// All gates, in the order in which they were opened.
    pub gates: Vec<Gate>,
    /// Which way the run goes.
    pub course: Course,
    /// The doubts that nothing but a person has been able to settle since a host took the run.
    pub(super) unsettled: BTreeMap<CallId, String>,
    /// The doubt that the run has halted on.
    pub halted_on: Option<CallId>,
    /// Verification counts from here on.
    pub(super) verify_from: ExecutionId,
    /// The known state it ended in, and why.
    pub ended: Option<(RunOutcome, String)>,
    started: bool,
    /// How long a host has held the run, gates not counted, in milliseconds.
    pub held_ms: u64,
    last_at: Option<Timestamp>,
}

/// Which way a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Course {
    /// Through the steps to the verification.
    #[default]
    Forward,
    /// Taking back what was done.
    Back,
}

/// One export called once.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Which export, and for what.
    pub purpose: Purpose,
    /// Its configuration.
    pub config: Value,
    /// When it began.
    pub began: Timestamp,
    /// Its calls, by ordinal, without gaps.
    pub calls: Vec<Made>,
    /// How it ended.
    pub end: Option<End>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What the host made of a check's result.
    pub judged: Option<(CheckOutcome, String)>,
    /// How long a host has held the run while this execution was open, gates not counted.
    pub held_ms: u64,
}

/// A call that was made, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most calls are reads: a box would be one more allocation for each")]
pub enum Made {
    /// A read of the clock.
    Clock(Timestamp),
    /// A sleep until then.
    Sleep(Timestamp),
    /// A call without effect.
    Read {
        /// The call.
        request: Request,
        /// Its reply.
        outcome: Outcome,
    },
    /// A mutation.
    Mutation(Box<Mutation>),
}

/// A mutation whose intent was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// The call.
    pub request: Request,
    /// What may be done if its fate can't be found out.
    pub repeat: Repeat,
    /// What its driver wrote down beforehand.
    pub marker: Option<Value>,
    /// The reply that the plugin expects.
    pub assume: Option<Reply>,
    /// When its last intent was recorded.
    pub intended: Timestamp,
    /// How often it was sent and no reply came, crashes not counted.
    pub doubted: u32,
    /// What became of it.
    pub fate: Fate,
    /// Its fate is a person's word. A person may give it while the call is still under way; what the
    /// target itself says then counts more.
    pub told: bool,
    /// An earlier sending is in doubt as well: that the last one did not happen says nothing of it.
    pub repeated: bool,
}

/// What became of a mutation.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is under way, or in doubt.
    Open,
    /// It did not happen, and is sent (again) under the same address if the execution goes on.
    Cleared,
    /// It may have happened, and is sent again under the same address, as its repeat policy allows.
    /// If the execution does not go on, it is a doubt like any other.
    Repeating,
    /// It has its reply.
    Answered(Outcome),
    /// Whether it happened can't be found out, a person has said.
    Unknowable,
}

/// A gate and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// What is asked.
    pub opened: GateOpened,
    /// What was answered, and by whom.
    pub answer: Option<(Answer, String)>,
}

impl Gate {
    fn refused(&self) -> bool {
        matches!(self.answer, Some((Answer::No | Answer::Expired, _)))
    }
}

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
        if self.started == matches!(event, Event::RunStarted(_)) {
            return Err(Impossible(
                if self.started { "a second start" } else { "an event before the start" }.to_owned(),
            ));
        }
        self.count_time(at, event);
        match event {
            Event::RunStarted(start) => {
                self.started = true;
                self.shape = start.shape.clone();
                self.approval = start.approval.clone();
            }
            Event::HostAttached(_) => {
                // A new host looks at every open doubt again before it asks anybody.
                self.unsettled.clear();
                self.halted_on = None;
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
            Event::Doubted { call, .. } => self.awaited(*call)?.doubted += 1,
            Event::Settled { call, by, verdict } => self.settled(*call, by, verdict)?,
            Event::Unsettled { call, seen } => {
                let mutation = self.awaited(*call)?;
                if mutation.is_in_doubt() {
                    // Repeating it has failed: what is known of it is what its first intent said.
                    mutation.fate = Fate::Open;
                    self.unsettled.insert(*call, seen.clone());
                }
            }
            Event::Logged { .. } => {}
            Event::ExecutionEnded { execution, end } => {
                // A doubt that outlives its execution is looked at afresh before the run may end.
                self.unsettled.retain(|call, _| call.execution != *execution);
                let execution = self.running(*execution)?;
                execution.end = Some(end.clone());
                execution.ended = Some(at);
            }
            Event::Judged { execution, outcome, summary } => {
                let known = self.executions.get_mut(execution);
                let known =
                    known.ok_or_else(|| Impossible(format!("execution {execution} is judged but never began")))?;
                known.judged = Some((*outcome, summary.clone()));
            }
            Event::Halted { question: crate::journal::Question::DidItHappen { call, .. } } => {
                if self.awaited(*call)?.is_in_doubt() {
                    self.halted_on = Some(*call);
                }
            }
            Event::AbortRequested { .. } => {
                if self.ended.is_none() {
                    self.course = Course::Back;
                }
            }
            Event::UndoRequested { .. } => {
                if self.ended.take_if(|(outcome, _)| *outcome != RunOutcome::Undone).is_some() {
                    self.course = Course::Back;
                }
            }
            Event::VerificationRequested { .. } => {
                if self.ended.take_if(|(outcome, _)| *outcome == RunOutcome::Halted).is_some() {
                    self.verify_from = self.next_execution();
                }
            }
            Event::RunEnded { outcome, why } => self.ended = Some((*outcome, why.clone())),
        }
        Ok(())
    }

    /// The number of the next execution.
    pub fn next_execution(&self) -> ExecutionId {
        ExecutionId(self.executions.last_key_value().map_or(0, |(last, _)| last.0) + 1)
    }

    /// A gate by its name.
    pub fn gate(&self, gate: &GateId) -> Option<&Gate> {
        self.gates.iter().find(|known| known.opened.gate == *gate)
    }

    /// The gate that stands before a call, if one was opened.
    pub fn gate_before(&self, call: CallId) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.opened.before == Behind::Call(call))
    }

    /// A step of the plan.
    pub fn step(&self, id: &str) -> Option<&StepShape> {
        self.shape.steps.iter().find(|step| step.id == id)
    }

    /// A mutation by its address.
    pub fn mutation(&self, call: CallId) -> Option<&Mutation> {
        match self.executions.get(&call.execution)?.calls.get(call.ordinal as usize)? {
            Made::Mutation(mutation) => Some(mutation),
            _ => None,
        }
    }

    /// The receipt of a step, or of what stood in for it.
    pub fn receipt(&self, step: &str) -> Option<&Value> {
        match self.application(step).and_then(|(_, execution)| execution.end.as_ref()) {
            Some(End::Returned(receipt)) => Some(receipt),
            _ => self.stand_in(step).and_then(|stand_in| self.receipt(&stand_in.id)),
        }
    }

    /// The execution of a step's `apply`. There is at most one: a step is never executed again.
    pub fn application(&self, step: &str) -> Option<(ExecutionId, &Execution)> {
        self.find(|purpose| matches!(purpose, Purpose::Apply(id) if id == step))
    }

    /// What was seen of a doubt that only a person can settle.
    pub fn seen(&self, call: CallId) -> Option<&str> {
        self.unsettled.get(&call).map(String::as_str)
    }

    /// The mutations of all open doubts, oldest first.
    pub fn doubts(&self) -> impl Iterator<Item = (CallId, &Mutation)> {
        self.executions.iter().flat_map(|(&id, execution)| {
            execution.doubts().map(move |(ordinal, mutation)| (CallId { execution: id, ordinal }, mutation))
        })
    }

    /// Whether a call may be sent again under the same address: whether its execution goes on.
    pub fn goes_on(&self, execution: ExecutionId) -> bool {
        self.executions.get(&execution).is_some_and(|execution| {
            execution.end.is_none() && (self.course == Course::Forward || matches!(execution.purpose, Purpose::Undo(_)))
        })
    }

    /// Whether a step has done anything to the target that was not taken back.
    pub fn has_effects(&self) -> bool {
        self.executions.iter().any(|(&id, execution)| {
            matches!(execution.purpose, Purpose::Apply(_)) && execution.has_effects() && !self.is_undone(id)
        })
    }

    /// Whether an `undo` of this execution has ended well.
    pub(super) fn is_undone(&self, application: ExecutionId) -> bool {
        self.undoing(application).is_some_and(|(_, undo)| matches!(undo.end, Some(End::Returned(_))))
    }

    /// The last `undo` of this execution.
    pub(super) fn undoing(&self, application: ExecutionId) -> Option<(ExecutionId, &Execution)> {
        self.find(|purpose| *purpose == Purpose::Undo(application))
    }

    /// The step that stands in for another one if that fails.
    pub(super) fn stand_in(&self, step: &str) -> Option<&StepShape> {
        self.shape.steps.iter().find(|other| other.fallback.as_deref() == Some(step))
    }

    /// The last execution with a purpose.
    pub(super) fn find(&self, wanted: impl Fn(&Purpose) -> bool) -> Option<(ExecutionId, &Execution)> {
        self.executions
            .iter()
            .rev()
            .find(|(_, execution)| wanted(&execution.purpose))
            .map(|(&id, execution)| (id, execution))
    }

    /// The gate before a step was refused.
    pub(super) fn is_refused(&self, step: &str) -> bool {
        self.gate(&GateId(step.to_owned())).is_some_and(Gate::refused)
    }

    /// Whether an open gate holds the run up. One that was left open by an abort holds up nothing.
    fn is_at_a_gate(&self) -> bool {
        self.gates.iter().filter(|gate| gate.answer.is_none()).any(|gate| match &gate.opened.before {
            Behind::Step(_) => self.course == Course::Forward,
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
    /// not the time in which no host was there, nor the time that a person takes.
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
        self.held_ms += passed;
        for execution in self.executions.values_mut().filter(|execution| execution.end.is_none()) {
            execution.held_ms += passed;
        }
    }
}

impl Execution {
    /// Its mutations, by ordinal.
    pub fn mutations(&self) -> impl DoubleEndedIterator<Item = (u32, &Mutation)> {
        (0..).zip(&self.calls).collect::<Vec<_>>().into_iter().filter_map(|(ordinal, made)| match made {
            Made::Mutation(mutation) => Some((ordinal, mutation.as_ref())),
            _ => None,
        })
    }

    /// Its mutations that changed the target, or may have.
    pub fn effects(&self) -> impl DoubleEndedIterator<Item = (u32, &Mutation)> {
        self.mutations().filter(|(_, mutation)| mutation.is_effect())
    }

    /// Whether it changed the target, or may have.
    pub fn has_effects(&self) -> bool {
        self.effects().next().is_some()
    }

    /// Its mutations that may have happened and have no reply.
    pub fn doubts(&self) -> impl Iterator<Item = (u32, &Mutation)> {
        self.mutations().filter(|(_, mutation)| mutation.is_in_doubt())
    }
}

impl Mutation {
    /// Whether it changed the target, or may have. A notice never does.
    pub fn is_effect(&self) -> bool {
        !self.request.call.is_notice()
            && matches!(self.fate, Fate::Open | Fate::Repeating | Fate::Unknowable | Fate::Answered(Ok(_)))
    }

    /// Whether it may have happened and has no reply.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.fate, Fate::Open | Fate::Repeating)
    }
}
