//! What a person is told of a mutation before it is made. Nothing here writes: no object, no reference,
//! no index. That is why it does not use what plans the mutations themselves, which stores the objects
//! that it will need.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Delta, Diff, Oid, Patch, Sort};
use jiff::Timestamp;

use super::Call;
use super::connection::Author;
use super::movement::listed;
use super::read::{limited_to, lossy, touches};
use super::working_copy::{WorkingCopy, failed};
use crate::capability::{CapabilityCall, Capped, Changed, Detail, Exactly, Version};
use crate::failure::Failure;

/// How many paths are listed. A reset may change thousands.
const CHANGES_MAX: usize = 20;

/// How many of the commits that are taken back are listed.
const COMMITS_MAX: usize = 10;

/// How much of a commit's id is shown: more than git shows of it, and always as much, so that two
/// previews can be compared. What would be sent has all of it.
const ID_SHOWN: usize = 12;

/// How far back a history is walked: what is older is a hundred thousand commits away.
const WALK_MAX: usize = 100_000;

/// What leaves for the working copy or its remote.
pub(super) fn exactly(root: &Path, author: Option<&Author>, remote: &str, call: &Call) -> Exactly {
    let in_place = |exactly: Exactly| exactly.with("in", root.display().to_string());
    match call {
        Call::Commit { message, .. } => {
            let author = author.map_or_else(
                || "who git is configured to commit as there".to_owned(),
                |Author { name, email }| format!("{name} <{email}>"),
            );
            in_place(Exactly::new(call.summary())).with("message", message.trim_end()).with("author", author)
        }
        Call::Push { revision, branch, lease } => {
            let only_if = match lease {
                Some(lease) => format!("{branch} is still at {lease} there"),
                None => format!("there is no branch {branch} there yet"),
            };
            let push = Exactly::new(format!("push {revision} to {branch} of {remote}"));
            in_place(push).with("only if", only_if)
        }
        _ => in_place(Exactly::new(call.summary())),
    }
}

/// Where a remote is; none if there is none of this name.
pub(super) fn remote_url(root: &Path, remote: &str) -> Option<String> {
    let copy = WorkingCopy::open(root).ok()?;
    let remote = copy.repository.find_remote(remote).ok()?;
    let url = remote.pushurl().ok().flatten().or(remote.url().ok())?;
    // A password in it is nobody's business, and a user's name is one for some services' tokens.
    match url::Url::parse(url) {
        Ok(mut parsed) if matches!(parsed.scheme(), "http" | "https") => {
            let stripped = parsed.set_username("").and_then(|()| parsed.set_password(None));
            stripped.ok().map(|()| parsed.to_string())
        }
        _ => Some(url.to_owned()),
    }
}

/// What the call would come upon in the working copy, as it is now.
pub(super) fn detail(copy: &WorkingCopy, call: &Call) -> Result<Option<Detail>, Failure> {
    match call {
        Call::Restore { revision, paths } => back_to(copy, revision, paths).map(Some),
        Call::Reset { revision } => back_to(copy, revision, &[]).map(Some),
        Call::Revert { revision } => opposite_of(copy, revision).map(Some),
        Call::Push { revision, lease, .. } => published(copy, revision, lease.as_deref()).map(Some),
        _ => Ok(None),
    }
}

/// Paths, or all of them, as they were in a revision.
fn back_to(copy: &WorkingCopy, revision: &str, paths: &[String]) -> Result<Detail, Failure> {
    let comparing = || format!("compare `{revision}` with the working copy");
    let wanted = copy.commit(revision)?;
    let head = copy.head()?;
    let since = between(copy, wanted.id(), head.commit.id())?;
    let lost = touching(copy, &since, paths)?;

    let tree = wanted.tree().map_err(failed(comparing()))?;
    let diff = copy.repository.diff_tree_to_workdir_with_index(Some(&tree), Some(limited_to(paths).reverse(true)));
    let diff = diff.map_err(failed(comparing()))?;
    Ok(Detail {
        restores: Some(version(copy, wanted.id(), revision)?),
        notes: vec![distance(copy, &head.reference, wanted.id(), head.commit.id(), since.len())],
        changes: changes(&diff),
        takes_back: versions(copy, &lost)?,
        obstacle: local_changes(copy, &diff, paths)?,
    })
}

/// The opposite of one commit.
fn opposite_of(copy: &WorkingCopy, revision: &str) -> Result<Detail, Failure> {
    let unwanted = copy.commit(revision)?;
    let reading = || format!("read commit {}", unwanted.id());
    let tree = unwanted.tree().map_err(failed(reading()))?;
    let before = match unwanted.parent(0) {
        Ok(parent) => Some(parent.tree().map_err(failed(reading()))?),
        Err(_) => None,
    };
    let diff = copy.repository.diff_tree_to_tree(Some(&tree), before.as_ref(), Some(&mut limited_to(&[])));
    let diff = diff.map_err(failed(reading()))?;
    Ok(Detail {
        changes: changes(&diff),
        takes_back: Capped::of([version(copy, unwanted.id(), revision)?], COMMITS_MAX),
        ..Detail::default()
    })
}

/// What a push adds to the remote's branch, and what it takes from it.
fn published(copy: &WorkingCopy, revision: &str, lease: Option<&str>) -> Result<Detail, Failure> {
    let new = copy.commit(revision)?;
    let Some(lease) = lease else {
        return Ok(Detail { notes: vec!["the branch is new there".to_owned()], ..Detail::default() });
    };
    let old = copy.commit(lease)?;
    let added = between(copy, old.id(), new.id())?;
    let removed = between(copy, new.id(), old.id())?;
    let commits = |number: usize| if number == 1 { "1 commit".to_owned() } else { format!("{number} commits") };
    let mut notes = vec![format!("{} that the branch does not have yet", commits(added.len()))];
    if !removed.is_empty() {
        notes.push(format!("{} that the branch has, and will not have any more", commits(removed.len())));
    }
    let takes_back = versions(copy, &removed)?;
    Ok(Detail { notes, takes_back, ..Detail::default() })
}

