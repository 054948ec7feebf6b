//! One wording for each thing that happens, whoever shows it. Nothing here is cleaned yet.

mod reply;

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::time::{date_time, duration};
use crate::capability::Call;
use crate::journal::{
    Alert, AlertStatus, AlertsReceived, Answer, Behind, CheckOutcome, DriftOutcome, FollowUpNoted, FollowUpOutcome,
    IncidentNoted, Outcome, Request, Settler, Verdict,
};
use crate::language::Language;

pub use reply::Came;
pub(crate) use reply::{answer_of, reply, whole_answer};

/// `POST /connectors/facebook/disable on http.genia-admin`
pub fn request(request: &Request) -> String {
    request_as(request, &request.call.summary())
}

/// The same with another summary of the call: one with holes.
pub(crate) fn request_as(request: &Request, summary: &str) -> String {
    let place = match request.connection.as_str() {
        "" => format!("role {}, which is bound to nothing", request.role),
        connection => connection.to_owned(),
    };
    match &request.call {
        Call::Http(_) => format!("{summary} on {place}"),
        Call::Git(_) | Call::Sql(_) => format!("{summary} in {place}"),
        Call::Docker(_) => format!("{summary} by {place}"),
        Call::Command(call) if call.arguments.is_empty() => format!("run {place}"),
        Call::Command(_) => format!("run {place} with {}", request.call.target()),
        Call::Notify(_) => format!("{summary} through {place}"),
    }
}

/// A duration that nobody needs to the millisecond: `12s`, `9m 30s`.
pub fn rounded(left: Duration) -> String {
    humantime::format_duration(Duration::from_secs(left.as_secs().saturating_add(1))).to_string()
}

/// A call and what came of it, in one line.
pub(crate) fn entry(call: &Request, outcome: &Outcome, took_us: Option<u64>) -> String {
    format!("{} → {}", request(call), result(outcome, took_us))
}

/// `200 (34 ms)`
pub(crate) fn result(outcome: &Outcome, took_us: Option<u64>) -> String {
    let came = Language::En.say("result", &Came::from(outcome));
    match took_us {
        Some(micros) => format!("{came} ({})", duration(Duration::from_micros(micros))),
        None => came,
    }
}

/// What a run holds, `git:/srv/genia`, as people say it.
pub(crate) fn resource(resource: &str) -> String {
    match resource.split_once(':') {
        Some(("target", target)) => format!("target {target}"),
        Some(("git", path)) => format!("working copy {path}"),
        Some(("sql", database)) => format!("database {database}"),
        _ => resource.to_owned(),
    }
}

/// What a gate is closed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Before {
    /// A step that the plan guards.
    Step {
        /// Its name.
        step: String,
    },
    /// A follow-up that the plan guards.
    FollowUp {
        /// Its name.
        item: String,
    },
    /// A call that the preview did not list.
    Call {
        /// Its address.
        call: String,
    },
    /// The steps of a plan, of whose triggers one has tripped.
    Tripped {
        /// Its name.
        trigger: String,
    },
    /// The steps of a plan whose triggers are watched.
    Watched,
}

impl From<&Behind> for Before {
    fn from(behind: &Behind) -> Self {
        match behind {
            Behind::Step(step) => Self::Step { step: step.clone() },
            Behind::FollowUp(item) => Self::FollowUp { item: item.clone() },
            Behind::Call(call) => Self::Call { call: call.to_string() },
            Behind::Watch { trigger: Some(trigger) } => Self::Tripped { trigger: trigger.clone() },
            Behind::Watch { trigger: None } => Self::Watched,
        }
    }
}

/// What a gate is closed for: `step deploy`.
pub(crate) fn behind(before: &Behind) -> String {
    Language::En.say("before", &Before::from(before))
}

/// What somebody, or nobody, said at a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Said {
    /// Go on.
    Yes {
        /// Who.
        by: String,
    },
    /// Don't.
    No {
        /// Who.
        by: String,
    },
    /// Nobody answered in time.
    Expired,
}

impl Said {
    pub(crate) fn of(answer: Answer, by: &str) -> Self {
        let by = by.to_owned();
        match answer {
            Answer::Yes => Self::Yes { by },
            Answer::No => Self::No { by },
            Answer::Expired => Self::Expired,
        }
    }
}

