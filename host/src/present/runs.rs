//! `ripcord runs`: one line for each run.

use jiff::Timestamp;

use crate::id::{CallId, RunId};
use crate::journal::{Event, GateId, Outline, Recorded, RunOutcome};
use crate::machine::{After, Next, State};

use super::page::{Page, Span};
use super::text::{clean, pad, shorten, width};
use super::time::minute;
use super::{DriftState, DriftWatch, FollowUp, Style};

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// Its name.
    pub run: RunId,
    /// The plan's name.
    pub plan: String,
    /// What it rolls back.
    pub target: String,
    /// How it stands.
    pub standing: Standing,
    /// The follow-up that this is about, and how the run itself has ended.
    pub follow_up: Option<(String, RunOutcome)>,
    /// What stays to be done.
    pub open: Vec<FollowUp>,
    /// Whether what was verified is watched, or was found to be so no more.
    pub drift: Option<DriftState>,
    /// Since when it stands so, if that can be read.
    pub since: Option<Timestamp>,
    /// The process that carries it.
    pub held_by: Option<Holder>,
    /// When it began, if that can be read.
    pub started: Option<Timestamp>,
    /// When its last event was recorded.
    pub last: Option<Timestamp>,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is in a known state.
    Ended(RunOutcome),
    /// It waits for a person's answer.
    Waits(WaitsFor),
    /// It has not ended, and a process carries it.
    Running,
    /// The same, and no step has begun: it watches its triggers.
    Watching,
    /// It has not ended, and no process carries it: `ripcord resume` goes on.
    CutOff,
    /// Its record can't be read.
    Damaged(String),
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// A yes or a no at this gate.
    Gate(GateId),
    /// Whether this call has happened.
    Call(CallId),
}

/// A process that carries a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// The machine's name.
    pub machine: String,
}

impl RunLine {
    /// What can be said of a run from its two ends alone: that it has ended with its last event, or that it
    /// is damaged. For all others the events between are needed: [`RunLine::of`].
    pub fn known(outline: &Outline) -> Option<Self> {
        match &outline.ends {
            Err(error) => Some(Self::damaged(&outline.run, &error.to_string())),
            Ok((first, Recorded { at, event: Event::RunEnded { outcome, .. }, .. })) if !may_have_open(first) => {
                let standing = Standing::Ended(*outcome);
                Some(Self { since: Some(*at), last: Some(*at), standing, ..Self::begun(&outline.run, first) })
            }
            Ok(_) => None,
        }
    }

    /// A run from all of its events, and whether a process carries it.
    pub fn of(run: &RunId, state: &State, events: &[Recorded], is_held: bool, now: Timestamp) -> Self {
        let Some((first, last)) = events.first().zip(events.last()) else {
            return Self::damaged(run, "it has no events");
        };
        let (standing, since) = standing(state, events, is_held);
        let holder = events.iter().rev().find_map(|recorded| match &recorded.event {
            Event::HostAttached(host) => Some(Holder { pid: host.pid, machine: host.machine.clone() }),
            _ => None,
        });
        let held_by = holder.filter(|_| is_held && (state.ended.is_none() || state.after.is_some()));
        let follow_up = match (&state.after, &state.ended) {
            (Some(After::FollowUp(item)), Some((outcome, _))) => Some((item.clone(), *outcome)),
            _ => None,
        };
        let open = FollowUp::all_of(state, now).into_iter().filter(|item| item.is_open);
        let drift = DriftWatch::of(state).map(|drift| drift.standing).filter(|standing| match standing {
            DriftState::Open => is_held,
            DriftState::Drifted { .. } => state.has_drifted().is_some(),
            DriftState::Held { .. } | DriftState::Unknown { .. } => false,
        });
        Self {
            standing,
            follow_up,
            open: open.collect(),
            drift,
            since: Some(since.unwrap_or(last.at)),
            held_by,
            last: Some(last.at),
            ..Self::begun(run, first)
        }
    }

    /// A run whose record can't be read.
    pub fn damaged(run: &RunId, why: &str) -> Self {
        Self {
            run: run.clone(),
            plan: String::new(),
            target: String::new(),
            standing: Standing::Damaged(why.to_owned()),
            follow_up: None,
            open: Vec::new(),
            drift: None,
            since: None,
            held_by: None,
            started: None,
            last: None,
        }
    }

    fn begun(run: &RunId, first: &Recorded) -> Self {
        let (plan, target) = match &first.event {
            Event::RunStarted(start) => (start.plan_name.clone(), start.target.clone()),
            _ => Default::default(),
        };
        Self { plan, target, started: Some(first.at), ..Self::damaged(run, "") }
    }

    fn standing(&self) -> String {
        let itself = self.itself();
        match (&self.follow_up, &self.drift) {
            (Some((item, outcome)), _) => format!("{outcome}; {item} {itself}"),
            (None, Some(DriftState::Open)) => format!("{itself}, watched"),
            (None, Some(_)) => format!("{itself}, DRIFTED"),
            (None, None) => itself,
        }
    }

