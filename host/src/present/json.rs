//! What programs read: one object each, with a version that counts up when a reader would have to
//! change.

use serde_json::{Map, Value, json};

use crate::id::RunId;
use crate::journal::Recorded;
use crate::pipeline::Previewed;
use crate::runner::PreviewReport;

use super::preview::changes;
use super::{RunLine, Standing, WaitsFor, words};

const VERSION: u32 = 1;

/// Of a preview. The second has steps, checks, places and exact calls.
const PREVIEW_VERSION: u32 = 2;

/// A preview, whole: all that [`preview`](super::preview()) says, in fields. `run` is the command that
/// runs exactly this. `docs/preview.md` says what the fields mean.
///
/// What a read has answered is there in short, as in the text: whole answers hold times and other
/// things that move, and two previews of one world are the same.
pub fn preview_json(report: &PreviewReport, run: Option<&str>) -> Value {
    let changes = changes(report);
    // Its maps have texts for keys and its numbers are finite, so there is nothing that could fail.
    let mut preview = serde_json::to_value(report).unwrap_or_default();
    for (index, branch) in report.branches.iter().enumerate() {
        for (place, call) in branch.calls.iter().enumerate() {
            if let Previewed::Read { outcome, .. } = call {
                preview["branches"][index]["calls"][place]["answer"] = json!(words::answer_of(outcome));
            }
        }
    }
    for (list, checks) in [("probing-triggers", &report.probing_triggers), ("checks", &report.checks)] {
        for (index, check) in checks.iter().enumerate() {
            for (place, call) in check.probe.iter().flat_map(|probe| &probe.calls).enumerate() {
                if let Previewed::Read { outcome, .. } = call {
                    preview[list][index]["probe"]["calls"][place]["answer"] = json!(words::answer_of(outcome));
                }
            }
        }
    }
    preview["version"] = json!(PREVIEW_VERSION);
    preview["listed"] = json!(report.listed());
    preview["changes"] = json!({
        "always": changes.taken, "only-if": changes.only_if, "not-reached": changes.not_reached,
        "probes": changes.probes, "connections": changes.connections,
    });
    preview["approval"] = json!(report.digest());
    preview["run"] = json!(run);
    preview
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
/// `gate` or a `call`), `running` (and perhaps
/// `watching`), `cut-off` or `damaged` (with its `problem`); `since` is when that began,
/// and `held-by` the process that carries it. Of a run that has ended, `follow-up` is the one that is carried
/// out (`state` is then its state), `open-follow-ups` are those that stay to be done, and `drift` whether what
/// was verified is watched (`open`) or is so no more (`drifted`).
pub fn run_line_json(line: &RunLine) -> Value {
    let ended = line.follow_up.as_ref().map(|(_, outcome)| *outcome);
    let (state, outcome, waits_for, problem) = match &line.standing {
        Standing::Ended(outcome) => ("ended", json!(outcome), Value::Null, Value::Null),
        Standing::Waits(WaitsFor::Gate(gate)) => ("waiting", Value::Null, json!({ "gate": gate }), Value::Null),
        Standing::Waits(WaitsFor::Call(call)) => ("waiting", Value::Null, json!({ "call": call }), Value::Null),
        Standing::Running | Standing::Watching => ("running", Value::Null, Value::Null, Value::Null),
        Standing::CutOff => ("cut-off", Value::Null, Value::Null, Value::Null),
        Standing::Damaged(problem) => ("damaged", Value::Null, Value::Null, json!(problem)),
    };
    json!({
        "version": VERSION,
        "run": line.run,
        "plan": line.plan,
        "target": line.target,
        "state": state,
        "outcome": ended.map_or(outcome, |ended| json!(ended)),
        "waits-for": waits_for,
        "problem": problem,
        "follow-up": line.follow_up.as_ref().map(|(item, _)| item),
        "open-follow-ups": line.open,
        "drift": line.drift,
        "watching": line.standing == Standing::Watching,
        "held-by": line.held_by.as_ref().map(|holder| json!({ "pid": holder.pid, "machine": holder.machine })),
        "since": line.since,
        "started": line.started,
        "last": line.last,
    })
}
