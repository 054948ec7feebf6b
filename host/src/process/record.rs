//! The record: what is on disk of one supervised program.
//!
//! A line of JSON for each thing that happened. A line without its newline was being written when
//! the machine went down, and counts as not written. An empty record is a supervisor that was never let
//! go, as long as the machine has not gone down since: that may have taken the lines with it, and
//! whoever has the marker knows in which of its boots they were written. So nobody waits for the disk
//! before a program starts.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Finished;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// The program is about to be started.
    Started(Started),
    /// It has ended.
    Ended(Finished),
    /// It could not be started: why.
    NotStarted(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Started {
    /// Without arguments: for messages.
    pub(super) program: String,
    pub(super) at: Timestamp,
    /// When it is asked to end.
    pub(super) deadline: Timestamp,
    /// The supervisor's process id, which is the id of the session that the program is in.
    pub(super) session: u32,
    /// In which [`realm`](super::alive::realm) that id means it.
    pub(super) realm: String,
}

/// A record as it was read.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) started: Option<Started>,
    /// Why the program could not be started, or what it did.
    pub(super) end: Option<Result<Finished, String>>,
}

impl Record {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let problem = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let bytes = std::fs::read(path).map_err(|error| problem(&error))?;
        let mut record = Self::default();
        for line in bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            match serde_json::from_slice(line).map_err(|error| problem(&error))? {
                Line::Started(started) => record.started = Some(started),
                Line::Ended(finished) => record.end = Some(Ok(finished)),
                Line::NotStarted(why) => record.end = Some(Err(why)),
            }
        }
        Ok(record)
    }
}

/// Makes a new, empty record, `KEY.1` or the next that is free: a call that is repeated has a record
/// for each attempt.
pub(super) fn create(spool: &Path, key: &str) -> io::Result<(String, PathBuf)> {
    DirBuilder::new().recursive(true).mode(0o700).create(spool)?;
    let spool = std::path::absolute(spool)?;
    let mut attempt = 1;
    loop {
        let name = format!("{key}.{attempt}");
        let path = spool.join(&name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => return Ok((name, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The supervisor's end of a record. It holds the lock until it is dropped or the process is gone.
pub(super) struct Writer(File);

impl Writer {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(|error| format!("can't write the record {}: {error}", path.display()))?;
        file.try_lock().map_err(|error| format!("can't lock the record {}: {error}", path.display()))?;
        Ok(Self(file))
    }

    /// Back to an empty record, as far as the disk lets it.
    pub(super) fn withdraw(&mut self) {
        let _ = self.0.set_len(0);
    }

    /// For all to read, but not for a power cut to spare.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.0.write_all(&bytes)
    }

    /// Makes all that was appended durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
