//! Who is told of a rollback, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{Plan, Retry, Uses};
use crate::journal::{NoticeShape, Occasion};

/// A notice: one use of an action that only tells people something. It never decides where a run goes:
/// one that can't be sent is noted, and the run goes on.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its name, unique among all parts of the plan.
    pub id: String,
    /// When it is sent, in the order of the plan.
    pub on: Vec<Occasion>,
    /// The plugin.
    pub uses: Uses,
    /// The connection behind each role of the plugin.
    pub bind: BTreeMap<String, String>,
    /// The plugin's configuration: a JSON object whose strings may be templates.
    pub with: Value,
    /// How long it may hold up the rollback. 1 minute if not said.
    pub timeout: Duration,
    /// How often the host tries a call that certainly did not happen. Once if not said: people are told
    /// while something is to be done.
    pub retry: Retry,
}

impl Plan {
    /// Who is told, and when, as a run keeps it.
    pub(super) fn notice_shapes(&self) -> Vec<NoticeShape> {
        self.notices.iter().map(|notice| NoticeShape { id: notice.id.clone(), on: notice.on.clone() }).collect()
    }
}
