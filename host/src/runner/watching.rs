//! Watching: how long to wait, what is noted when a trigger trips, and what is asked then.

use std::time::Duration;

use jiff::Timestamp;

use super::{RunError, Runner};
use crate::journal::{
    Alert, Behind, Cause, CheckShape, Event, GateId, GateOpened, IncidentNoted, Purpose, TriggerShape, WatchShape,
};
use crate::machine::State;

/// Who notes what a trigger has seen.
const BY: &str = "ripcord";

impl Runner {
    /// How long it may be from one try of a check to the next, or to its first.
    pub(super) async fn between_tries(&self, purpose: &Purpose) -> Duration {
        let id = match purpose {
            Purpose::Check(id) => id,
            // It is told at the end of the window.
            Purpose::Notice(_) => return self.window(),
            Purpose::Drift(_) => {
                let record = self.record.lock().await;
                let drift = record.state().drift.as_ref();
                return drift.map_or(Duration::MAX, |drift| Duration::from_millis(drift.wanted.interval_ms));
            }
            _ => return Duration::MAX,
        };
        let shape = &self.job.shape;
        let check = shape.verify.iter().find(|check| check.id == *id).map(|CheckShape { every_ms, .. }| *every_ms);
        let mut triggers = shape.watch.iter().flat_map(|watch| &watch.triggers);
        let trigger = triggers.find(|trigger| trigger.id == *id);
        let trigger =
            trigger.map(|TriggerShape { interval_ms, initial_delay_ms, .. }| *interval_ms.max(initial_delay_ms));
        check.or(trigger).map_or(Duration::MAX, Duration::from_millis)
    }

    /// How long the watching may take.
    pub(super) fn window(&self) -> Duration {
        let watch = self.job.shape.watch.as_ref();
        watch.map_or(Duration::ZERO, |WatchShape { window_ms, .. }| Duration::from_millis(*window_ms))
    }

    /// How long a run that was verified may be watched.
    pub(super) async fn drift_left(&self) -> Duration {
        let record = self.record.lock().await;
        let span = record.state().drift.as_ref().map(|drift| drift.wanted.until.duration_since(drift.at));
        span.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default()
    }

    /// Records that a trigger has tripped. What it stands for is the incident's first symptom, and the
    /// first measurement that failed, or the alert's, its beginning, unless somebody has said otherwise.
    pub(super) async fn trip(&self, trigger: String, cause: Cause) -> Result<(), RunError> {
        let mut record = self.record.lock().await;
        let said = record.incident().await?;
        let noted = symptom(record.state(), &trigger, cause, &said);
        record.note(Event::Tripped { trigger, cause })?;
        Ok(record.commit(Event::IncidentNoted(noted)).await?)
    }

    /// Asks whether the steps are to be taken.
    pub(super) async fn open_watch_gate(&self, before: Behind) -> Result<(), RunError> {
        let mut record = self.record.lock().await;
        let state = record.state();
        let expires_ms = state.shape.watch.as_ref().and_then(|watch| watch.expires_ms);
        let opened = GateOpened {
            gate: GateId::watch(),
            before,
            ask: question(state, &self.job.target),
            // A plan may say any duration, and the calendar ends.
            expires: expires_ms.and_then(|ms| Timestamp::now().saturating_add(Duration::from_millis(ms)).ok()),
        };
        Ok(record.commit(Event::GateOpened(opened)).await?)
    }
}

/// What a trigger has seen, and of its severity and beginning what nobody has said.
fn symptom(state: &State, trigger: &str, cause: Cause, said: &IncidentNoted) -> IncidentNoted {
    let title = state.condition(trigger).map_or(trigger, |(title, _)| title);
    let symptom = match summary(state, cause).as_str() {
        "" => title.to_owned(),
        summary => format!("{title}: {summary}"),
    };
    let began = match cause {
        Cause::Measurement(_) => {
            let first = state.tally(trigger).first_failed;
            first.and_then(|first| state.executions.get(&first)).map(|first| first.began)
        }
        Cause::Alert(_) => state.alert_of(cause).map(|alert| alert.starts_at),
    };
    IncidentNoted {
        by: BY.to_owned(),
        symptoms: vec![symptom],
        severity: severity(state, trigger, cause).map(str::to_owned).filter(|_| said.severity.is_none()),
        since: began.filter(|_| said.since.is_none()),
        ..IncidentNoted::default()
    }
}

fn question(state: &State, target: &str) -> String {
    match &state.tripped {
        None => format!("Roll back {target}?"),
        Some(tripped) => format!("{}. Roll back {target}?", found(state, tripped)),
    }
}

/// What a trigger that has tripped has found, and how bad that is.
pub(super) fn found(state: &State, (trigger, cause): &(String, Cause)) -> String {
    let title = state.condition(trigger).map_or(trigger.as_str(), |(title, _)| title);
    let severity = severity(state, trigger, *cause).map(|severity| format!("severity {severity}"));
    let measured = match cause {
        Cause::Measurement(_) => {
            let tally = state.tally(trigger);
            Some(format!("{} of {} measurements failed", tally.failed, tally.measured()))
        }
        Cause::Alert(_) => None,
    };
    let more: Vec<_> = severity.into_iter().chain(measured).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
    format!("{title}: {}{more}", summary(state, *cause))
}

/// How bad it is, as the plan says, or else the alert.
fn severity<'a>(state: &'a State, trigger: &str, cause: Cause) -> Option<&'a str> {
    let planned = state.condition(trigger).and_then(|(_, severity)| severity);
    planned.or_else(|| state.alert_of(cause).and_then(Alert::severity))
}

/// What a measurement found, or an alert says.
fn summary(state: &State, cause: Cause) -> String {
    match cause {
        Cause::Measurement(execution) => {
            let judged = state.executions.get(&execution).and_then(|execution| execution.judged.as_ref());
            judged.map(|(_, summary)| summary.clone()).unwrap_or_default()
        }
        Cause::Alert(_) => state.alert_of(cause).map(Alert::words).unwrap_or_default(),
    }
}
