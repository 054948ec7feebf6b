//! Watching: how long to wait, what is noted when a trigger trips, and what is asked then.

use std::time::Duration;

use jiff::Timestamp;

use super::{RunError, Runner};
use crate::id::ExecutionId;
use crate::journal::{Behind, CheckShape, Event, GateId, GateOpened, IncidentNoted, Purpose, TriggerShape, WatchShape};
use crate::machine::State;

/// Who notes what a trigger has seen.
const BY: &str = "ripcord";

impl Runner {
    /// How long it may be from one try of a check to the next, or to its first.
    pub(super) async fn between_tries(&self, purpose: &Purpose) -> Duration {
        let id = match purpose {
            Purpose::Check(id) => id,
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
    /// first measurement that failed its beginning, unless somebody has said otherwise.
    pub(super) async fn trip(&self, trigger: String, execution: ExecutionId) -> Result<(), RunError> {
        let mut record = self.record.lock().await;
        let said = record.incident().await?;
        let noted = symptom(record.state(), &trigger, execution, &said);
        record.note(Event::Tripped { trigger, execution })?;
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
fn symptom(state: &State, trigger: &str, execution: ExecutionId, said: &IncidentNoted) -> IncidentNoted {
    let shape = state.trigger(trigger);
    let title = shape.map_or(trigger, |shape| shape.title.as_str());
    let symptom = match summary(state, execution) {
        "" => title.to_owned(),
        summary => format!("{title}: {summary}"),
    };
    let began =
        state.tally(trigger).first_failed.and_then(|first| state.executions.get(&first)).map(|first| first.began);
    IncidentNoted {
        by: BY.to_owned(),
        symptoms: vec![symptom],
        severity: shape.and_then(|shape| shape.severity.clone()).filter(|_| said.severity.is_none()),
        since: began.filter(|_| said.since.is_none()),
        ..IncidentNoted::default()
    }
}

fn question(state: &State, target: &str) -> String {
    let Some((trigger, execution)) = &state.tripped else { return format!("Roll back {target}?") };
    let tally = state.tally(trigger);
    let shape = state.trigger(trigger);
    let title = shape.map_or(trigger.as_str(), |shape| shape.title.as_str());
    let severity = shape.and_then(|shape| shape.severity.as_ref());
    let severity = severity.map(|severity| format!("severity {severity}; ")).unwrap_or_default();
    let summary = summary(state, *execution);
    format!(
        "{title}: {summary} ({severity}{} of {} measurements failed). Roll back {target}?",
        tally.failed,
        tally.measured()
    )
}

/// What a measurement found.
fn summary(state: &State, execution: ExecutionId) -> &str {
    let judged = state.executions.get(&execution).and_then(|execution| execution.judged.as_ref());
    judged.map_or("", |(_, summary)| summary)
}
