//! Backups: what is in a granted folder, dumps into it, and the one way back: into a *new* database,
//! looked over there, and then both names changed in one transaction.
//!
//! PostgreSQL's own tools read and write archives, and none of them ever holds an effect. `pg_restore`
//! only turns an archive into SQL (`--file=-`), which goes to the server in a transaction of the host's
//! own session; what `pg_dump` writes gets its name when it is whole. A host that dies takes its session
//! along, and the server rolls it back: no effect without a COMMIT that the host has sent, and after a
//! crash the catalogue knows.

mod catalogue;
mod detail;
mod doctor;
mod driver;
mod dump;
mod facts;
mod folder;
mod known;
mod mark;
mod obstacle;
mod restore;
mod script;
mod source;
mod swap;
mod takeover;
mod tools;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::secret::{Scrub, Scrubber};

pub(super) use doctor::examine;
pub(super) use driver::Backups;
pub(super) use dump::check as check_dump;
pub(super) use folder::check_name;
pub use tools::{ContainerSetting, ToolsSetting};

/// How a backup is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An archive of `pg_dump --format=custom`.
    Custom,
    /// SQL of `pg_dump --format=plain`.
    Plain,
    /// The same, compressed by gzip.
    PlainGzip,
}

impl Format {
    /// What a file of it is called.
    fn extension(self) -> &'static str {
        match self {
            Self::Custom => "dump",
            Self::Plain => "sql",
            Self::PlainGzip => "sql.gz",
        }
    }

    /// As it is written in WIT and in plans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Custom => "custom",
            Self::Plain => "plain",
            Self::PlainGzip => "plain-gzip",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Custom => "custom format",
            Self::Plain => "plain SQL",
            Self::PlainGzip => "plain SQL, gzip",
        }
    }
}

/// A file of the granted folder that holds a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backup {
    /// Its name in the folder.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// When the dump began, where ripcord has made it; else when the file was last written.
    pub taken_at: Timestamp,
    /// How it is written.
    pub format: Format,
    /// Its checksum: what was written down when ripcord made it, or what was read just now.
    pub sha256: Option<Digest>,
    /// The database that it was taken of, as far as it says so.
    pub database: Option<String>,
    /// The version of the server that it was taken from, as far as it says so.
    pub server_version: Option<String>,
    /// The version of the application that it was said to belong to when ripcord made it.
    pub version: Option<String>,
    /// Whether ripcord made it; only those can be deleted.
    pub is_own: bool,
}

/// A backup, read from one end to the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Contents {
    /// The file, with the checksum that it has now.
    pub backup: Backup,
    /// What is in it: `TABLE public.calls`, `EXTENSION pgcrypto`; at most [`ENTRIES_MAX`].
    pub entries: Vec<String>,
    /// How many tables it creates.
    pub tables: u64,
    /// Why it can't be restored, as things are; none if it can.
    pub problem: Option<String>,
}

/// How many entries of a backup are told.
pub const ENTRIES_MAX: usize = 1000;

/// A database that ripcord has made or kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// What it is.
    pub state: DatabaseState,
    /// Since when it is that.
    pub at: Timestamp,
    /// The run that made it so.
    pub run: String,
    /// How big it is.
    pub bytes: u64,
}

/// What a database of ripcord's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseState {
    /// A backup is being restored into it, or was not restored to its end.
    Restoring,
    /// A backup was restored into it.
    Restored,
    /// It was the live one.
    Kept,
}

/// What a dump is asked to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DumpOptions {
    /// How it is written.
    pub format: Format,
    /// The version of the application that it belongs to: a part of its name.
    pub version: Option<String>,
}

/// What a restore has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Restored {
    /// The new database.
    pub database: String,
    /// How many tables it has.
    pub tables: u64,
    /// How many rows came with `COPY`, as pg_dump writes them.
    pub rows: u64,
}

/// What a swap has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Swapped {
    /// The live database's name, which the new one has now.
    pub live: String,
    /// The name under which the one before is kept.
    pub kept: String,
}

impl Scrub for Backup {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { name, bytes: _, taken_at: _, format: _, sha256: _, database, server_version, version, is_own: _ } =
            self;
        name.scrub(scrubber);
        database.scrub(scrubber);
        server_version.scrub(scrubber);
        version.scrub(scrubber);
    }
}

impl Scrub for Contents {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { backup, entries, tables: _, problem } = self;
        backup.scrub(scrubber);
        entries.scrub(scrubber);
        problem.scrub(scrubber);
    }
}

impl Scrub for Database {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { name, state: _, at: _, run: _, bytes: _ } = self;
        name.scrub(scrubber);
    }
}

impl Scrub for Restored {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { database, tables: _, rows: _ } = self;
        database.scrub(scrubber);
    }
}

impl Scrub for Swapped {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { live, kept } = self;
        live.scrub(scrubber);
        kept.scrub(scrubber);
    }
}
