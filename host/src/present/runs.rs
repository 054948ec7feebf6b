//! `ripcord runs`: one line for each run.

use jiff::Timestamp;

use crate::id::RunId;
use crate::journal::{Event, Outline, RunOutcome};

use super::Style;
use super::page::{Page, Span};
use super::text::{clean, pad, shorten, width};
use super::time::{between, duration, minute};

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
    /// When it began, if that can be read.
    pub started: Option<Timestamp>,
    /// When its last event was recorded.
    pub last: Option<Timestamp>,
}

/// How a run stands, as far as a list can tell.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is in a known state.
    Ended(RunOutcome),
    /// It waits for a person's answer: about a call, or at a gate.
    Waits,
    /// It has not ended. Whether a process carries it is not looked at.
    Open,
    /// It has not ended, and a process carries it.
    Running,
    /// It has not ended, and no process carries it: `ripcord resume` goes on.
    CutOff,
    /// Its record can't be read.
    Damaged(String),
}

impl From<&Outline> for RunLine {
    fn from(outline: &Outline) -> Self {
        let run = outline.run.clone();
        let (first, last) = match &outline.ends {
            Ok(ends) => ends,
            Err(error) => {
                let standing = Standing::Damaged(error.to_string());
                return Self { run, plan: String::new(), target: String::new(), standing, started: None, last: None };
            }
        };
        let (plan, target) = match &first.event {
            Event::RunStarted(start) => (start.plan_name.clone(), start.target.clone()),
            _ => Default::default(),
        };
        let standing = match &last.event {
            Event::RunEnded { outcome, .. } => Standing::Ended(*outcome),
            Event::Halted { .. } | Event::GateOpened(_) => Standing::Waits,
            _ => Standing::Open,
        };
        Self { run, plan, target, standing, started: Some(first.at), last: Some(last.at) }
    }
}

impl RunLine {
    fn standing(&self) -> String {
        match &self.standing {
            Standing::Ended(outcome) => outcome.to_string(),
            Standing::Waits => "waits for a person".to_owned(),
            Standing::Open => "not ended".to_owned(),
            Standing::Running => "running".to_owned(),
            Standing::CutOff => "cut off".to_owned(),
            Standing::Damaged(why) => format!("DAMAGED: {why}"),
        }
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
    let head = ["RUN", "PLAN", "TARGET", "STATE", "STARTED", "TOOK"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(sorted.into_iter().map(|line| row(line, style))).collect();
    let columns = columns(&rows, style.width);
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> =
            row.iter().zip(columns).map(|(cell, columns)| pad(&shorten(cell, columns), columns)).collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        page.line(0, &[if index == 0 { Span::Dim(line) } else { Span::Plain(line) }]);
    }
    page.finish()
}

fn row(line: &RunLine, style: &Style) -> [String; 6] {
    let took = match (line.started, line.last, &line.standing) {
        (Some(started), Some(last), Standing::Ended(_)) => duration(between(started, last)),
        _ => String::new(),
    };
    let started = line.started.map(|at| minute(at, &style.zone)).unwrap_or_default();
    [line.run.to_string(), line.plan.clone(), line.target.clone(), line.standing(), started, took]
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
