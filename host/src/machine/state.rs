//! What is known of a run: the fold of its events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::drift::Drift;
use super::follow_up::{After, FollowUp};
use crate::capability::{Repeat, Reply};
use crate::id::{CallId, ExecutionId};
use crate::journal::{
    Alert, Answer, Approval, Behind, Cause, CheckOutcome, CheckShape, End, GateId, GateOpened, Outcome, Purpose,
    Request, RunOutcome, Shape, StepShape, Then,
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
    /// What was sent before this says nothing of how the run ends now: it had ended, and goes on.
    pub(super) sent_from: ExecutionId,
    /// The trigger that has tripped, and by what.
    pub tripped: Option<(String, Cause)>,
    /// The alerts that were received, in order.
    pub alerts: Vec<Alert>,
    /// How many more were received that were known already.
    pub alerts_repeated: u64,
    /// The known state it ended in, and why.
    pub ended: Option<(RunOutcome, String)>,
    /// When it last did.
    pub ended_at: Option<Timestamp>,
    /// What a host does with it since then, and has not ended.
    pub after: Option<After>,
    /// What is known of its follow-ups, by name.
    pub(super) follow_ups: BTreeMap<String, FollowUp>,
    /// The last watch of it since it was verified.
    pub drift: Option<Drift>,
    pub(super) began: Option<Timestamp>,
    /// Since when its host has carried it.
    pub(super) attached: Option<Timestamp>,
    /// How long a host has held the run, gates not counted, in milliseconds.
    pub held_ms: u64,
    pub(super) last_at: Option<Timestamp>,
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
    /// The first execution that began after that.
    pub(super) intended_before: ExecutionId,
    /// How often it was sent and no reply came, crashes not counted.
    pub doubted: u32,
    /// What was seen when no reply came to its last sending; nothing if the host was gone by then.
    pub lost: Option<String>,
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
    /// Whether it happened can't be found out, a person has said; or, of a probe's call, neither its
    /// driver nor its repeat policy could tell, and nobody is asked.
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
    pub(super) fn refused(&self) -> bool {
        matches!(self.answer, Some((Answer::No | Answer::Expired, _)))
    }
}

impl State {
    /// The number of the next execution.
    pub fn next_execution(&self) -> ExecutionId {
        ExecutionId(self.executions.last_key_value().map_or(0, |(last, _)| last.0) + 1)
    }

