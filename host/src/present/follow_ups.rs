//! What stays to be done after a run: by whom, until when, and how it stands.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::journal::{Owner, Purpose};
use crate::language::Language;
use crate::machine::{FollowUpState, State};

use super::Style;
use super::page::{Page, Span};
use super::show::calls;
use super::story::Story;
use super::text::{pad, width};
use super::time::minute;

/// A follow-up of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FollowUp {
    /// Its name in the plan.
    pub id: String,
    /// What is to be done.
    pub what: String,
    /// The role of whoever sees to it.
    pub role: Option<String>,
    /// The name of whoever sees to it.
    pub owner: Option<String>,
    /// When it has to be done.
    pub due: Option<Timestamp>,
    /// Whether ripcord carries it out.
    pub is_step: bool,
    /// Whether somebody has to do something still.
    pub is_open: bool,
    /// Whether it is open, and should be done by now.
    pub is_overdue: bool,
    /// How it stands.
    pub standing: FollowUpState,
    /// What people have said of it.
    pub notes: Vec<ItemNote>,
}

/// What somebody said of a follow-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ItemNote {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
}

impl FollowUp {
    /// The follow-ups of a run, in the plan's order, for somebody who reads now.
    pub fn all_of(state: &State, now: Timestamp) -> Vec<Self> {
        let item = |shape: &crate::journal::FollowUpShape| {
            let standing = state.follow_up_state(shape);
            let (due, is_open) = (state.follow_up_due(shape), standing.is_open());
            let Owner { role, name } = shape.owner.clone().unwrap_or_default();
            let notes = state.follow_up_notes(&shape.id).iter().cloned();
            Self {
                id: shape.id.clone(),
                what: shape.what.clone(),
                role,
                owner: name,
                due,
                is_step: shape.step.is_some(),
                is_open,
                is_overdue: is_open && due.is_some_and(|due| due < now),
                standing,
                notes: notes.map(|(at, by, text)| ItemNote { at, by, text }).collect(),
            }
        };
        state.shape.follow_ups.iter().map(item).collect()
    }

    /// `Ana (analysis)`; nothing if nobody is said to see to it.
    pub(crate) fn seen_to_by(&self) -> String {
        match (&self.owner, &self.role) {
            (Some(owner), Some(role)) => format!("{owner} ({role})"),
            (Some(owner), None) => owner.clone(),
            (None, Some(role)) => format!("{role} (nobody named)"),
            (None, None) => String::new(),
        }
    }

    /// `Ana (analysis), due 2026-11-26 18:03, OVERDUE`
    pub(crate) fn owner_and_due(&self, zone: &TimeZone) -> String {
        let due = self.due.filter(|_| self.is_open).map(|due| format!("due {}", minute(due, zone)));
        let overdue = self.is_overdue.then(|| "OVERDUE".to_owned());
        let parts = [Some(self.seen_to_by()).filter(|owner| !owner.is_empty()), due, overdue];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn words(&self) -> String {
        Language::En.say("follow-up", &self.standing)
    }

    fn mark(&self) -> &'static str {
        match self.standing {
            FollowUpState::Done { .. } => "✓",
            FollowUpState::Closed => "↶",
            FollowUpState::Failed { .. } | FollowUpState::Refused { .. } => "✗",
            FollowUpState::UnderWay => "…",
            FollowUpState::Open => "☐",
            FollowUpState::Waits | FollowUpState::NotNeeded => "·",
        }
    }

    /// The command with which it goes on; nothing if there is nothing to do.
    fn command(&self, run: &RunId) -> Option<String> {
        let id = &self.id;
        match self.standing {
            _ if !self.is_open => None,
            FollowUpState::UnderWay => Some(format!("ripcord resume {run}")),
            _ if self.is_step => Some(format!("ripcord follow-up {run} {id}")),
            _ => Some(format!("ripcord follow-up {run} {id} --done")),
        }
    }
}

/// `ripcord follow-up RUN`: all of them, with what to do.
pub fn follow_ups(run: &RunId, items: &[FollowUp], style: &Style) -> String {
    let mut page = Page::new(style);
    for item in items {
        about(&mut page, run, item, items);
    }
    page.finish()
}

/// The part of `ripcord show`.
pub(super) fn section(page: &mut Page<'_>, state: &State, story: &Story<'_>, now: Timestamp) {
    let items = FollowUp::all_of(state, now);
    if items.is_empty() {
        return;
    }
    page.gap();
    page.line(0, &[Span::Title("Follow-ups")]);
    for item in &items {
        about(page, &story.run(), item, &items);
        let is_its = |purpose: &Purpose| matches!(purpose, Purpose::FollowUp(id) if *id == item.id);
        for (id, execution) in state.executions.iter().filter(|(_, execution)| is_its(&execution.purpose)) {
            calls(page, story, *id, execution);
        }
    }
}

fn about(page: &mut Page<'_>, run: &RunId, item: &FollowUp, all: &[FollowUp]) {
    let zone = page.style.zone.clone();
    let columns = all.iter().map(|item| width(&item.id)).max().unwrap_or(0);
    let label = format!("{} {}  ", item.mark(), pad(&item.id, columns));
    page.labelled(2, Span::Plain(&label), &item.words());
    page.labelled(4, Span::Plain(""), &item.what);
    let who = item.owner_and_due(&zone);
    if !who.is_empty() {
        let span = if item.is_overdue { Span::Bad("") } else { Span::Dim("") };
        page.labelled(4, span, &who);
    }
    for note in &item.notes {
        page.labelled(4, Span::Dim("note: "), &format!("{} ({}, {})", note.text, note.by, minute(note.at, &zone)));
    }
    if let Some(command) = item.command(run) {
        page.line(4, &[Span::Dim(&command)]);
    }
}
