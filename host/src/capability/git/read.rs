//! What changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Delta, Diff, DiffFormat, DiffOptions, ErrorCode, ObjectType, Oid, Sort, Tree};

use super::working_copy::{WorkingCopy, failed};
use super::{Call, Change, ChangedPath, Commit, Reply};
use crate::failure::Failure;

/// One file or one patch that a guest may ask for, in bytes.
const CONTENT_BYTES_MAX: usize = 8 << 20;

/// Answers any read but `remote-head`.
pub(super) fn read(copy: &WorkingCopy, call: &Call) -> Result<Reply, Failure> {
    match call {
        Call::Resolve { revision } => Ok(Reply::Resolved(copy.commit(revision)?.id().to_string())),
        Call::Log { revision, paths, limit } => log(copy, revision, paths, *limit).map(Reply::Commits),
        Call::Diff { from, to, paths } => difference(copy, from, to.as_deref(), paths),
        Call::Show { revision, path } => show(copy, revision, path).map(|bytes| Reply::Content(bytes.into())),
        Call::Status { paths } => status(copy, paths).map(Reply::Status),
        Call::RemoteHead { .. }
        | Call::Restore { .. }
        | Call::Reset { .. }
        | Call::Revert { .. }
        | Call::Commit { .. }
        | Call::Push { .. } => Err(Failure::permanent(format!("internal: {call:?} is no local read"))),
    }
}

fn log(copy: &WorkingCopy, revision: &str, paths: &[String], limit: u32) -> Result<Vec<Commit>, Failure> {
    let walking = || format!("walk the history of `{revision}`");
    let start = copy.commit(revision)?.id();
    let mut walk = copy.repository.revwalk().map_err(failed(walking()))?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(failed(walking()))?;
    walk.push(start).map_err(failed(walking()))?;
    let mut commits = Vec::new();
    for id in walk {
        if commits.len() >= limit as usize {
            break;
        }
        let commit = copy.find_commit(id.map_err(failed(walking()))?)?;
        if touches(&commit, paths)? {
            let author = commit.author();
            commits.push(Commit {
                id: commit.id().to_string(),
                parents: commit.parent_ids().map(|id| id.to_string()).collect(),
                author: format!("{} <{}>", lossy(author.name_bytes()), lossy(author.email_bytes())),
                committed_at: commit.time().seconds(),
                message: lossy(commit.message_bytes()),
            });
        }
    }
    Ok(commits)
}

/// Whether a commit has other content at one of the paths than each of its parents, as `git log`
/// understands it: a merge that took one side's has changed nothing.
pub(super) fn touches(commit: &git2::Commit<'_>, paths: &[String]) -> Result<bool, Failure> {
    if paths.is_empty() {
        return Ok(true);
    }
    let reading = || format!("read commit {}", commit.id());
    let tree = commit.tree().map_err(failed(reading()))?;
    let content = |tree: &Tree<'_>| -> Result<Vec<Option<(Oid, i32)>>, Failure> {
        let at = |path: &String| match tree.get_path(Path::new(path)) {
            Ok(entry) => Ok(Some((entry.id(), entry.filemode()))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(failed(reading())(error)),
        };
        paths.iter().map(at).collect()
    };
    let own = content(&tree)?;
    if commit.parent_count() == 0 {
        return Ok(own.iter().any(Option::is_some));
    }
    for parent in commit.parents() {
        if content(&parent.tree().map_err(failed(reading()))?)? == own {
            return Ok(false);
        }
    }
    Ok(true)
}

