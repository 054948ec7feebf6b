//! Backups of a database: what there is, dumps, and the way back.

use serde::{Deserialize, Serialize};

use super::{Database, wit};
use crate::{Repeat, Result};

pub use wit::{DatabaseState, MadeDatabase};

impl<'a> Database<'a> {
    /// The backups in the granted folder, the newest first.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        Ok(wit::backups(self.role, None)?.into_iter().map(Backup::from).collect())
    }

    /// One of them, read to its end.
    pub fn read_backup(&self, name: impl Into<String>) -> ReadBackup<'a> {
        ReadBackup { role: self.role, name: name.into(), assume: None }
    }

    /// The databases that ripcord has made or kept, the newest first.
    pub fn databases(&self) -> Result<Vec<MadeDatabase>> {
        wit::databases(self.role, None)
    }

    /// Dumps the database into the granted folder.
    pub fn dump(&self) -> Dump<'a> {
        Dump { role: self.role, format: BackupFormat::default(), version: None, repeat: Repeat::Once, assume: None }
    }

    /// Restores a backup into a new database; with its checksum, only this very file.
    pub fn restore(&self, backup: impl Into<String>, sha256: Option<&str>) -> Restore<'a> {
        let sha256 = sha256.map(str::to_owned);
        Restore { role: self.role, backup: backup.into(), sha256, repeat: Repeat::Once, assume: None }
    }

    /// Gives a restored or kept database the live one's name.
    pub fn swap(&self, database: impl Into<String>) -> Swap<'a> {
        Swap { role: self.role, database: database.into(), repeat: Repeat::Once, assume: None }
    }

    /// Drops a restored or kept database.
    pub fn drop_database(&self, database: impl Into<String>) -> Removal<'a> {
        Removal { role: self.role, name: database.into(), repeat: Repeat::Once, remove: wit::drop_database }
    }

    /// Deletes a backup that ripcord has made.
    pub fn delete_backup(&self, name: impl Into<String>) -> Removal<'a> {
        Removal { role: self.role, name: name.into(), repeat: Repeat::Once, remove: wit::delete_backup }
    }
}

/// How a backup is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupFormat {
    /// An archive of `pg_dump --format=custom`.
    #[default]
    Custom,
    /// SQL.
    Plain,
    /// SQL, compressed by gzip.
    PlainGzip,
}

/// A file that holds a backup. What the fields mean, the contract's sql.wit says.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "sql.wit documents them")]
pub struct Backup {
    pub name: String,
    pub bytes: u64,
    pub taken_at: i64,
    pub format: BackupFormat,
    pub sha256: Option<String>,
    pub database: Option<String>,
    pub server_version: Option<String>,
    pub version: Option<String>,
    pub is_own: bool,
}

impl Backup {
    /// What a preview takes for a dump that was not made, under a name that is a hole.
    pub fn assumed(name: impl Into<String>, format: BackupFormat) -> Self {
        Self {
            name: name.into(),
            bytes: 0,
            taken_at: 0,
            format,
            sha256: None,
            database: None,
            server_version: None,
            version: None,
            is_own: true,
        }
    }
}

/// A backup that was read from one end to the other.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupContents {
    /// The file, with the checksum that it has.
    pub backup: Backup,
    /// What is in it: `TABLE public.calls`.
    pub entries: Vec<String>,
    /// How many tables it creates.
    pub tables: u64,
    /// Why it can't be restored; none if it can.
    pub problem: Option<String>,
}

/// What a restore has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The new database.
    pub database: String,
    /// How many tables it has.
    pub tables: u64,
    /// How many rows came by `COPY`.
    pub rows: u64,
}

/// What a swap has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// The live database's name.
    pub live: String,
    /// The name under which the one before is kept.
    pub kept: String,
}

/// A dump as the journal keeps it, as far as an undo may need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DumpedBackup {
    /// The file's name.
    pub name: String,
    /// The rest.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// A backup that is not yet read.
#[derive(Debug, Clone)]
#[must_use = "nothing is read until `send`"]
pub struct ReadBackup<'a> {
    role: &'a str,
    name: String,
    assume: Option<BackupContents>,
}

impl ReadBackup<'_> {
    /// What a preview takes for it behind an assumed reply.
    pub fn assume(self, contents: BackupContents) -> Self {
        Self { assume: Some(contents), ..self }
    }

    /// Reads it.
    pub fn send(self) -> Result<BackupContents> {
        let assume = self.assume.map(|BackupContents { backup, entries, tables, problem }| wit::BackupContents {
            backup: backup.into(),
            entries,
            tables,
            problem,
        });
        let wit::BackupContents { backup, entries, tables, problem } =
            wit::read_backup(self.role, &self.name, assume.as_ref())?;
        Ok(BackupContents { backup: backup.into(), entries, tables, problem })
    }
}

