//! Writing files into the working copy so that nobody ever sees a part of one.
//!
//! libgit2 writes them into a folder aside, with the filters, line ends and modes that they get in the
//! working copy, and they are renamed into place. It would otherwise truncate each file and write it
//! again, through a link if there is one, and decide by `HEAD`, not by what stands there, whether it
//! has to.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use git2::build::CheckoutBuilder;
use git2::{Index, Oid};

use super::durable;
use super::entry::{Kind, Standing};
use super::locks::Private;
use super::movement::Change;
use super::working_copy::{WorkingCopy, failed, failed_io};
use crate::failure::Failure;

/// Makes the changed paths what they are in `to`. That nothing of anybody's is lost by it has been
/// looked at, path by path. `aside` is a handle that nothing else reads the index through.
pub(super) fn write(
    copy: &WorkingCopy,
    aside: &WorkingCopy,
    private: &Private,
    to: Oid,
    changes: &[Change],
) -> Result<(), Failure> {
    write_aside(aside, private, to, changes)?;
    for change in changes.iter().filter(|change| change.after.is_none()) {
        // Behind a link that has already taken the folder's place nothing is ours.
        if copy.link_above(&change.path).is_none() {
            delete(copy, &change.path)?;
        }
    }
    for Change { path, .. } in changes.iter().filter(|change| change.after.is_some()) {
        let file = copy.root.join(path);
        if copy.standing(path)? == Standing::Folder {
            remove_empty(&file)?;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(failed_io("create the folder", folder))?;
        }
        fs::rename(private.files.join(path), &file).map_err(failed_io("put a new file in the place of", &file))?;
    }
    private.clear()?;
    changes.iter().try_for_each(|change| check(copy, change))
}

fn write_aside(aside: &WorkingCopy, private: &Private, to: Oid, changes: &[Change]) -> Result<(), Failure> {
    let mut options = CheckoutBuilder::new();
    options.force().disable_pathspec_match(true).update_index(false).target_dir(&private.files);
    let mut written = changes.iter().filter(|change| change.after.is_some()).peekable();
    // Without a path it would mean all of them.
    if written.peek().is_none() {
        return Ok(());
    }
    for change in written.clone() {
        options.path(change.path.as_str());
    }
    // With an index that is not there, libgit2 compares with nothing and writes everything.
    let mut nothing = Index::open(&private.index).map_err(failed("open an index aside"))?;
    aside.repository.set_index(&mut nothing).map_err(failed("use an index aside"))?;
    let to = aside.find_tree(to)?;
    aside.repository.checkout_tree(to.as_object(), Some(&mut options)).map_err(failed("write the new files"))?;
    for change in written {
        if change.after.is_some_and(|after| after.kind != Kind::Link) {
            durable::file(&private.files.join(&change.path))?;
        }
    }
    Ok(())
}

/// Deletes a file, and its folders as far as they are empty then, as git does.
fn delete(copy: &WorkingCopy, path: &str) -> Result<(), Failure> {
    let file = copy.root.join(path);
    match fs::remove_file(&file) {
        Ok(()) => {}
        // It is gone, or a folder has already taken its place.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {}
        Err(error) => return Err(failed_io("delete", &file)(error)),
    }
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != copy.root) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Removes a folder in which there are only folders.
fn remove_empty(folder: &Path) -> Result<(), Failure> {
    for found in fs::read_dir(folder).map_err(failed_io("list", folder))? {
        let found = found.map_err(failed_io("list", folder))?;
        if found.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&found.path())?;
        }
    }
    fs::remove_dir(folder).map_err(failed_io("remove the folder", folder))
}

/// What was written is what was meant: nothing is published on libgit2's word alone.
fn check(copy: &WorkingCopy, change: &Change) -> Result<(), Failure> {
    if copy.same(copy.standing(&change.path)?.content(), change.after) {
        return Ok(());
    }
    Err(Failure::permanent(format!(
        "{} is not what was written there: somebody has been at work on it just now, or git would write it differently",
        change.path
    )))
}