/// The commits that one has in its history and another has not, newest first.
fn between(copy: &WorkingCopy, without: Oid, from: Oid) -> Result<Vec<Oid>, Failure> {
    let walking = || format!("walk the history from {without} to {from}");
    let mut walk = copy.repository.revwalk().map_err(failed(walking()))?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(failed(walking()))?;
    walk.push(from).map_err(failed(walking()))?;
    walk.hide(without).map_err(failed(walking()))?;
    walk.take(WALK_MAX).collect::<Result<_, _>>().map_err(failed(walking()))
}

/// Those of the commits that touch one of the paths; all of them if no path is given.
fn touching(copy: &WorkingCopy, commits: &[Oid], paths: &[String]) -> Result<Vec<Oid>, Failure> {
    let mut touching = Vec::new();
    for &id in commits {
        if touches(&copy.find_commit(id)?, paths)? {
            touching.push(id);
        }
    }
    Ok(touching)
}

fn versions(copy: &WorkingCopy, commits: &[Oid]) -> Result<Capped<Version>, Failure> {
    let first = commits.iter().take(COMMITS_MAX).map(|&id| version(copy, id, "")).collect::<Result<Vec<_>, _>>()?;
    Ok(Capped { more: commits.len() - first.len(), first })
}

/// A commit, with the name that it was asked for by, or else its tags.
fn version(copy: &WorkingCopy, id: Oid, revision: &str) -> Result<Version, Failure> {
    let commit = copy.find_commit(id)?;
    let named = if revision.is_empty() || id.to_string().starts_with(revision) {
        tags_of(copy, id)
    } else {
        vec![revision.to_owned()]
    };
    let mut name = format!("commit {}", &id.to_string()[..ID_SHOWN]);
    if !named.is_empty() {
        name.push_str(&format!(" ({})", named.join(", ")));
    }
    Ok(Version {
        name,
        title: lossy(commit.summary_bytes().unwrap_or_default()),
        by: lossy(commit.author().name_bytes()),
        at: Timestamp::from_second(commit.time().seconds()).ok(),
    })
}

/// The tags that name this very commit, sorted.
fn tags_of(copy: &WorkingCopy, id: Oid) -> Vec<String> {
    let mut tags = BTreeSet::new();
    let found = copy.repository.tag_foreach(|tag, name| {
        let commit = copy.repository.find_object(tag, None).and_then(|object| object.peel_to_commit());
        if commit.is_ok_and(|commit| commit.id() == id) {
            tags.insert(lossy(name).trim_start_matches("refs/tags/").to_owned());
        }
        true
    });
    // Names are a courtesy: without them the commit's id says all.
    if found.is_ok() { tags.into_iter().collect() } else { Vec::new() }
}

fn distance(copy: &WorkingCopy, reference: &str, wanted: Oid, head: Oid, since: usize) -> String {
    let branch = reference.trim_start_matches("refs/heads/");
    let place = if branch == "HEAD" { "HEAD".to_owned() } else { format!("HEAD ({branch})") };
    if wanted == head {
        return format!("it is {place} itself");
    }
    let at_least = if since >= WALK_MAX { "at least " } else { "" };
    let commits = if since == 1 { "commit" } else { "commits" };
    match copy.repository.graph_descendant_of(head, wanted) {
        Ok(true) => format!("{at_least}{since} {commits} behind {place}"),
        _ => format!("not in the history of {place}, which has {at_least}{since} {commits} that it has not"),
    }
}

fn changes(diff: &Diff<'_>) -> Capped<Changed> {
    let changed = diff.deltas().enumerate().filter_map(|(index, delta)| {
        let change = match delta.status() {
            Delta::Unmodified | Delta::Ignored | Delta::Untracked => return None,
            Delta::Added => "added",
            Delta::Deleted => "deleted",
            _ => "modified",
        };
        // Lines of a binary file are not counted, nor are those of a file that is not listed.
        let stats = || Patch::from_diff(diff, index).ok().flatten()?.line_stats().ok();
        let counts = if index < CHANGES_MAX { stats() } else { None };
        Some(Changed {
            name: path(&delta),
            change: change.to_owned(),
            counts: counts.map(|(_, added, removed)| (added as u64, removed as u64)),
        })
    });
    Capped::of(changed, CHANGES_MAX)
}

/// Local changes that the call would refuse to write over: neither as committed nor as they would be.
fn local_changes(copy: &WorkingCopy, to_come: &Diff<'_>, paths: &[String]) -> Result<Option<String>, Failure> {
    let looking = || format!("look for local changes in {}", copy.root.display());
    let head = copy.head()?;
    let local = copy.repository.diff_tree_to_workdir_with_index(Some(&head.tree()?), Some(&mut limited_to(paths)));
    let local = local.map_err(failed(looking()))?;
    let to_come: BTreeSet<String> = to_come.deltas().map(|delta| path(&delta)).collect();
    let dirty: BTreeSet<String> = local.deltas().map(|delta| path(&delta)).collect();
    let dirty: Vec<&str> = dirty.intersection(&to_come).map(String::as_str).collect();
    Ok((!dirty.is_empty()).then(|| {
        format!("there are local changes in {}, and ripcord does not write over them", listed(dirty.into_iter()))
    }))
}

fn path(delta: &git2::DiffDelta<'_>) -> String {
    lossy(delta.new_file().path_bytes().or(delta.old_file().path_bytes()).unwrap_or_default())
}
