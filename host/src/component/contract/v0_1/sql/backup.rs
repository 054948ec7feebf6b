//! Backups, as the contract has them and as the host has them.

use jiff::Timestamp;

use crate::capability::sql::backup::{Backup, Contents, Database, DatabaseState, DumpOptions, Format};
use crate::component::contract::v0_1::wit_sql;

/// What a plugin assumes holds its own times and checksums, which may be none.
pub(super) fn into_host(backup: wit_sql::Backup) -> wasmtime::Result<Backup> {
    let wit_sql::Backup { name, bytes, taken_at, format, sha256, database, server_version, version, is_own } = backup;
    let sha256 = sha256.map(|text| text.parse()).transpose().map_err(wasmtime::Error::msg)?;
    let taken_at = instant(taken_at)?;
    let format = format.into();
    Ok(Backup { name, bytes, taken_at, format, sha256, database, server_version, version, is_own })
}

pub(super) fn list_into_host(list: Vec<wit_sql::Backup>) -> wasmtime::Result<Vec<Backup>> {
    list.into_iter().map(into_host).collect()
}

pub(super) fn contents_into_host(contents: wit_sql::BackupContents) -> wasmtime::Result<Contents> {
    let wit_sql::BackupContents { backup, entries, tables, problem } = contents;
    Ok(Contents { backup: into_host(backup)?, entries, tables, problem })
}

pub(super) fn databases_into_host(list: Vec<wit_sql::MadeDatabase>) -> wasmtime::Result<Vec<Database>> {
    let database = |wit_sql::MadeDatabase { name, state, at, run, bytes }| {
        let state = match state {
            wit_sql::DatabaseState::Restoring => DatabaseState::Restoring,
            wit_sql::DatabaseState::Restored => DatabaseState::Restored,
            wit_sql::DatabaseState::Kept => DatabaseState::Kept,
        };
        Ok(Database { name, state, at: instant(at)?, run, bytes })
    };
    list.into_iter().map(database).collect()
}

fn instant(seconds: i64) -> wasmtime::Result<Timestamp> {
    Timestamp::from_second(seconds).map_err(wasmtime::Error::new)
}

impl From<Backup> for wit_sql::Backup {
    fn from(backup: Backup) -> Self {
        let Backup { name, bytes, taken_at, format, sha256, database, server_version, version, is_own } = backup;
        let sha256 = sha256.map(|sha256| sha256.to_string());
        let taken_at = taken_at.as_second();
        let format = format.into();
        Self { name, bytes, taken_at, format, sha256, database, server_version, version, is_own }
    }
}

impl From<Contents> for wit_sql::BackupContents {
    fn from(Contents { backup, entries, tables, problem }: Contents) -> Self {
        Self { backup: backup.into(), entries, tables, problem }
    }
}

impl From<Database> for wit_sql::MadeDatabase {
    fn from(Database { name, state, at, run, bytes }: Database) -> Self {
        let state = match state {
            DatabaseState::Restoring => wit_sql::DatabaseState::Restoring,
            DatabaseState::Restored => wit_sql::DatabaseState::Restored,
            DatabaseState::Kept => wit_sql::DatabaseState::Kept,
        };
        Self { name, state, at: at.as_second(), run, bytes }
    }
}

impl From<wit_sql::DumpOptions> for DumpOptions {
    fn from(wit_sql::DumpOptions { format, version }: wit_sql::DumpOptions) -> Self {
        Self { format: format.into(), version }
    }
}

impl From<wit_sql::BackupFormat> for Format {
    fn from(format: wit_sql::BackupFormat) -> Self {
        match format {
            wit_sql::BackupFormat::Custom => Self::Custom,
            wit_sql::BackupFormat::Plain => Self::Plain,
            wit_sql::BackupFormat::PlainGzip => Self::PlainGzip,
        }
    }
}

impl From<Format> for wit_sql::BackupFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Custom => Self::Custom,
            Format::Plain => Self::Plain,
            Format::PlainGzip => Self::PlainGzip,
        }
    }
}
