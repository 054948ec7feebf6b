//! Watching: what is measured next, and what came of it, as Argo Rollouts counts it
//! (`analysis/analysis.go` there): limits are strict, errors are no measurements, and of several limits
//! that are passed at once the one for failures counts.

use std::time::Duration;

use jiff::Timestamp;

use super::next::{Next, describe, later};
use super::state::{Course, Execution, Fate, Gate, State};
use crate::id::{CallId, ExecutionId};
use crate::journal::{
    Alert, AlertShape, AlertStatus, Answer, Behind, Cause, CheckOutcome, End, GateId, GateOpened, Purpose, RunOutcome,
    Then, TriggerShape, WatchShape,
};

/// What the measurements of a trigger have come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many found what was expected.
    pub passed: u32,
    /// How many did not.
    pub failed: u32,
    /// How many said nothing.
    pub inconclusive: u32,
    /// How many attempts have ended with an error since the last measurement.
    pub errors: u32,
    /// What the last attempt found, or why it did not come to that.
    pub last: Option<Attempt>,
    /// The first measurement that failed.
    pub first_failed: Option<ExecutionId>,
    /// The last one.
    pub last_failed: Option<ExecutionId>,
    ended: Option<Timestamp>,
}

/// What an attempt to measure has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// A measurement.
    Measured(CheckOutcome, String),
    /// An error, which is none.
    Error(String),
}

/// What is to be done about a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is measured on.
    Measure,
    /// It was measured as often as it asks.
    Enough,
    /// It has failed too often.
    Tripped,
    /// It can't be measured, and nobody tries any more.
    GivenUp(String),
}

impl Tally {
    /// How many measurements were made. Errors are none.
    pub fn measured(&self) -> u32 {
        self.passed + self.failed + self.inconclusive
    }

    /// What is to be done about the trigger that it is of.
    pub fn standing(&self, trigger: &TriggerShape) -> Standing {
        let last = match &self.last {
            Some(Attempt::Measured(_, summary) | Attempt::Error(summary)) => summary.as_str(),
            None => "",
        };
        if self.failed > trigger.failure_limit {
            Standing::Tripped
        } else if self.inconclusive > trigger.inconclusive_limit {
            let (said, limit) = (self.inconclusive, trigger.inconclusive_limit);
            Standing::GivenUp(format!("inconclusive measurements: {said}, allowed: {limit}; the last: {last}"))
        } else if self.errors > trigger.consecutive_error_limit {
            let (said, limit) = (self.errors, trigger.consecutive_error_limit);
            Standing::GivenUp(format!("errors in a row: {said}, allowed: {limit}; the last: {last}"))
        } else if trigger.count.is_some_and(|count| self.measured() >= count) {
            Standing::Enough
        } else {
            Standing::Measure
        }
    }

    fn add(&mut self, id: ExecutionId, attempt: &Execution) {
        match (&attempt.end, &attempt.judged) {
            // It goes on, or what the host makes of it comes with the next event.
            (None, _) | (Some(End::Returned(_)), None) => return,
            // It was cut off, and says nothing of the trigger.
            (Some(End::Abandoned), _) => return,
            (Some(End::Returned(_)), Some((outcome, summary))) => {
                self.errors = 0;
                match outcome {
                    CheckOutcome::Pass => self.passed += 1,
                    CheckOutcome::Inconclusive => self.inconclusive += 1,
                    CheckOutcome::Fail => {
                        self.failed += 1;
                        self.first_failed.get_or_insert(id);
                        self.last_failed = Some(id);
                    }
                }
                self.last = Some(Attempt::Measured(*outcome, summary.clone()));
            }
            (Some(end), _) => {
                self.errors += 1;
                self.last = Some(Attempt::Error(describe(end)));
            }
        }
        self.ended = attempt.ended;
    }
}

/// What a person answers who does not wait for a trigger.
pub(super) fn not_waited_for() -> GateOpened {
    GateOpened {
        gate: GateId::watch(),
        before: Behind::Watch { trigger: None },
        ask: "Go on without waiting for a trigger?".to_owned(),
        expires: None,
    }
}

impl State {
    /// A trigger by its name.
    pub fn trigger(&self, id: &str) -> Option<&TriggerShape> {
        self.shape.watch.as_ref()?.triggers.iter().find(|trigger| trigger.id == id)
    }

    /// A trigger that waits for an alert, by its name.
    pub fn alert_trigger(&self, id: &str) -> Option<&AlertShape> {
        self.shape.watch.as_ref()?.alerts.iter().find(|trigger| trigger.id == id)
    }

