//! Follow-ups: what stays to be done when a run has ended, by people or by ripcord.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::apply::Impossible;
use super::next::{Next, describe, later};
use super::state::{Execution, Gate, Made, State};
use crate::id::{CallId, ExecutionId};
use crate::journal::{
    Answer, Approval, Behind, End, FollowUpNoted, FollowUpOutcome, FollowUpRequested, FollowUpShape, GateId, Purpose,
    RunOutcome,
};

/// What a host does with a run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It carries this follow-up out.
    FollowUp(String),
    /// It looks whether what was verified is still so.
    Drift,
}

/// What is known of a follow-up, besides what the plan says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FollowUp {
    /// What was agreed to when it was last carried out.
    pub(super) approval: Approval,
    /// The executions of its last attempt begin here.
    pub(super) from: ExecutionId,
    /// Who has stopped that attempt.
    pub(super) stopped_by: Option<String>,
    /// What came of it.
    pub(super) ended: Option<Ended>,
    /// Who has said, and when, that it is done.
    pub(super) said_done: Option<(Timestamp, String)>,
    /// What people have said of it: when, who, what.
    pub notes: Vec<(Timestamp, String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    at: Timestamp,
    outcome: FollowUpOutcome,
    why: String,
}

/// How a follow-up stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FollowUpState {
    /// Its time has not come: the run has not ended, or it is a step and the run is not verified.
    Waits,
    /// It is to be done.
    Open,
    /// It is being carried out, or was cut off.
    UnderWay,
    /// It was tried, and is to be done still.
    Failed {
        /// When that was known.
        at: Timestamp,
        /// What went wrong.
        why: String,
    },
    /// It was to be carried out, and somebody or something said no.
    Refused {
        /// When.
        at: Timestamp,
        /// Who or what.
        why: String,
    },
    /// It is done.
    Done {
        /// Since when.
        at: Timestamp,
        /// Who says so, or who had ripcord do it.
        by: String,
    },
    /// What it would take back was taken back with the run.
    Closed,
    /// The run has changed nothing, so nothing follows from it.
    NotNeeded,
}

impl FollowUpState {
    /// Whether somebody has to do something still.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::UnderWay | Self::Failed { .. } | Self::Refused { .. })
    }
}

impl State {
    /// A follow-up of the plan.
    pub fn follow_up(&self, item: &str) -> Option<&FollowUpShape> {
        self.shape.follow_ups.iter().find(|shape| shape.id == item)
    }

    /// What people have said of a follow-up: when, who, what.
    pub fn follow_up_notes(&self, item: &str) -> &[(Timestamp, String, String)] {
        self.follow_ups.get(item).map(|known| known.notes.as_slice()).unwrap_or_default()
    }

    /// How a follow-up stands.
    pub fn follow_up_state(&self, shape: &FollowUpShape) -> FollowUpState {
        let known = self.follow_ups.get(&shape.id);
        if let Some((at, by)) = known.and_then(|known| known.said_done.clone()) {
            return FollowUpState::Done { at, by };
        }
        if let Some((FollowUp { approval, .. }, Ended { at, outcome: FollowUpOutcome::Done, .. })) =
            known.and_then(|known| Some((known, known.ended.as_ref()?)))
        {
            return FollowUpState::Done { at: *at, by: approval.by.clone() };
        }
        if self.after == Some(After::FollowUp(shape.id.clone())) {
            return FollowUpState::UnderWay;
        }
        let has_begun = || self.executions.values().any(|known| matches!(known.purpose, Purpose::Apply(_)));
        match (self.ended.as_ref().map(|(outcome, _)| *outcome), &shape.step) {
            (None, _) => FollowUpState::Waits,
            (Some(RunOutcome::Unchanged), _) => FollowUpState::NotNeeded,
            (Some(RunOutcome::Undone), Some(_)) => FollowUpState::Closed,
            (Some(RunOutcome::Halted), _) if !has_begun() => FollowUpState::NotNeeded,
            (Some(RunOutcome::Halted), Some(_)) => FollowUpState::Waits,
            (Some(RunOutcome::Verified), Some(_)) => match known.and_then(|known| known.ended.clone()) {
                Some(Ended { at, outcome: FollowUpOutcome::Failed, why }) => FollowUpState::Failed { at, why },
                Some(Ended { at, outcome: FollowUpOutcome::Refused, why }) => FollowUpState::Refused { at, why },
                Some(Ended { outcome: FollowUpOutcome::Done, .. }) | None => FollowUpState::Open,
            },
            (Some(_), None) => FollowUpState::Open,
        }
    }

