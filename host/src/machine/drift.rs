//! Drift: whether what was verified stays so. The checks of the verification are made again, as triggers
//! are: one after the other, whichever is due first, until the time is over or one has changed.

use std::time::Duration;

use jiff::Timestamp;

use super::apply::Impossible;
use super::follow_up::After;
use super::next::{Next, describe, later};
use super::state::State;
use crate::id::ExecutionId;
use crate::journal::{CheckOutcome, DriftBegan, DriftOutcome, End, Purpose};

/// A watch of a run that was verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// When it began.
    pub at: Timestamp,
    /// What is looked at, how often and for how long, and who wanted it.
    pub wanted: DriftBegan,
    /// Its measurements begin here.
    pub from: ExecutionId,
    /// What came of it, when, and why.
    pub ended: Option<(Timestamp, DriftOutcome, String)>,
}

/// What the measurements of one check have come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// How many there were.
    pub measured: u32,
    /// The last one that passed.
    pub last_passed: Option<ExecutionId>,
    /// Those that failed since, if nothing but failures came since.
    pub failed: Vec<ExecutionId>,
    /// The last one, and what it found; of an attempt that broke off why.
    pub last: Option<(CheckOutcome, String)>,
    ended: Option<Timestamp>,
}

impl Drift {
    /// For how long it is watched, as people say it.
    pub fn lasts(&self) -> humantime::FormattedDuration {
        // It was said a moment before it began.
        let ms = Duration::try_from(self.wanted.until.duration_since(self.at)).unwrap_or_default().as_millis();
        humantime::format_duration(Duration::from_secs(u64::try_from((ms + 500) / 1_000).unwrap_or(u64::MAX)))
    }
}

impl State {
    /// Whether a host may look whether what was verified is still so.
    pub fn can_drift(&self) -> bool {
        self.is_verified() && !matches!(self.after, Some(After::FollowUp(_)))
    }

    /// The check that does not hold any more, as far as it has to hold still, and what it saw.
    pub fn has_drifted(&self) -> Option<(&str, &str)> {
        let (_, found, why) = self.drift.as_ref()?.ended.as_ref()?;
        let DriftOutcome::Drifted { check, .. } = found else { return None };
        let has_to_hold = self.is_verified() && !self.ended_checks().contains(check.as_str());
        has_to_hold.then_some((check, why))
    }

    /// The last measurement of a check in the run's own verification.
    pub fn verified_by(&self, check: &str) -> Option<ExecutionId> {
        self.find(|purpose| matches!(purpose, Purpose::Check(id) if id == check)).map(|(id, _)| id)
    }

    /// What the measurements of a check have come to in a watch.
    pub fn seen_of(&self, drift: &Drift, check: &str) -> Seen {
        let purpose = Purpose::Drift(check.to_owned());
        let mut seen = Seen::default();
        for (&id, attempt) in self.executions.range(drift.from..).filter(|(_, known)| known.purpose == purpose) {
            match (&attempt.end, &attempt.judged) {
                // It goes on, or what the host makes of it comes with the next event; or it was cut off.
                (None, _) | (Some(End::Returned(_)), None) | (Some(End::Abandoned), _) => continue,
                (Some(_), Some((outcome, summary))) => {
                    seen.last = Some((*outcome, summary.clone()));
                    match outcome {
                        CheckOutcome::Pass => {
                            seen.last_passed = Some(id);
                            seen.failed.clear();
                        }
                        CheckOutcome::Fail => seen.failed.push(id),
                        CheckOutcome::Inconclusive => {}
                    }
                }
                (Some(end), None) => seen.last = Some((CheckOutcome::Inconclusive, describe(end))),
            }
            seen.measured += 1;
            seen.ended = attempt.ended;
        }
        seen
    }

    pub(super) fn begin_drift(&mut self, at: Timestamp, wanted: &DriftBegan) -> Result<(), Impossible> {
        if !self.can_drift() {
            return Err(Impossible("a run is watched that is not verified".to_owned()));
        }
        self.drift = Some(Drift { at, wanted: wanted.clone(), from: self.next_execution(), ended: None });
        self.after = Some(After::Drift);
        Ok(())
    }