/// An answer to a gate.
pub(crate) fn answer(answer: Answer, by: &str) -> String {
    Language::En.say("answer", &Said::of(answer, by))
}

/// What was found out about a doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Found {
    /// It happened.
    Happened {
        /// What came back, or would have.
        result: Came,
    },
    /// It did not happen.
    DidNotHappen,
    /// It may be sent again, whatever became of it.
    Repeat,
    /// It can't be found out.
    Unknowable,
}

impl From<&Verdict> for Found {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Happened(came) => Self::Happened { result: Came::from(came) },
            Verdict::DidNotHappen => Self::DidNotHappen,
            Verdict::Repeat => Self::Repeat,
            Verdict::Unknowable => Self::Unknowable,
        }
    }
}

/// What was found out about a doubt.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    Language::En.say("found", &Found::from(verdict))
}

/// Who or what settled a doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FoundBy {
    /// ripcord itself, by looking at the target.
    Driver,
    /// The rule for repeating the call.
    Policy,
    /// The plugin, by looking at the target.
    Plugin,
    /// A person.
    Person {
        /// Who.
        by: String,
    },
}

impl From<&Settler> for FoundBy {
    fn from(settler: &Settler) -> Self {
        match settler {
            Settler::Driver => Self::Driver,
            Settler::Policy => Self::Policy,
            Settler::Plugin => Self::Plugin,
            Settler::Person(by) => Self::Person { by: by.clone() },
        }
    }
}

/// Who or what found it out.
pub(crate) fn settler(settler: &Settler) -> String {
    Language::En.say("found-by", &FoundBy::from(settler))
}

/// What a check found.
pub(crate) fn check(outcome: CheckOutcome) -> String {
    Language::En.say("check", &outcome)
}

/// How many alerts are named at once.
const ALERTS_NAMED_MAX: usize = 5;

/// Which alerts came.
pub(crate) fn alerts(received: &AlertsReceived) -> String {
    let AlertsReceived { alerts, repeated, left_out } = received;
    let named = |alert: &Alert| {
        let status = match alert.status {
            AlertStatus::Firing => "firing",
            AlertStatus::Resolved => "resolved",
        };
        format!("{} {status}", alert.name())
    };
    let mut said: Vec<String> = alerts.iter().take(ALERTS_NAMED_MAX).map(named).collect();
    let more = alerts.len().saturating_sub(ALERTS_NAMED_MAX);
    let counts = [(more as u64, "more"), (*repeated, "repeated"), (*left_out, "left out")];
    said.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    said.join(", ")
}

/// What somebody said about the incident.
pub(crate) fn noted(noted: &IncidentNoted, zone: &TimeZone) -> String {
    let mut facts: Vec<_> = noted.symptoms.iter().map(|symptom| format!("symptom: {symptom}")).collect();
    let since = noted.since.map(|since| date_time(since, zone));
    let named = [
        ("severity", &noted.severity),
        ("scope", &noted.scope),
        ("it failed at", &since),
        ("scenario", &noted.scenario),
        ("decided by", &noted.decided_by),
        ("coordinator", &noted.coordinator),
    ];
    facts.extend(named.into_iter().filter_map(|(name, said)| Some(format!("{name}: {}", said.as_ref()?))));
    format!("{} notes {}", noted.by, facts.join("; "))
}

/// `FAILED: …`
pub(crate) fn follow_up_ended(outcome: FollowUpOutcome, why: &str) -> String {
    match outcome {
        FollowUpOutcome::Done => format!("DONE: {why}"),
        FollowUpOutcome::Failed => format!("FAILED: {why}"),
        FollowUpOutcome::Refused => format!("refused: {why}"),
    }
}

/// `Ana says that it is done: …`
pub(crate) fn follow_up_noted(noted: &FollowUpNoted) -> String {
    let said = if noted.done { "says that it is done" } else { "notes" };
    match &noted.note {
        Some(note) => format!("{} {said}: {note}", noted.by),
        None => format!("{} {said}", noted.by),
    }
}

/// `DRIFTED: …`
pub(crate) fn drift_ended(found: &DriftOutcome, why: &str) -> String {
    match found {
        DriftOutcome::Held => format!("it held: {why}"),
        DriftOutcome::Drifted { .. } => format!("DRIFTED: {why}"),
        DriftOutcome::Unknown { .. } => format!("NOT KNOWN: {why}"),
    }
}
