//! The way back, whatever `apply` got to: containers stopped, database and code of before, containers as they
//! were.

use std::collections::BTreeSet;

use ripcord_plugin::docker::{self, State};
use ripcord_plugin::{Call, Effects, Reply, Result, log, sql};

use crate::config::Config;
use crate::{code, containers, database};

/// What an `apply` did before it ended, wherever it ended.
#[derive(Default)]
struct Done {
    code: code::Done,
    /// The containers that it stopped, or may have.
    stopped: Vec<String>,
    /// Those that it started, or may have.
    started: Vec<String>,
    /// The new database, and the name of the one of before.
    restored: Option<String>,
    swapped: Option<sql::Swapped>,
}

impl Done {
    fn of(effects: &Effects) -> Result<Self> {
        let mut done = Self::default();
        for effect in effects.iter() {
            match (effect.call()?, effect.reply()?) {
                (Call::Git(call), reply) => {
                    let reply = reply.and_then(|reply| if let Reply::Git(reply) = reply { Some(reply) } else { None });
                    done.code.add(call, reply)?;
                }
                (Call::Docker(docker::Call::Stop { containers, .. }), reply) => {
                    done.stopped = switched(reply, |changed| containers::is_up(changed.before)).unwrap_or(containers);
                }
                (Call::Docker(docker::Call::Start { containers }), reply) => {
                    let started = switched(reply, |changed| changed.before != State::Running).unwrap_or(containers);
                    done.started.extend(started);
                }
                (Call::Sql(_), Some(Reply::Sql(sql::Reply::Restored(restored)))) => {
                    done.restored = Some(restored.database);
                }
                (Call::Sql(_), Some(Reply::Sql(sql::Reply::Swapped(swapped)))) => done.swapped = Some(swapped),
                _ => {}
            }
        }
        Ok(done)
    }
}

/// The containers of which this holds; none if nobody knows what became of them.
fn switched(reply: Option<Reply>, was: impl Fn(&docker::Changed) -> bool) -> Option<Vec<String>> {
    match reply {
        Some(Reply::Docker(docker::Reply::Changed(changed))) => {
            Some(changed.into_iter().filter(was).map(|changed| changed.name).collect())
        }
        _ => None,
    }
}

pub(crate) fn undo(config: &Config, effects: &Effects) -> Result<()> {
    let done = Done::of(effects)?;
    // What stands in the way is found out while the application still runs.
    let back = done.code.back()?;
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    let stopped = containers::look(&done.stopped)?;
    let is_all_up = stopped.iter().all(|container| containers::is_up(container.state));
    if back.is_none() && done.swapped.is_none() && set(&done.stopped) == set(&done.started) && is_all_up {
        // It was all started again, on the code and the data of before.
        return done.restored.as_deref().map_or(Ok(()), drop_unused);
    }
    let started = containers::look(&done.started)?;
    if !started.is_empty() {
        containers::stop(&started)?;
    }
    match (&done.swapped, &done.restored) {
        // What the restored database has taken in since stays under its dated name.
        (Some(swapped), _) => drop(database::swap(&swapped.kept, &swapped.live)?),
        (None, Some(restored)) => drop_unused(restored)?,
        (None, None) => {}
    }
    if let (Some(code), Some(back)) = (&config.code, &back) {
        back.go(code)?;
    }
    if !done.stopped.is_empty() {
        containers::start(&done.stopped)?;
        containers::wait_until_healthy(&done.stopped, config.healthy_within)?;
    }
    Ok(())
}

fn drop_unused(restored: &str) -> Result<()> {
    log::info(format!("dropping {restored}, which was never used"));
    database::DATABASE.drop_database(restored).idempotent().send()?;
    Ok(())
}
