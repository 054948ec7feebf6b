//! Who was told of a run, and what came of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capability::{Reply, notify};
use crate::journal::{End, Occasion, Outcome, Purpose};
use crate::language::Language;
use crate::machine::{Execution, Fate, Made, State, describe};

use super::page::{Page, Span};
use super::time::clock;

/// A notice of the plan that was sent, or was to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Told {
    /// Its name in the plan.
    pub notice: String,
    /// What it tells of.
    pub on: Occasion,
    /// When it was begun.
    pub at: Timestamp,
    /// By which connections, in order.
    pub deliveries: Vec<Delivery>,
    /// Why it went no further, if it did not come to its end.
    pub problem: Option<String>,
}

/// A notice by one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `notify.users`
    pub connection: String,
    /// What came of it.
    pub delivered: Delivered,
}

/// Whether a notice has gone out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Delivered {
    /// Yes.
    Sent,
    /// Nobody knows, and it is not sent twice.
    PerhapsSent {
        /// What was seen.
        why: String,
    },
    /// No.
    NotSent {
        /// What went wrong.
        why: String,
    },
    /// No answer is known (yet).
    Open,
}

impl Told {
    /// All that people were told by a run's notices, in order.
    pub fn all_of(state: &State) -> Vec<Self> {
        state.executions.values().filter_map(Self::of).collect()
    }

    fn of(execution: &Execution) -> Option<Self> {
        let Purpose::Notice(sending) = &execution.purpose else { return None };
        let deliveries = execution.calls.iter().filter_map(|made| match made {
            Made::Mutation(mutation) => Some((&mutation.request, delivered(&mutation.fate))),
            Made::Read { request, outcome } if request.call.is_notice() => Some((request, came_of(outcome))),
            Made::Read { .. } | Made::Clock(_) | Made::Sleep(_) => None,
        });
        let deliveries =
            deliveries.map(|(request, delivered)| Delivery { connection: request.connection.clone(), delivered });
        let problem = execution.end.as_ref().filter(|end| !matches!(end, End::Returned(_)));
        Some(Self {
            notice: sending.notice.clone(),
            on: sending.on,
            at: execution.began,
            deliveries: deliveries.collect(),
            problem: problem.map(describe),
        })
    }

    /// `notify.users sent; notify.status NOT sent: …`
    fn words(&self) -> String {
        let said = |Delivery { connection, delivered }: &Delivery| {
            format!("{connection} {}", Language::En.say("delivery", delivered))
        };
        let said = self.deliveries.iter().map(said).chain(self.problem.iter().map(|why| format!("FAILED: {why}")));
        let said = said.collect::<Vec<_>>().join("; ");
        if said.is_empty() { "nobody: no connection is bound".to_owned() } else { said }
    }

    fn is_whole(&self) -> bool {
        self.problem.is_none() && self.deliveries.iter().all(|delivery| delivery.delivered == Delivered::Sent)
    }
}

fn delivered(fate: &Fate) -> Delivered {
    match fate {
        Fate::Answered(outcome) => came_of(outcome),
        Fate::Unknowable => Delivered::PerhapsSent { why: "no answer came".to_owned() },
        Fate::Open | Fate::Cleared | Fate::Repeating => Delivered::Open,
    }
}

fn came_of(outcome: &Outcome) -> Delivered {
    match outcome {
        Ok(Reply::Notify(notify::Reply::PerhapsSent(why))) => Delivered::PerhapsSent { why: why.clone() },
        Ok(Reply::Notify(notify::Reply::NotSent(why))) => Delivered::NotSent { why: why.clone() },
        Ok(_) => Delivered::Sent,
        Err(failure) => Delivered::NotSent { why: failure.to_string() },
    }
}

/// The part of `ripcord show`.
pub(super) fn section(page: &mut Page<'_>, state: &State) {
    let told = Told::all_of(state);
    if told.is_empty() {
        return;
    }
    let zone = page.style.zone.clone();
    page.gap();
    page.line(0, &[Span::Title("Told")]);
    for told in &told {
        let mark = if told.is_whole() { "✓" } else { "✗" };
        let line = format!("{} ({}) at {}: {}", told.notice, told.on, clock(told.at, &zone), told.words());
        page.labelled(2, Span::Plain(&format!("{mark} ")), &line);
    }
}