    /// When a follow-up has to be done, if the plan says and the run has ended.
    pub fn follow_up_due(&self, shape: &FollowUpShape) -> Option<Timestamp> {
        Some(later(self.ended_at?, shape.due_ms?))
    }

    /// The checks that need not hold any more because of follow-ups that are done.
    pub(super) fn ended_checks(&self) -> BTreeSet<&str> {
        let is_done = |shape: &&FollowUpShape| matches!(self.follow_up_state(shape), FollowUpState::Done { .. });
        let steps = self.shape.follow_ups.iter().filter(is_done).filter_map(|shape| shape.step.as_ref());
        steps.flat_map(|step| step.ends.iter().map(String::as_str)).collect()
    }

    /// What was agreed to before an execution: to the run, or to the follow-up that it is of.
    pub fn approval_of(&self, execution: ExecutionId) -> &Approval {
        match self.executions.get(&execution).map(|known| &known.purpose) {
            Some(Purpose::FollowUp(item)) => {
                self.follow_ups.get(item).map_or(&self.approval, |follow_up| &follow_up.approval)
            }
            _ => &self.approval,
        }
    }

    /// The calls of a follow-up's last attempt of which nobody knows whether they happened. If it is
    /// carried out again, they are sent again.
    pub fn unknowable_of(&self, item: &str) -> impl Iterator<Item = &super::Mutation> {
        let last = self.find(|purpose| matches!(purpose, Purpose::FollowUp(id) if id == item));
        last.into_iter().flat_map(|(_, attempt)| attempt.unknowable_again())
    }

    /// Where a follow-up goes on if it is carried out again: in the execution that got stuck, behind what it has
    /// done there. Nothing of that is done a second time.
    pub fn goes_on_behind(&self, item: &str) -> Option<(ExecutionId, &Execution, &[Made])> {
        let (id, last) = self.find(|purpose| matches!(purpose, Purpose::FollowUp(known) if known == item))?;
        let known = last.calls.get(..last.known_again()).filter(|known| !known.is_empty())?;
        Some((id, last, known))
    }

    /// Whether somebody has stopped what is carried out after the end.
    pub(crate) fn is_stopped(&self) -> bool {
        let Some(After::FollowUp(item)) = &self.after else { return false };
        self.follow_ups.get(item).is_some_and(|known| known.stopped_by.is_some())
    }

    pub(super) fn stop_follow_up(&mut self, by: &str) {
        let Some(After::FollowUp(item)) = &self.after else { return };
        if let Some(known) = self.follow_ups.get_mut(item) {
            known.stopped_by.get_or_insert(by.to_owned());
        }
    }

    /// It is carried out; if it was before and got stuck behind something that it has done, it goes on
    /// there.
    pub(super) fn request_follow_up(&mut self, request: &FollowUpRequested) -> Result<(), Impossible> {
        let FollowUpRequested { item, approval } = request;
        let is_step = self.follow_up(item).is_some_and(|shape| shape.step.is_some());
        let is_verified = matches!(self.ended, Some((RunOutcome::Verified, _)));
        let is_open = |shape: &FollowUpShape| self.follow_up_state(shape).is_open();
        let is_open = self.follow_up(item).is_some_and(is_open);
        if !is_step || !is_verified || !is_open || matches!(self.after, Some(After::FollowUp(_))) {
            return Err(Impossible(format!("follow-up {item} is carried out where it can't be")));
        }
        let last = self.goes_on_behind(item).map(|(id, ..)| id);
        self.try_again(&last.into_iter().collect::<Vec<_>>());
        self.gates.retain(|gate| gate.opened.before != Behind::FollowUp(item.clone()));
        let from = last.unwrap_or_else(|| self.next_execution());
        let known = self.follow_ups.entry(item.clone()).or_default();
        (known.approval, known.from, known.stopped_by, known.ended) = (approval.clone(), from, None, None);
        self.after = Some(After::FollowUp(item.clone()));
        Ok(())
    }

