//! What programs read: one object each, with a version that counts up when a reader would have to
//! change.

use serde_json::{Map, Value, json};

use crate::id::RunId;
use crate::journal::Recorded;
use crate::runner::PreviewReport;

use super::preview::changes;

const VERSION: u32 = 1;

/// A preview, whole: all that [`preview`](super::preview) says and the calls with their bodies.
pub fn preview_json(report: &PreviewReport) -> Value {
    let changes = changes(report);
    json!({
        "version": VERSION,
        "plan": report.plan,
        "target": report.target,
        "binding": report.binding,
        "branches": report.branches,
        "listed": report.listed(),
        "changes": { "always": changes.always, "only-if": changes.only_if, "connections": changes.connections },
        "approval": report.digest(),
    })
}

/// An event of a run, in the journal's own words. The last of a run that has ended is
/// `{"event": "run-ended", "run": …, "outcome": …, "why": …}`.
pub fn event_json(run: &RunId, recorded: &Recorded) -> Value {
    let mut object = Map::from_iter([("version".to_owned(), json!(VERSION)), ("run".to_owned(), json!(run))]);
    // Its maps have texts for keys and its numbers are finite, so there is nothing that could fail.
    if let Ok(Value::Object(event)) = serde_json::to_value(recorded) {
        // `run-started` names the run itself.
        object.extend(event);
    }
    Value::Object(object)
}
