//! Who carries a run: the operating system's own lock, which ends with the process that has it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::StorageError;
use crate::id::RunId;
use crate::state::StateDir;

/// How long somebody who looks whether a lock is held may keep it from somebody who wants it.
const LOOK_TAKES_MAX: Duration = Duration::from_millis(2);

/// How many of them in a row.
const LOOKERS_MAX: u32 = 10;

/// The right to carry a run. Dropping it gives it back, and so does the end of the process, however
/// it ends.
///
/// The lock is on a file that is never deleted: of two processes, one could otherwise lock the file
/// that is there while the other still holds the one that was deleted.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    taken_over_from: Option<u32>,
}

/// Why a run can't be carried.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LockError {
    /// Another process carries it.
    #[error(
        "run {run} is being carried out by {}: let it go on and watch it with `ripcord show {run}`, or end that \
         process first",
        holder(*by)
    )]
    Locked {
        /// The run.
        run: RunId,
        /// The process that has it, unless it has not yet said so.
        by: Option<u32>,
    },
    /// The lock's file can't be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn holder(by: Option<u32>) -> String {
    by.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl RunLock {
    /// Takes the lock of a run, and does not wait for it.
    ///
    /// # Errors
    /// If another process has it (or this one, already), or its file can't be used.
    pub fn acquire(state: &StateDir, run: &RunId) -> Result<Self, LockError> {
        let path = state.locks().join(format!("{run}.lock"));
        let failed = |problem, remedy: &str| StorageError {
            path: path.display().to_string(),
            problem,
            remedy: remedy.to_owned(),
        };
        // The name may be what somebody typed.
        if path.parent() != Some(&state.locks()) {
            return Err(failed(format!("`{run}` is no run's name"), "").into());
        }
        let unusable = |error: &io::Error| {
            failed(
                format!("the lock of run {run} can't be taken ({error})"),
                "the state folder has to be on a local disk and belong to this user",
            )
        };
        let mut file = open(&path).map_err(|error| unusable(&error))?;
        let noted = match try_lock(&file) {
            Ok(()) => read_pid(&mut file).map_err(|error| unusable(&error))?,
            Err(TryLockError::WouldBlock) => {
                let by = read_pid(&mut file).map_err(|error| unusable(&error))?;
                return Err(LockError::Locked { run: run.clone(), by });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&error).into()),
        };
        note(&mut file, &format!("{}\n", std::process::id())).map_err(|error| unusable(&error))?;
        Ok(Self { file, taken_over_from: noted })
    }

    /// Whether a process carries the run right now. It only looks: whoever wants the lock meanwhile gets it.
    ///
    /// # Errors
    /// If the lock's file can't be read.
    pub fn is_held(state: &StateDir, run: &RunId) -> Result<bool, StorageError> {
        let path = state.locks().join(format!("{run}.lock"));
        let failed = |error: &io::Error| StorageError {
            path: path.display().to_string(),
            problem: format!("it can't be seen whether a process carries run {run} ({error})"),
            remedy: String::new(),
        };
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&error)),
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(failed(&error)),
            },
        }
    }

    /// The process that had the run and died with it.
    pub fn taken_over_from(&self) -> Option<u32> {
        self.taken_over_from
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // An empty file says that the lock was given back. If this fails, the next process merely
        // believes that this one died. The lock itself ends when the file is closed.
        _ = note(&mut self.file, "");
    }
}

/// Who only looks ([`RunLock::is_held`]) has the lock for some microseconds: that is not carrying.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKERS_MAX {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_TAKES_MAX),
            tried => return tried,
        }
    }
    file.try_lock()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn read_pid(file: &mut File) -> io::Result<Option<u32>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(16).read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

fn note(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    const HOLD_IN: &str = "RIPCORD_TEST_HOLD_LOCK_IN";

    fn run() -> RunId {
        "20261122-180312-k7qm".to_owned().into()
    }

    fn holder_of(lock: Result<RunLock, LockError>) -> Option<u32> {
        match lock {
            Err(LockError::Locked { by, .. }) => by,
            other => panic!("not locked: {other:?}"),
        }
    }

    #[test]
    fn a_run_is_carried_by_one_at_a_time_and_another_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let lock = RunLock::acquire(&state, &run()).unwrap();
        assert_eq!(lock.taken_over_from(), None);
        assert_eq!(holder_of(RunLock::acquire(&state, &run())), Some(std::process::id()));
        RunLock::acquire(&state, &"another".to_owned().into()).unwrap();
        drop(lock);
        let lock = RunLock::acquire(&state, &run()).unwrap();
        assert_eq!(lock.taken_over_from(), None, "it was given back");
    }

    #[test]
    fn a_killed_process_is_named_by_the_one_that_takes_over() {
        if let Some(folder) = std::env::var_os(HOLD_IN) {
            let _lock = RunLock::acquire(&StateDir::open(folder).unwrap(), &run()).unwrap();
            writeln!(io::stdout(), "\nlocked").unwrap();
            std::thread::sleep(std::time::Duration::from_secs(60));
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::lock::tests::a_killed_process_is_named_by_the_one_that_takes_over"])
            .arg("--nocapture")
            .env(HOLD_IN, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        assert!(stdout.lines().any(|line| line.unwrap() == "locked"));

        assert_eq!(holder_of(RunLock::acquire(&state, &run())), Some(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        let lock = RunLock::acquire(&state, &run()).unwrap();
        assert_eq!(lock.taken_over_from(), Some(child.id()));
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        for name in ["../x", "/tmp/x", "a/b"] {
            let lock = RunLock::acquire(&state, &name.to_owned().into());
            assert!(matches!(lock, Err(LockError::Storage(_))), "{name}: {lock:?}");
        }
    }
}
