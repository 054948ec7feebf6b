//! One path's content, as it stands in a commit, in the index and in the working copy.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{AttrCheckFlags, ErrorCode, FileMode, Index, ObjectType, Oid, Tree};

use super::working_copy::{WorkingCopy, failed, failed_io};
use crate::failure::Failure;

/// A file's content and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Oid,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Executable,
    Link,
    Submodule,
}

/// What stands at a path of the working copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    Folder,
    Content(Entry),
}

impl Kind {
    pub(super) fn of_mode(mode: u32) -> Option<Self> {
        // Only the type and the executable bit count; old repositories have 100664.
        match mode & 0o170_000 {
            0o100_000 if mode & 0o100 != 0 => Some(Self::Executable),
            0o100_000 => Some(Self::File),
            0o120_000 => Some(Self::Link),
            0o160_000 => Some(Self::Submodule),
            _ => None,
        }
    }

    pub(super) fn mode(self) -> FileMode {
        match self {
            Self::File => FileMode::Blob,
            Self::Executable => FileMode::BlobExecutable,
            Self::Link => FileMode::Link,
            Self::Submodule => FileMode::Commit,
        }
    }
}

impl Standing {
    /// A folder is no content: what is in it has paths of its own.
    pub(super) fn content(self) -> Option<Entry> {
        match self {
            Self::Content(entry) => Some(entry),
            Self::Nothing | Self::Folder => None,
        }
    }
}

/// The file that a tree has at a path. A folder is refused: a rule for a path does not cover what is in
/// it.
pub(super) fn file_in_tree(tree: &Tree<'_>, path: &str) -> Result<Option<Entry>, Failure> {
    match tree.get_path(Path::new(path)) {
        Ok(found) if found.kind() == Some(ObjectType::Tree) => Err(is_folder(path)),
        _ => in_tree(tree, path),
    }
}

/// What a tree has at a path; of a folder nothing, as what is in it has paths of its own.
pub(super) fn in_tree(tree: &Tree<'_>, path: &str) -> Result<Option<Entry>, Failure> {
    let found = match tree.get_path(Path::new(path)) {
        Ok(found) => found,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(failed(format_args!("look {path} up in tree {}", tree.id()))(error)),
    };
    Ok(u32::try_from(found.filemode_raw()).ok().and_then(Kind::of_mode).map(|kind| Entry { id: found.id(), kind }))
}

pub(super) fn is_folder(path: &str) -> Failure {
    Failure::permanent(format!("{path} is a folder: name the files in it"))
}

/// What the index has at a path, conflicts aside.
pub(super) fn in_index(index: &Index, path: &str) -> Option<Entry> {
    let entry = index.get_path(Path::new(path), 0)?;
    Kind::of_mode(entry.mode).map(|kind| Entry { id: entry.id, kind })
}

/// A tree with other contents at these paths.
pub(super) fn with_entries(
    copy: &WorkingCopy,
    tree: &Tree<'_>,
    entries: &[(&str, Option<Entry>)],
) -> Result<Oid, Failure> {
    let mut update = TreeUpdateBuilder::new();
    let mut any = false;
    for (path, entry) in entries {
        if in_tree(tree, path)? == *entry {
            continue;
        }
        any = true;
        match entry {
            Some(Entry { id, kind }) => update.upsert(*path, *id, kind.mode()),
            None => update.remove(*path),
        };
    }
    if !any {
        return Ok(tree.id());
    }
    update.create_updated(&copy.repository, tree).map_err(failed("write a tree object"))
}

impl WorkingCopy {
    /// What the working copy has at a path, in git's terms: line ends and the like are taken back, and
    /// behind a symbolic link there is nothing.
    ///
    /// Content that git does not know yet is written to its object store, where it refers to nothing
    /// and nothing to it.
    pub(super) fn standing(&self, path: &str) -> Result<Standing, Failure> {
        let file = self.root.join(path);
        if self.link_above(path).is_some() {
            return Ok(Standing::Nothing);
        }
        let meta = match fs::symlink_metadata(&file) {
            Ok(meta) => meta,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Standing::Nothing);
            }
            Err(error) => return Err(failed_io("look at", &file)(error)),
        };
        if meta.is_dir() {
            return Ok(Standing::Folder);
        }
        let content = |id, kind| Ok(Standing::Content(Entry { id, kind }));
        if meta.is_symlink() {
            let target = fs::read_link(&file).map_err(failed_io("read the link", &file))?;
            let id = self.repository.blob(target.as_os_str().as_bytes());
            return content(id.map_err(failed("write a blob"))?, Kind::Link);
        }
        if !meta.is_file() {
            return Err(Failure::permanent(format!("{} is neither a file nor a link", file.display())));
        }
        let kind = if meta.permissions().mode() & 0o100 == 0 { Kind::File } else { Kind::Executable };
        let id = self.repository.blob_path(&file).map_err(failed(format_args!("read {}", file.display())))?;
        content(id, kind)
    }

    /// Where the file system keeps no executable bit (`core.fileMode` false), it says nothing.
    pub(super) fn same(&self, left: Option<Entry>, right: Option<Entry>) -> bool {
        let regular = |entry: &Entry| matches!(entry.kind, Kind::File | Kind::Executable);
        match (left, right) {
            (Some(left), Some(right)) if regular(&left) && regular(&right) && !self.keeps_modes => left.id == right.id,
            (left, right) => left == right,
        }
    }

    /// A path is written through real folders only: a link among them could lead anywhere. A link that
    /// is itself going away makes room for a folder.
    pub(super) fn refuse_links_above(&self, path: &str, is_going: impl Fn(&str) -> bool) -> Result<(), Failure> {
        match self.link_above(path) {
            Some(link) if !is_going(link) => Err(Failure::permanent(format!(
                "{path} lies behind the symbolic link {link}: only the files of the working copy itself are touched"
            ))),
            _ => Ok(()),
        }
    }

    /// The first symbolic link on the way to a path.
    pub(super) fn link_above<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.match_indices('/')
            .map(|(end, _)| &path[..end])
            .find(|above| fs::symlink_metadata(self.root.join(above)).is_ok_and(|meta| meta.is_symlink()))
    }

    /// The files and links anywhere below a folder, by their paths from the root.
    pub(super) fn files_below(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            for found in fs::read_dir(&path).map_err(failed_io("list", &path))? {
                let found = found.map_err(failed_io("list", &path))?;
                let name = format!("{folder}/{}", found.file_name().to_string_lossy());
                let is_folder = found.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder { folders.push(name) } else { files.push(name) }
            }
        }
        Ok(files)
    }

    /// What libgit2 can't turn into a file, and back, as git would.
    pub(super) fn refuse_unsupported(&self, path: &str, entry: Option<Entry>) -> Result<(), Failure> {
        let Some(entry) = entry else { return Ok(()) };
        if entry.kind == Kind::Submodule {
            return Err(Failure::permanent(format!(
                "{path} is a submodule: roll it back as a working copy of its own, with its own connection"
            )));
        }
        for attribute in ["filter", "working-tree-encoding"] {
            let value = self.repository.get_attr(Path::new(path), attribute, AttrCheckFlags::default());
            let value = value.map_err(failed(format_args!("read the attributes of {path}")))?;
            if let Some(value) = value
                && !matches!(git2::AttrValue::from_string(Some(value)), git2::AttrValue::False)
            {
                return Err(Failure::permanent(format!(
                    "{path} has `{attribute}={value}` in .gitattributes, which needs a program of its own to be written; \
                     roll it back with a command (`git checkout` in a [command.…] connection)"
                )));
            }
        }
        Ok(())
    }
}
