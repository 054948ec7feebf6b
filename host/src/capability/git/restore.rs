//! `restore`: paths as they are in a revision, in the working copy and in the index.

use std::collections::BTreeSet;

use super::entry::{self, Entry, Standing};
use super::kept;
use super::movement::{Change, Move, listed};
use super::working_copy::{WorkingCopy, failed};
use crate::failure::Failure;
use crate::id::RunId;

pub(super) fn plan(copy: &WorkingCopy, run: &RunId, revision: &str, paths: &[String]) -> Result<Move, Failure> {
    let head = copy.head()?;
    let head_tree = head.tree()?;
    let wanted = copy.commit(revision)?;
    let wanted_tree = wanted.tree().map_err(failed(format_args!("read commit {}", wanted.id())))?;
    let index = copy.index()?;

    let mut changes = Vec::new();
    for path in paths.iter().map(String::as_str).collect::<BTreeSet<_>>() {
        let (committed, staged) = (entry::file_in_tree(&head_tree, path)?, entry::in_index(&index, path));
        let after = entry::file_in_tree(&wanted_tree, path)?;
        if committed.is_none() && staged.is_none() && after.is_none() {
            return Err(Failure::permanent(format!(
                "there is no {path} to restore: neither in {revision} ({}) nor among the tracked files",
                wanted.id()
            )));
        }
        changes.push((Change { path: path.to_owned(), before: staged, after }, committed));
    }
    refuse_dirty(copy, run, "restore", &changes)?;

    let entries = |side: fn(&Change) -> Option<Entry>| -> Vec<(&str, Option<Entry>)> {
        changes.iter().map(|(change, _)| (change.path.as_str(), side(change))).collect()
    };
    let from = entry::with_entries(copy, &head_tree, &entries(|change| change.before))?;
    let to = entry::with_entries(copy, &copy.find_tree(from)?, &entries(|change| change.after))?;
    let id = head.commit.id();
    Ok(Move { reference: head.reference.clone(), previous: id, head: id, from, to, writes: true })
}

/// Refuses to write over what somebody has changed: a file that is neither as staged nor as it is to
/// be, or a staged content that is neither committed, nor what it is to be, nor this run's own
/// doing.
///
/// Each change comes with what `HEAD` has at its path.
pub(super) fn refuse_dirty(
    copy: &WorkingCopy,
    run: &RunId,
    operation: &str,
    changes: &[(Change, Option<Entry>)],
) -> Result<(), Failure> {
    let mut dirty = BTreeSet::new();
    for (change, committed) in changes {
        let Change { path, before, after } = change;
        copy.refuse_unsupported(path, *before)?;
        copy.refuse_unsupported(path, *after)?;
        let is_going = |above: &str| {
            changes
                .iter()
                .any(|(change, _)| change.path == above && change.before.is_some() && change.after != change.before)
        };
        copy.refuse_links_above(path, is_going)?;
        let standing = copy.standing(path)?;
        if standing == Standing::Folder {
            let known = |below: &str| changes.iter().any(|(change, _)| change.path == below && change.after.is_none());
            dirty.extend(copy.files_below(path)?.into_iter().filter(|below| !known(below)));
        }
        let found = standing.content();
        if !copy.same(found, *before) && !copy.same(found, *after) {
            dirty.insert(path.clone());
        }
        let is_known = copy.same(*before, *committed) || copy.same(*before, *after);
        if !is_known && !kept::was_put_there(copy, run, path, *before)? {
            dirty.insert(path.clone());
        }
    }
    if dirty.is_empty() {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "can't {operation} in {}: there are local changes that would be lost in {}; commit them, put them aside \
         (`git stash -u`) or drop them (`git restore --staged --worktree`, `git clean`), and try again",
        copy.root.display(),
        listed(dirty.iter().map(String::as_str))
    )))
}
