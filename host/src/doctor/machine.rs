//! Ripcord's own folder: its rights, the room in it, and the journal.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::exam::Sheet;
use super::network::milliseconds;
use super::{Aspect, Grade, Listen};
use crate::journal::{Journal, SqliteJournal};
use crate::secret::Scrubber;
use crate::state::{StateDir, UnusableState};

/// The subject under which the state directory is reported.
pub const STATE: &str = "state";

/// With less room than this a run is likely to stop half-way.
const FREE_BYTES_MIN: u64 = 32 << 20;
/// With less room than this somebody should look after it soon.
const FREE_BYTES_LOW: u64 = 512 << 20;
/// A run makes some files, and so does whatever it runs.
const FREE_FILES_MIN: u64 = 64;

/// Examines the state directory, as far as it could be opened.
pub async fn examine_state(state: Result<&StateDir, &UnusableState>, listen: Listen<'_>) {
    let sheet = Sheet::new(STATE, Scrubber::default(), listen);
    match state {
        Ok(state) => {
            let seen = format!("{} is yours alone to write", state.path().display());
            sheet.found(Aspect::Folder, seen, Grade::Good);
            room(&sheet, state.path());
            writing(&sheet, state.path());
            journal(&sheet, &state.journal()).await;
        }
        Err(UnusableState { path, problem, remedy }) => {
            sheet.found(Aspect::Folder, format!("{path}: {problem}"), Grade::fault(remedy));
        }
    }
    sheet.ended();
}

fn room(sheet: &Sheet<'_>, folder: &Path) {
    let (seen, grade) = room_at(folder, "make room there, or set RIPCORD_STATE to a folder on another disk");
    sheet.found(Aspect::Disk, seen, grade);
}

/// How much room there is on the disk of a folder, and what to do if that is little.
pub(crate) fn room_at(folder: &Path, remedy: &str) -> (String, Grade) {
    let place = folder.display();
    let found = match rustix::fs::statvfs(folder) {
        Ok(found) => found,
        Err(error) => {
            let seen = format!("the room left at {place} can't be told: {error}");
            return (seen, Grade::warning(format!("see what `df {place}` says")));
        }
    };
    // File systems without a table of files report none at all.
    if found.f_files > 0 && found.f_favail < FREE_FILES_MIN {
        return (format!("only {} more files can be made at {place}", found.f_favail), Grade::fault(remedy));
    }
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let grade = match free {
        ..FREE_BYTES_MIN => Grade::fault(remedy),
        FREE_BYTES_MIN..FREE_BYTES_LOW => Grade::warning(remedy),
        _ => Grade::Good,
    };
    (format!("{} left at {place}", in_bytes(free)), grade)
}

/// Each step of a run is on the disk before the next: so a flush is tried, not only a write.
fn writing(sheet: &Sheet<'_>, folder: &Path) {
    let began = Instant::now();
    let written = tempfile::tempfile_in(folder).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_data()
    });
    match written {
        Ok(()) => {
            let took = milliseconds(began.elapsed());
            sheet.found(Aspect::Disk, format!("4 KiB are written and flushed ({took})"), Grade::Good);
        }
        Err(error) => {
            let remedy = "put the disk right (`dmesg` says more), or set RIPCORD_STATE to another one";
            let seen = format!("nothing can be written in {}: {error}", folder.display());
            sheet.found(Aspect::Disk, seen, Grade::fault(remedy));
        }
    }
}

async fn journal(sheet: &Sheet<'_>, path: &Path) {
    let runs = match SqliteJournal::open(path) {
        Ok(journal) => journal.runs().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match runs {
        Ok(runs) => {
            let number = match runs.len() {
                1 => "1 run".to_owned(),
                number => format!("{number} runs"),
            };
            let seen = format!("the journal can be read and written by this version; it has {number}");
            sheet.found(Aspect::Journal, seen, Grade::Good);
        }
        Err(seen) => {
            let remedy = "do what is said there; until then no run can begin";
            sheet.found(Aspect::Journal, seen, Grade::fault(remedy));
        }
    }
}

fn in_bytes(bytes: u64) -> String {
    match bytes {
        ..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
