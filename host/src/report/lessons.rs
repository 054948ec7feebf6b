//! What the plan itself should learn from a run: only what the journal shows, each with what could be
//! changed.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::build::name;
use crate::journal::{End, Purpose, Settler};
use crate::machine::{Standing, State, describe};
use crate::present::left::left_to_do;
use crate::present::story::Story;
use crate::present::time::duration;
use crate::present::{DriftState, DriftWatch, FollowUp, Left, words};

/// A step that took more of its time-out than this, in percent, was close to it.
const CLOSE_PERCENT: u64 = 66;
/// More tries of a check than this are many.
const TRIES: usize = 3;

/// Something that could be better in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Lesson {
    /// A step or a check took most of the time that it had.
    Slow {
        /// Which.
        unit: String,
        /// How long it took.
        took: String,
        /// How long it may take.
        allowed: String,
    },
    /// A check was tried often.
    ManyTries {
        /// Which.
        check: String,
        /// How often.
        tries: usize,
    },
    /// A fallback had to stand in.
    StoodIn {
        /// Which.
        step: String,
        /// For this step.
        failed: String,
        /// Which failed for this reason.
        why: String,
    },
    /// A step failed, and nothing stands in for it.
    Failed {
        /// Which.
        step: String,
        /// Why.
        why: String,
    },
    /// A person had to say what had become of a call.
    Asked {
        /// The step that it belongs to.
        unit: String,
        /// What was asked for.
        request: String,
    },
    /// A trigger could not be measured.
    GivenUp {
        /// Which.
        trigger: String,
        /// The condition that it stands for.
        title: String,
        /// Why.
        why: String,
    },
    /// A notice has not gone out.
    NotSent {
        /// Which.
        request: String,
        /// Why.
        why: String,
    },
    /// A follow-up is not done in time.
    Overdue {
        /// Which.
        item: String,
        /// Who sees to it; empty if nobody is named.
        owner: String,
    },
    /// What was verified did not last.
    Drifted {
        /// The check that does not hold any more.
        check: String,
    },
    /// Nothing was verified.
    Unverified,
}

/// All that a run teaches; nothing before it has ended.
pub(super) fn lessons(state: &State, story: &Story<'_>, now: Timestamp) -> Vec<Lesson> {
    if state.ended.is_none() {
        return Vec::new();
    }
    let mut lessons = slow(state);
    lessons.extend(state.shape.verify.iter().filter_map(|check| many_tries(state, &check.id)));
    lessons.extend(state.shape.steps.iter().filter_map(|step| failed(state, &step.id)));
    lessons.extend(story.doubts.iter().filter_map(|doubt| {
        let by_a_person = matches!(doubt.settled, Some((_, Settler::Person(_), _)));
        let request = words::request(&state.mutation(doubt.call).filter(|_| by_a_person)?.request);
        Some(Lesson::Asked { unit: name(state, doubt.call.execution), request })
    }));
    let triggers = state.shape.watch.iter().flat_map(|watch| &watch.triggers);
    lessons.extend(triggers.filter_map(|trigger| match state.tally(&trigger.id).standing(trigger) {
        Standing::GivenUp(why) => {
            Some(Lesson::GivenUp { trigger: trigger.id.clone(), title: trigger.title.clone(), why })
        }
        _ => None,
    }));
    lessons.extend(left_to_do(state, &story.run()).into_iter().filter_map(|left| match left {
        Left::NotSent { request, why } => Some(Lesson::NotSent { request, why }),
        _ => None,
    }));
    let overdue = FollowUp::all_of(state, now).into_iter().filter(|item| item.is_overdue);
    lessons.extend(overdue.map(|item| Lesson::Overdue { owner: item.seen_to_by(), item: item.id }));
    if let Some(DriftState::Drifted { check }) = DriftWatch::of(state).map(|drift| drift.standing) {
        lessons.push(Lesson::Drifted { check });
    }
    if state.shape.verify.is_empty() {
        lessons.push(Lesson::Unverified);
    }
    lessons
}

/// The steps and checks that took most of their time, each with its longest execution.
fn slow(state: &State) -> Vec<Lesson> {
    let longest = |id: &str| {
        let own = state.executions.values().filter(|known| match &known.purpose {
            Purpose::Apply(unit) | Purpose::Check(unit) => unit == id,
            _ => false,
        });
        own.map(|known| known.held_ms).max()
    };
    let close = |(id, allowed): (&String, &u64)| {
        let took = longest(id).filter(|took| took.saturating_mul(100) >= allowed.saturating_mul(CLOSE_PERCENT))?;
        let [took, allowed] = [took, *allowed].map(|ms| duration(Duration::from_millis(ms)));
        Some(Lesson::Slow { unit: id.clone(), took, allowed })
    };
    state.shape.timeouts_ms.iter().filter_map(close).collect()
}

fn many_tries(state: &State, check: &str) -> Option<Lesson> {
    let is_this = |purpose: &Purpose| matches!(purpose, Purpose::Check(id) if id == check);
    let tries = state.executions.values().filter(|known| is_this(&known.purpose)).count();
    (tries > TRIES).then(|| Lesson::ManyTries { check: check.to_owned(), tries })
}

fn failed(state: &State, step: &str) -> Option<Lesson> {
    let (_, execution) = state.application(step)?;
    let why = match execution.end.as_ref()? {
        End::Returned(_) | End::Refused | End::Abandoned => return None,
        end => describe(end),
    };
    let stand_in = state.shape.steps.iter().find(|other| other.fallback.as_deref() == Some(step));
    let failed = step.to_owned();
    Some(match stand_in {
        Some(stand_in) if state.application(&stand_in.id).is_some() => {
            Lesson::StoodIn { step: stand_in.id.clone(), failed, why }
        }
        Some(_) => return None,
        None => Lesson::Failed { step: failed, why },
    })
}
