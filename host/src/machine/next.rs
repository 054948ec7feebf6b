//! What to do next in a run: a function of its state alone.

use std::time::Duration;

use jiff::Timestamp;

use super::follow_up::After;
use super::state::{Course, Execution, Fate, Mutation, State};
use crate::id::{CallId, ExecutionId};
use crate::journal::{
    Answer, Behind, Cause, CheckOutcome, CheckShape, DriftOutcome, End, Event, FollowUpOutcome, GateId, GateOpened,
    OnFailure, Purpose, Question, RunOutcome, StepShape,
};

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Open the gate before a step or a follow-up, or before the steps of a plan whose trigger has tripped.
    OpenGate(Behind),
    /// Wait until a gate is answered.
    AwaitGate(GateId),
    /// Begin an execution.
    Begin(Purpose),
    /// Begin an execution of a check, but not before then.
    BeginAfter(Timestamp, Purpose),
    /// Record that a trigger has tripped, and by what.
    Trip(String, Cause),
    /// Go on with an execution: replay what is known, then live.
    Go(ExecutionId),
    /// Find out what became of a mutation.
    Settle(CallId),
    /// Record that an execution is over.
    Conclude(ExecutionId, End),
    /// Ask a person; nothing goes on before the answer.
    Halt(Question),
    /// Wait for a person's answer.
    AwaitAnswer(CallId),
    /// Record the known state.
    End(RunOutcome, String),
    /// Record the known state, but not before then.
    EndAfter(Timestamp, RunOutcome, String),
    /// Record what came of carrying a follow-up out.
    EndFollowUp(String, FollowUpOutcome, String),
    /// Record what came of watching a run that was verified.
    EndDrift {
        /// Not before then.
        until: Option<Timestamp>,
        /// What came of it.
        found: DriftOutcome,
        /// Why.
        why: String,
    },
    /// Nothing: the run has ended.
    Nothing,
}

impl State {
    /// What to do next. Carrying it out appends at least one event, so that a run gets to its end.
    pub fn next(&self) -> Next {
        self.tell_first(self.next_but_for_notices())
    }

    /// What the rollback itself asks for, whoever is to be told of it.
    pub(super) fn next_but_for_notices(&self) -> Next {
        if self.ended.is_some() && self.after.is_none() {
            return Next::Nothing;
        }
        // A reconciliation only reads. One that a crash has left is given up, and its doubt looked
        // at afresh.
        if let Some((id, _)) = self.find_running(|purpose| matches!(purpose, Purpose::Reconcile(_))) {
            return Next::Conclude(id, End::Abandoned);
        }
        if let Some(next) = self.left_measurement() {
            return next;
        }
        match &self.after {
            Some(After::FollowUp(item)) => return self.follow_up_next(item),
            Some(After::Drift) => return self.drift_next(),
            None => {}
        }
        match self.course {
            Course::Forward => self.forward(),
            Course::Back => self.back(RunOutcome::Unchanged, "it was stopped before anything was done".to_owned()),
        }
    }

    /// Whether the run still asks for what its host is about to record. Between the host's look at the
    /// state and its record a person may have sent the run another way: a run that was asked to stop
    /// sends nothing more and does not end as if nobody had asked.
    pub fn still_wants(&self, event: &Event) -> bool {
        match event {
            Event::RunEnded { outcome, .. } => {
                matches!(self.next(), Next::End(wanted, _) | Next::EndAfter(_, wanted, _) if wanted == *outcome)
            }
            Event::GateOpened(GateOpened { before: before @ (Behind::Watch { .. } | Behind::FollowUp(_)), .. }) => {
                matches!(self.next(), Next::OpenGate(wanted) if wanted == *before)
            }
            Event::FollowUpEnded { item, outcome, .. } => {
                matches!(self.next(), Next::EndFollowUp(wanted, so, _) if wanted == *item && so == *outcome)
            }
            Event::DriftEnded { found, .. } => {
                matches!(self.next(), Next::EndDrift { found: wanted, .. } if wanted == *found)
            }
            Event::Tripped { trigger, .. } => matches!(self.next(), Next::Trip(wanted, _) if wanted == *trigger),
            Event::Halted { question } => matches!(self.next(), Next::Halt(wanted) if wanted == *question),
            Event::ExecutionBegan { purpose: Purpose::Reconcile(call), .. } => {
                self.mutation(*call).is_some_and(Mutation::is_in_doubt)
            }
            Event::ExecutionBegan { purpose, .. } => {
                matches!(self.next(), Next::Begin(wanted) | Next::BeginAfter(_, wanted) if wanted == *purpose)
            }
            Event::Intended { call, .. } => {
                let is_settled = |known: &Mutation| matches!(known.fate, Fate::Answered(_) | Fate::Unknowable);
                self.goes_on(call.execution) && !self.mutation(*call).is_some_and(is_settled)
            }
            _ => true,
        }
    }

