//! `reset`, `revert` and `commit`: what moves the current branch. A detached `HEAD` is moved itself.

use std::collections::BTreeSet;

use git2::{DiffOptions, Oid};
use jiff::Timestamp;

use super::connection::Author;
use super::entry::{self, Entry, Standing};
use super::movement::{self, Change, Move, listed};
use super::restore::refuse_dirty;
use super::working_copy::{Head, WorkingCopy, failed};
use crate::failure::Failure;
use crate::id::RunId;

/// Who commits, and when.
pub(super) struct Committer<'a> {
    pub(super) author: Option<&'a Author>,
    pub(super) at: Timestamp,
}

/// `git reset --hard`, except that local changes anywhere are refused. Untracked files stay.
pub(super) fn reset(copy: &WorkingCopy, run: &RunId, revision: &str) -> Result<Move, Failure> {
    let head = copy.head()?;
    let head_tree = head.tree()?;
    let wanted = copy.commit(revision)?;
    let to = wanted.tree_id();
    let index = copy.index()?;

    // What is staged is part of the old state: it is refused below, unless this run has put it there.
    let changed = changed_paths(copy, &head)?;
    let staged: Vec<(&str, Option<Entry>)> =
        changed.iter().map(|path| (path.as_str(), entry::in_index(&index, path))).collect();
    let from = entry::with_entries(copy, &head_tree, &staged)?;

    let mut changes = movement::changes(copy, from, to)?;
    let moved: BTreeSet<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    let still: Vec<Change> = staged
        .iter()
        .filter(|(path, _)| !moved.contains(path))
        .map(|(path, entry)| Change { path: (*path).to_owned(), before: *entry, after: *entry })
        .collect();
    changes.extend(still);
    let changes = changes
        .into_iter()
        .map(|change| entry::in_tree(&head_tree, &change.path).map(|committed| (change, committed)))
        .collect::<Result<Vec<_>, _>>()?;
    refuse_dirty(copy, run, "reset", &changes)?;
    Ok(Move {
        reference: head.reference.clone(),
        previous: head.commit.id(),
        head: wanted.id(),
        from,
        to,
        writes: true,
    })
}

