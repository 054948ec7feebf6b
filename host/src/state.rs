//! Where ripcord keeps what has to outlive it.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why a folder can't be the state directory.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path}: {problem}: {remedy}")]
pub struct UnusableState {
    /// The folder.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it, in one line.
    pub remedy: String,
}

/// The state directory: a folder that only its user can write.
///
/// Nobody else may, because compiled plugins in it are run as they are, and because locks in it
/// decide who carries a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens `$RIPCORD_STATE`, else `$XDG_STATE_HOME/ripcord`, else `~/.local/state/ripcord`, and
    /// makes it if it is not there.
    ///
    /// # Errors
    /// If there is no such folder and none can be made, or if others can write to it.
    pub fn find() -> Result<Self, UnusableState> {
        Self::open(locate(|variable| std::env::var_os(variable))?)
    }

    /// Opens this folder, and makes it if it is not there.
    ///
    /// # Errors
    /// As [`StateDir::find`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, UnusableState> {
        let unusable = |path: &Path, error: &io::Error| UnusableState {
            path: path.display().to_string(),
            problem: match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "a file is in the way".to_owned(),
                io::ErrorKind::PermissionDenied => "this user may not write there".to_owned(),
                io::ErrorKind::StorageFull => "the disk is full".to_owned(),
                _ => error.to_string(),
            },
            remedy: "set RIPCORD_STATE to a folder that you can write".to_owned(),
        };
        let path = std::path::absolute(path.as_ref()).map_err(|error| unusable(path.as_ref(), &error))?;
        make_private_folder(&path).map_err(|error| unusable(&path, &error))?;
        let found = std::fs::metadata(&path).map_err(|error| unusable(&path, &error))?;
        check_private(&path, found.uid(), found.mode())?;
        let state = Self { path };
        for folder in [state.locks(), state.spool(), state.components()] {
            make_private_folder(&folder).map_err(|error| unusable(&folder, &error))?;
        }
        Ok(state)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.sqlite")
    }

    /// The folder of the runs' locks.
    pub fn locks(&self) -> PathBuf {
        self.path.join("locks")
    }

    /// The folder for what a driver has to find again after a crash.
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// The folder of what the previews of the last weeks have listed. All of it may be deleted at any time.
    pub fn previews(&self) -> PathBuf {
        self.path.join("previews")
    }

    /// The folder of compiled plugins. All of it may be deleted at any time.
    pub fn components(&self) -> PathBuf {
        self.path.join("components")
    }
}

/// Makes a folder, and those above it that are missing, for their user alone. One that is there stays
/// as it is.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn locate(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, UnusableState> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(state) = folder("RIPCORD_STATE") {
        return Ok(state);
    }
    // The XDG specification says that a relative path in it is to be ignored.
    if let Some(state) = folder("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
        return Ok(state.join("ripcord"));
    }
    match folder("HOME") {
        Some(home) => Ok(home.join(".local/state/ripcord")),
        None => Err(UnusableState {
            path: "$RIPCORD_STATE".to_owned(),
            problem: "neither this nor $XDG_STATE_HOME nor $HOME is set, so there is no place for the journal"
                .to_owned(),
            remedy: "set RIPCORD_STATE to a folder on a local disk that only you can write".to_owned(),
        }),
    }
}

/// Whether a folder with this owner and these rights is its user's alone to write.
fn check_private(path: &Path, owner: u32, mode: u32) -> Result<(), UnusableState> {
    let user = rustix::process::geteuid().as_raw();
    let unusable = |problem, remedy| Err(UnusableState { path: path.display().to_string(), problem, remedy });
    if owner != user {
        return unusable(
            format!("it belongs to user {owner}, and ripcord runs as user {user}"),
            "run it as its owner, or set RIPCORD_STATE to a folder of your own".to_owned(),
        );
    }
    if mode & 0o022 != 0 {
        return unusable(
            format!("others can write to it (mode {:04o}), and could slip in plugins or locks", mode & 0o7777),
            format!("`chmod go-w {}`", path.display()),
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_variable_that_says_something_decides() {
        for (variables, expected) in [
            (vec![("RIPCORD_STATE", "/a"), ("XDG_STATE_HOME", "/b"), ("HOME", "/c")], Some("/a")),
            (vec![("RIPCORD_STATE", "here"), ("HOME", "/c")], Some("here")),
            (vec![("RIPCORD_STATE", ""), ("XDG_STATE_HOME", "/b"), ("HOME", "/c")], Some("/b/ripcord")),
            (vec![("XDG_STATE_HOME", "relative"), ("HOME", "/c")], Some("/c/.local/state/ripcord")),
            (vec![("HOME", "")], None),
        ] {
            let found = locate(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{variables:?}");
        }
    }

    #[test]
    fn a_new_folder_and_all_in_it_are_its_users_alone() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open(root.path().join("new/ripcord")).unwrap();
        for folder in [state.path(), &state.locks(), &state.spool(), &state.components()] {
            assert_eq!(std::fs::metadata(folder).unwrap().mode() & 0o7777, 0o700, "{}", folder.display());
        }
        assert_eq!(StateDir::open(state.path()).unwrap(), state);
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_with_the_command_that_mends_it() {
        let root = tempfile::tempdir().unwrap();
        for (mode, refused) in [(0o755, false), (0o775, true), (0o757, true), (0o1777, true)] {
            std::fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
            let opened = StateDir::open(root.path()).map_err(|error| error.to_string());
            let mends = format!("chmod go-w {}", root.path().display());
            assert_eq!(opened.as_ref().is_err_and(|error| error.contains(&mends)), refused, "{mode:o}: {opened:?}");
        }
        let stranger = rustix::process::geteuid().as_raw() + 1;
        assert!(check_private(root.path(), stranger, 0o700).unwrap_err().remedy.contains("RIPCORD_STATE"));
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = StateDir::open(file.path().join("state")).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()) && error.contains("RIPCORD_STATE"), "{error}");
    }
}
