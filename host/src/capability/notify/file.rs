//! Notices in a file: one JSON object a line, appended.
//!
//! `{"time", "id", "run", "subject", "text", "fields": [{"name", "value"}], "state", "severity"}`; `state`
//! and `severity` are null where the plugin says nothing of them. A line is there for good before the
//! notice counts as sent, and after a crash the file itself says whether it is there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::Serialize;

use super::Reply;
use super::channel::Deliver;
use super::notice::Notice;
use crate::capability::{Exactly, Opening, Settlement};

/// How often another writer's lock is tried for.
const LOCK_EVERY: Duration = Duration::from_millis(10);

/// How much of the file's end is searched for a notice. What was written since is less.
const SEARCHED_BYTES_MAX: u64 = 4 << 20;

/// A file that notices are appended to.
pub(super) struct FileDriver {
    path: PathBuf,
    timeout: Duration,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    notice: &'a Notice,
}

impl FileDriver {
    pub(super) fn open(path: &Path, timeout: Duration, opening: &Opening) -> Self {
        Self { path: opening.base.join(path), timeout }
    }
}

#[async_trait]
impl Deliver for FileDriver {
    fn place(&self) -> String {
        format!("the file {}", self.path.display())
    }

    fn exactly(&self, notice: &Notice) -> Exactly {
        notice.exactly(format!("a line in {}", self.path.display()))
    }

    async fn deliver(&self, notice: &Notice) -> Reply {
        let (path, until) = (self.path.clone(), Instant::now() + self.timeout);
        let mut line = match serde_json::to_string(&Line { time: Timestamp::now(), notice }) {
            Ok(line) => line,
            Err(error) => return Reply::NotSent(format!("the notice can't be written as JSON: {error}")),
        };
        line.push('\n');
        let written = tokio::task::spawn_blocking(move || append(&path, &line, until)).await;
        written.unwrap_or_else(|error| Reply::PerhapsSent(format!("{}: {error}", self.path.display())))
    }

    async fn settle(&self, notice: &Notice) -> Settlement<Reply> {
        let (path, id) = (self.path.clone(), notice.id.clone());
        let found = tokio::task::spawn_blocking(move || search(&path, &id)).await;
        match found.map_err(io::Error::other).flatten() {
            Ok(Found::There) => Settlement::Happened(Reply::Sent),
            Ok(Found::Nowhere) => Settlement::DidNotHappen,
            Ok(Found::Perhaps) => Settlement::Happened(Reply::PerhapsSent(format!(
                "the host stopped while writing, and {} has grown too long since to look for it",
                self.path.display()
            ))),
            Err(error) => Settlement::Happened(Reply::PerhapsSent(format!(
                "the host stopped while writing, and {} can't be read: {error}",
                self.path.display()
            ))),
        }
    }
}

fn append(path: &Path, line: &str, until: Instant) -> Reply {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what} {}: {error}", path.display());
    let mut file = match open(path, true) {
        Ok(file) => file,
        Err(error) => return Reply::NotSent(failed("can't append to", &error)),
    };
    if let Err(error) = lock(&file, until) {
        return Reply::NotSent(failed("can't lock", &error));
    }
    let begun = match begin_line(&mut file) {
        Ok(begun) => begun,
        Err(error) => return Reply::NotSent(failed("can't read", &error)),
    };
    let text = if begun.is_torn { format!("\n{line}") } else { line.to_owned() };
    if let Err(error) = file.write_all(text.as_bytes()) {
        // Half a line is no notice, and would spoil the next one: a full disk leaves the file as it was.
        return match file.set_len(begun.length) {
            Ok(()) => Reply::NotSent(failed("can't append to", &error)),
            Err(_) => Reply::PerhapsSent(failed("a part of it may be in", &error)),
        };
    }
    let synced = file.sync_all().and_then(|()| if begun.length == 0 { sync_folder(path) } else { Ok(()) });
    match synced {
        Ok(()) => Reply::Sent,
        Err(error) => Reply::PerhapsSent(failed("it may not outlast a power cut in", &error)),
    }
}

/// Opens a regular file of its own name to append to it; creates it, if it may, for its owner alone. A symbolic link could
/// lead anywhere, and a named pipe would be waited for.
pub(super) fn open(path: &Path, create: bool) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).append(true).create(create).mode(0o600).custom_flags(flags).open(path);
    let not_regular = || io::Error::other("it is no regular file (a link, a folder, a pipe or a device)");
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(not_regular()),
        Err(error) => match path.symlink_metadata() {
            Ok(metadata) if !metadata.is_file() => Err(not_regular()),
            _ => Err(error),
        },
    }
}

/// Runs side by side write one after the other.
fn lock(file: &File, until: Instant) -> io::Result<()> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_EVERY),
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another program keeps it locked")),
        }
    }
}

struct Begun {
    length: u64,
    /// A power cut has left a line without its end.
    is_torn: bool,
}

fn begin_line(file: &mut File) -> io::Result<Begun> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(Begun { length, is_torn: last != *b"\n" })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

enum Found {
    There,
    Nowhere,
    /// It is in none of the last lines, and there are more.
    Perhaps,
}

fn search(path: &Path, id: &str) -> io::Result<Found> {
    let mut file = match open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nowhere),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(SEARCHED_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(SEARCHED_BYTES_MAX).read_to_end(&mut bytes)?;
    // A torn line is no notice.
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let is_it = |line: &[u8]| {
        let line = serde_json::from_slice::<serde_json::Value>(line);
        line.is_ok_and(|line| line["id"] == id)
    };
    Ok(match bytes[..whole].split(|&byte| byte == b'\n').any(is_it) {
        true => Found::There,
        false if skipped == 0 => Found::Nowhere,
        false => Found::Perhaps,
    })
}

fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
