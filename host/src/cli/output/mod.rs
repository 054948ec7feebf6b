//! What goes to stdout (data) and to stderr (for people).

mod ending;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use super::exit::{Fault, What};
use super::follow_up::items;
use super::screen::{err, out};
use crate::diagnostic::Diagnostic;
use crate::id::{CallId, Digest, RunId};
use crate::init::Starter;
use crate::journal::{GateOpened, Head, Recorded, WatchShape};
use crate::machine::{Drift, Mutation, State};
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::present::{self, Narrator, RunLine, Style, View, clean};
use crate::report::{Format, Report};
use crate::runner::{Checked, PreviewReport, Replayed, Unopened};

pub(super) use ending::{drift_ended, follow_up_ended, left, paused, pausing, stand, unknown};

/// Without a terminal, and where the terminal does not say.
const COLUMNS: usize = 100;

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

pub(super) fn stderr_style() -> Style {
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
    if !fault.meaning.is_empty() || !fault.hints.is_empty() {
        err("");
    }
    if !fault.meaning.is_empty() {
        err(&format!("note: {}", clean_lines(&fault.meaning)));
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
        err("");
    }
}

/// A rollback goes on although somebody can't be told of it, and whoever carries it has to know.
pub(super) fn nobody_is_told_by(unopened: &Unopened) {
    let Unopened { connection, problem } = unopened;
    err(&format!("warning: nobody is told anything by [{}]: {}", clean(connection), clean(&problem.to_string())));
    err("  the rollback goes on without it; `ripcord doctor` tries all connections");
}

