//! What goes to stdout (data) and to stderr (for people).

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::context::Context;
use super::exit::{Fault, What};
use crate::diagnostic::Diagnostic;
use crate::id::{CallId, Digest, RunId};
use crate::init::Starter;
use crate::journal::{GateOpened, Head, Outline, Question, Recorded, RunOutcome};
use crate::machine::{Mutation, State};
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::present::{self, Narrator, RunLine, Style, clean, live::Live};
use crate::record::Listener;
use crate::report;
use crate::runner::{Checked, PreviewReport, Replayed, Stand};

/// Without a terminal, and where the terminal does not say.
const COLUMNS: usize = 100;

/// A closed stdout or stderr is no reason to stop a rollback.
pub(super) fn out(text: &str) {
    let _ = writeln!(anstream::stdout(), "{}", text.trim_end());
}

pub(super) fn err(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}

pub(super) fn object(value: &Value) {
    out(&value.to_string());
}

fn style_of(terminal: bool, columns: Option<u16>) -> Style {
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    Style::new(colour, columns.filter(|&columns| columns > 0).map_or(COLUMNS, usize::from))
}

pub(super) fn stdout_style() -> Style {
    let stdout = std::io::stdout();
    style_of(stdout.is_terminal(), rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col))
}

fn stderr_style() -> Style {
    let stderr = std::io::stderr();
    style_of(stderr.is_terminal(), rustix::termios::tcgetwinsize(&stderr).ok().map(|size| size.ws_col))
}

/// A line for people.
pub(super) fn note(text: &str) {
    err(text);
}

/// What could not be done, and what to do next.
pub(super) fn error(fault: &Fault) {
    match &fault.what {
        What::Message(message) => err(&format!("error: {}", clean_lines(message))),
        What::Diagnostics(diagnostics) => err(&diagnostics.render(stderr_style().colour)),
    }
    if !fault.hints.is_empty() {
        err("");
    }
    for hint in &fault.hints {
        err(&format!("hint: {}", clean_lines(hint)));
    }
}

/// A message may hold what a server or a plugin said; its lines are ours.
fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

pub(super) fn warnings(warnings: &[Diagnostic]) {
    for warning in warnings {
        err(&warning.render(stderr_style().colour));
    }
}

