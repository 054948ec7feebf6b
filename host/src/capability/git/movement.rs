//! What all four local mutations are: a *move* of some paths and of a branch from one state to
//! another. Everything about it is known, and in the object store, before it begins.
//!
//! Restore, reset, revert and commit differ in how they get at the two states (`restore.rs`,
//! `history.rs`). Carrying a move out (`carry.rs`) and finding out what became of one are the same.

use std::collections::BTreeMap;

use git2::{FileMode, Oid};
use serde::{Deserialize, Serialize};

use super::Moved;
use super::entry::{self, Entry, Kind};
use super::working_copy::WorkingCopy;
use crate::failure::Failure;

/// A move, complete: the marker in the journal, and the record beside the kept old state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    /// What is moved: `refs/heads/main`, or `HEAD` if it is detached.
    pub(super) reference: String,
    /// The commit that it is at before.
    #[serde(with = "hex_id")]
    pub(super) previous: Oid,
    /// The commit that it is at afterwards.
    #[serde(with = "hex_id")]
    pub(super) head: Oid,
    /// `HEAD`'s tree with the affected paths as the index had them before.
    #[serde(with = "hex_id")]
    pub(super) from: Oid,
    /// The same tree with the affected paths as they are to be.
    #[serde(with = "hex_id")]
    pub(super) to: Oid,
    /// Whether files are written. A commit only takes up what they hold.
    pub(super) writes: bool,
}

/// A path that differs between the two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
}

/// How far a move has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Untouched,
    /// Some of it is done, and the rest can be.
    Half,
    Done,
    /// Something is neither as before nor as afterwards, nor on the way; what.
    Elsewhere(String),
}

impl Move {
    /// Whether there is nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.previous == self.head && self.from == self.to
    }

    /// The paths that differ, in git's order.
    pub(super) fn changes(&self, copy: &WorkingCopy) -> Result<Vec<Change>, Failure> {
        changes(copy, self.from, self.to)
    }

    /// The reply, once it is done.
    pub(super) fn moved(&self, copy: &WorkingCopy) -> Result<Moved, Failure> {
        let changed = if self.writes {
            self.changes(copy)?
        } else {
            // What a commit changes is the history; its files are as they were.
            changes(copy, copy.find_commit(self.previous)?.tree_id(), copy.find_commit(self.head)?.tree_id())?
        };
        Ok(Moved {
            head: self.head.to_string(),
            previous: self.previous.to_string(),
            changed: changed.into_iter().map(|change| change.path).collect(),
        })
    }

    /// How far it has come, by what stands there now. It looks at branch, index and files, because a
    /// power cut may have kept any of them and lost another.
    pub(super) fn progress(&self, copy: &WorkingCopy) -> Result<Progress, Failure> {
        if self.is_nothing() {
            return Ok(Progress::Done);
        }
        let head = copy.head()?;
        let at = head.commit.id();
        if head.reference != self.reference || (at != self.previous && at != self.head) {
            return Ok(Progress::Elsewhere(format!(
                "{} is at {at}, where {} was at {} before and would be at {} afterwards",
                head.reference, self.reference, self.previous, self.head
            )));
        }
        let (mut before, mut after, mut elsewhere) = (at == self.previous, at == self.head, Vec::new());
        let index = copy.index()?;
        for change in self.changes(copy)? {
            let staged = entry::in_index(&index, &change.path);
            before &= copy.same(staged, change.before);
            after &= copy.same(staged, change.after);
            let mut on_the_way = copy.same(staged, change.before) || copy.same(staged, change.after);
            if self.writes {
                let found = copy.standing(&change.path)?.content();
                let (is_before, is_after) = (copy.same(found, change.before), copy.same(found, change.after));
                before &= is_before;
                after &= is_after;
                // Where a folder takes a file's place, there is nothing for a moment.
                on_the_way &= is_before || is_after || found.is_none();
            }
            if !on_the_way {
                elsewhere.push(change.path);
            }
        }
        Ok(match (elsewhere.is_empty(), before, after) {
            (false, ..) => Progress::Elsewhere(format!(
                "neither as before nor as it would be afterwards: {}",
                listed(elsewhere.iter().map(String::as_str))
            )),
            (true, _, true) => Progress::Done,
            (true, true, false) => Progress::Untouched,
            (true, false, false) => Progress::Half,
        })
    }
}

/// Paths for a message: a few of many.
pub(super) fn listed<'a>(paths: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 10;
    let more = paths.len().saturating_sub(SHOWN_MAX);
    let mut text = paths.take(SHOWN_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// The paths that differ between two trees, in git's order. What is the same is not gone into, as
/// libgit2's own comparison would.
pub(super) fn changes(copy: &WorkingCopy, from: Oid, to: Oid) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    compare(copy, "", Some(from), Some(to), &mut changes)?;
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(changes)
}

/// Adds what differs below two folders; none of them need be there.
fn compare(
    copy: &WorkingCopy,
    folder: &str,
    from: Option<Oid>,
    to: Option<Oid>,
    changes: &mut Vec<Change>,
) -> Result<(), Failure> {
    if from == to {
        return Ok(());
    }
    type Side = Option<(Oid, i32)>;
    let mut entries: BTreeMap<Vec<u8>, (Side, Side)> = BTreeMap::new();
    let trees = [from, to].map(|id| id.map(|id| copy.find_tree(id)).transpose());
    let [from, to] = trees;
    for entry in from?.iter().flat_map(|tree| tree.iter()) {
        entries.entry(entry.name_bytes().to_owned()).or_default().0 = Some((entry.id(), entry.filemode_raw()));
    }
    for entry in to?.iter().flat_map(|tree| tree.iter()) {
        entries.entry(entry.name_bytes().to_owned()).or_default().1 = Some((entry.id(), entry.filemode_raw()));
    }
    for (name, (from, to)) in entries.into_iter().filter(|(_, (from, to))| from != to) {
        let name = String::from_utf8(name).map_err(|error| {
            let name = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Failure::permanent(format!("{:?} is no UTF-8, and can't be named here", format!("{folder}{name}")))
        })?;
        let path = format!("{folder}{name}");
        let is_folder = |mode: i32| mode == i32::from(FileMode::Tree);
        let file = |side: Side| {
            let (id, mode) = side?;
            u32::try_from(mode).ok().and_then(Kind::of_mode).map(|kind| Entry { id, kind })
        };
        let tree = |side: Side| side.filter(|(_, mode)| is_folder(*mode)).map(|(id, _)| id);
        compare(copy, &format!("{path}/"), tree(from), tree(to), changes)?;
        let (before, after) = (file(from), file(to));
        if before != after {
            changes.push(Change { path, before, after });
        }
    }
    Ok(())
}

mod hex_id {
    use git2::Oid;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &Oid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Oid, D::Error> {
        Oid::from_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