fn difference(copy: &WorkingCopy, from: &str, to: Option<&str>, paths: &[String]) -> Result<Reply, Failure> {
    let comparing = || format!("compare `{from}` with {}", to.unwrap_or("the working copy"));
    let old = copy.commit(from)?.tree().map_err(failed(comparing()))?;
    let mut options = limited_to(paths);
    let diff = match to {
        Some(to) => {
            let new = copy.commit(to)?.tree().map_err(failed(comparing()))?;
            copy.repository.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
        }
        None => copy.repository.diff_tree_to_workdir_with_index(Some(&old), Some(&mut options)),
    };
    let diff = diff.map_err(failed(comparing()))?;
    let mut patch = Vec::new();
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            patch.push(u8::try_from(line.origin()).unwrap_or(b' '));
        }
        patch.extend_from_slice(line.content());
        patch.len() <= CONTENT_BYTES_MAX
    });
    if patch.len() > CONTENT_BYTES_MAX {
        return Err(Failure::permanent(format!(
            "can't {}: the patch has more than {CONTENT_BYTES_MAX} bytes; name the paths that matter",
            comparing()
        )));
    }
    printed.map_err(failed(comparing()))?;
    Ok(Reply::Difference { paths: changed(&diff), patch: lossy(&patch) })
}

fn show(copy: &WorkingCopy, revision: &str, path: &str) -> Result<Vec<u8>, Failure> {
    let commit = copy.commit(revision)?;
    let showing = || format!("show {path} in {revision} ({})", commit.id());
    let tree = commit.tree().map_err(failed(showing()))?;
    let entry = tree.get_path(Path::new(path)).map_err(|error| match error.code() {
        ErrorCode::NotFound => Failure::permanent(format!("there is no {path} in {revision} ({})", commit.id())),
        _ => failed(showing())(error),
    })?;
    if entry.kind() != Some(ObjectType::Blob) {
        let kind = if entry.kind() == Some(ObjectType::Tree) { "folder" } else { "submodule" };
        return Err(Failure::permanent(format!("can't {}: it is a {kind}, not a file", showing())));
    }
    let objects = copy.repository.odb().map_err(failed(showing()))?;
    let (bytes, _) = objects.read_header(entry.id()).map_err(failed(showing()))?;
    if bytes > CONTENT_BYTES_MAX {
        return Err(Failure::permanent(format!(
            "can't {}: it has {bytes} bytes, and at most {CONTENT_BYTES_MAX} are shown",
            showing()
        )));
    }
    let blob = copy.repository.find_blob(entry.id()).map_err(failed(showing()))?;
    Ok(blob.content().to_vec())
}

fn status(copy: &WorkingCopy, paths: &[String]) -> Result<Vec<ChangedPath>, Failure> {
    let looking = || format!("look for changes in {}", copy.root.display());
    let head = copy.head()?;
    let mut options = limited_to(paths);
    options.include_untracked(true).recurse_untracked_dirs(true).skip_binary_check(true);
    let diff = copy.repository.diff_tree_to_workdir_with_index(Some(&head.tree()?), Some(&mut options));
    Ok(changed(&diff.map_err(failed(looking()))?))
}

/// Paths are taken as they are written: `*` is a file's name.
pub(super) fn limited_to(paths: &[String]) -> DiffOptions {
    let mut options = DiffOptions::new();
    options.disable_pathspec_match(true).include_typechange(true);
    for path in paths {
        options.pathspec(path.as_str());
    }
    options
}

fn changed(diff: &Diff<'_>) -> Vec<ChangedPath> {
    let changed = diff.deltas().filter_map(|delta| {
        let change = match delta.status() {
            Delta::Unmodified | Delta::Ignored => return None,
            Delta::Added | Delta::Untracked | Delta::Copied => Change::Added,
            Delta::Deleted => Change::Deleted,
            _ => Change::Modified,
        };
        let path = delta.new_file().path_bytes().or(delta.old_file().path_bytes())?;
        Some((lossy(path), change))
    });
    // A path that is deleted in the index and untracked in the working copy is there twice.
    let mut seen = BTreeSet::new();
    changed.filter(|(path, _)| seen.insert(path.clone())).map(|(path, change)| ChangedPath { path, change }).collect()
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