    fn forward(&self) -> Next {
        if let Some(next) = self.shape.watch.as_ref().and_then(|watch| self.watch(watch)) {
            return next;
        }
        for step in self.shape.steps.iter().filter(|step| step.fallback.is_none()) {
            match self.step_next(step) {
                Progress::Do(next) => return next,
                Progress::Succeeded => {}
                Progress::Refused => {
                    return self.stop(RunOutcome::Unchanged, self.refusal(step));
                }
                Progress::Failed { last, why } => {
                    let why = format!("step {} failed: {why}", last.id);
                    return match last.on_failure {
                        OnFailure::Undo => self.back(RunOutcome::Undone, why),
                        OnFailure::Halt => self.stop(RunOutcome::Halted, why),
                    };
                }
            }
        }
        // Doubts that a fallback has stepped over: none may be left when the run is verified.
        if let Some(next) = self.settle_all() {
            return next;
        }
        self.verify()
    }

    /// A step and what stands in for it.
    fn step_next<'a>(&'a self, step: &'a StepShape) -> Progress<'a> {
        let progress = self.one_step_next(step);
        match (progress, self.stand_in(&step.id)) {
            (Progress::Failed { .. }, Some(stand_in)) => self.step_next(stand_in),
            (progress, _) => progress,
        }
    }

    fn one_step_next<'a>(&'a self, step: &'a StepShape) -> Progress<'a> {
        let Some((id, execution)) = self.application(&step.id) else {
            let gate = GateId(step.id.clone());
            return match self.gate(&gate) {
                _ if self.is_refused(&step.id) => Progress::Refused,
                None if step.gate => Progress::Do(Next::OpenGate(Behind::Step(step.id.clone()))),
                Some(known) if known.answer.is_none() => Progress::Do(Next::AwaitGate(gate)),
                _ => Progress::Do(Next::Begin(Purpose::Apply(step.id.clone()))),
            };
        };
        match &execution.end {
            None => Progress::Do(self.go_on(id, execution, self.stand_in(&step.id).is_some())),
            Some(End::Returned(_)) => Progress::Succeeded,
            Some(End::Refused) => Progress::Refused,
            Some(end) => Progress::Failed { last: step, why: describe(end) },
        }
    }

    /// An execution that has not ended.
    pub(super) fn go_on(&self, id: ExecutionId, execution: &Execution, has_fallback: bool) -> Next {
        // A call that is to be repeated is sent again by going on.
        if let Some((ordinal, _)) = execution.mutations().find(|(_, mutation)| mutation.fate == Fate::Open) {
            let call = CallId { execution: id, ordinal };
            return match self.settle(call) {
                // Coolify may be hanging: the fallback does not wait for a person. A probe tells nobody
                // anything that is worth to wait for.
                Next::Halt(_) | Next::AwaitAnswer(_) if has_fallback || self.is_beside(id) => {
                    Next::Conclude(id, End::InDoubt)
                }
                next => next,
            };
        }
        let gate = self.gates.iter().find(|gate| matches!(gate.opened.before, Behind::Call(call) if call.execution == id && execution.calls.len() <= call.ordinal as usize));
        match gate {
            Some(gate) if gate.answer.is_none() => Next::AwaitGate(gate.opened.gate.clone()),
            Some(gate) if matches!(gate.answer, Some((crate::journal::Answer::Yes, _))) => Next::Go(id),
            Some(_) => Next::Conclude(id, End::Refused),
            None => Next::Go(id),
        }
    }

