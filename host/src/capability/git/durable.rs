//! Getting what libgit2 has written onto the disk: it leaves that to the system unless a global,
//! `unsafe` option says otherwise.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;

use git2::{ObjectType, Oid};

use super::movement::Change;
use super::working_copy::{WorkingCopy, failed_io};
use crate::failure::Failure;

/// A file and, because file systems order them, its renaming. One that is not there was written
/// elsewhere (a packed object or reference) and is durable already.
pub(super) fn file(path: &Path) -> Result<(), Failure> {
    match File::open(path) {
        Ok(file) => file.sync_all().map_err(failed_io("sync", path)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(failed_io("open", path)(error)),
    }
}

/// Objects, at the same time: a file system that is asked for all of them does the most of it once.
pub(super) fn objects(copy: &WorkingCopy, ids: &[Oid]) -> Result<(), Failure> {
    let objects = copy.repository.commondir().join("objects");
    let path = |id: &Oid| {
        let hex = id.to_string();
        let (folder, name) = hex.split_at(2);
        objects.join(folder).join(name)
    };
    // Most of them are packed.
    let loose: Vec<_> = ids.iter().map(path).filter(|path| path.exists()).collect();
    let Some((last, others)) = loose.split_last() else { return Ok(()) };
    thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|path| scope.spawn(|| file(path))).collect();
        file(last)?;
        others.into_iter().try_for_each(|other| {
            other.join().unwrap_or_else(|_| Err(Failure::permanent("a thread that synced an object ended early")))
        })
    })
}

/// A root tree that was written for these changes: the trees above them and their contents.
pub(super) fn tree(copy: &WorkingCopy, root: Oid, changes: &[Change]) -> Result<(), Failure> {
    let tree = copy.find_tree(root)?;
    let mut ids = vec![root];
    for change in changes {
        for path in Path::new(&change.path).ancestors().filter(|path| !path.as_os_str().is_empty()) {
            if let Ok(entry) = tree.get_path(path)
                && entry.kind() != Some(ObjectType::Commit)
            {
                ids.push(entry.id());
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    objects(copy, &ids)
}
