//! What programs read: one object each, with a version that counts up when a reader would have to
//! change.

use serde_json::{Map, Value, json};

use crate::id::RunId;
use crate::journal::Recorded;
use crate::runner::PreviewReport;

use super::preview::changes;
use super::{RunLine, Standing, WaitsFor};

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

/// A run of the list. `state` is `ended` (with its `outcome`), `waiting` (with what it `waits-for`: a
/// `gate` or a `call`), `running`, `cut-off` or `damaged` (with its `problem`); `since` is when that began,
/// and `held-by` the process that carries it.
pub fn run_line_json(line: &RunLine) -> Value {
    let (state, outcome, waits_for, problem) = match &line.standing {
        Standing::Ended(outcome) => ("ended", json!(outcome), Value::Null, Value::Null),
        Standing::Waits(WaitsFor::Gate(gate)) => ("waiting", Value::Null, json!({ "gate": gate }), Value::Null),
        Standing::Waits(WaitsFor::Call(call)) => ("waiting", Value::Null, json!({ "call": call }), Value::Null),
        Standing::Running => ("running", Value::Null, Value::Null, Value::Null),
        Standing::CutOff => ("cut-off", Value::Null, Value::Null, Value::Null),
        Standing::Damaged(problem) => ("damaged", Value::Null, Value::Null, json!(problem)),
    };
    json!({
        "version": VERSION,
        "run": line.run,
        "plan": line.plan,
        "target": line.target,
        "state": state,
        "outcome": outcome,
        "waits-for": waits_for,
        "problem": problem,
        "held-by": line.held_by.as_ref().map(|holder| json!({ "pid": holder.pid, "machine": holder.machine })),
        "since": line.since,
        "started": line.started,
        "last": line.last,
    })
}
