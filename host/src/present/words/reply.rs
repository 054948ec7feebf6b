//! What came back from a call, in a few words or whole. Nothing here is cleaned yet.

use serde::{Deserialize, Serialize};

use super::result;
use crate::capability::{Payload, Reply, command, docker, git, http, notify, sql};
use crate::journal::Outcome;
use crate::language::Language;
use crate::present::text::{clean, count, shorten};
use crate::process::Ending;

/// How much of an answer that went wrong is shown.
const SNIPPET_COLUMNS: usize = 120;

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
