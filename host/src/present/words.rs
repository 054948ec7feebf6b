//! One wording for each thing that happens, whoever shows it. Nothing here is cleaned yet.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::capability::{Call, Payload, Reply, command, docker, git, http, notify, sql};
use crate::journal::{
    Alert, AlertStatus, AlertsReceived, Answer, Behind, CheckOutcome, DriftOutcome, FollowUpNoted, FollowUpOutcome,
    IncidentNoted, Outcome, Request, Settler, Verdict,
};
use crate::language::Language;
use crate::process::Ending;

use super::text::{clean, count, shorten};
use super::time::{date_time, duration};

/// How much of an answer that went wrong is shown.
const SNIPPET_COLUMNS: usize = 120;

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

/// What a read has answered, in one line: what somebody's decision rests on.
pub(crate) fn answer_of(outcome: &Outcome) -> String {
    match outcome {
        Ok(Reply::Http(http::Reply { status, body, .. })) => with_snippet(status.to_string(), body),
        Ok(Reply::Command(command::Reply { ending: Ending::Exited(0), stdout, .. })) => {
            with_snippet("exit 0".to_owned(), &last_line(stdout))
        }
        outcome => result(outcome, None),
    }
}

/// What a read has answered, whole; nothing if [`answer_of`] has said all of it.
pub(crate) fn whole_answer(outcome: &Outcome) -> Option<String> {
    let text = match outcome {
        Ok(Reply::Http(http::Reply { body, .. })) => body.in_words(),
        Ok(Reply::Command(command::Reply { stdout, stderr, .. })) => {
            format!("{}{}", stdout.in_words(), stderr.in_words())
        }
        Ok(Reply::Git(git::Reply::Content(content))) => content.in_words(),
        Ok(Reply::Git(git::Reply::Difference { patch, .. })) => patch.clone(),
        Ok(Reply::Git(git::Reply::Commits(commits))) => {
            let line =
                |commit: &git::Commit| format!("{} {}\n", commit.id, commit.message.lines().next().unwrap_or_default());
            commits.iter().map(line).collect()
        }
        Ok(Reply::Git(git::Reply::Status(paths))) => {
            paths.iter().map(|changed| format!("{:?} {}\n", changed.change, changed.path)).collect()
        }
        Ok(Reply::Docker(docker::Reply::Logs(logs))) => {
            logs.lines.iter().map(|line| format!("{}\n", line.text)).collect()
        }
        Ok(Reply::Docker(docker::Reply::Output(docker::Output { stdout, stderr, .. }))) => {
            format!("{}{}", stdout.in_words(), stderr.in_words())
        }
        Ok(Reply::Docker(docker::Reply::Containers(containers))) => {
            containers.iter().map(|container| format!("{} {}\n", container.name, container.state)).collect()
        }
        Ok(Reply::Git(_) | Reply::Docker(_) | Reply::Sql(_) | Reply::Notify(_)) | Err(_) => return None,
    };
    (!text.trim().is_empty()).then_some(text)
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

/// What came back from a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Came {
    /// A reply.
    Reply {
        /// In a few words: `200`, `exit 1 no such file`.
        text: String,
    },
    /// A notice has gone out.
    Sent,
    /// A notice may have gone out.
    PerhapsSent {
        /// Why that is not known.
        why: String,
    },
    /// A notice has not gone out.
    NotSent {
        /// Why.
        why: String,
    },
    /// No reply, but a failure.
    Failed {
        /// What went wrong.
        why: String,
    },
}

impl From<&Reply> for Came {
    fn from(came: &Reply) -> Self {
        match came {
            Reply::Notify(notify::Reply::Sent) => Self::Sent,
            Reply::Notify(notify::Reply::PerhapsSent(why)) => Self::PerhapsSent { why: why.clone() },
            Reply::Notify(notify::Reply::NotSent(why)) => Self::NotSent { why: why.clone() },
            came => Self::Reply { text: text(came) },
        }
    }
}

impl From<&Outcome> for Came {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Ok(came) => Self::from(came),
            Err(failure) => Self::Failed { why: failure.to_string() },
        }
    }
}

/// What came back, in a few words.
pub(crate) fn reply(reply: &Reply) -> String {
    Language::En.say("result", &Came::from(reply))
}

/// A reply that is no notice's.
fn text(reply: &Reply) -> String {
    match reply {
        Reply::Http(http::Reply { status, body, .. }) if *status >= 400 => with_snippet(status.to_string(), body),
        Reply::Http(http::Reply { status, .. }) => status.to_string(),
        Reply::Git(reply) => git(reply),
        Reply::Docker(reply) => docker(reply),
        Reply::Sql(reply) => sql(reply),
        Reply::Command(command::Reply { ending, stderr, .. }) => match ending {
            Ending::Exited(0) => "exit 0".to_owned(),
            Ending::Exited(code) => with_snippet(format!("exit {code}"), &last_line(stderr)),
            Ending::Signalled(signal) => with_snippet(format!("killed by signal {signal}"), &last_line(stderr)),
            Ending::TimedOut => with_snippet("stopped at its deadline".to_owned(), &last_line(stderr)),
        },
        Reply::Notify(_) => String::new(),
    }
}

