//! The way back: the code of before, built and deployed if the other one had been, and the connector
//! enabled at last, when the code that it runs is in place.

use ripcord_plugin::git::{self, Moved};
use ripcord_plugin::{Call, Effects, Reply, Result, log};

use crate::config::Config;
use crate::{CODE, build_and_deploy, commit_path, is_enabled, lease, push, restore, switch};

/// What an `apply` did before it ended, wherever it ended. Where nobody could find out whether a
/// mutation happened, it counts as done: each way back looks before it acts.
#[derive(Default)]
pub(crate) struct Done {
    disabled: bool,
    /// The commit from before the code was changed.
    previous: Option<String>,
    committed: bool,
    pushed: bool,
    /// A deploy was begun. One that failed may have deployed all the same.
    deployed: bool,
}

impl Done {
    pub(crate) fn from_effects(config: &Config, effects: &Effects) -> Result<Self> {
        let mut done = Self::default();
        for effect in effects.iter() {
            match (effect.call()?, effect.reply()?) {
                (Call::Http(call), reply) if call.path == config.disable() => {
                    done.disabled = !matches!(reply, Some(Reply::Http(response)) if !response.is_success());
                }
                (Call::Git(git::Call::Restore { .. }), Some(Reply::Git(git::Reply::Moved(moved)))) => {
                    done.previous = Some(moved.previous);
                }
                // A restore does not move `HEAD`, and without its reply `apply` went no further.
                (Call::Git(git::Call::Restore { .. }), _) => done.previous = Some(CODE.resolve("HEAD")?),
                (Call::Git(git::Call::Commit { .. }), reply) => done.committed = moved_head(reply),
                (Call::Git(git::Call::Push { .. }), _) => done.pushed = true,
                (Call::Command(_), _) if effect.role() == "deploy" => done.deployed = true,
                _ => {}
            }
        }
        Ok(done)
    }
}

fn moved_head(reply: Option<Reply>) -> bool {
    !matches!(reply, Some(Reply::Git(git::Reply::Moved(Moved { head, previous, .. }))) if head == previous)
}

pub(crate) fn undo(config: &Config, done: &Done) -> Result<()> {
    if let Some(previous) = &done.previous {
        put_code_back(config, done, previous)?;
    }
    if done.deployed {
        build_and_deploy()?;
    }
    if done.disabled && is_enabled(config, false)? != Some(true) {
        log::info(format!("enabling connector {}", config.connector));
        switch(&config.enable())?;
    }
    Ok(())
}

fn put_code_back(config: &Config, done: &Done, previous: &str) -> Result<()> {
    let path = config.path();
    let head = CODE.resolve("HEAD")?;
    let lease = if done.pushed { lease(config, &head)? } else { None };
    log::info(format!("restoring {path} from {previous}"));
    restore(previous, &path, &head)?;
    if !done.committed {
        return Ok(());
    }
    let head = commit_path(&format!("Undo: {}", config.message()), &path, &head)?;
    if let Some(branch) = config.push.as_deref().filter(|_| done.pushed) {
        push(&head, branch, lease.as_deref())?;
    }
    Ok(())
}
