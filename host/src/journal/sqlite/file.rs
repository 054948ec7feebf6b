//! The file: how it is made, opened and recognised, and what its failures mean to a person.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ConstantBuilder};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::journal::StorageError;
use crate::state;

/// In the file's header: it is a journal of ripcord's ("RIPC").
const APPLICATION_ID: i32 = 0x5249_5043;

/// Raised with every change of the schema that an older ripcord would misread.
const SCHEMA_VERSION: i32 = 1;

/// What other processes do with the file takes milliseconds.
const BUSY_S_MAX: u64 = 10;

/// Events lie in the order in which they came, whatever run they belong to: what many runs append at
/// the same time goes to one page, and not each to its own run's. An index finds a run's.
const SCHEMA: &str = "
    CREATE TABLE runs (
        number   INTEGER PRIMARY KEY,
        run      TEXT NOT NULL UNIQUE,
        sequence INTEGER NOT NULL,
        hash     BLOB NOT NULL
    ) STRICT;
    CREATE TABLE events (
        run      TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        at       TEXT NOT NULL,
        event    TEXT NOT NULL,
        hash     BLOB NOT NULL,
        PRIMARY KEY (run, sequence)
    ) STRICT;
    CREATE TABLE blobs (
        digest TEXT NOT NULL PRIMARY KEY,
        bytes  BLOB NOT NULL
    ) STRICT;
    CREATE TABLE holds (
        resource TEXT NOT NULL PRIMARY KEY,
        run      TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX holds_of_run ON holds (run);
";

/// Where to look for good states, and nothing of what they are: that is in the runs' records. It came
/// later than the rest, and an older ripcord, which makes no such states, can do without it.
const LEDGER: &str = "
    CREATE TABLE IF NOT EXISTS good_states (
        target TEXT NOT NULL,
        run    TEXT NOT NULL,
        PRIMARY KEY (target, run)
    ) STRICT, WITHOUT ROWID;
";

/// The connections to a journal's file.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
}

/// Opens a journal's file, and makes it if it is not there.
pub(super) fn open(path: &Path) -> Result<Opened, StorageError> {
    create(path).map_err(|error| unwritable(path, &error))?;
    tighten(path);
    let explain = |error: rusqlite::Error| explain(path, &error);
    let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(explain)?;
    let found = Identity::read(&writer).map_err(explain)?;
    found.check().map_err(|(problem, remedy)| failed(path, problem, remedy))?;
    let mode = at_last(|| configure(&writer)).map_err(explain)?;
    if mode != "wal" {
        return Err(failed(
            path,
            format!(
                "its file system does not support SQLite's write-ahead log (the mode stayed `{mode}`), as is usual \
                 over a network"
            ),
            "set RIPCORD_STATE to a folder on a local disk",
        ));
    }
    if found.is_new() {
        at_last(|| initialise(&mut writer)).map_err(explain)?;
    }
    at_last(|| add_ledger(&mut writer)).map_err(explain)?;
    let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(explain)?;
    Ok(Opened { writer, reader })
}

/// Makes an empty file, which is an empty database, with rights for its user alone; SQLite gives its
/// other files the same ones.
///
/// It is moved into place after it was closed. To open and close the file itself would drop the locks
/// that SQLite has on it elsewhere in this process (POSIX locks belong to the process and the file,
/// and any `close` ends them).
fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    state::make_private_folder(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    match file.into_temp_path().persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection stays with one thread at a time.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(BUSY_S_MAX))?;
    // To fold the log into the database takes several flushes, and whoever ends a run would wait for them:
    // see `fold`.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// As many pages of the log as stay at the beginning: each opening reads all of them, at some 3 µs a page.
const LOG_PAGES_KEPT: u32 = 128;

/// As many pages (16 MiB) as SQLite lets the log have before it folds it in the middle of the writing, which
/// takes two flushes. Few runs write so much; the opening after one that does reads for some 12 ms.
const LOG_PAGES_MAX: u32 = 4_000;

/// Folds the log into the database if it has become long. Done at the beginning, while whoever opened the
/// journal is still busy with other things: then the log is begun anew by the first that writes.
pub(super) fn fold(connection: &Connection) -> rusqlite::Result<()> {
    // NOOP only counts, PASSIVE waits for nobody.
    let in_log = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, i64>("log"))?;
    if in_log > i64::from(LOG_PAGES_KEPT) {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(())
}

/// What the file says it is.
struct Identity {
    application: i32,
    version: i32,
    tables: u32,
}

