//! Carries a run against a world in which whatever can happen does: the runner and the pipeline with
//! everything but their decisions left out.
//!
//! Each choice comes from a list. When the list is used up all goes well, so that every run gets
//! somewhere, and a failing case shrinks to the few choices that matter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::machine::{Fate, Made, Next, State};

/// No run of these shapes takes so many decisions.
const DECISIONS_MAX: usize = 2_000;

/// A host's attempts of one call.
const ATTEMPTS: usize = 3;

pub(super) struct World {
    choices: Vec<u8>,
    chosen: usize,
    now: Timestamp,
    journal: Vec<(Timestamp, Event)>,
    pending: Vec<(Timestamp, Event)>,
    state: State,
    guests: BTreeMap<ExecutionId, Vec<Op>>,
    sent: BTreeMap<CallId, Sent>,
    /// Calls of which a person said "did not happen" before they could know.
    misjudged: BTreeSet<CallId>,
    /// Calls that an undo made behind its first failed one, before somebody asked for it again.
    asked_again: BTreeSet<CallId>,
}

/// What the target knows of a call.
#[derive(Default)]
struct Sent {
    effects: u32,
    last_had_effect: bool,
}

/// What a guest does next.
#[derive(Clone)]
enum Op {
    Read,
    Clock,
    Sleep,
    Mutate { repeat: Repeat, listed: bool, goes_on_after_failure: bool },
    End(End),
}

/// Why the host does not get on with what it is doing.
enum Cut {
    Crash,
    Overtaken,
    /// The guest waits for what the machine says next.
    Stop,
}

/// How a run was left.
#[derive(Debug, PartialEq)]
pub(super) enum Left {
    Ended,
    WaitingForAPerson,
}

impl World {
    pub(super) fn new(shape: Shape, choices: Vec<u8>) -> Self {
        let mut world = Self {
            choices,
            chosen: 0,
            now: "2026-11-22T18:00:00Z".parse().unwrap(),
            journal: vec![],
            pending: vec![],
            state: State::default(),
            guests: BTreeMap::new(),
            sent: BTreeMap::new(),
            misjudged: BTreeSet::new(),
            asked_again: BTreeSet::new(),
        };
        world.append(started(shape));
        world.append(attached());
        world
    }

