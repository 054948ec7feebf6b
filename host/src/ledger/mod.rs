//! The ledger of good states: in which states runs have left a target, and passed their verification.
//!
//! It is read from the journal, newest first, and kept nowhere else: the record of a run says what its
//! steps' receipts held and how it ended.

#[cfg(test)]
mod tests;

use crate::id::RunId;
use crate::journal::{End, Event, GOOD_STATE, GoodState, Journal, Purpose, ReadError, Recorded};
use crate::machine::State;
use crate::record::{RecordError, look};

/// How many good states a run is told of.
pub const ENTRIES_MAX: usize = 20;

/// The longest state that is told, as JSON: each later run keeps a copy of it.
pub const STATE_BYTES_MAX: usize = 16 * 1024;

/// The newest good states of a target, newest first.
///
/// A run whose record was altered counts for nothing: what is rolled back to must not rest on it.
pub async fn good_states(journal: &dyn Journal, target: &str) -> Result<Vec<GoodState>, ReadError> {
    let mut known = Vec::new();
    for run in journal.with_good_states(target).await? {
        match look(journal, &run).await {
            Ok((state, events, _)) => known.extend(left_by(&run, &state, &events)),
            Err(RecordError::Read(error @ ReadError::Storage(_))) => return Err(error),
            Err(error) => tracing::warn!("run {run} is no proof of a good version of {target}: {error}"),
        }
        if known.len() >= ENTRIES_MAX {
            break;
        }
    }
    known.sort_by_key(|good| std::cmp::Reverse(good.at));
    known.truncate(ENTRIES_MAX);
    Ok(known)
}

/// What a run has left, as far as it counts: of its steps the last first.
fn left_by(run: &RunId, state: &State, events: &[Recorded]) -> Vec<GoodState> {
    let ended = events.iter().rev().find(|recorded| matches!(recorded.event, Event::RunEnded { .. }));
    let (Some(ended), true) = (ended, state.is_verified()) else { return Vec::new() };
    let left = state.executions.values().rev().filter_map(|execution| {
        let (Purpose::Apply(step), Some(End::Returned(receipt))) = (&execution.purpose, &execution.end) else {
            return None;
        };
        let state = receipt.get(GOOD_STATE)?;
        if !state.is_object() || state.to_string().len() > STATE_BYTES_MAX {
            tracing::warn!(
                "the good state of step {step} of run {run} is no JSON object of at most {STATE_BYTES_MAX} bytes"
            );
            return None;
        }
        Some(GoodState { run: run.clone(), step: step.clone(), at: ended.at, state: state.clone() })
    });
    left.collect()
}
