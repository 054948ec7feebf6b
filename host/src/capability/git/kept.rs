//! The old state, kept before anything is changed.
//!
//! `refs/ripcord/RUN/EXECUTION.ORDINAL` is a commit whose tree is the old content of the affected
//! paths, staged or not, among the rest of `HEAD`. Its first parent is the old `HEAD`, its second one
//! the new state (so that no `git gc` takes it away). By hand, `git checkout refs/ripcord/RUN/3.0 --
//! PATH` puts a path back, and `git reset --hard refs/ripcord/RUN/3.0^` a branch. The commit's message
//! ends with the [`Move`] itself, so that a call that was cut off can be gone on with.

use git2::{ErrorCode, Oid, Signature, Time};

use super::durable;
use super::entry::{self, Entry};
use super::movement::Move;
use super::working_copy::{WorkingCopy, failed};
use crate::capability::At;
use crate::failure::Failure;
use crate::id::RunId;

/// The reference under which a call keeps the old state.
pub(super) fn reference(at: &At) -> String {
    format!("refs/ripcord/{}/{}.{}", at.run, at.execution, at.ordinal)
}

/// A move that was begun at a call's place.
pub(super) struct Begun {
    pub(super) record: Move,
    /// Whether it is of this very call: in an undo that is tried again, another may take its place.
    pub(super) is_this: bool,
}

/// The move that was begun at the call's place, if one was.
pub(super) fn begun(copy: &WorkingCopy, at: &At, title: &str) -> Result<Option<Begun>, Failure> {
    let name = reference(at);
    match copy.repository.refname_to_id(&name) {
        Ok(id) => {
            let is_this = copy.find_commit(id)?.message_bytes().starts_with(first_line(title).as_bytes());
            Ok(Some(Begun { record: read(copy, id)?, is_this }))
        }
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(failed(format_args!("read {name}"))(error)),
    }
}

/// Keeps the old state, durably.
pub(super) fn keep(copy: &WorkingCopy, at: &At, record: &Move, title: &str) -> Result<(), Failure> {
    let name = reference(at);
    let json = serde_json::to_string(record)
        .map_err(|error| Failure::permanent(format!("can't write the record of {name}: {error}")))?;
    let message = format!("{}\n{json}\n", first_line(title));
    let ripcord = Signature::new("ripcord", "ripcord@localhost", &Time::new(at.began.as_second(), 0));
    let ripcord = ripcord.map_err(failed("sign"))?;
    let keeping = || format!("keep the old state under {name}");
    let write = |message: &str, tree: Oid, parents: &[Oid]| {
        let tree = copy.find_tree(tree)?;
        let parents = parents.iter().map(|id| copy.find_commit(*id)).collect::<Result<Vec<_>, _>>()?;
        let parents: Vec<_> = parents.iter().collect();
        copy.repository.commit(None, &ripcord, &ripcord, message, &tree, &parents).map_err(failed(keeping()))
    };
    let new = if record.head == record.previous {
        write(&format!("ripcord: what there is after {title}\n"), record.to, &[record.previous])?
    } else {
        record.head
    };
    let id = write(&message, record.from, &[record.previous, new])?;
    durable::objects(copy, &[new, id])?;
    copy.repository.reference(&name, id, true, "ripcord").map_err(failed(keeping()))?;
    durable::file(&copy.repository.commondir().join(&name))
}

/// How the message of a kept state begins. A title is a guest's text: it is kept to its line, because the
/// record is found as the last one.
fn first_line(title: &str) -> String {
    let title: String = title.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("ripcord: what was there before {title}\n")
}

/// Gives the old state up again: it is what stands there.
pub(super) fn forget(copy: &WorkingCopy, at: &At) -> Result<(), Failure> {
    let name = reference(at);
    let kept = copy.repository.find_reference(&name).and_then(|mut kept| kept.delete());
    kept.map_err(failed(format_args!("delete {name}")))
}

/// Whether a staged content was put there by an earlier call of this run, which a later one may replace.
/// What another run has left is for a person to commit or to drop: it is part of how that run ended.
pub(super) fn was_put_there(
    copy: &WorkingCopy,
    run: &RunId,
    path: &str,
    staged: Option<Entry>,
) -> Result<bool, Failure> {
    let pattern = format!("refs/ripcord/{run}/*");
    let references = copy.repository.references_glob(&pattern).map_err(failed(format_args!("list {pattern}")))?;
    for reference in references {
        let reference = reference.map_err(failed(format_args!("read one of {pattern}")))?;
        let Some(id) = reference.target() else { continue };
        // What somebody else has put under refs/ripcord proves nothing.
        if read(copy, id).and_then(|record| puts(copy, &record, path, staged)).unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn puts(copy: &WorkingCopy, record: &Move, path: &str, staged: Option<Entry>) -> Result<bool, Failure> {
    let before = entry::in_tree(&copy.find_tree(record.from)?, path)?;
    let after = entry::in_tree(&copy.find_tree(record.to)?, path)?;
    Ok(record.writes && before != after && copy.same(after, staged))
}

fn read(copy: &WorkingCopy, id: Oid) -> Result<Move, Failure> {
    let commit = copy.find_commit(id)?;
    let message = String::from_utf8_lossy(commit.message_bytes());
    serde_json::from_str(message.trim_end().lines().last().unwrap_or_default())
        .map_err(|error| Failure::permanent(format!("{id} under refs/ripcord is no record of ripcord's: {error}")))
}
