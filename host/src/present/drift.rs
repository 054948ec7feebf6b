//! Whether what a run had verified was still so afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::ExecutionId;
use crate::journal::{DriftOutcome, End};
use crate::language::Language;
use crate::machine::State;

use super::page::{Page, Span};
use super::time::date_time;

/// The last watch of a run after its verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DriftWatch {
    /// Who wanted it.
    pub by: String,
    /// When it began.
    pub began: Timestamp,
    /// Until when it lasts, or would have lasted.
    pub until: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What came of it.
    pub standing: DriftState,
    /// The check that does not hold any more.
    pub drifted: Option<Drifted>,
    /// How often each check was looked at.
    pub checks: Vec<DriftCheck>,
}

/// What came of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DriftState {
    /// It has not ended.
    Open,
    /// All that was verified was still so.
    Held {
        /// In one sentence.
        why: String,
    },
    /// A check does not hold any more.
    Drifted {
        /// Which.
        check: String,
    },
    /// Of some checks nobody knows.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A check that does not hold any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drifted {
    /// Which.
    pub check: String,
    /// What it saw when it was verified.
    pub verified: Option<Sight>,
    /// What it saw when it last was as verified, if that was later.
    pub last_good: Option<Sight>,
    /// What it saw when it was not any more, for the first time.
    pub first_failed: Option<Sight>,
    /// What it saw last.
    pub now: Option<Sight>,
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sight {
    /// When it began to look.
    pub at: Timestamp,
    /// In one sentence.
    pub summary: String,
    /// What was seen, as the plugin returned it.
    pub seen: Value,
}

/// How often a check was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DriftCheck {
    /// Which.
    pub check: String,
    /// How often.
    pub measured: u32,
}

impl DriftWatch {
    /// The last one of a run, if there was any.
    pub fn of(state: &State) -> Option<Self> {
        let drift = state.drift.as_ref()?;
        let (ended, standing, drifted) = match &drift.ended {
            None => (None, DriftState::Open, None),
            Some((at, found, why)) => {
                let why = why.clone();
                let (standing, drifted) = match found {
                    DriftOutcome::Held => (DriftState::Held { why }, None),
                    DriftOutcome::Unknown { .. } => (DriftState::Unknown { why }, None),
                    DriftOutcome::Drifted { check, first_failed } => {
                        let seen = state.seen_of(drift, check);
                        let drifted = Drifted {
                            check: check.clone(),
                            verified: state.verified_by(check).and_then(|id| sight(state, id)),
                            last_good: seen.last_passed.and_then(|id| sight(state, id)),
                            first_failed: sight(state, *first_failed),
                            now: seen.failed.last().and_then(|id| sight(state, *id)),
                        };
                        (DriftState::Drifted { check: check.clone() }, Some(drifted))
                    }
                };
                (Some(*at), standing, drifted)
            }
        };
        let checks = drift.wanted.checks.iter();
        let checks =
            checks.map(|check| DriftCheck { check: check.clone(), measured: state.seen_of(drift, check).measured });
        Some(Self {
            by: drift.wanted.by.clone(),
            began: drift.at,
            until: drift.wanted.until,
            ended,
            standing,
            drifted,
            checks: checks.collect(),
        })
    }

    /// What it saw, line by line, for a terminal.
    pub(crate) fn lines(&self, zone: &jiff::tz::TimeZone) -> Vec<String> {
        let Some(drifted) = &self.drifted else { return Vec::new() };
        let line = |name: &str, sight: &Option<Sight>| {
            sight.as_ref().map(|sight| format!("{name} ({}): {}", date_time(sight.at, zone), sight.summary))
        };
        let lines = [
            line("when it was verified", &drifted.verified),
            line("the last time that was so", &drifted.last_good),
            line("not any more since", &drifted.first_failed),
            line("now", &drifted.now).filter(|_| drifted.now != drifted.first_failed),
        ];
        lines.into_iter().flatten().collect()
    }
}

fn sight(state: &State, id: ExecutionId) -> Option<Sight> {
    let known = state.executions.get(&id)?;
    let (_, summary) = known.judged.clone()?;
    let seen = match &known.end {
        Some(End::Returned(verdict)) => verdict.get("evidence").cloned().unwrap_or_default(),
        _ => Value::Null,
    };
    Some(Sight { at: known.began, summary, seen })
}

/// The part of `ripcord show`.
pub(super) fn section(page: &mut Page<'_>, state: &State) {
    let Some(drift) = DriftWatch::of(state) else { return };
    let zone = page.style.zone.clone();
    page.gap();
    page.line(0, &[Span::Title("Watched since")]);
    let said = Language::En.say("drift", &drift.standing);
    let times = format!("from {} until {}: {said}", date_time(drift.began, &zone), date_time(drift.until, &zone));
    page.labelled(2, Span::Plain(""), &times);
    for line in drift.lines(&zone) {
        page.labelled(2, Span::Plain("- "), &line);
    }
    for check in &drift.checks {
        page.line(2, &[Span::Dim(&format!("{}: looked at {} times", check.check, check.measured))]);
    }
}
