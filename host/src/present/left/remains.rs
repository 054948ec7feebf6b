//! What a run's calls have left behind that should not stay so.

use std::collections::{BTreeMap, BTreeSet};

use super::{Left, is_undone};
use crate::capability::{Call, Reply, docker, git};
use crate::journal::Purpose;
use crate::machine::{Fate, State};

/// What was stopped on the way and has not been started again, by the undo or anything else.
pub(super) fn stopped(state: &State) -> Vec<Left> {
    let mut stopped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, mutation) in state.executions.values().flat_map(|execution| execution.effects()) {
        let (Call::Docker(_), Fate::Answered(Ok(Reply::Docker(docker::Reply::Changed(changed))))) =
            (&mutation.request.call, &mutation.fate)
        else {
            continue;
        };
        let down = stopped.entry(&mutation.request.connection).or_default();
        for container in changed {
            if container.after.is_up() {
                down.retain(|name| *name != container.name);
            } else if container.before.is_up() {
                down.push(&container.name);
            }
        }
    }
    stopped
        .into_iter()
        .filter(|(_, containers)| !containers.is_empty())
        .map(|(connection, containers)| Left::Stopped {
            connection: connection.to_owned(),
            containers: containers.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

/// What was changed in working copies and has gone no further.
pub(super) fn working_copies(state: &State) -> Vec<Left> {
    let mut uncommitted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut unpushed: BTreeMap<&str, &str> = BTreeMap::new();
    for (id, execution) in &state.executions {
        // What was taken back is not there any more, and how it was taken back leaves nothing to do.
        if matches!(execution.purpose, Purpose::Undo(_)) || is_undone(state, *id) {
            continue;
        }
        for (_, mutation) in execution.effects() {
            let connection = mutation.request.connection.as_str();
            match (&mutation.request.call, &mutation.fate) {
                (Call::Git(git::Call::Push { .. }), Fate::Answered(Ok(_))) => {
                    unpushed.remove(connection);
                }
                (Call::Git(git::Call::Restore { .. }), Fate::Answered(Ok(Reply::Git(git::Reply::Moved(moved))))) => {
                    uncommitted.entry(connection).or_default().extend(moved.changed.iter().map(String::as_str));
                }
                (Call::Git(_), Fate::Answered(Ok(Reply::Git(git::Reply::Moved(moved))))) => {
                    uncommitted.remove(connection);
                    if moved.head != moved.previous {
                        unpushed.insert(connection, &moved.head);
                    }
                }
                _ => {}
            }
        }
    }
    let uncommitted = uncommitted.into_iter().filter(|(_, paths)| !paths.is_empty()).map(|(connection, paths)| {
        Left::Uncommitted { connection: connection.to_owned(), paths: paths.into_iter().map(str::to_owned).collect() }
    });
    let unpushed = unpushed
        .into_iter()
        .map(|(connection, head)| Left::Unpushed { connection: connection.to_owned(), head: head.to_owned() });
    uncommitted.chain(unpushed).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::capability::Repeat;
    use crate::capability::docker::State::{Exited, Running};
    use crate::id::ExecutionId;
    use crate::journal::{Event, Recorded, Request};
    use crate::present::fixture;

    /// A call to containers and what became of them, each with its state before and after.
    type Switch<'a> = (docker::Call, &'a [(&'a str, docker::State, docker::State)]);

    /// The run that halts on its check, after these calls of its first step.
    fn after(calls: &[Switch<'_>]) -> Vec<Left> {
        let mut events = fixture::failed_check();
        let is_end = |recorded: &Recorded| matches!(recorded.event, Event::ExecutionEnded { execution, .. } if execution == ExecutionId(1));
        let end = events.iter().position(is_end).unwrap();
        let at = events[end].at;
        let made = (6..).zip(calls).flat_map(|(ordinal, (docker, became))| {
            let call = fixture::call(1, ordinal);
            let request = Request {
                role: "containers".to_owned(),
                connection: "docker.app".to_owned(),
                call: Call::Docker(docker.clone()),
            };
            let changed = became.iter().map(|&(name, before, after)| docker::Changed {
                name: name.to_owned(),
                before,
                after,
                problem: None,
            });
            let outcome = Ok(Reply::Docker(docker::Reply::Changed(changed.collect())));
            [
                Event::Intended { call, request, repeat: Repeat::Once, marker: None, assume: None },
                Event::Answered { call, outcome, took_us: 1 },
            ]
        });
        let made: Vec<_> = made.map(|event| Recorded { sequence: 0, at, event }).collect();
        events.splice(end..end, made);
        stopped(&fixture::fold(&events))
    }

    #[test]
    fn what_was_stopped_is_left_until_something_has_started_it_again() {
        let stop = |names: &[&str]| docker::Call::Stop {
            containers: names.iter().map(|&name| name.to_owned()).collect(),
            grace: None,
        };
        let start = |name: &str| docker::Call::Start { containers: vec![name.to_owned()] };
        assert_eq!(after(&[]), []);
        let both: Switch<'_> = (
            stop(&["app", "cron"]),
            &[("app", Running, Exited), ("cron", Exited, Exited), ("worker", Running, Exited)],
        );
        let down = |names: &[&str]| {
            let containers = names.iter().map(|&name| name.to_owned()).collect();
            vec![Left::Stopped { connection: "docker.app".to_owned(), containers }]
        };
        // One that was down before is none of this run's.
        assert_eq!(after(std::slice::from_ref(&both)), down(&["app", "worker"]));
        assert_eq!(after(&[both.clone(), (start("app"), &[("app", Exited, Running)])]), down(&["worker"]));
        assert_eq!(after(&[both.clone(), (start("app"), &[("app", Exited, Exited)])]), down(&["app", "worker"]));
        let started: Switch<'_> = (start("app"), &[("app", Exited, Running), ("worker", Exited, Running)]);
        assert_eq!(after(&[both, started]), []);
    }
}