/// A commit that is the opposite of another one, by a three-way merge in memory.
pub(super) fn revert(
    copy: &WorkingCopy,
    run: &RunId,
    revision: &str,
    committer: &Committer<'_>,
) -> Result<Move, Failure> {
    let head = copy.head()?;
    let unwanted = copy.commit(revision)?;
    if unwanted.parent_count() > 1 {
        return Err(Failure::permanent(format!(
            "{} is a merge: which of its sides is to stay can't be told; revert its commits one by one, or reset to the \
             commit before it",
            unwanted.id()
        )));
    }
    let reverting = || format!("revert {}", unwanted.id());
    let mut merged = copy.repository.revert_commit(&unwanted, &head.commit, 0, None).map_err(failed(reverting()))?;
    if merged.has_conflicts() {
        let conflicts = merged.conflicts().map_err(failed(reverting()))?;
        let paths: BTreeSet<String> = conflicts
            .flatten()
            .filter_map(|conflict| conflict.our.or(conflict.their).or(conflict.ancestor))
            .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
            .collect();
        return Err(Failure::permanent(format!(
            "can't revert {}: later commits have changed the same lines in {}; nothing was changed. Restore those files \
             from a revision instead, or revert by hand",
            unwanted.id(),
            listed(paths.iter().map(String::as_str))
        )));
    }
    let to = merged.write_tree_to(&copy.repository).map_err(failed(reverting()))?;
    let from = head.commit.tree_id();
    let head_tree = head.tree()?;
    let changes = movement::changes(copy, from, to)?;
    let index = copy.index()?;
    let changes = changes
        .into_iter()
        .map(|change| {
            let committed = entry::in_tree(&head_tree, &change.path)?;
            let staged = entry::in_index(&index, &change.path);
            Ok((Change { before: staged, ..change }, committed))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    // Staged content would not be in the history that the revert is part of, whoever has staged it.
    refuse_staged(copy, &changes)?;
    refuse_dirty(copy, run, "revert", &changes)?;
    let summary = String::from_utf8_lossy(unwanted.summary_bytes().unwrap_or_default()).into_owned();
    let message = format!("Revert \"{summary}\"\n\nThis reverts commit {}.\n", unwanted.id());
    committed(copy, &head, from, to, &message, committer, true)
}

/// Commits paths as the working copy has them, and nothing else that is staged (`git commit --only`).
pub(super) fn commit(
    copy: &WorkingCopy,
    message: &str,
    paths: &[String],
    committer: &Committer<'_>,
) -> Result<Move, Failure> {
    let head = copy.head()?;
    let head_tree = head.tree()?;
    let index = copy.index()?;
    let (mut staged, mut standing) = (Vec::new(), Vec::new());
    for path in paths.iter().map(String::as_str).collect::<BTreeSet<_>>() {
        copy.refuse_links_above(path, |_| false)?;
        let before = entry::in_index(&index, path);
        let committed = entry::in_tree(&head_tree, path)?;
        let found = copy.standing(path)?;
        if found == Standing::Folder {
            return Err(entry::is_folder(path));
        }
        let after = found.content().map(|found| match before.or(committed) {
            // Where modes are not kept, the file's says nothing.
            Some(known) if copy.same(Some(Entry { id: found.id, ..known }), Some(found)) => {
                Entry { kind: known.kind, ..found }
            }
            _ => found,
        });
        if before.is_none() && committed.is_none() && after.is_none() {
            return Err(Failure::permanent(format!("there is no {path} to commit in {}", copy.root.display())));
        }
        copy.refuse_unsupported(path, before)?;
        copy.refuse_unsupported(path, after)?;
        staged.push((path, before));
        standing.push((path, after));
    }
    let to = entry::with_entries(copy, &head_tree, &standing)?;
    let from = entry::with_entries(copy, &head_tree, &staged)?;
    committed(copy, &head, from, to, message, committer, false)
}

/// The move to a new commit on `HEAD`; none at all if it would be empty.
fn committed(
    copy: &WorkingCopy,
    head: &Head<'_>,
    from: Oid,
    to: Oid,
    message: &str,
    committer: &Committer<'_>,
    writes: bool,
) -> Result<Move, Failure> {
    let previous = head.commit.id();
    let reference = head.reference.clone();
    if to == head.commit.tree_id() {
        return Ok(Move { reference, previous, head: previous, from: to, to, writes });
    }
    let who = copy.author(committer.author, committer.at)?;
    let tree = copy.find_tree(to)?;
    let mut message = message.to_owned();
    if !message.ends_with('\n') {
        message.push('\n');
    }
    let id = copy.repository.commit(None, &who, &who, &message, &tree, &[&head.commit]);
    Ok(Move { reference, previous, head: id.map_err(failed("write a commit"))?, from, to, writes })
}

/// All tracked paths whose file or staged content is not `HEAD`'s.
fn changed_paths(copy: &WorkingCopy, head: &Head<'_>) -> Result<Vec<String>, Failure> {
    let tree = head.tree()?;
    let mut options = DiffOptions::new();
    options.include_typechange(true).ignore_submodules(true).skip_binary_check(true);
    let diff = copy.repository.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options));
    let diff = diff.map_err(failed(format_args!("look for local changes in {}", copy.root.display())))?;
    let mut paths = BTreeSet::new();
    for delta in diff.deltas() {
        for path in [delta.old_file().path_bytes(), delta.new_file().path_bytes()].into_iter().flatten() {
            paths.insert(String::from_utf8_lossy(path).into_owned());
        }
    }
    Ok(paths.into_iter().collect())
}

fn refuse_staged(copy: &WorkingCopy, changes: &[(Change, Option<Entry>)]) -> Result<(), Failure> {
    let staged: Vec<&str> = changes
        .iter()
        .filter(|(change, committed)| !copy.same(change.before, *committed))
        .map(|(change, _)| change.path.as_str())
        .collect();
    if staged.is_empty() {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "can't revert in {}: {} is staged and not committed; commit it, or take it back (`git restore --staged \
         --worktree`), and try again",
        copy.root.display(),
        listed(staged.into_iter())
    )))
}
