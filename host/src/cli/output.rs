//! What goes to stdout (data) and to stderr (for people).

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::context::Context;
use super::exit::{Fault, What};
use crate::diagnostic::Diagnostic;
use crate::id::{CallId, Digest, RunId};
use crate::journal::{Event, GateOpened, Head, Outline, Recorded};
use crate::machine::{Mutation, State};
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::record::Listener;
use crate::runner::{Checked, PreviewReport, Replayed, Stand};

/// A closed stdout or stderr is no reason to stop a rollback.
fn out(text: &str) {
    let _ = writeln!(anstream::stdout(), "{}", text.trim_end());
}

fn err(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}

pub(super) fn note(text: &str) {
    err(text);
}
pub(super) fn error(fault: &Fault) {
    match &fault.what {
        What::Message(message) => err(&format!("error: {message}")),
        What::Diagnostics(diagnostics) => err(&diagnostics.render(std::io::stderr().is_terminal())),
    }
    if !fault.hints.is_empty() {
        err("");
    }
    for hint in &fault.hints {
        err(&format!("hint: {hint}"));
    }
}
pub(super) fn warnings(warnings: &[Diagnostic]) {
    for w in warnings {
        err(&w.render(false));
    }
}
pub(super) fn checked(_c: &Context, plan: &Plan, _checked: &Checked<'_>) {
    out(&format!("plan {} is sound", plan.name));
}
pub(super) fn preview(_c: &Context, report: &PreviewReport) {
    out(&format!("{:#?}\napproval: {}", report.branches, report.digest()));
}
pub(super) fn preview_for_run(_c: &Context, report: &PreviewReport) {
    err(&format!("{:#?}", report.listed()));
}
pub(super) fn began(_c: &Context, run: &RunId) {
    err(&format!("run {run}"));
}
pub(super) fn stand(c: &Context, run: &RunId, stand: &Stand) {
    if c.global.json
        && let Stand::Ended(outcome, why) = stand
    {
        out(&json!({"event":"run-ended","run":run,"outcome":outcome,"why":why}).to_string());
    }
    err(&format!("{run}: {stand:?}"));
}
pub(super) fn runs(_c: &Context, outlines: &[Outline]) {
    for o in outlines {
        out(o.run.as_str());
    }
}
pub(super) fn run(_c: &Context, run: &RunId, state: &State, events: &[Recorded], head: Head) {
    let _ = state;
    for e in events {
        out(&serde_json::to_string(e).unwrap_or_default());
    }
    out(&format!("{run} {}", head.hash));
}
pub(super) fn report(c: &Context, r: &RunId, s: &State, e: &[Recorded], h: Head) {
    run(c, r, s, e, h);
}
pub(super) fn audited(_c: &Context, run: &RunId, events: usize, head: Head) {
    out(&format!("run {run}: {events} events, chain sound, head {}", head.hash));
}
pub(super) fn replayed(_c: &Context, _run: &RunId, replayed: &[Replayed]) {
    for r in replayed {
        out(&format!("{r:?}"));
    }
}
pub(super) fn manifest(_c: &Context, m: &Manifest, d: Digest) {
    out(&format!("{d} {m:#?}"));
}
pub(super) fn gate(gate: &GateOpened) -> String {
    format!("{} ", gate.ask)
}
pub(super) fn doubt(call: CallId, mutation: &Mutation, seen: &str) -> String {
    format!("{call} {} {seen}", mutation.request.call.summary())
}

pub(super) struct Follower {}
impl Follower {
    pub(super) fn new(_c: &Context, _run: &RunId) -> Self {
        Self {}
    }
    pub(super) fn events(&mut self, events: &[Recorded]) {
        for e in events {
            out(&serde_json::to_string(e).unwrap_or_default());
        }
    }
}

#[derive(Clone)]
pub(super) struct Progress {
    lines: Arc<Mutex<()>>,
}
impl Progress {
    pub(super) fn new(_c: &Context, _run: &RunId, _s: &State, _e: &[Recorded]) -> Self {
        Self { lines: Arc::default() }
    }
    pub(super) fn listener(&self) -> Listener {
        let me = self.clone();
        Arc::new(move |_at, event: &Event| {
            let _g = me.lines.lock();
            err(&serde_json::to_string(event).unwrap_or_default().chars().take(200).collect::<String>());
        })
    }
    pub(super) fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        f()
    }
    pub(super) fn finish(&self) {}
}
