//! The mark that a database of ripcord's own bears: its comment.
//!
//! What has no mark was made by somebody else, and is never dropped. A mark is set by the transaction
//! that it speaks of, so that neither is there without the other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DatabaseState, Restored};
use crate::capability::At;

/// What a comment says of a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Mark {
    pub(super) state: DatabaseState,
    /// The database that it was made for, or was.
    pub(super) of: String,
    pub(super) run: String,
    /// The call that made it so, which no other call of any run is named like.
    pub(super) call: String,
    pub(super) at: Timestamp,
    /// What was restored into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<FromBackup>,
    /// The comment that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
}

/// Where a database's content is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FromBackup {
    pub(super) backup: String,
    pub(super) tables: u64,
    pub(super) rows: u64,
}

#[derive(Serialize, Deserialize)]
struct Comment {
    ripcord: Mark,
}

impl Mark {
    pub(super) fn new(state: DatabaseState, of: &str, at: &At) -> Self {
        Self {
            state,
            of: of.to_owned(),
            run: at.run.to_string(),
            call: at.key(),
            at: Timestamp::now(),
            restored: None,
            comment: None,
        }
    }

    /// What a comment says; none for a comment of somebody else's.
    pub(super) fn read(comment: Option<&str>) -> Option<Self> {
        serde_json::from_str(comment?).ok().map(|Comment { ripcord }| ripcord)
    }

    /// The comment.
    pub(super) fn write(&self) -> String {
        serde_json::to_string(&Comment { ripcord: self.clone() }).unwrap_or_default()
    }

    /// The reply of the restore that has set this mark.
    pub(super) fn reply(&self, database: &str) -> Option<Restored> {
        let FromBackup { tables, rows, .. } = self.restored.as_ref()?;
        Some(Restored { database: database.to_owned(), tables: *tables, rows: *rows })
    }
}