pub(super) fn checked(context: &Context, plan: &Plan, checked: &Checked<'_>) {
    let plugins = |id: &str| checked.manifest(id).map(|manifest| format!("{} {}", manifest.name, manifest.version));
    let steps: Vec<_> = plan.steps.iter().map(|step| (step.id.as_str(), plugins(&step.id))).collect();
    let checks: Vec<_> = plan.verify.iter().map(|check| (check.id.as_str(), plugins(&check.id))).collect();
    if context.global.json {
        return object(
            &json!({ "version": 1, "event": "checked", "plan": plan.name, "steps": steps, "checks": checks }),
        );
    }
    let list = |units: &[(&str, Option<String>)]| {
        let name = |(id, plugin): &(&str, Option<String>)| format!("{id} ({})", plugin.as_deref().unwrap_or("?"));
        units.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    out(&format!(
        "plan {} is sound: steps {}; checks {}",
        plan.name,
        list(&steps),
        if checks.is_empty() { "none".to_owned() } else { list(&checks) }
    ));
}

pub(super) fn preview(context: &Context, report: &PreviewReport) {
    if context.global.json {
        object(&present::preview_json(report));
    } else {
        out(&present::preview(report, &stdout_style()));
    }
}

/// The preview that a run begins with: for the person who is asked.
pub(super) fn preview_for_run(report: &PreviewReport) {
    err(&present::preview(report, &stderr_style()));
}

pub(super) fn began(run: &RunId) {
    err(&format!("\nrun {run} begins; if anything stops it:  ripcord resume {run}\n"));
}

/// Where a run has got to, and what a person has to do.
pub(super) fn stand(context: &Context, run: &RunId, stand: &Stand, state: &State) {
    let (outcome, why) = match stand {
        Stand::Ended(outcome, why) => (outcome.to_string(), why.clone()),
        Stand::Asks(Question::DidItHappen { call, .. }) => {
            ("waiting".to_owned(), format!("it is not known whether call {call} happened"))
        }
        Stand::AtGate(gate) => ("waiting".to_owned(), format!("gate {gate} has no answer yet")),
        Stand::Paused => ("paused".to_owned(), "it was interrupted".to_owned()),
    };
    if context.global.json {
        // The end of a run is its own event, and was printed when it was recorded.
        if !matches!(stand, Stand::Ended(..)) {
            object(&json!({ "version": 1, "event": "run-stopped", "run": run, "state": outcome, "why": why }));
        }
    } else {
        out(&format!("run {run}: {outcome}"));
    }
    err(&format!("\n{outcome}: {}", clean(&why)));
    for hint in what_next(run, stand, state) {
        err(&format!("hint: {hint}"));
    }
}

fn what_next(run: &RunId, stand: &Stand, state: &State) -> Vec<String> {
    match stand {
        Stand::Ended(RunOutcome::Verified | RunOutcome::Undone, _) => {
            vec![format!("the incident report:  ripcord report {run}")]
        }
        Stand::Ended(RunOutcome::Unchanged, _) => Vec::new(),
        Stand::Ended(RunOutcome::Halted, _) => {
            let mut next = vec![format!("what was done and what was not:  ripcord show {run}")];
            if state.can_verify_again() {
                next.push(format!("verify again:  ripcord resume {run}"));
            }
            next.push(if state.has_effects() {
                format!("take back what it did:  ripcord undo {run}")
            } else {
                "nothing was changed: put the cause right, and run the plan again".to_owned()
            });
            next
        }
        Stand::Asks(Question::DidItHappen { call, .. }) => vec![
            format!("what was sent, and how to find out:  ripcord show {run}"),
            format!("answer with  ripcord resolve {run} {call} --happened | --did-not-happen | --unknowable"),
            format!("then  ripcord resume {run}"),
        ],
        Stand::AtGate(gate) => vec![
            format!("answer with  ripcord approve {run} {gate}    (or --no)"),
            format!("then  ripcord resume {run}"),
        ],
        Stand::Paused => vec![format!("go on with  ripcord resume {run}    or take it back with  ripcord abort {run}")],
    }
}

pub(super) fn runs(context: &Context, outlines: &[Outline]) {
    let lines: Vec<_> = outlines.iter().map(RunLine::from).collect();
    if !context.global.json {
        return out(&present::runs(&lines, &stdout_style()));
    }
    for line in &lines {
        object(&json!({
            "version": 1,
            "run": line.run,
            "plan": line.plan,
            "target": line.target,
            "standing": line.standing,
            "started": line.started,
            "last": line.last,
        }));
    }
}

pub(super) fn run(context: &Context, run: &RunId, state: &State, events: &[Recorded], head: Head) {
    if context.global.json {
        events.iter().for_each(|recorded| object(&present::event_json(run, recorded)));
    } else {
        out(&present::run(state, events, head, &stdout_style()));
    }
}

pub(super) fn report(
    context: &Context,
    run: &RunId,
    state: &State,
    events: &[Recorded],
    head: Head,
) -> Result<(), Fault> {
    let text = report::markdown(state, events, head, &stdout_style().zone)
        .map_err(|error| Fault::faulty(format!("the report of run {run} can't be written: {error}")))?;
    if context.global.json {
        object(&json!({ "version": 1, "event": "report", "run": run, "markdown": text }));
    } else {
        out(&text);
    }
    Ok(())
}

pub(super) fn audited(context: &Context, run: &RunId, events: usize, head: Head) {
    if context.global.json {
        object(&json!({ "version": 1, "event": "audited", "run": run, "events": events, "head": head.hash }));
    } else {
        out(&format!("run {run}: all {events} events are as they were written; head {}", head.hash));
    }
}

pub(super) fn replayed(context: &Context, run: &RunId, replayed: &[Replayed]) {
    if !context.global.json {
        return out(&present::replayed(replayed, &stdout_style()));
    }
    for one in replayed {
        object(&json!({
            "version": 1,
            "event": "replayed",
            "run": run,
            "execution": one.execution,
            "unit": one.unit,
            "calls": one.calls,
            "difference": one.difference,
        }));
    }
}

pub(super) fn starters(context: &Context, starters: &[Starter]) {
    for Starter { name, about, .. } in starters {
        if context.global.json {
            object(&json!({ "version": 1, "name": name, "about": about }));
        } else {
            out(&format!("{name:<16} {about}"));
        }
    }
}

pub(super) fn written(context: &Context, files: &[PathBuf]) {
    if context.global.json {
        return object(&json!({ "version": 1, "event": "written", "files": files }));
    }
    files.iter().for_each(|file| out(&format!("wrote {}", file.display())));
}

/// A schema is made to be kept in a file, and people look into it.
pub(super) fn schema(schema: &Value) {
    out(&format!("{schema:#}"));
}

pub(super) fn manifest(context: &Context, manifest: &Manifest, digest: Digest) {
    if context.global.json {
        object(&json!({ "version": 1, "digest": digest, "manifest": manifest }));
    } else {
        out(&present::manifest(manifest, &digest, &stdout_style()));
    }
}

/// The question at a gate.
pub(super) fn gate(run: &RunId, gate: &GateOpened) -> String {
    present::gate(run, gate, &stderr_style())
}

/// The question about a call.
pub(super) fn doubt(run: &RunId, call: CallId, mutation: &Mutation, seen: &str) -> String {
    present::doubt(run, call, mutation, seen, &stderr_style())
}

/// Prints the events of a run that another process carries.
pub(super) struct Follower {
    run: RunId,
    json: bool,
    narrator: Narrator,
}

impl Follower {
    pub(super) fn new(context: &Context, run: &RunId) -> Self {
        Self { run: run.clone(), json: context.global.json, narrator: Narrator::new(stdout_style().zone) }
    }

    pub(super) fn events(&mut self, events: &[Recorded]) {
        for recorded in events {
            let line = self.narrator.line(recorded.at, &recorded.event);
            match line {
                _ if self.json => object(&present::event_json(&self.run, recorded)),
                Some(line) => out(&line),
                None => {}
            }
        }
    }
}

/// Shows a run that this process carries: a live list of steps on a terminal, plain lines elsewhere.
#[derive(Clone)]
pub(super) struct Progress {
    inner: Arc<Shown>,
}

struct Shown {
    run: RunId,
    json: bool,
    live: Option<Live>,
    narrator: Mutex<Narrator>,
}

impl Progress {
    pub(super) fn new(context: &Context, run: &RunId, state: &State, events: &[Recorded]) -> Self {
        let live = std::io::stderr().is_terminal().then(|| Live::new(&state.shape));
        if let Some(live) = &live {
            live.catch_up(events);
        }
        let mut narrator = Narrator::new(stderr_style().zone);
        narrator.catch_up(events);
        let json = context.global.json;
        if json {
            events.iter().for_each(|recorded| object(&present::event_json(run, recorded)));
        }
        Self { inner: Arc::new(Shown { run: run.clone(), json, live, narrator: Mutex::new(narrator) }) }
    }

    pub(super) fn listener(&self) -> Listener {
        let shown = Arc::clone(&self.inner);
        Arc::new(move |recorded| shown.event(recorded))
    }

    /// Takes the live list off the terminal until the guard is dropped.
    pub(super) fn hide(&self) -> Hidden {
        if let Some(live) = &self.inner.live {
            live.hide();
        }
        Hidden(Arc::clone(&self.inner))
    }

    pub(super) fn finish(&self) {
        if let Some(live) = &self.inner.live {
            live.finish();
        }
    }
}

/// Brings the live list back when it is dropped.
pub(super) struct Hidden(Arc<Shown>);

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(live) = &self.0.live {
            live.show();
        }
    }
}

impl Shown {
    fn event(&self, recorded: &Recorded) {
        if self.json {
            object(&present::event_json(&self.run, recorded));
        }
        let line = self.narrator.lock().unwrap_or_else(PoisonError::into_inner).line(recorded.at, &recorded.event);
        match (&self.live, line) {
            (Some(live), _) => live.event(recorded.at, &recorded.event),
            (None, Some(line)) => err(&line),
            (None, None) => {}
        }
    }
}