    pub(super) fn journal(&self) -> &[(Timestamp, Event)] {
        &self.journal
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Carries the run until it has ended for good or nobody answers.
    pub(super) fn carry(&mut self) -> Left {
        for _ in 0..DECISIONS_MAX {
            let before = (self.journal.len(), self.pending.len());
            let next = self.state.next();
            if next == Next::Nothing {
                let follow_up = self.a_follow_up();
                match (self.pick(5), follow_up) {
                    (1, _) => self.ask_again(Event::UndoRequested { by: "ada".into() }),
                    (3, Some(requested)) => self.ask_again(requested),
                    (4, _) if self.state.can_drift() => self.append(self.a_watch()),
                    (2, _) => self.append(Event::VerificationRequested { by: "ada".into() }),
                    _ => return Left::Ended,
                }
                continue;
            }
            if matches!(next, Next::AwaitGate(_) | Next::AwaitAnswer(_)) && self.pick(5) == 4 {
                return Left::WaitingForAPerson;
            }
            let asked = format!("{next:?}");
            match self.carry_out(next) {
                Ok(()) | Err(Cut::Overtaken | Cut::Stop) => {}
                Err(Cut::Crash) => self.crash(),
            }
            assert!((self.journal.len(), self.pending.len()) > before, "{asked} led to nothing");
            assert_eq!(self.state, self.folded(), "after {asked}");
        }
        panic!("the run goes on and on: {:#?}", &self.journal[self.journal.len() - 20..]);
    }

    /// A person has ripcord carry one of the follow-ups out.
    fn a_follow_up(&self) -> Option<Event> {
        let is_verified = matches!(self.state.ended, Some((RunOutcome::Verified, _)));
        let steps = self.state.shape.follow_ups.iter().filter(|shape| shape.step.is_some() && is_verified);
        let mut open = steps.filter(|shape| self.state.follow_up_state(shape).is_open());
        let item = open.next()?.id.clone();
        Some(Event::FollowUpRequested(FollowUpRequested { item, approval: Approval::default() }))
    }

    fn a_watch(&self) -> Event {
        Event::DriftBegan(DriftBegan {
            by: "ada".into(),
            until: self.now + Duration::from_secs(40),
            interval_ms: 5_000,
            failure_limit: 1,
            checks: self.state.shape.verify.iter().map(|check| check.id.clone()).collect(),
        })
    }

    /// What failed is tried again where it got stuck.
    fn ask_again(&mut self, event: Event) {
        let calls = |world: &Self| -> BTreeSet<CallId> {
            let executions = world.state.executions.iter();
            executions
                .flat_map(|(&id, known)| (0..).zip(&known.calls).map(move |(ordinal, _)| call(id.0, ordinal)))
                .collect()
        };
        let before = calls(self);
        self.append(event);
        let after = calls(self);
        self.asked_again.extend(before.difference(&after));
    }

    fn carry_out(&mut self, next: Next) -> Result<(), Cut> {
        match next {
            Next::OpenGate(Behind::Step(step)) => self.commit(gate_of_step(&step)),
            Next::OpenGate(Behind::FollowUp(item)) => self.commit(opened(&item.clone(), Behind::FollowUp(item), None)),
            Next::OpenGate(before) => self.commit(opened("watch", before, None)),
            Next::AwaitGate(GateId(gate)) => {
                let answer = [Answer::Yes, Answer::Yes, Answer::No, Answer::Expired][self.pick(4)];
                self.commit(gate_answered(&gate, answer))
            }
            Next::Begin(purpose) => self.begin(purpose),
            Next::BeginAfter(at, purpose) => {
                self.now = self.now.max(at);
                self.begin(purpose)
            }
            Next::Go(execution) => self.go(execution),
            Next::Settle(call) => self.settle(call),
            Next::Conclude(execution, end) => self.commit(Event::ExecutionEnded { execution, end }),
            Next::Halt(question) => self.commit(Event::Halted { question }),
            Next::AwaitAnswer(call) => {
                let verdict = if self.pick(3) == 1 { Verdict::Unknowable } else { self.truth(call) };
                self.commit(settled(call, person(), verdict))
            }
            Next::Trip(trigger, cause) => {
                self.note(Event::Tripped { trigger, cause })?;
                self.commit(Event::IncidentNoted(IncidentNoted { by: "ripcord".into(), ..Default::default() }))
            }
            Next::EndAfter(at, outcome, why) => {
                self.now = self.now.max(at);
                self.commit(Event::RunEnded { outcome, why })?;
                self.check_end(outcome);
                Ok(())
            }
            Next::End(outcome, why) => {
                self.commit(Event::RunEnded { outcome, why })?;
                self.check_end(outcome);
                Ok(())
            }
            Next::EndFollowUp(item, outcome, why) => {
                let of_it = |call: &CallId| matches!(&self.state.executions[&call.execution].purpose, Purpose::FollowUp(id) if *id == item);
                let open = self.state.doubts().filter(|(call, _)| of_it(call)).count();
                assert_eq!(open, 0, "{item} ends in doubt");
                self.commit(Event::FollowUpEnded { item, outcome, why })
            }
            Next::EndDrift { until, found, why } => {
                self.now = self.now.max(until.unwrap_or(self.now));
                self.commit(Event::DriftEnded { found, why })
            }
            Next::Nothing => Ok(()),
        }
    }

    fn begin(&mut self, purpose: Purpose) -> Result<(), Cut> {
        let id = self.state.next_execution();
        let guest = self.guest(&purpose);
        self.guests.insert(id, guest);
        let began = began(id.0, purpose.clone());
        if matches!(purpose, Purpose::Apply(_)) && self.pick(16) == 1 {
            // Its configuration can't be made.
            self.note(began)?;
            return self.commit(ended(id.0, failed()));
        }
        self.commit(began)
    }

    fn guest(&mut self, purpose: &Purpose) -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..self.pick(4) + 1 {
            // A check may be a probe.
            let mutates = !matches!(purpose, Purpose::Reconcile(_));
            ops.push(match self.pick(if mutates { 8 } else { 3 }) {
                0 if !mutates => Op::Read,
                1 => Op::Clock,
                2 => Op::Sleep,
                3 => Op::Read,
                _ => Op::Mutate {
                    repeat: if self.pick(3) == 1 { Repeat::Idempotent } else { Repeat::Once },
                    listed: self.pick(6) != 1,
                    goes_on_after_failure: self.pick(2) == 1,
                },
            });
        }
        ops.push(Op::End(match self.pick(5) {
            1 => failed(),
            2 => End::Trapped("unreachable".into()),
            _ => returned(),
        }));
        ops
    }