    /// The condition that a trigger of either kind stands for, and how bad it is as the plan says.
    pub fn condition(&self, id: &str) -> Option<(&str, Option<&str>)> {
        let measured = self.trigger(id).map(|shape| (shape.title.as_str(), shape.severity.as_deref()));
        measured.or_else(|| self.alert_trigger(id).map(|shape| (shape.title.as_str(), shape.severity.as_deref())))
    }

    /// The first alert that fired and that a trigger waits for, with that trigger.
    fn alerted(&self, watch: &WatchShape) -> Option<(String, Cause)> {
        let mut firing = self.alerts.iter().enumerate().filter(|(_, alert)| alert.status == AlertStatus::Firing);
        let waits = |alert: &Alert| watch.alerts.iter().find(|shape| alert.triggers.contains(&shape.id));
        firing.find_map(|(index, alert)| Some((waits(alert)?.id.clone(), Cause::Alert(index))))
    }

    /// The first alert that fired and that this trigger waits for.
    pub fn alert_for(&self, trigger: &str) -> Option<&Alert> {
        let waits = |alert: &&Alert| alert.triggers.iter().any(|id| id == trigger);
        self.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing).find(waits)
    }

    /// The alert that has tripped a trigger, if it was one.
    pub fn alert_of(&self, cause: Cause) -> Option<&Alert> {
        match cause {
            Cause::Alert(index) => self.alerts.get(index),
            Cause::Measurement(_) => None,
        }
    }

    /// Whether an alert has come for which the watching is to end.
    pub fn is_alerted(&self) -> bool {
        self.is_watching()
            && self.tripped.is_none()
            && self.shape.watch.as_ref().is_some_and(|watch| self.alerted(watch).is_some())
    }

    /// What the measurements of a trigger have come to.
    pub fn tally(&self, trigger: &str) -> Tally {
        let mut tally = Tally::default();
        for (id, execution) in &self.executions {
            if matches!(&execution.purpose, Purpose::Check(check) if check == trigger) {
                tally.add(*id, execution);
            }
        }
        tally
    }

    /// When the watching ends, whoever carries the run by then.
    pub fn watches_until(&self) -> Option<Timestamp> {
        Some(later(self.began?, self.shape.watch.as_ref()?.window_ms))
    }

    /// Whether it has to do with its triggers still, and not with its steps.
    pub fn is_watching(&self) -> bool {
        let is_before_the_steps = |watch: &WatchShape| !self.leads_on(watch);
        self.ended.is_none()
            && self.course == Course::Forward
            && self.shape.watch.as_ref().is_some_and(is_before_the_steps)
    }

    /// Whether a person may say that nobody waits for a trigger (any more).
    pub fn may_be_ended_early(&self) -> bool {
        self.is_watching() && self.gate(&GateId::watch()).is_none()
    }

    /// Whether a trigger may still trip: none has, and nobody has said anything instead.
    pub fn waits_for_a_trigger(&self) -> bool {
        self.may_be_ended_early() && self.tripped.is_none()
    }

    /// Whether the steps' turn has come.
    fn leads_on(&self, watch: &WatchShape) -> bool {
        match self.gate(&GateId::watch()).map(|gate| &gate.answer) {
            Some(answer) => matches!(answer, Some((Answer::Yes, _))),
            None => self.tripped.is_some() && watch.then == Then::Run,
        }
    }

    /// What the watching asks for; nothing if the steps' turn has come.
    pub(super) fn watch(&self, watch: &WatchShape) -> Option<Next> {
        let gate = self.gate(&GateId::watch());
        let is_decided = self.leads_on(watch) || gate.is_some_and(|gate| gate.answer.is_some()) || self.is_alerted();
        if let Some((id, execution)) = self.find_running(|purpose| self.is_measurement(purpose)) {
            return Some(if is_decided || self.has_lost_its_host(id, execution) {
                self.cut_off(id, execution)
            } else {
                // Nobody is asked what became of a probe's call while there is something to watch: that
                // attempt was an error.
                self.go_on(id, execution, true)
            });
        }
        if self.leads_on(watch) {
            return None;
        }
        Some(match (gate, &self.tripped) {
            (Some(gate), _) => match &gate.answer {
                None => Next::AwaitGate(GateId::watch()),
                Some((answer, by)) => self.stop(RunOutcome::Unchanged, self.declined(*answer, by)),
            },
            (None, Some((trigger, _))) => Next::OpenGate(Behind::Watch { trigger: Some(trigger.clone()) }),
            (None, None) => self.measure(watch),
        })
    }

    /// What a measurement saw before its host was gone and what is to be seen now are two things: it is
    /// made anew, unless a person is asked about one of its calls.
    pub(super) fn has_lost_its_host(&self, id: ExecutionId, execution: &Execution) -> bool {
        let is_gated = |gate: &Gate| matches!(gate.opened.before, Behind::Call(call) if call.execution == id);
        self.attached.is_some_and(|attached| execution.began < attached) && !self.gates.iter().any(is_gated)
    }

    /// A measurement that nobody waits for any more. What it may have changed is found out before the run
    /// ends, and holds nothing up now.
    pub(super) fn cut_off(&self, id: ExecutionId, execution: &Execution) -> Next {
        // What may be repeated is not: it would be in doubt again, over and over.
        match execution.doubts().find(|(_, mutation)| mutation.fate == Fate::Open) {
            None => Next::Conclude(id, End::Abandoned),
            Some((ordinal, _)) => match self.settle(CallId { execution: id, ordinal }) {
                Next::Halt(_) | Next::AwaitAnswer(_) => Next::Conclude(id, End::InDoubt),
                next => next,
            },
        }
    }

    /// The trigger that has tripped, or else whose turn is next, or else the end.
    fn measure(&self, watch: &WatchShape) -> Next {
        if let Some((trigger, cause)) = self.alerted(watch) {
            return Next::Trip(trigger, cause);
        }
        let began = self.began.unwrap_or(Timestamp::UNIX_EPOCH);
        let until = later(began, watch.window_ms);
        // The clock of the last event: a host that comes back after the window measures nothing more.
        let now = self.last_at.unwrap_or(began);
        let mut due: Option<(Timestamp, &TriggerShape)> = None;
        let mut given_up = Vec::new();
        for trigger in &watch.triggers {
            let tally = self.tally(&trigger.id);
            match (tally.standing(trigger), tally.last_failed) {
                (Standing::Tripped, Some(execution)) => {
                    return Next::Trip(trigger.id.clone(), Cause::Measurement(execution));
                }
                (Standing::GivenUp(why), _) => given_up.push(format!("{} ({}): {why}", trigger.id, trigger.title)),
                (Standing::Enough | Standing::Tripped, _) => {}
                (Standing::Measure, _) => {
                    let at = match tally.ended {
                        None => later(began, trigger.initial_delay_ms),
                        Some(ended) => later(ended, trigger.interval_ms),
                    };
                    if now >= until && later(at, trigger.interval_ms) < until {
                        given_up.push(format!("{} ({}): nobody has measured it since {at}", trigger.id, trigger.title));
                    }
                    if due.is_none_or(|(earliest, _)| at < earliest) {
                        due = Some((at, trigger));
                    }
                }
            }
        }
        match due {
            Some((at, trigger)) if at.max(now) < until => Next::BeginAfter(at, Purpose::Check(trigger.id.clone())),
            // An alert may come until then.
            due => self.watched(watch, (due.is_some() || !watch.alerts.is_empty()).then_some(until), &given_up),
        }
    }

    /// Nothing is left to be measured, and no trigger has tripped. Without `until` that is so although the
    /// window may not be over.
    fn watched(&self, watch: &WatchShape, until: Option<Timestamp>, given_up: &[String]) -> Next {
        if let Some(next) = self.settle_all() {
            return next;
        }
        let over = match until {
            Some(_) => {
                let window = humantime::format_duration(Duration::from_millis(watch.window_ms));
                format!("{window} are over, and no trigger tripped")
            }
            None if given_up.len() == watch.triggers.len() => "no trigger can be measured".to_owned(),
            None => "no trigger tripped in as many measurements as the plan asks for".to_owned(),
        };
        let (outcome, why) = match given_up {
            [] => (RunOutcome::Unchanged, over),
            given_up => (RunOutcome::Halted, format!("{over}; it is not known of {}", given_up.join("; nor of "))),
        };
        match until {
            Some(until) => Next::EndAfter(until, outcome, why),
            None => Next::End(outcome, why),
        }
    }

    /// Who or what said no to the steps.
    fn declined(&self, answer: Answer, by: &str) -> String {
        let tripped = self.tripped.as_ref().and_then(|(id, _)| Some((id, self.condition(id)?.0)));
        match (tripped, answer) {
            (None, Answer::Yes | Answer::No) => format!("{by} ended the watching before a trigger tripped"),
            (None, Answer::Expired) => "nobody answered in time".to_owned(),
            (Some((id, title)), Answer::Expired) => {
                format!("trigger {id} tripped ({title}), and nobody said in time that the steps are to be taken")
            }
            (Some((id, title)), _) => {
                format!("trigger {id} tripped ({title}), and {by} refused to go on")
            }
        }
    }

    fn is_measurement(&self, purpose: &Purpose) -> bool {
        matches!(purpose, Purpose::Check(check) if self.trigger(check).is_some())
    }
}