/// A dump that is not yet made.
#[derive(Debug, Clone)]
#[must_use = "nothing is dumped until `send`"]
pub struct Dump<'a> {
    role: &'a str,
    format: BackupFormat,
    version: Option<String>,
    repeat: Repeat,
    assume: Option<Backup>,
}

impl Dump<'_> {
    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// In this format.
    pub fn format(self, format: BackupFormat) -> Self {
        Self { format, ..self }
    }

    /// Of this version of the application, which becomes a part of its name.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// Making it twice does no harm.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers.
    pub fn assume(self, backup: Backup) -> Self {
        Self { assume: Some(backup), ..self }
    }

    /// Makes it.
    pub fn send(self) -> Result<Backup> {
        let Self { role, format, version, repeat, assume } = self;
        let options = wit::DumpOptions { format: format.into(), version };
        wit::dump(role, &options, &repeat, assume.map(wit::Backup::from).as_ref()).map(Backup::from)
    }
}

/// A restore that is not yet begun.
#[derive(Debug, Clone)]
#[must_use = "nothing is restored until `send`"]
pub struct Restore<'a> {
    role: &'a str,
    backup: String,
    sha256: Option<String>,
    repeat: Repeat,
    assume: Option<Restored>,
}

impl Restore<'_> {
    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// A second one makes the same as the first.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers.
    pub fn assume(self, restored: Restored) -> Self {
        Self { assume: Some(restored), ..self }
    }

    /// Restores.
    pub fn send(self) -> Result<Restored> {
        let Self { role, backup, sha256, repeat, assume } = self;
        let assume = assume.map(|Restored { database, tables, rows }| wit::Restored { database, tables, rows });
        let wit::Restored { database, tables, rows } =
            wit::restore(role, &backup, sha256.as_deref(), &repeat, assume.as_ref())?;
        Ok(Restored { database, tables, rows })
    }
}

/// A swap that is not yet made.
#[derive(Debug, Clone)]
#[must_use = "nothing is swapped until `send`"]
pub struct Swap<'a> {
    role: &'a str,
    database: String,
    repeat: Repeat,
    assume: Option<Swapped>,
}

impl Swap<'_> {
    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// The reply with which a preview answers.
    pub fn assume(self, swapped: Swapped) -> Self {
        Self { assume: Some(swapped), ..self }
    }

    /// Swaps.
    pub fn send(self) -> Result<Swapped> {
        let Self { role, database, repeat, assume } = self;
        let assume = assume.map(|Swapped { live, kept }| wit::Swapped { live, kept });
        let wit::Swapped { live, kept } = wit::swap(role, &database, &repeat, assume.as_ref())?;
        Ok(Swapped { live, kept })
    }
}

/// Something that is not yet dropped or deleted. A preview takes it for done.
#[derive(Debug, Clone)]
#[must_use = "nothing is removed until `send`"]
pub struct Removal<'a> {
    role: &'a str,
    name: String,
    repeat: Repeat,
    remove: fn(&str, &str, &Repeat, Option<&str>) -> Result<String>,
}

impl Removal<'_> {
    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// What is gone can't be removed again.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// Removes it.
    pub fn send(self) -> Result<()> {
        let Self { role, name, repeat, remove } = self;
        remove(role, &name, &repeat, Some(&name)).map(drop)
    }
}

impl From<wit::Backup> for Backup {
    fn from(backup: wit::Backup) -> Self {
        let wit::Backup { name, bytes, taken_at, format, sha256, database, server_version, version, is_own } = backup;
        Self { name, bytes, taken_at, format: format.into(), sha256, database, server_version, version, is_own }
    }
}

impl From<Backup> for wit::Backup {
    fn from(backup: Backup) -> Self {
        let Backup { name, bytes, taken_at, format, sha256, database, server_version, version, is_own } = backup;
        Self { name, bytes, taken_at, format: format.into(), sha256, database, server_version, version, is_own }
    }
}

impl From<BackupFormat> for wit::BackupFormat {
    fn from(format: BackupFormat) -> Self {
        match format {
            BackupFormat::Custom => Self::Custom,
            BackupFormat::Plain => Self::Plain,
            BackupFormat::PlainGzip => Self::PlainGzip,
        }
    }
}

impl From<wit::BackupFormat> for BackupFormat {
    fn from(format: wit::BackupFormat) -> Self {
        match format {
            wit::BackupFormat::Custom => Self::Custom,
            wit::BackupFormat::Plain => Self::Plain,
            wit::BackupFormat::PlainGzip => Self::PlainGzip,
        }
    }
}