pub(super) fn checked(context: &Context, plan: &Plan, checked: &Checked<'_>) {
    let plugins = |id: &str| checked.manifest(id).map(|manifest| format!("{} {}", manifest.name, manifest.version));
    let steps: Vec<_> = plan.steps.iter().map(|step| (step.id.as_str(), plugins(&step.id))).collect();
    let alerts = plan.alerts.iter().map(|it| (it.id.as_str(), Some("an alert".to_owned())));
    let triggers: Vec<_> = plan.triggers.iter().map(|it| (it.id.as_str(), plugins(&it.id))).chain(alerts).collect();
    let checks: Vec<_> = plan.verify.iter().map(|check| (check.id.as_str(), plugins(&check.id))).collect();
    let by_people = || Some("people".to_owned());
    let follow_ups = plan.follow_ups.iter().map(|item| (item.id.as_str(), plugins(&item.id).or_else(by_people)));
    let follow_ups: Vec<_> = follow_ups.collect();
    let notices: Vec<_> = plan.notices.iter().map(|it| (it.id.as_str(), plugins(&it.id))).collect();
    if context.global.json {
        return object(&json!({
            "version": 1,
            "event": "checked",
            "plan": plan.name,
            "steps": steps,
            "checks": checks,
            "triggers": triggers,
            "follow-ups": follow_ups,
            "notices": notices,
        }));
    }
    let list = |units: &[(&str, Option<String>)]| {
        let name = |(id, plugin): &(&str, Option<String>)| format!("{id} ({})", plugin.as_deref().unwrap_or("?"));
        units.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    out(&format!(
        "plan {} is sound: steps {}; checks {}{}{}{}",
        plan.name,
        list(&steps),
        if checks.is_empty() { "none".to_owned() } else { list(&checks) },
        if triggers.is_empty() { String::new() } else { format!("; triggers {}", list(&triggers)) },
        if follow_ups.is_empty() { String::new() } else { format!("; follow-ups {}", list(&follow_ups)) },
        if notices.is_empty() { String::new() } else { format!("; notices {}", list(&notices)) }
    ));
}

pub(super) fn preview(context: &Context, report: &PreviewReport, verbose: bool, run: &str) {
    if context.global.json {
        object(&present::preview_json(report, Some(run)));
    } else {
        let (now, style) = read_as(std::io::stdout().is_terminal(), stdout_style());
        out(&present::preview(report, &View { verbose, now, run: Some(run.to_owned()) }, &style));
    }
}

/// The preview that a run begins with: for the person who is asked.
pub(super) fn preview_for_run(report: &PreviewReport) {
    let (now, style) = read_as(std::io::stderr().is_terminal(), stderr_style());
    err(&present::preview(report, &View { now, ..View::default() }, &style));
}

/// On a terminal a preview is for somebody who is there now. Elsewhere it may be compared with another
/// one, so nothing in it depends on the time and the place of reading, and each fact is one line: a word
/// more would move the breaks of all that follows it.
fn read_as(terminal: bool, style: Style) -> (Option<jiff::Timestamp>, Style) {
    if terminal {
        (Some(jiff::Timestamp::now()), style)
    } else {
        (None, Style { width: usize::MAX, zone: jiff::tz::TimeZone::UTC, ..style })
    }
}

pub(super) fn began(run: &RunId) {
    err(&format!("\nrun {run} begins; if anything stops it:  ripcord resume {run}\n"));
}

/// What is watched, and for how long, for the person who is asked.
pub(super) fn watched(watch: &WatchShape) {
    err(&format!("\n{}", present::watched(watch, &stderr_style())));
}

/// As [`began`], for a run that watches.
pub(super) fn began_to_watch(run: &RunId, watch: &WatchShape) {
    let window = humantime::format_duration(Duration::from_millis(watch.window_ms));
    err(&format!("\nrun {run} watches for {window}; if anything stops it:  ripcord resume {run}"));
    err(&format!("to roll back without waiting for a trigger:  ripcord approve {run} watch    (--no ends it)\n"));
    watch.listen.iter().for_each(|address| receives(*address));
}

/// Where alerts may be sent now.
pub(super) fn receives(address: SocketAddr) {
    err(&format!("alerts are received at http://{address}/alerts\n"));
}

/// What `watch RUN` looks at, and for how long.
pub(super) fn began_to_drift(run: &RunId, drift: &Drift) {
    let until = present::date_time(drift.wanted.until, &stderr_style().zone);
    let checks = drift.wanted.checks.join(", ");
    let every = humantime::format_duration(Duration::from_millis(drift.wanted.interval_ms));
    err(&format!("\nwhat run {run} has verified is looked at every {every}, until {until}: {checks}"));
    err(&format!("nothing is changed or held; Ctrl-C pauses it, and  ripcord watch {run}  goes on\n"));
}

/// What stays to be done after a run.
pub(super) fn follow_ups(context: &Context, run: &RunId, state: &State) {
    let items = items(state);
    if context.global.json {
        let object_of = |item: &present::FollowUp| object(&json!({ "version": 1, "run": run, "follow-up": item }));
        return items.iter().for_each(object_of);
    }
    if items.is_empty() {
        return out(&format!("run {run}: its plan leaves nothing to be done afterwards"));
    }
    out(&present::follow_ups(run, &items, &stdout_style()));
}

pub(super) fn runs(context: &Context, lines: &[RunLine]) {
    if !context.global.json {
        return out(&present::runs(lines, &stdout_style()));
    }
    lines.iter().for_each(|line| object(&present::run_line_json(line)));
}

pub(super) fn run(context: &Context, run: &RunId, state: &State, events: &[Recorded], head: Head) {
    if context.global.json {
        events.iter().for_each(|recorded| object(&present::event_json(run, recorded)));
    } else {
        out(&present::run(state, events, head, jiff::Timestamp::now(), &stdout_style()));
    }
}

/// The report: to a file, else to stdout. With `--json` stdout has one object a line.
pub(super) fn report(context: &Context, report: &Report, format: Format, file: Option<&Path>) -> Result<(), Fault> {
    let run = &report.run;
    let written = report.write(format, &stdout_style().zone);
    let text = written.map_err(|error| Fault::faulty(format!("the report of run {run}: {error}")))?;
    let Some(file) = file else {
        if context.global.json {
            object(&json!(report));
        } else {
            out(&text);
        }
        return Ok(());
    };
    write_whole(file, &text).map_err(|error| {
        Fault::wrong(format!("can't write the report to {}: {error}", file.display()))
            .hint("the run is not affected; name another file with -o, or leave -o out to have it on stdout")
    })?;
    if context.global.json {
        object(&json!({ "version": 1, "event": "report-written", "run": run, "file": file.display().to_string() }));
    } else {
        err(&format!("the report of run {run} is in {}", file.display()));
    }
    Ok(())
}

/// Never half a report, whatever happens in between.
fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    // A pipe or a terminal can't be replaced.
    if std::fs::metadata(file).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        return std::fs::write(file, text);
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut whole = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    whole.write_all(text.as_bytes())?;
    whole.persist(file)?;
    Ok(())
}

pub(super) fn audited(context: &Context, run: &RunId, events: usize, head: Head) {
    if context.global.json {
        object(&json!({ "version": 1, "event": "audited", "run": run, "events": events, "head": head.hash }));
    } else {
        out(&format!("run {run}: all {events} events are as they were written; head {}", head.hash));
    }
}

/// As [`audited`], against a head that was kept when the run was shorter.
pub(super) fn audited_since(context: &Context, run: &RunId, events: usize, head: Head, place: u64) {
    if context.global.json {
        object(&json!({
            "version": 1,
            "event": "audited",
            "run": run,
            "events": events,
            "head": head.hash,
            "kept-head-is-of": place,
        }));
    } else {
        out(&format!(
            "run {run}: all {events} events are as they were written; head {}; the head that was given is of event {place}",
            head.hash
        ));
    }
}

/// Events of a run, one after the other.
pub(super) fn told_so_far(context: &Context, run: &RunId, events: &[Recorded]) {
    if context.global.json {
        return events.iter().for_each(|recorded| object(&present::event_json(run, recorded)));
    }
    let mut narrator = Narrator::new(stdout_style().zone);
    for recorded in events {
        let line = narrator.line(recorded.at, &recorded.event);
        line.iter().for_each(|line| out(line));
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
