//! What is watched after a deploy, and what happens then.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::{Condition, Pattern, Plan, Uses, milliseconds};
use crate::journal::{AlertShape, Then, TriggerShape, WatchShape};

/// What the window may be.
pub(super) const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// How a plan's triggers are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// For how long, from the run's beginning. 30 minutes if not said.
    pub window: Duration,
    /// What happens when a trigger trips.
    pub then: Then,
    /// After how long no answer counts as no; never if not said.
    pub expires: Option<Duration>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { window: Duration::from_secs(30 * 60), then: Then::Ask, expires: None }
    }
}

/// A trigger: one use of a check, over and over, in Argo Rollouts' sense.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its name, unique among steps, checks and triggers.
    pub id: String,
    /// The condition that it stands for, in the people's words.
    pub title: String,
    /// How bad it is if it trips, in the people's words.
    pub severity: Option<String>,
    /// The plugin.
    pub uses: Uses,
    /// The connection behind each role of the plugin.
    pub bind: BTreeMap<String, String>,
    /// The plugin's configuration: a JSON object whose strings may be templates.
    pub with: Value,
    /// What has to hold for the check's evidence, besides its own verdict.
    pub expect: Option<Condition>,
    /// Whether it may change something, as [`Check::probe`](super::Check::probe).
    pub probe: bool,
    /// From the end of one measurement to the beginning of the next. 30 seconds if not said.
    pub interval: Duration,
    /// From the run's beginning to the first measurement.
    pub initial_delay: Duration,
    /// How many measurements are enough; until the window is over if not said.
    pub count: Option<u32>,
    /// How many measurements may fail before it trips.
    pub failure_limit: u32,
    /// How many may say nothing before it is given up.
    pub inconclusive_limit: u32,
    /// How many attempts in a row may end with an error before it is given up. 4 if not said.
    pub consecutive_error_limit: u32,
    /// How long one measurement may take. 1 minute if not said.
    pub timeout: Duration,
    /// Which of the file's triggers it is, of either kind, from 0.
    pub(super) index: usize,
}

/// A trigger that waits for an alert of an Alertmanager's.
#[derive(Debug, Clone)]
pub struct AlertTrigger {
    /// Its name, unique among steps, checks and triggers.
    pub id: String,
    /// The condition that it stands for, in the people's words.
    pub title: String,
    /// How bad it is if it trips, in the people's words; as the alert says if not said.
    pub severity: Option<String>,
    /// What the labels of the alert have to be.
    pub labels: BTreeMap<String, Pattern>,
}

/// Why triggers can't be watched for so long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// No window may be so long or so short.
    #[error("a window of {} is too {}; it may be {} to {}",
        humantime::format_duration(*.0), if .0 < WINDOW.start() { "short" } else { "long" },
        humantime::format_duration(*WINDOW.start()), humantime::format_duration(*WINDOW.end()))]
    OutOfRange(Duration),
    /// The first measurement would come too late.
    #[error("in a window of {} trigger {trigger} would never be measured: its first measurement comes after {}",
        humantime::format_duration(*window), humantime::format_duration(*delay))]
    NeverMeasured {
        /// The window.
        window: Duration,
        /// The trigger.
        trigger: String,
        /// Its `initial-delay`.
        delay: Duration,
    },
}

impl Plan {
    /// What a run that watches has to know; `window` instead of the plan's own.
    ///
    /// # Errors
    /// [`WindowError`] if the plan's triggers can't be watched for so long.
    pub fn watch_shape(&self, window: Option<Duration>) -> Result<WatchShape, WindowError> {
        let window = window.unwrap_or(self.watch.window);
        if !WINDOW.contains(&window) {
            return Err(WindowError::OutOfRange(window));
        }
        if let Some(trigger) = self.triggers.iter().find(|trigger| trigger.initial_delay >= window) {
            let (trigger, delay) = (trigger.id.clone(), trigger.initial_delay);
            return Err(WindowError::NeverMeasured { window, trigger, delay });
        }
        let trigger = |trigger: &Trigger| TriggerShape {
            id: trigger.id.clone(),
            title: trigger.title.clone(),
            severity: trigger.severity.clone(),
            interval_ms: milliseconds(trigger.interval),
            initial_delay_ms: milliseconds(trigger.initial_delay),
            count: trigger.count,
            failure_limit: trigger.failure_limit,
            inconclusive_limit: trigger.inconclusive_limit,
            consecutive_error_limit: trigger.consecutive_error_limit,
        };
        let alert = |trigger: &AlertTrigger| AlertShape {
            id: trigger.id.clone(),
            title: trigger.title.clone(),
            severity: trigger.severity.clone(),
            labels: trigger.labels.iter().map(|(name, value)| (name.clone(), value.as_str().to_owned())).collect(),
        };
        Ok(WatchShape {
            window_ms: milliseconds(window),
            then: self.watch.then,
            expires_ms: self.watch.expires.map(milliseconds),
            triggers: self.triggers.iter().map(trigger).collect(),
            alerts: self.alerts.iter().map(alert).collect(),
            listen: None,
        })
    }
}
