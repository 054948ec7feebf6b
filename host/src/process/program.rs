//! Where a program is.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Whether a file is there that can be run.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// The first program of this name in the folders of a `PATH`. Relative folders are passed over: what
/// they name depends on where ripcord was started.
pub fn program_in(path: &str, name: &str) -> Option<PathBuf> {
    let mut folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| is_program(program)))
}