    /// The pipeline: what is known is delivered, what is new is carried out.
    fn go(&mut self, id: ExecutionId) -> Result<(), Cut> {
        let ops = self.guests[&id].clone();
        for (ordinal, op) in (0..).zip(ops) {
            let call = CallId { execution: id, ordinal };
            let known = self.state.executions[&id].calls.get(ordinal as usize).cloned();
            if known.is_none() && self.pick(24) == 1 {
                return self.conclude(id, End::TimedOut("its time-out is over".into()));
            }
            match (op, known) {
                (Op::End(end), None) => return self.conclude(id, end),
                (Op::Read, None) => {
                    self.note(Event::Called { call, request: request(), outcome: Ok(reply()), took_us: 1 })?
                }
                (Op::Clock, None) => self.note(Event::ClockRead { call, now: self.now })?,
                (Op::Sleep, None) => self.commit(Event::SleepBegan { call, until: self.now })?,
                (Op::Mutate { listed: false, .. }, None) if self.is_a_notice(id) => {
                    let outcome = Err(Failure::denied("nobody is asked"));
                    self.note(Event::Called { call, request: request(), outcome, took_us: 0 })?;
                }
                (Op::Mutate { listed: false, .. }, Some(Made::Read { .. })) => {}
                (Op::Mutate { listed: false, .. }, None) if self.state.gate_before(call).is_none() => {
                    self.commit(gate_of_call(call))?;
                    return Err(Cut::Stop);
                }
                (Op::Mutate { repeat, listed, goes_on_after_failure }, known) => {
                    let gate = self.state.gate_before(call).and_then(|gate| gate.answer.clone());
                    assert!(listed || matches!(gate, Some((Answer::Yes, _))), "{call} goes on past its gate");
                    let fate = match known {
                        None => None,
                        Some(Made::Mutation(mutation)) => Some(mutation.fate),
                        Some(made) => panic!("{call} was {made:?}"),
                    };
                    let worked = match fate {
                        None => self.send(call, &repeat, false)?,
                        Some(Fate::Cleared) => self.send(call, &repeat, false)?,
                        Some(Fate::Repeating) => self.send(call, &repeat, true)?,
                        Some(Fate::Answered(outcome)) => outcome.is_ok(),
                        Some(Fate::Unknowable) => false,
                        Some(Fate::Open) => panic!("{call} goes on, and what became of it is not known"),
                    };
                    if !worked && !goes_on_after_failure {
                        return self.conclude(id, failed());
                    }
                }
                (_, Some(_)) => {}
            }
        }
        Ok(())
    }

