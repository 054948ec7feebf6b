//! The way back.

use ripcord_plugin::git::{self, Moved};
use ripcord_plugin::{Call, Effects, Reply, Result, log};

use crate::code::{CODE, commit, lease, push, restore};
use crate::{Part, build_and_deploy};

/// What an `apply` did before it ended, wherever it ended. Where nobody could find out whether a
/// mutation happened, it counts as done: each way back looks before it acts.
#[derive(Default)]
pub(crate) struct Done {
    switched_off: bool,
    restored: Option<Restored>,
    committed: bool,
    pushed: bool,
    /// A deploy was begun. One that failed may have deployed all the same.
    deployed: bool,
}

struct Restored {
    /// The commit from before the code was changed.
    previous: String,
    paths: Vec<String>,
}

impl Done {
    pub(crate) fn from_effects(part: &Part, effects: &Effects) -> Result<Self> {
        let mut done = Self::default();
        for effect in effects.iter() {
            match (effect.call()?, effect.reply()?) {
                (Call::Http(call), reply) if call.path == part.switch.off => {
                    done.switched_off = !matches!(reply, Some(Reply::Http(response)) if !response.is_success());
                }
                (Call::Git(git::Call::Restore { paths, .. }), reply) => {
                    let previous = match reply {
                        Some(Reply::Git(git::Reply::Moved(moved))) => moved.previous,
                        // A restore does not move `HEAD`, and without its reply `apply` went no further.
                        _ => CODE.resolve("HEAD")?,
                    };
                    done.restored = Some(Restored { previous, paths });
                }
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

pub(crate) fn undo(part: &Part, done: &Done) -> Result<()> {
    if let Some(restored) = &done.restored {
        put_code_back(part, done, restored)?;
    }
    if done.deployed {
        build_and_deploy()?;
    }
    if done.switched_off && part.switch.is_off(true)? != Some(false) {
        part.switch.on()?;
    }
    Ok(())
}

fn put_code_back(part: &Part, done: &Done, Restored { previous, paths }: &Restored) -> Result<()> {
    let code = &part.code;
    let head = CODE.resolve("HEAD")?;
    let branch = code.push.as_deref().filter(|_| done.pushed);
    let lease = branch.map(|branch| lease(branch, &head)).transpose()?.flatten();
    log::info(format!("restoring {} from {previous}", code.named()));
    restore(previous, paths, &head)?;
    let Some(message) = code.commit.as_deref().filter(|_| done.committed) else { return Ok(()) };
    let head = commit(&format!("Undo: {message}"), paths, &head)?;
    if let Some(branch) = branch {
        push(&head, branch, lease.as_deref())?;
    }
    Ok(())
}
