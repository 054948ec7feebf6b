//! What stays to be done after a rollback, and how it is watched whether it stays done.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Check, Gate, Plan, Retry, Scope, Uses, milliseconds, render};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::journal::{DriftBegan, FollowUpShape, FollowUpStep, Owner};

/// For how long a run may be watched after it was verified.
pub(super) const DRIFT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(90 * 24 * 60 * 60);

/// Something that stays to be done.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// Its name, unique among steps, checks, triggers and follow-ups.
    pub id: String,
    /// What is to be done, in the people's words: a template that may use `params` and `people`.
    pub what: String,
    /// Who sees to it.
    pub owner: Option<Owner>,
    /// How long after the run's end it is due; never if not said.
    pub due: Option<Duration>,
    /// How ripcord does it; people do it if not said.
    pub step: Option<FollowUpAction>,
}

/// How ripcord does a follow-up: one use of an action.
#[derive(Debug, Clone)]
pub struct FollowUpAction {
    /// The plugin.
    pub uses: Uses,
    /// The connection behind each role of the plugin.
    pub bind: BTreeMap<String, String>,
    /// The plugin's configuration: a JSON object whose strings may be templates.
    pub with: Value,
    /// The question that a person has to answer with yes before it.
    pub gate: Option<Gate>,
    /// How long it may take; as long as the plan if not said.
    pub timeout: Option<Duration>,
    /// How often the host tries a call that certainly did not happen, or may be repeated.
    pub retry: Retry,
    /// The checks that need not hold any more once it is done.
    pub ends: Vec<String>,
}

/// How it is watched whether what was verified stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// For how long, from the moment at which somebody begins to watch.
    pub lasts: Duration,
    /// From the end of one measurement of a check to the next. 5 minutes if not said.
    pub interval: Duration,
    /// How many measurements of a check may fail in a row.
    pub failure_limit: u32,
    /// Whether checks that are probes are made too.
    pub probe: bool,
}

/// How often is looked if the plan does not say.
pub(super) const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Why it can't be watched whether what was verified stays so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriftError {
    /// Neither the plan nor anybody else has said for how long.
    #[error("the plan does not say for how long it is to be watched whether what was verified stays so")]
    NotSaid,
    /// Nobody watches for so long, or so short a time.
    #[error("{} is too {}; it may be {} to {}", humantime::format_duration(*.0),
        if .0 < DRIFT.start() { "short" } else { "long" },
        humantime::format_duration(*DRIFT.start()), humantime::format_duration(*DRIFT.end()))]
    OutOfRange(Duration),
    /// There is nothing to look at.
    #[error("{}", if *probes { "each check of the plan is a probe, which does more than look" } else { "the plan has no check" })]
    NoCheck {
        /// Whether there are checks, and all of them are probes.
        probes: bool,
    },
}

impl Plan {
    /// What stays to be done, as a run keeps it. The scope has parameters and people.
    ///
    /// # Errors
    /// [`Diagnostics`] if the words of one can't be made.
    pub fn follow_up_shapes(&self, scope: &Scope) -> Result<Vec<FollowUpShape>, Diagnostics> {
        let shape = |item: &FollowUp| {
            let what = render(&item.what.clone().into(), scope)
                .map_err(|error| Diagnostics(vec![Diagnostic::error(format!("follow-up {}: {error}", item.id))]))?;
            let step = item.step.as_ref();
            Ok(FollowUpShape {
                id: item.id.clone(),
                what: what.as_str().map_or_else(|| what.to_string(), str::to_owned),
                owner: item.owner.clone(),
                due_ms: item.due.map(milliseconds),
                step: step.map(|step| FollowUpStep { gate: step.gate.is_some(), ends: step.ends.clone() }),
            })
        };
        self.follow_ups.iter().map(shape).collect()
    }

    /// The plugins of the follow-ups that ripcord does.
    pub(crate) fn follow_up_plugins(&self) -> impl Iterator<Item = (&String, &Uses)> {
        self.follow_ups.iter().filter_map(|item| Some((&item.id, &item.step.as_ref()?.uses)))
    }

    /// What a watch has to know that begins now; `window` instead of the plan's own time.
    ///
    /// # Errors
    /// [`DriftError`] if there is nothing to watch, or not for so long.
    pub fn drift_from(&self, now: Timestamp, by: String, window: Option<Duration>) -> Result<DriftBegan, DriftError> {
        let lasts = window.or(self.drift.map(|drift| drift.lasts)).ok_or(DriftError::NotSaid)?;
        if !DRIFT.contains(&lasts) {
            return Err(DriftError::OutOfRange(lasts));
        }
        let probe = self.drift.is_some_and(|drift| drift.probe);
        let checks = self.verify.iter().filter(|check| probe || !check.probe);
        let checks: Vec<_> = checks.map(|Check { id, .. }| id.clone()).collect();
        if checks.is_empty() {
            return Err(DriftError::NoCheck { probes: !self.verify.is_empty() });
        }
        Ok(DriftBegan {
            by,
            until: now.saturating_add(lasts).unwrap_or(Timestamp::MAX),
            interval_ms: milliseconds(self.drift.map_or(INTERVAL, |drift| drift.interval).min(lasts)),
            failure_limit: self.drift.map_or(0, |drift| drift.failure_limit),
            checks,
        })
    }
}