fn git(reply: &git::Reply) -> String {
    let paths = |number| count(number, "path", "paths");
    match reply {
        git::Reply::Resolved(id) => id.clone(),
        git::Reply::Commits(commits) => count(commits.len(), "commit", "commits"),
        git::Reply::Difference { paths: changed, .. } => match changed.len() {
            0 => "no difference".to_owned(),
            number => format!("differs in {}", paths(number)),
        },
        git::Reply::Content(content) => count(content.0.len(), "byte", "bytes"),
        git::Reply::Status(changed) => match changed.len() {
            0 => "nothing changed".to_owned(),
            number => format!("{} changed", paths(number)),
        },
        git::Reply::RemoteHead(Some(id)) => id.clone(),
        git::Reply::RemoteHead(None) => "no such branch".to_owned(),
        git::Reply::Moved(moved) => format!("{} changed, HEAD is {}", paths(moved.changed.len()), moved.head),
        git::Reply::Pushed(pushed) => format!("{} is {} now", pushed.branch, pushed.head),
    }
}

fn docker(reply: &docker::Reply) -> String {
    match reply {
        docker::Reply::Containers(containers) => count(containers.len(), "container", "containers"),
        docker::Reply::Container(container) => {
            let health = match container.health {
                docker::Health::None => "",
                docker::Health::Starting => ", its health not known yet",
                docker::Health::Healthy => ", healthy",
                docker::Health::Unhealthy => ", unhealthy",
            };
            format!("{}{health}, {}", container.state, container.image)
        }
        docker::Reply::Logs(logs) => count(logs.lines.len(), "line", "lines"),
        docker::Reply::Stats(usage) => {
            let cpu = usage.cpu_percent.map_or_else(|| "no".to_owned(), |percent| format!("{percent:.1} %"));
            format!("{cpu} CPU, {} MiB", usage.memory_bytes >> 20)
        }
        docker::Reply::Changed(changed) => {
            let one = |changed: &docker::Changed| {
                let problem = changed.problem.as_ref().map(|problem| format!(" ({})", clean(problem)));
                format!("{} {}{}", changed.name, changed.after, problem.unwrap_or_default())
            };
            changed.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        docker::Reply::Output(docker::Output { ending, stderr, .. }) => match ending {
            docker::Ending::Exited(0) => "exit 0".to_owned(),
            docker::Ending::Exited(code) => with_snippet(format!("exit {code}"), &last_line(stderr)),
            docker::Ending::Lost => "ended, nobody knows how".to_owned(),
        },
    }
}

fn sql(reply: &sql::Reply) -> String {
    match reply {
        sql::Reply::Rows(rows) => match (rows.columns.as_slice(), rows.rows.as_slice()) {
            // One value alone is the answer.
            ([_], [row]) => {
                shorten(&clean(&row.iter().map(ToString::to_string).collect::<String>()), SNIPPET_COLUMNS).into_owned()
            }
            (_, rows) => count(rows.len(), "row", "rows"),
        },
        sql::Reply::Executed(executed) => {
            count(usize::try_from(executed.affected).unwrap_or(usize::MAX), "row", "rows") + " affected"
        }
        sql::Reply::Backups(backups) => count(backups.len(), "backup", "backups"),
        sql::Reply::Contents(contents) => match &contents.problem {
            Some(problem) => format!("can't be restored: {}", clean(problem)),
            None => count(usize::try_from(contents.tables).unwrap_or(usize::MAX), "table", "tables"),
        },
        sql::Reply::Databases(databases) => count(databases.len(), "database", "databases"),
        sql::Reply::Backup(backup) => format!("{}, {}", clean(&backup.name), indicatif::BinaryBytes(backup.bytes)),
        sql::Reply::Restored(restored) => format!(
            "{}, {} and {}",
            clean(&restored.database),
            count(usize::try_from(restored.tables).unwrap_or(usize::MAX), "table", "tables"),
            count(usize::try_from(restored.rows).unwrap_or(usize::MAX), "row", "rows")
        ),
        sql::Reply::Swapped(swapped) => format!("the one before is kept as {}", clean(&swapped.kept)),
        sql::Reply::Dropped(_) => "dropped".to_owned(),
        sql::Reply::Deleted(_) => "deleted".to_owned(),
    }
}

fn with_snippet(said: String, body: &Payload) -> String {
    let text = String::from_utf8_lossy(&body.0);
    match text.trim() {
        "" => said,
        text => format!("{said} {}", shorten(&clean(text), SNIPPET_COLUMNS)),
    }
}

fn last_line(output: &Payload) -> Payload {
    let text = String::from_utf8_lossy(&output.0);
    text.trim_end().lines().next_back().unwrap_or_default().into()
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