    /// Sends a mutation. True if it has its reply.
    fn send(&mut self, call: CallId, repeat: &Repeat, in_doubt: bool) -> Result<bool, Cut> {
        for attempt in 1.. {
            let (request, repeat) = (request(), repeat.clone());
            self.commit(Event::Intended { call, request, repeat, marker: None, assume: None })?;
            self.sent.entry(call).or_default().last_had_effect = false;
            let fate = self.pick(10);
            if matches!(fate, 0 | 3 | 5 | 7 | 9) {
                let sent = self.sent.entry(call).or_default();
                sent.effects += 1;
                sent.last_had_effect = true;
            }
            match fate {
                2 if attempt < ATTEMPTS => {
                    let (by, verdict) = if in_doubt {
                        (Settler::Policy, Verdict::Repeat)
                    } else {
                        (Settler::Driver, Verdict::DidNotHappen)
                    };
                    self.note(settled(call, by, verdict))?;
                }
                1 | 2 if in_doubt => {
                    self.commit(unsettled(call))?;
                    return Err(Cut::Stop);
                }
                1 | 2 => {
                    let outcome = Err(Failure::permanent("no"));
                    self.commit(Event::Answered { call, outcome, took_us: 1 })?;
                    return Ok(false);
                }
                3 | 4 => {
                    self.commit(Event::Doubted { call, seen: "no answer".into() })?;
                    return Err(Cut::Stop);
                }
                5 | 6 => {
                    self.conclude(call.execution, End::TimedOut("its time-out is over".into()))?;
                    return Err(Cut::Stop);
                }
                7 | 8 => return Err(Cut::Crash),
                _ => {
                    self.commit(answered(call))?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The one path of doubt.
    fn settle(&mut self, call: CallId) -> Result<(), Cut> {
        let mutation = self.state.mutation(call).unwrap().clone();
        let last_had_effect = self.sent.entry(call).or_default().last_had_effect;
        if self.pick(2) == 0 {
            if last_had_effect {
                return self.commit(settled(call, Settler::Driver, Verdict::Happened(reply())));
            }
            if !mutation.repeated {
                return self.commit(settled(call, Settler::Driver, Verdict::DidNotHappen));
            }
        }
        if self.state.goes_on(call.execution) && mutation.repeat != Repeat::Once {
            return self.commit(settled(call, Settler::Policy, Verdict::Repeat));
        }
        if self.state.is_beside(call.execution) {
            // It is told so; or its repetition failed, and nobody is asked all the same.
            return match self.pick(3) {
                1 => self.commit(unsettled(call)),
                _ => self.commit(settled(call, Settler::Policy, Verdict::Unknowable)),
            };
        }
        self.begin(Purpose::Reconcile(call))?;
        let reconciliation = ExecutionId(self.state.next_execution().0 - 1);
        self.go(reconciliation)?;
        if self.pick(2) == 0 {
            let truth = self.truth(call);
            return self.commit(settled(call, Settler::Plugin, truth));
        }
        self.commit(unsettled(call))
    }

    fn conclude(&mut self, execution: ExecutionId, end: End) -> Result<(), Cut> {
        let is_check = matches!(self.state.executions[&execution].purpose, Purpose::Check(_) | Purpose::Drift(_));
        if !is_check {
            return self.commit(Event::ExecutionEnded { execution, end });
        }
        let outcome = match &end {
            End::Returned(_) => [CheckOutcome::Pass, CheckOutcome::Fail, CheckOutcome::Inconclusive][self.pick(3)],
            _ => CheckOutcome::Inconclusive,
        };
        self.note(Event::ExecutionEnded { execution, end })?;
        self.commit(Event::Judged { execution, outcome, summary: "so".into() })
    }

    /// What a known end says is so.
    fn check_end(&self, outcome: RunOutcome) {
        let remaining: Vec<_> = self
            .sent
            .iter()
            .filter(|(call, sent)| sent.effects > 0 && !self.misjudged.contains(call))
            .map(|(call, _)| call.execution)
            .filter(|execution| matches!(self.state.executions[execution].purpose, Purpose::Apply(_)))
            .filter(|execution| !self.is_taken_back(*execution))
            .collect();
        match outcome {
            RunOutcome::Verified => assert_eq!(self.state.doubts().count(), 0, "verified in doubt"),
            RunOutcome::Undone => {
                let of_steps =
                    |call: CallId| matches!(self.state.executions[&call.execution].purpose, Purpose::Apply(_));
                assert!(!self.state.doubts().any(|(call, _)| of_steps(call)), "undone in doubt");
                assert_eq!(remaining, [], "undone, and something remains");
            }
            RunOutcome::Unchanged => {
                assert_eq!(self.state.doubts().count(), 0, "unchanged in doubt");
                assert_eq!(remaining, [], "unchanged, and something remains");
            }
            RunOutcome::Halted => {}
        }
    }

    fn is_taken_back(&self, application: ExecutionId) -> bool {
        self.state.executions.values().any(|execution| {
            execution.purpose == Purpose::Undo(application) && matches!(execution.end, Some(End::Returned(_)))
        })
    }

    fn is_a_notice(&self, execution: ExecutionId) -> bool {
        matches!(self.state.executions[&execution].purpose, Purpose::Notice(_))
    }

    /// The calls that may not be repeated, and were.
    pub(super) fn repeated_against_policy(&self) -> Vec<CallId> {
        let once = |call: &CallId| self.state.mutation(*call).is_some_and(|mutation| mutation.repeat == Repeat::Once);
        let is_excused = |call: &CallId| self.misjudged.contains(call) || self.asked_again.contains(call);
        let repeated = self.sent.iter().filter(|(call, sent)| sent.effects > 1 && !is_excused(call));
        repeated.map(|(call, _)| *call).filter(once).collect()
    }

    fn truth(&self, call: CallId) -> Verdict {
        match self.sent.get(&call) {
            Some(sent) if sent.effects > 0 => Verdict::Happened(reply()),
            _ => Verdict::DidNotHappen,
        }
    }
}

/// The record: what is noted may be lost, what is committed is not, and people write whenever they like.
impl World {
    fn pick(&mut self, of: usize) -> usize {
        let choice = self.choices.get(self.chosen).copied().unwrap_or_default();
        self.chosen += 1;
        usize::from(choice) % of
    }

    fn tick(&mut self) -> Timestamp {
        self.now += Duration::from_secs(1);
        self.now
    }

    fn note(&mut self, event: Event) -> Result<(), Cut> {
        if !self.state.still_wants(&event) {
            return Err(Cut::Overtaken);
        }
        let at = self.tick();
        self.state.apply(at, &event).expect("what the machine asked for is possible");
        self.pending.push((at, event));
        Ok(())
    }

    fn commit(&mut self, event: Event) -> Result<(), Cut> {
        let happens = self.pick(20);
        if happens == 3 {
            // Before the host has noted its event, or while it appends it.
            self.a_person_writes()?;
        }
        self.note(event)?;
        match happens {
            1 => return Err(Cut::Crash),
            4 | 5 => self.a_person_writes()?,
            _ => {}
        }
        self.journal.append(&mut self.pending);
        if happens == 2 { Err(Cut::Crash) } else { Ok(()) }
    }

    fn crash(&mut self) {
        self.pending.clear();
        self.state = self.folded();
        self.append(attached());
    }

    fn append(&mut self, event: Event) {
        let at = self.tick();
        self.state.apply(at, &event).expect("what comes from outside is always possible");
        self.journal.push((at, event));
    }

    /// It stands before what is pending, which may mean nothing any more then.
    fn a_person_writes(&mut self) -> Result<(), Cut> {
        let event = self.a_persons_event();
        let at = self.tick();
        self.journal.push((at, event));
        let pending = std::mem::take(&mut self.pending);
        self.state = self.folded();
        for (at, event) in pending {
            if !self.state.still_wants(&event) || self.state.apply(at, &event).is_err() {
                return Err(Cut::Overtaken);
            }
            self.pending.push((at, event));
        }
        Ok(())
    }

    fn a_persons_event(&mut self) -> Event {
        let by = "bob".to_owned();
        match self.pick(7) {
            0 => aborted(),
            6 => {
                let item = "f0".to_owned();
                let done = self.pick(2) == 1;
                Event::FollowUpNoted(FollowUpNoted { item, by, done, note: Some("so".into()) })
            }
            1 => Event::UndoRequested { by },
            2 => Event::VerificationRequested { by },
            3 => {
                let mut gates: Vec<_> = self.state.gates.iter().map(|gate| gate.opened.gate.0.clone()).collect();
                gates.push("watch".into());
                let gate = gates.get(self.pick(gates.len() + 1)).cloned().unwrap_or_else(|| "no-such".into());
                let answer = [Answer::No, Answer::Yes][self.pick(2)];
                gate_answered(&gate, answer)
            }
            _ => {
                let mutations = self.state.executions.iter().flat_map(|(&execution, known)| {
                    known.mutations().map(move |(ordinal, _)| CallId { execution, ordinal })
                });
                let mutations: Vec<_> = mutations.collect();
                let call = mutations.get(self.pick(mutations.len() + 1)).copied().unwrap_or(call(99, 0));
                let verdict = if self.pick(3) == 0 { Verdict::Unknowable } else { self.truth(call) };
                if verdict == Verdict::DidNotHappen {
                    self.misjudged.insert(call);
                }
                settled(call, Settler::Person(by), verdict)
            }
        }
    }

    fn folded(&self) -> State {
        let mut state = State::default();
        for (at, event) in self.journal.iter().chain(&self.pending) {
            state.apply(*at, event).expect("the journal can be read again");
        }
        state
    }
}