    pub(super) fn end_drift(&mut self, at: Timestamp, found: &DriftOutcome, why: &str) -> Result<(), Impossible> {
        let is_watched = self.after.take_if(|after| *after == After::Drift).is_some();
        match &mut self.drift {
            Some(drift) if is_watched => drift.ended = Some((at, found.clone(), why.to_owned())),
            _ => return Err(Impossible("a watch has ended that had not begun".to_owned())),
        }
        Ok(())
    }

    /// A measurement that nobody waits for any more: another thing was asked for since it was cut off.
    pub(super) fn left_measurement(&self) -> Option<Next> {
        let (id, execution) = self.find_running(|purpose| matches!(purpose, Purpose::Drift(_)))?;
        let is_its_turn = self.after == Some(After::Drift) && self.drift.as_ref().is_some_and(|drift| id >= drift.from);
        (!is_its_turn).then(|| self.cut_off(id, execution))
    }

    /// What the watch asks for.
    pub(super) fn drift_next(&self) -> Next {
        let Some(drift) = &self.drift else { return Next::Nothing };
        if let Some((id, execution)) = self.find_running(|purpose| matches!(purpose, Purpose::Drift(_))) {
            return if self.has_lost_its_host(id, execution) {
                self.cut_off(id, execution)
            } else {
                // Nobody is asked what became of a probe's call.
                self.go_on(id, execution, true)
            };
        }
        let over = self.ended_checks();
        let mut due: Option<(Timestamp, &str)> = None;
        let mut unknown = Vec::new();
        for check in drift.wanted.checks.iter().filter(|check| !over.contains(check.as_str())) {
            let seen = self.seen_of(drift, check);
            if let Some(first) = seen.failed.first()
                && seen.failed.len() > usize::try_from(drift.wanted.failure_limit).unwrap_or(usize::MAX)
            {
                return self.drifted(check, *first, &seen);
            }
            let at = seen.ended.map_or(drift.at, |ended| later(ended, drift.wanted.interval_ms));
            // Nobody has looked for more than one interval: it is not known of the time since then.
            let is_missed = later(at, drift.wanted.interval_ms) < drift.wanted.until;
            if is_missed || !matches!(seen.last, Some((CheckOutcome::Pass, _))) {
                unknown.push(check.clone());
            }
            if due.is_none_or(|(earliest, _)| at < earliest) {
                due = Some((at, check));
            }
        }
        let until = drift.wanted.until;
        let now = self.last_at.unwrap_or(drift.at);
        match due {
            Some((at, check)) if at.max(now) < until => Next::BeginAfter(at, Purpose::Drift(check.to_owned())),
            Some(_) if unknown.is_empty() => {
                let why = format!("{} are over, and all that was verified was so to the end", drift.lasts());
                Next::EndDrift { until: Some(until), found: DriftOutcome::Held, why }
            }
            Some(_) => {
                let why = format!("the time is over, and it is not known of {}", unknown.join(", "));
                Next::EndDrift { until: Some(until), found: DriftOutcome::Unknown { checks: unknown }, why }
            }
            None => {
                let why = "no check is left that has to hold still, because of follow-ups that are done".to_owned();
                Next::EndDrift { until: None, found: DriftOutcome::Held, why }
            }
        }
    }

    fn drifted(&self, check: &str, first: ExecutionId, seen: &Seen) -> Next {
        let summary = |id: ExecutionId| {
            let judged = self.executions.get(&id).and_then(|known| known.judged.as_ref());
            judged.map_or("", |(_, summary)| summary.as_str())
        };
        let was = self.verified_by(check).map(summary).unwrap_or_default();
        let now = seen.failed.last().copied().map(summary).unwrap_or_default();
        let why = format!("check {check} does not hold any more: when it was verified, {was}; now, {now}");
        let found = DriftOutcome::Drifted { check: check.to_owned(), first_failed: first };
        Next::EndDrift { until: None, found, why }
    }
}