impl Identity {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT (SELECT application_id FROM pragma_application_id),
                          (SELECT user_version FROM pragma_user_version),
                          (SELECT count(*) FROM sqlite_schema)";
        connection
            .query_row(sql, [], |row| Ok(Self { application: row.get(0)?, version: row.get(1)?, tables: row.get(2)? }))
    }

    fn is_new(&self) -> bool {
        matches!(self, Self { application: 0, version: 0, tables: 0 })
    }

    /// What is wrong with it, and what to do.
    fn check(&self) -> Result<(), (String, &'static str)> {
        if self.is_new() {
            return Ok(());
        }
        if self.application != APPLICATION_ID {
            return Err(("this is the database of another program".to_owned(), MOVE_AWAY));
        }
        if self.version > SCHEMA_VERSION {
            let problem = format!(
                "this journal has format {}, and ripcord {} knows formats up to {SCHEMA_VERSION}: a newer ripcord has \
                 been here",
                self.version,
                env!("CARGO_PKG_VERSION")
            );
            return Err((problem, "use that one, or set RIPCORD_STATE to another folder"));
        }
        Ok(())
    }
}

/// Sets what holds for a connection, and the file's journal mode, which it returns.
fn configure(connection: &Connection) -> rusqlite::Result<String> {
    let mode = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    // In WAL mode only FULL flushes at each commit.
    connection.pragma_update(None, "synchronous", "full")?;
    // macOS' fsync stops at the drive's cache. Elsewhere these do nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
    Ok(mode)
}

/// Two that open a new journal at the same time may each wait for the other. SQLite tells one of them at once
/// that the file is busy, whatever time-out it has; that one comes again.
fn at_last<T>(work: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let until = Instant::now() + Duration::from_secs(BUSY_S_MAX);
    let is_busy = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
    let often = ConstantBuilder::new().with_delay(Duration::from_millis(5)).without_max_times();
    work.retry(often).sleep(std::thread::sleep).when(|error| is_busy(error) && Instant::now() < until).call()
}

/// Journals of the first ripcord have none.
fn add_ledger(connection: &mut Connection) -> rusqlite::Result<()> {
    let known = "SELECT count(*) FROM sqlite_schema WHERE name = 'good_states'";
    if connection.query_row(known, [], |row| row.get::<_, u32>(0))? > 0 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(LEDGER)?;
    transaction.commit()
}

fn initialise(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if Identity::read(&transaction)?.is_new() {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

const MOVE_AWAY: &str = "move it away, or set RIPCORD_STATE to another folder";

/// Nothing was recorded for want of room.
fn full(path: &Path) -> StorageError {
    let problem = "the disk is full, and nothing was recorded";
    failed(path, problem, "make room on this file system, or raise the quota")
}

fn is_full(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(path);
    rustix::fs::statvfs(folder).is_ok_and(|system| system.f_bavail == 0)
}

/// A journal that others may read: by now it holds what services have answered. Who may not change that
/// is told by the opening.
fn tighten(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let is_open = metadata.is_file() && metadata.mode() & 0o077 != 0;
    if is_open && std::fs::set_permissions(path, Permissions::from_mode(0o600)).is_ok() {
        tracing::warn!("{}: others could read the journal; from now on they can't", path.display());
    }
}

/// What a failure of SQLite's means, and what to do about it.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(path),
        // Where SQLite maps a file instead of writing it, no room is an error of the file system.
        Some(ErrorCode::SystemIoFailure) if is_full(path) => full(path),
        Some(ErrorCode::NotADatabase) => {
            failed(path, "this is no SQLite database, so it can't be a journal", MOVE_AWAY)
        }
        Some(ErrorCode::DatabaseCorrupt) => failed(
            path,
            format!("the file is damaged ({error})"),
            "keep a copy, check the disk, and save what is left with `sqlite3 FILE .recover`",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => failed(
            path,
            format!("another process has kept the journal locked for {BUSY_S_MAX} s"),
            "find it with `fuser FILE`, and try again",
        ),
        Some(ErrorCode::SystemIoFailure) => failed(
            path,
            format!(
                "the disk or its file system failed ({error}); what was to be recorded may or may not be there when \
                 the journal is opened again"
            ),
            "look at the kernel's log (`dmesg`)",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => unwritable(path, error),
        _ => failed(
            path,
            format!("SQLite refused ({error}), as it only does if something else has changed the file"),
            "keep a copy of it",
        ),
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> StorageError {
    if path.is_dir() {
        return failed(path, "a folder is in the journal's place", MOVE_AWAY);
    }
    failed(
        path,
        format!("can't be opened for writing ({error})"),
        "this user has to own the file and its folder (see `ls -ld`); or set RIPCORD_STATE to another folder",
    )
}

fn failed(path: &Path, problem: impl Into<String>, remedy: &str) -> StorageError {
    StorageError { path: path.display().to_string(), problem: problem.into(), remedy: remedy.to_owned() }
}