    pub(super) fn end_follow_up(
        &mut self,
        at: Timestamp,
        item: &str,
        outcome: FollowUpOutcome,
        why: &str,
    ) -> Result<(), Impossible> {
        if self.after.take_if(|after| *after == After::FollowUp(item.to_owned())).is_none() {
            return Err(Impossible(format!("follow-up {item} has ended, and was not carried out")));
        }
        let ended = Ended { at, outcome, why: why.to_owned() };
        self.follow_ups.entry(item.to_owned()).or_default().ended = Some(ended);
        Ok(())
    }

    /// People may say it at any time, and of anything: only what means something is taken in.
    pub(super) fn note_follow_up(&mut self, at: Timestamp, noted: &FollowUpNoted) {
        if self.follow_up(&noted.item).is_none() {
            return;
        }
        let known = self.follow_ups.entry(noted.item.clone()).or_default();
        known.notes.extend(noted.note.clone().map(|note| (at, noted.by.clone(), note)));
        if noted.done {
            known.said_done.get_or_insert((at, noted.by.clone()));
        }
    }

    /// What a follow-up asks for that is carried out.
    pub(super) fn follow_up_next(&self, item: &str) -> Next {
        let end = |outcome, why| Next::EndFollowUp(item.to_owned(), outcome, why);
        let Some((shape, known)) = self.follow_up(item).zip(self.follow_ups.get(item)) else {
            return end(FollowUpOutcome::Failed, "the plan does not have it".to_owned());
        };
        let purpose = Purpose::FollowUp(item.to_owned());
        let mut attempts = self.executions.range(known.from..).filter(|(_, attempt)| attempt.purpose == purpose);
        let stopped = known.stopped_by.as_ref().map(|by| format!("{by} stopped it"));
        let Some((&id, attempt)) = attempts.next_back() else {
            if let Some(stopped) = stopped {
                return end(FollowUpOutcome::Refused, stopped);
            }
            let gate = GateId(item.to_owned());
            let wants_gate = shape.step.as_ref().is_some_and(|step| step.gate);
            return match self.gate(&gate) {
                Some(Gate { answer: None, .. }) => Next::AwaitGate(gate),
                Some(Gate { answer: Some((Answer::No, by)), .. }) => {
                    end(FollowUpOutcome::Refused, format!("{by} refused the gate before it"))
                }
                Some(Gate { answer: Some((Answer::Expired, _)), .. }) => {
                    end(FollowUpOutcome::Refused, "nobody answered the gate before it in time".to_owned())
                }
                None if wants_gate => Next::OpenGate(Behind::FollowUp(item.to_owned())),
                Some(Gate { answer: Some((Answer::Yes, _)), .. }) | None => Next::Begin(purpose),
            };
        };
        match &attempt.end {
            None if stopped.is_some() => match attempt.doubts().next() {
                Some((ordinal, _)) => self.settle(CallId { execution: id, ordinal }),
                None => Next::Conclude(id, End::Abandoned),
            },
            None => self.go_on(id, attempt, false),
            Some(last) => match (attempt.doubts().next(), last, stopped) {
                (Some((ordinal, _)), ..) => self.settle(CallId { execution: id, ordinal }),
                (None, End::Returned(_), _) => end(FollowUpOutcome::Done, done(attempt)),
                (None, End::Abandoned, Some(stopped)) => end(FollowUpOutcome::Failed, stopped),
                (None, End::Refused, _) => end(FollowUpOutcome::Refused, describe(last)),
                (None, last, _) => end(FollowUpOutcome::Failed, describe(last)),
            },
        }
    }
}

fn done(attempt: &Execution) -> String {
    if attempt.has_effects() { "it is done".to_owned() } else { "there was nothing to change".to_owned() }
}