    pub(super) fn settle(&self, call: CallId) -> Next {
        match self.unsettled.get(&call) {
            None => Next::Settle(call),
            Some(_) if self.halted_on == Some(call) => Next::AwaitAnswer(call),
            Some(seen) => Next::Halt(Question::DidItHappen { call, seen: seen.clone() }),
        }
    }

    /// The doubts of executions that are over. A check looks after its own.
    pub(super) fn settle_all(&self) -> Option<Next> {
        let mut doubts = self.doubts().filter(|(call, _)| !self.is_beside(call.execution));
        doubts.next().map(|(call, _)| self.settle(call))
    }

    fn verify(&self) -> Next {
        for check in &self.shape.verify {
            match self.check_next(check) {
                Progress::Do(next) => return next,
                Progress::Succeeded | Progress::Refused => {}
                Progress::Failed { why, .. } => {
                    return Next::End(RunOutcome::Halted, format!("verification {}: {why}", check.id));
                }
            }
        }
        if self.has_effects() {
            Next::End(RunOutcome::Verified, "all steps and checks have passed".to_owned())
        } else {
            Next::End(RunOutcome::Unchanged, "there was nothing to roll back".to_owned())
        }
    }

    fn check_next(&self, check: &CheckShape) -> Progress<'_> {
        let purpose = Purpose::Check(check.id.clone());
        let mut tries = self.executions.range(self.verify_from..).filter(|(_, execution)| execution.purpose == purpose);
        let first = tries.next();
        let Some((&id, last)) = tries.next_back().or(first) else {
            return Progress::Do(Next::Begin(purpose));
        };
        let (Some(end), Some(ended)) = (&last.end, last.ended) else {
            return Progress::Do(self.go_on(id, last, false));
        };
        let why = match &last.judged {
            Some((CheckOutcome::Pass, _)) => return Progress::Succeeded,
            Some((_, summary)) => summary.clone(),
            None => describe(end),
        };
        let again = later(ended, check.every_ms);
        let until = later(first.map_or(ended, |(_, first)| first.began), check.within_ms);
        if again < until && !matches!(end, End::Refused) {
            return Progress::Do(Next::BeginAfter(again, purpose));
        }
        Progress::Failed { last: &NO_STEP, why }
    }

    /// Taking back, newest first; `untouched` is how the run ends if there is nothing to take back.
    fn back(&self, untouched: RunOutcome, why: String) -> Next {
        let is_left = |purpose: &Purpose| !matches!(purpose, Purpose::Undo(_) | Purpose::Notice(_));
        if let Some((id, execution)) = self.find_running(is_left) {
            // Its doubts come first: what may still happen can't be taken back.
            let settling = execution.doubts().next().map(|(ordinal, _)| self.settle(CallId { execution: id, ordinal }));
            return match settling {
                Some(Next::Halt(_) | Next::AwaitAnswer(_)) if self.is_beside(id) => Next::Conclude(id, End::Abandoned),
                Some(next) => next,
                None => Next::Conclude(id, End::Abandoned),
            };
        }
        // What a follow-up has sent may happen still, and would not be taken back then.
        let is_of_a_follow_up = |(_, known): &(&ExecutionId, &Execution)| matches!(known.purpose, Purpose::FollowUp(_));
        for (&execution, known) in self.executions.iter().filter(is_of_a_follow_up) {
            if let Some((ordinal, _)) = known.doubts().next() {
                return self.settle(CallId { execution, ordinal });
            }
        }
        for (&id, application) in self.executions.iter().rev() {
            let Purpose::Apply(step) = &application.purpose else { continue };
            if let Some((ordinal, _)) = application.doubts().next() {
                return self.settle(CallId { execution: id, ordinal });
            }
            if !application.has_effects() {
                continue;
            }
            if self.step(step).is_some_and(|step| !step.can_undo) {
                let why = format!("step {step} has changed something, and its plugin can't take it back");
                return Next::End(RunOutcome::Halted, why);
            }
            match self.undoing(id) {
                None => return Next::Begin(Purpose::Undo(id)),
                Some((undo_id, undo)) => match &undo.end {
                    None => return self.go_on(undo_id, undo, false),
                    Some(End::Returned(_)) => {}
                    Some(end) => {
                        if let Some((ordinal, _)) = undo.doubts().next() {
                            return self.settle(CallId { execution: undo_id, ordinal });
                        }
                        return Next::End(
                            RunOutcome::Halted,
                            format!("taking back step {step} failed: {}", describe(end)),
                        );
                    }
                },
            }
        }
        if self.executions.values().any(|execution| matches!(execution.purpose, Purpose::Undo(_))) {
            let why = if untouched == RunOutcome::Undone {
                format!("{why}; what had been done was taken back")
            } else {
                "what had been done was taken back".to_owned()
            };
            Next::End(RunOutcome::Undone, why)
        } else {
            Next::End(untouched, why)
        }
    }

    /// Who or what said no to a step, or to what stands in for it.
    fn refusal(&self, step: &StepShape) -> String {
        let answer = self.gate(&GateId(step.id.clone())).and_then(|gate| gate.answer.as_ref());
        match (answer, self.stand_in(&step.id)) {
            (Some((Answer::No, by)), _) => format!("{by} refused the gate before {}", step.id),
            (Some((Answer::Expired, _)), _) => format!("nobody answered the gate before {} in time", step.id),
            (_, Some(stand_in))
                if self.application(&step.id).is_some_and(|(_, execution)| execution.end != Some(End::Refused)) =>
            {
                self.refusal(stand_in)
            }
            _ => format!("step {} was stopped: a call that the preview had not listed was refused", step.id),
        }
    }

    /// Stops without taking anything back; `untouched` is how the run ends if nothing was done.
    pub(super) fn stop(&self, untouched: RunOutcome, why: String) -> Next {
        if let Some(next) = self.settle_all() {
            return next;
        }
        Next::End(if self.has_effects() { RunOutcome::Halted } else { untouched }, why)
    }

    pub(super) fn find_running(&self, wanted: impl Fn(&Purpose) -> bool) -> Option<(ExecutionId, &Execution)> {
        let mut running =
            self.executions.iter().filter(|(_, execution)| execution.end.is_none() && wanted(&execution.purpose));
        running.next().map(|(&id, execution)| (id, execution))
    }
}

/// How far a step or a check has come.
enum Progress<'a> {
    Do(Next),
    Succeeded,
    Refused,
    Failed { last: &'a StepShape, why: String },
}

/// A plan may say any duration, and the calendar ends.
pub(super) fn later(at: Timestamp, by_ms: u64) -> Timestamp {
    at.saturating_add(Duration::from_millis(by_ms)).unwrap_or(Timestamp::MAX)
}

/// A check has no step; its failure never asks for one.
static NO_STEP: StepShape =
    StepShape { id: String::new(), fallback: None, gate: false, on_failure: OnFailure::Halt, can_undo: false };

/// How an execution ended, for people.
pub fn describe(end: &End) -> String {
    match end {
        End::Returned(_) => "it ended well".to_owned(),
        End::Failed(failure) => failure.to_string(),
        End::Trapped(why) | End::LimitExceeded(why) | End::TimedOut(why) => why.clone(),
        End::InDoubt => "it is not known whether one of its calls happened".to_owned(),
        End::Refused => "a call that the preview had not listed was refused".to_owned(),
        End::Abandoned => "it was stopped".to_owned(),
    }
}
