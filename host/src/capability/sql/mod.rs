//! `sql`: a PostgreSQL database that the operator has named.
//!
//! Two things hold a query to reading: it runs alone in a `READ ONLY` transaction that is rolled back
//! (`query.rs`), and the login that it runs as can't write at all (`rights.rs`). A mutation is one
//! transaction, whose number is known before it commits (`execute.rs`).

mod address;
pub mod backup;
mod connection;
mod decode;
mod doctor;
mod driver;
mod encode;
mod execute;
mod numeric;
mod query;
mod rights;
mod session;
mod tls;
mod trouble;
mod value;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::backup::DumpOptions;
use super::CapabilityCall;
use crate::id::Digest;
use crate::secret::{Scrub, Scrubber};

pub use address::DatabaseUrl;
pub use connection::{Access, Connection, Login, Statements};
pub use value::{Column, Float, Rows, Value};

/// A request. The fields are the parameters of `wit/sql.wit`, and documented there.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// One statement that changes nothing.
    Query { statement: String, parameters: Vec<Value> },
    /// One statement in a transaction of its own.
    Execute { statement: String, parameters: Vec<Value> },
    /// The backups in the granted folder.
    Backups,
    /// One of them, read to its end.
    ReadBackup { name: String },
    /// The databases that ripcord has made or kept.
    Databases,
    /// Dumps the database into the granted folder.
    Dump(DumpOptions),
    /// Restores a backup into a new database.
    Restore { backup: String, sha256: Option<Digest> },
    /// Gives a restored or kept database the live one's name.
    Swap { database: String },
    /// Drops a restored or kept database.
    DropDatabase { database: String },
    /// Deletes a backup that ripcord has made.
    DeleteBackup { name: String },
}

/// The answer, one form for each kind of call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Of `query`.
    Rows(Rows),
    /// Of `execute`.
    Executed(Executed),
    /// Of `backups`.
    Backups(Vec<backup::Backup>),
    /// Of `read-backup`.
    Contents(Box<backup::Contents>),
    /// Of `databases`.
    Databases(Vec<backup::Database>),
    /// Of `dump`.
    Backup(Box<backup::Backup>),
    /// Of `restore`.
    Restored(backup::Restored),
    /// Of `swap`.
    Swapped(backup::Swapped),
    /// Of `drop-database`: its name.
    Dropped(String),
    /// Of `delete-backup`: its name.
    Deleted(String),
}

/// What a statement has changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executed {
    /// How many rows were inserted, updated or deleted.
    pub affected: u64,
    /// What `RETURNING` gave.
    pub returned: Rows,
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`]. What the database can't do is a failure of the
    /// call.
    pub fn reports_failure(&self) -> bool {
        false
    }
}

impl Call {
    /// The statement that is sent, with its parameters; none for a call that is about backups.
    fn statement(&self) -> Option<(&str, &[Value])> {
        match self {
            Self::Query { statement, parameters } | Self::Execute { statement, parameters } => {
                Some((statement, parameters))
            }
            _ => None,
        }
    }

    /// What a call about backups is about.
    fn subject(&self) -> String {
        match self {
            Self::Query { .. } | Self::Execute { .. } | Self::Backups | Self::Databases => String::new(),
            Self::ReadBackup { name } | Self::DeleteBackup { name } => name.clone(),
            Self::Dump(DumpOptions { format, version }) => {
                let version = version.as_ref().map(|version| format!(" of version {version}")).unwrap_or_default();
                format!("{}{version}", format.name())
            }
            Self::Restore { backup, sha256 } => {
                let sha256 = sha256.map(|sha256| format!(" {sha256}")).unwrap_or_default();
                format!("{backup}{sha256}")
            }
            Self::Swap { database } | Self::DropDatabase { database } => database.clone(),
        }
    }
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        match self {
            Self::Query { .. } => "query",
            Self::Execute { .. } => "execute",
            Self::Backups => "backups",
            Self::ReadBackup { .. } => "read-backup",
            Self::Databases => "databases",
            Self::Dump(_) => "dump",
            Self::Restore { .. } => "restore",
            Self::Swap { .. } => "swap",
            Self::DropDatabase { .. } => "drop-database",
            Self::DeleteBackup { .. } => "delete-backup",
        }
    }

    /// The statement letter by letter: where white space stands in it may matter.
    fn target(&self) -> String {
        match self.statement() {
            Some((statement, parameters)) => with(statement.to_owned(), parameters),
            None => self.subject(),
        }
    }

    fn summary(&self) -> String {
        let Some((statement, parameters)) = self.statement() else {
            return format!("{} {}", self.operation(), self.subject()).trim_end().to_owned();
        };
        let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} {}", self.operation(), with(line, parameters))
    }
}

/// No two calls read the same: an approval is bound to this text.
fn with(statement: String, parameters: &[Value]) -> String {
    if parameters.is_empty() && !statement.contains(" with (") {
        return statement;
    }
    let parameters: Vec<String> = parameters.iter().map(Value::to_string).collect();
    format!("{statement} with ({})", parameters.join(", "))
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Rows(rows) => rows.scrub(scrubber),
            Self::Executed(Executed { affected: _, returned }) => returned.scrub(scrubber),
            Self::Backups(backups) => backups.iter_mut().for_each(|backup| backup.scrub(scrubber)),
            Self::Contents(contents) => contents.scrub(scrubber),
            Self::Databases(databases) => databases.iter_mut().for_each(|database| database.scrub(scrubber)),
            Self::Backup(backup) => backup.scrub(scrubber),
            Self::Restored(restored) => restored.scrub(scrubber),
            Self::Swapped(swapped) => swapped.scrub(scrubber),
            Self::Dropped(name) | Self::Deleted(name) => name.scrub(scrubber),
        }
    }
}