    /// Who has agreed that it is done: at the gate of a watch that asks, else to the preview.
    pub fn agreed_by(&self) -> Option<&str> {
        let by = match &self.shape.watch {
            Some(watch) if watch.then == Then::Ask => match self.gate(&GateId::watch())?.answer.as_ref()? {
                (Answer::Yes, by) => by,
                (Answer::No | Answer::Expired, _) => return None,
            },
            _ => &self.approval.by,
        };
        Some(by.as_str()).filter(|by| !by.is_empty())
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

    /// Whether the run has ended and found the target as it should be: it was verified, or had nothing to
    /// do and passed all of its checks.
    pub fn is_verified(&self) -> bool {
        let passed = |check: &CheckShape| {
            let purpose = Purpose::Check(check.id.clone());
            let mut tries = self.executions.range(self.verify_from..).rev().map(|(_, execution)| execution);
            let last = tries.find(|execution| execution.purpose == purpose);
            last.is_some_and(|execution| matches!(execution.judged, Some((CheckOutcome::Pass, _))))
        };
        match self.ended {
            Some((RunOutcome::Verified, _)) => true,
            Some((RunOutcome::Unchanged, _)) => !self.shape.verify.is_empty() && self.shape.verify.iter().all(passed),
            Some((RunOutcome::Undone | RunOutcome::Halted, _)) | None => false,
        }
    }

    /// The mutations of all open doubts, oldest first.
    pub fn doubts(&self) -> impl Iterator<Item = (CallId, &Mutation)> {
        self.executions.iter().flat_map(|(&id, execution)| {
            execution.doubts().map(move |(ordinal, mutation)| (CallId { execution: id, ordinal }, mutation))
        })
    }

    /// The mutation whose answer is waited for: its intent is recorded, and nothing after it.
    pub fn under_way(&self) -> Option<(CallId, &Mutation)> {
        let open = self.executions.iter().filter(|(_, execution)| execution.end.is_none());
        let last = open.filter_map(|(&id, execution)| Some((id, execution.calls.len().checked_sub(1)?)));
        let mut mutations = last.filter_map(|(execution, last)| {
            let call = CallId { execution, ordinal: u32::try_from(last).ok()? };
            Some((call, self.mutation(call)?))
        });
        mutations.find(|(_, mutation)| mutation.fate == Fate::Open)
    }

    /// The mutations of failed undos of which nobody knows whether they happened. An undo that is asked for
    /// again sends them again.
    pub fn unknowable_undos(&self) -> impl Iterator<Item = &Mutation> {
        let undos = self.executions.values().filter(|execution| {
            matches!(execution.purpose, Purpose::Undo(_)) && !matches!(execution.end, Some(End::Returned(_)))
        });
        undos.flat_map(Execution::unknowable_again)
    }

    /// Whether a call may be sent again under the same address: whether its execution goes on.
    pub fn goes_on(&self, execution: ExecutionId) -> bool {
        let its_turn = |purpose: &Purpose| match purpose {
            Purpose::Undo(_) => true,
            // Whichever way the run had gone before its end.
            Purpose::Drift(_) => self.after == Some(After::Drift),
            Purpose::FollowUp(_) => self.after.is_some() && !self.is_stopped(),
            Purpose::Notice(sending) => self.is_timely(execution, sending),
            _ => self.course == Course::Forward && !self.is_stopped(),
        };
        self.executions.get(&execution).is_some_and(|known| known.end.is_none() && its_turn(&known.purpose))
    }

    /// Whether all steps have done their part, so that a verification that failed may be tried again.
    pub fn can_verify_again(&self) -> bool {
        if self.course == Course::Back {
            return false;
        }
        let mut steps = self.shape.steps.iter().filter(|step| step.fallback.is_none());
        steps.all(|step| self.receipt(&step.id).is_some())
    }

    /// Whether an execution stands beside the rollback: what the calls of a check or of a notice do is no
    /// part of it, and nobody is asked about them.
    pub fn is_beside(&self, execution: ExecutionId) -> bool {
        self.executions.get(&execution).is_some_and(Execution::is_beside)
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

    /// Whether it stands beside the rollback, see [`State::is_beside`].
    pub(super) fn is_beside(&self) -> bool {
        matches!(self.purpose, Purpose::Check(_) | Purpose::Drift(_) | Purpose::Notice(_))
    }

    /// Of what is made anew if it is opened again, what nobody knows about.
    pub(super) fn unknowable_again(&self) -> impl Iterator<Item = &Mutation> {
        let from = self.known_again();
        let again = self.mutations().filter(move |(ordinal, _)| *ordinal as usize >= from);
        again.map(|(_, mutation)| mutation).filter(|known| known.fate == Fate::Unknowable)
    }

    /// How many of its calls stay known if it is opened again: all up to the last mutation that has not
    /// failed. A failure before that one is something that it has gone on after, and will again: nothing
    /// that was done is ever done a second time for it.
    pub(super) fn known_again(&self) -> usize {
        let stays = |made: &Made| matches!(made, Made::Mutation(_)) && !made.has_failed();
        self.calls.iter().rposition(stays).map_or(0, |last| last + 1)
    }

    /// Opens it again, to go on where it got stuck; the calls that do not stay known are made anew.
    pub(super) fn try_again(&mut self) {
        self.calls.truncate(self.known_again());
        for made in &mut self.calls {
            if let Made::Mutation(mutation) = made {
                mutation.doubted = 0;
            }
        }
        self.end = None;
        self.ended = None;
        self.held_ms = 0;
    }

    /// Nobody looks for an answer to its doubts any more.
    pub(super) fn give_doubts_up(&mut self) {
        for made in &mut self.calls {
            if let Made::Mutation(mutation) = made
                && mutation.is_in_doubt()
            {
                mutation.fate = Fate::Unknowable;
            }
        }
    }

    /// Its mutations that may have happened and have no reply.
    pub fn doubts(&self) -> impl Iterator<Item = (u32, &Mutation)> {
        self.mutations().filter(|(_, mutation)| mutation.is_in_doubt())
    }
}

impl Made {
    /// Whether it is a mutation that did not do what it was to do, as far as the host can tell.
    fn has_failed(&self) -> bool {
        match self {
            Self::Mutation(mutation) => match &mutation.fate {
                // A notice that has not gone out holds nothing up.
                _ if mutation.request.call.is_notice() => false,
                Fate::Answered(Ok(reply)) => reply.reports_failure(),
                Fate::Answered(Err(_)) | Fate::Unknowable => true,
                Fate::Open | Fate::Cleared | Fate::Repeating => false,
            },
            Self::Read { .. } | Self::Clock(_) | Self::Sleep(_) => false,
        }
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