    fn itself(&self) -> String {
        match &self.standing {
            Standing::Ended(outcome) => outcome.to_string(),
            Standing::Waits(WaitsFor::Gate(gate)) => format!("at gate {gate}"),
            Standing::Waits(WaitsFor::Call(call)) => format!("asks about {call}"),
            Standing::Running => "running".to_owned(),
            Standing::Watching => "watching".to_owned(),
            Standing::CutOff => "cut off".to_owned(),
            Standing::Damaged(why) => format!("DAMAGED: {why}"),
        }
    }
}

/// Whether the plan leaves something to be done: whether that is open, the events say.
fn may_have_open(first: &Recorded) -> bool {
    matches!(&first.event, Event::RunStarted(start) if !start.shape.follow_ups.is_empty())
}

/// How a run stands, and since when if that is not since its last event.
fn standing(state: &State, events: &[Recorded], is_held: bool) -> (Standing, Option<Timestamp>) {
    let since = |wanted: &dyn Fn(&Event) -> bool| {
        events.iter().rev().find(|recorded| wanted(&recorded.event)).map(|recorded| recorded.at)
    };
    let is_over = !matches!(state.after, Some(After::FollowUp(_)));
    if let (Some((outcome, _)), true) = (&state.ended, is_over) {
        return (Standing::Ended(*outcome), since(&|event| matches!(event, Event::RunEnded { .. })));
    }
    if let Some(call) = state.halted_on {
        return (Standing::Waits(WaitsFor::Call(call)), since(&|event| matches!(event, Event::Halted { .. })));
    }
    match state.next() {
        Next::AwaitGate(gate) => {
            let opened = since(&|event| matches!(event, Event::GateOpened(opened) if opened.gate == gate));
            (Standing::Waits(WaitsFor::Gate(gate)), opened)
        }
        _ if is_held && state.is_watching() => (Standing::Watching, None),
        _ if is_held => (Standing::Running, since(&|event| matches!(event, Event::HostAttached(_)))),
        // Nothing was heard of it since its last event.
        _ => (Standing::CutOff, None),
    }
}

/// Less than this says nothing any more.
const TEXT_COLUMNS_MIN: usize = 8;

/// A table of runs, newest first. Plan and target are cut if it would get too wide; the names of the
/// runs never are.
pub fn runs(lines: &[RunLine], style: &Style) -> String {
    let mut page = Page::new(style);
    if lines.is_empty() {
        page.line(0, &[Span::Plain("There is no run yet. `ripcord run PLAN` begins one.")]);
        return page.finish();
    }
    let mut sorted: Vec<_> = lines.iter().collect();
    sorted.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.run.cmp(&a.run)));
    let head = ["RUN", "PLAN", "TARGET", "STATE", "SINCE", "PROCESS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(sorted.iter().map(|line| row(line, style))).collect();
    let columns = columns(&rows, style.width);
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> =
            row.iter().zip(columns).map(|(cell, columns)| pad(&shorten(cell, columns), columns)).collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        page.line(0, &[if index == 0 { Span::Dim(line) } else { Span::Plain(line) }]);
    }
    open(&mut page, &sorted);
    page.finish()
}

/// What stays to be done, below the runs.
fn open(page: &mut Page<'_>, lines: &[&RunLine]) {
    if lines.iter().all(|line| line.open.is_empty()) {
        return;
    }
    let zone = page.style.zone.clone();
    page.gap();
    page.line(0, &[Span::Title("Open follow-ups")]);
    for line in lines {
        for item in &line.open {
            let who = item.owner_and_due(&zone);
            let who = if who.is_empty() { String::new() } else { format!(" ({who})") };
            page.labelled(
                2,
                Span::Plain(&format!("{}  {}  ", line.run, clean(&item.id))),
                &format!("{}{who}", item.what),
            );
        }
    }
}

fn row(line: &RunLine, style: &Style) -> [String; 6] {
    let since = line.since.map(|at| minute(at, &style.zone)).unwrap_or_default();
    let held_by = match (&line.held_by, &line.standing) {
        (Some(holder), _) => holder.pid.to_string(),
        (None, Standing::Waits(_) | Standing::CutOff) => "none".to_owned(),
        (None, _) => String::new(),
    };
    [line.run.to_string(), line.plan.clone(), line.target.clone(), line.standing(), since, held_by]
        .map(|cell| clean(&cell).into_owned())
}

/// How wide the columns are: as wide as their widest cell, and if that is too much the widest of those
/// that may be cut gives way.
fn columns(rows: &[[String; 6]], total: usize) -> [usize; 6] {
    const MAY_BE_CUT: [usize; 3] = [1, 2, 3];
    let mut columns = [0; 6];
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            *column = (*column).max(width(cell));
        }
    }
    while columns.iter().sum::<usize>() + 2 * (columns.len() - 1) > total {
        let widest =
            MAY_BE_CUT.into_iter().max_by_key(|&index| columns[index]).filter(|&at| columns[at] > TEXT_COLUMNS_MIN);
        match widest {
            Some(widest) => columns[widest] -= 1,
            None => break,
        }
    }
    columns
}
