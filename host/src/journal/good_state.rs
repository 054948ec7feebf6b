//! A state of a target that was found good.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{End, Event};
use crate::id::RunId;

/// The key of a receipt that says in which state its step has left the target, or has found it.
pub(crate) const GOOD_STATE: &str = "good-state";

/// A state in which a run has left its target, and whose verification it has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GoodState {
    /// The run.
    pub run: RunId,
    /// The step whose receipt says it.
    pub step: String,
    /// When the run ended.
    pub at: Timestamp,
    /// What the receipt says: a JSON object, `{"version": "1.4.2", "commit": "…"}`.
    pub state: Value,
}

/// Whether an event holds what may become a good state, once its run is verified.
pub(super) fn is_said_by(event: &Event) -> bool {
    matches!(event, Event::ExecutionEnded { end: End::Returned(receipt), .. } if receipt.get(GOOD_STATE).is_some())
}
