//! What became of a program whose host is gone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Signal, kill_process_group};
use serde_json::Value;
use tokio::time::sleep;

use super::alive::{boot, groups, realm};
use super::record::{Record, Started};
use super::{Finished, GRACE};

/// How often it is looked whether something has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// It ran, and this is what it did.
    Finished(Finished),
    /// It was not started and will not be.
    NeverStarted,
    /// It was started, and nobody has recorded its end; what is known. It does not run any more, as
    /// far as that can be told.
    Lost(String),
}

/// Finds out what became of a program from its [marker](super::Held::marker). It waits as long as
/// the program may still run, and ends one whose supervisor is gone at its deadline.
pub async fn recover(spool: &Path, marker: &Value) -> Recovered {
    let Some(path) = record_path(spool, marker) else {
        return Recovered::Lost(format!("its marker names no record: {marker}"));
    };
    if let Err(error) = supervisor_gone(&path).await {
        return Recovered::Lost(format!("its record {} can't be read: {error}", path.display()));
    }
    match Record::read(&path) {
        Ok(Record { end: Some(Ok(finished)), .. }) => Recovered::Finished(finished),
        Ok(Record { end: Some(Err(_)), .. }) => Recovered::NeverStarted,
        Ok(Record { started: None, .. }) if went_down_since(marker) => Recovered::Lost(
            "the machine went down about when it was to be started, and its record was lost or never written"
                .to_owned(),
        ),
        Ok(Record { started: None, .. }) => Recovered::NeverStarted,
        Ok(Record { started: Some(started), .. }) => Recovered::Lost(orphaned(&started).await),
        Err(problem) => Recovered::Lost(format!("its record can't be read: {problem}")),
    }
}

/// Removes the records that nothing was added to for `older_than`, and that nobody holds; how many.
///
/// Nothing is removed sooner: an answer may be needed again until it is in the journal. It is for
/// the caller to choose an age that no open run has.
///
/// # Errors
/// The folder can't be read, or a record can't be removed.
pub fn sweep(spool: &Path, older_than: Duration) -> io::Result<usize> {
    let entries = match std::fs::read_dir(spool) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age >= older_than && File::open(entry.path())?.try_lock_shared().is_ok() {
            std::fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn went_down_since(marker: &Value) -> bool {
    marker.get("boot").is_some_and(|then| *then != boot().as_str())
}

fn record_path(spool: &Path, marker: &Value) -> Option<PathBuf> {
    let name = marker.get("record")?.as_str()?;
    let is_plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    is_plain.then(|| spool.join(name))
}

/// Waits until nobody holds the record's lock. The lock is shared, so that two who look don't take
/// each other for the supervisor.
async fn supervisor_gone(record: &Path) -> io::Result<()> {
    let file = File::open(record)?;
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => sleep(LOOK_EVERY).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Sees the end of a program whose supervisor was killed; says what is known.
async fn orphaned(started: &Started) -> String {
    let Started { program: name, at, deadline, session, realm: started_in } = started;
    let lost = format!("{name} was started at {at:.0} and its end was not recorded");
    if *started_in != realm() {
        return format!("{lost}: the machine, or the container it ran in, went down");
    }
    let lost = format!("{lost}: its supervisor (process {session}) was killed");
    if !wait_while(|| !groups(*session).is_empty(), *deadline).await {
        return format!("{lost}; nothing of it runs any more");
    }
    end(*session).await;
    format!("{lost}; it was still running and was ended at its deadline")
}

/// Whether it still holds at the given time.
async fn wait_while(holds: impl Fn() -> bool, until: Timestamp) -> bool {
    while holds() {
        if Timestamp::now() >= until {
            return true;
        }
        sleep(LOOK_EVERY).await;
    }
    false
}

async fn end(session: u32) {
    let signal = |signal| {
        for group in groups(session) {
            // An error says that there is nothing left to be ended.
            let _ = kill_process_group(group, signal);
        }
    };
    signal(Signal::TERM);
    let grace = SignedDuration::try_from(GRACE).ok().and_then(|grace| Timestamp::now().checked_add(grace).ok());
    if wait_while(|| !groups(session).is_empty(), grace.unwrap_or_default()).await {
        signal(Signal::KILL);
    }
}
