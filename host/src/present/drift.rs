//! Whether what a run had verified was still so afterwards.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::ExecutionId;
use crate::journal::{DriftOutcome, End};
use crate::language::Language;
use crate::machine::State;

use super::page::{Page, Span};
use super::text::shorten;
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
    /// What is another thing now than when it was verified.
    pub changed: Vec<Changed>,
}

/// Something that a check saw, and that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Where it stands in the evidence: `response.json.version`.
    pub at: String,
    /// What stood there.
    pub then: String,
    /// What stands there now.
    pub now: String,
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
                        let verified = state.verified_by(check).and_then(|id| sight(state, id));
                        let now = seen.failed.last().and_then(|id| sight(state, *id));
                        let drifted = Drifted {
                            check: check.clone(),
                            changed: changed(verified.as_ref(), now.as_ref()),
                            verified,
                            last_good: seen.last_passed.and_then(|id| sight(state, id)),
                            first_failed: sight(state, *first_failed),
                            now,
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
        let changed = drifted.changed.iter().map(|Changed { at, then, now }| format!("{at} was {then}, and is {now}"));
        lines.into_iter().flatten().chain(changed).collect()
    }
}

/// How many changes are shown.
const CHANGED_MAX: usize = 5;
/// How much of a value is.
const VALUE_COLUMNS: usize = 60;
/// What is another thing each time, and a body that is there as JSON too.
const PASSED_OVER: [&str; 3] = ["ttfb", "headers", "body"];

fn changed(then: Option<&Sight>, now: Option<&Sight>) -> Vec<Changed> {
    let (Some(then), Some(now)) = (then, now) else { return Vec::new() };
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves("", &then.seen, &mut before);
    leaves("", &now.seen, &mut after);
    let shown = |value: Option<&&Value>| {
        let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        shorten(&text, VALUE_COLUMNS).into_owned()
    };
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    let changed =
        differ.map(|path| Changed { at: path.clone(), then: shown(before.get(path)), now: shown(after.get(path)) });
    changed.take(CHANGED_MAX).collect()
}

/// What stands at the ends of all ways into a value.
fn leaves<'v>(way: &str, value: &'v Value, found: &mut BTreeMap<String, &'v Value>) {
    let below = |key: &str| if way.is_empty() { key.to_owned() } else { format!("{way}.{key}") };
    match value {
        Value::Object(fields) => {
            let told = fields.iter().filter(|(key, _)| !PASSED_OVER.contains(&key.as_str()));
            told.for_each(|(key, field)| leaves(&below(key), field, found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaves(&below(&index.to_string()), item, found));
        }
        leaf => _ = found.insert(way.to_owned(), leaf),
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
