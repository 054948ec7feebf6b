//! What the server's catalogue says of databases, and the words that it is told things in.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::Client;

use super::driver::Backups;
use super::mark::Mark;
use crate::capability::At;
use crate::failure::Failure;

/// The longest name of anything.
pub(super) const NAME_BYTES_MAX: usize = 63;
/// How soon a server notices that nobody is there any more, as it is told to for each session: keepalives for 30 seconds,
/// and a look every 2. Before version 14 it looks only when a statement has ended.
pub(super) const NOTICED_WITHIN: Duration = Duration::from_secs(32);
/// How long the session of a call that got no answer is waited for: what it was about to commit has to be over by then.
const SESSION_ENDS_WITHIN: Duration = NOTICED_WITHIN.saturating_add(Duration::from_secs(13));
/// How often it is looked whether a session has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A database, as its row in the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) comment: Option<String>,
    pub(super) bytes: u64,
    /// The whole row of `pg_database`: its columns differ between versions.
    row: Value,
    encoding: String,
    tablespace: String,
}

impl Entry {
    /// The database of this name.
    pub(super) async fn find(client: &Client, name: &str) -> Result<Option<Self>, tokio_postgres::Error> {
        Ok(Self::all(client, "d.datname = $1", &[&name]).await?.pop())
    }

    /// All that bear a mark, with it.
    pub(super) async fn marked(client: &Client) -> Result<Vec<(Self, Mark)>, tokio_postgres::Error> {
        let entries = Self::all(client, "shobj_description(d.oid, 'pg_database') LIKE '{\"ripcord\":%'", &[]).await?;
        Ok(entries.into_iter().filter_map(|entry| Some((entry.clone(), entry.mark()?))).collect())
    }

    async fn all(
        client: &Client,
        condition: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Self>, tokio_postgres::Error> {
        let statement = format!(
            "SELECT d.oid, d.datname::text, pg_get_userbyid(d.datdba)::text, shobj_description(d.oid, 'pg_database'), \
             CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'MEMBER') \
             THEN pg_database_size(d.oid) ELSE 0 END, \
             row_to_json(d)::text, pg_encoding_to_char(d.encoding)::text, t.spcname::text \
             FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE {condition} ORDER BY d.datname"
        );
        let rows = client.query(&statement, parameters).await?;
        rows.iter()
            .map(|row| {
                Ok(Self {
                    oid: row.try_get(0)?,
                    name: row.try_get(1)?,
                    owner: row.try_get(2)?,
                    comment: row.try_get(3)?,
                    bytes: u64::try_from(row.try_get::<_, i64>(4)?).unwrap_or_default(),
                    row: serde_json::from_str(&row.try_get::<_, String>(5)?).unwrap_or_default(),
                    encoding: row.try_get(6)?,
                    tablespace: row.try_get(7)?,
                })
            })
            .collect()
    }

    /// Its mark, if ripcord has made or kept it.
    pub(super) fn mark(&self) -> Option<Mark> {
        Mark::read(self.comment.as_deref())
    }

    /// `CREATE DATABASE` for an empty one that is as this one is.
    pub(super) fn create_like(&self, name: &str) -> String {
        let column = |column: &str| self.row.get(column).and_then(Value::as_str);
        let mut statement = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {}",
            identifier(name),
            identifier(&self.owner),
            literal(&self.encoding),
        );
        // Nobody but a superuser may name the default one.
        if self.tablespace != "pg_default" {
            statement.push_str(&format!(" TABLESPACE {}", identifier(&self.tablespace)));
        }
        let mut add = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                statement.push_str(&format!(" {key} {}", literal(value)));
            }
        };
        add("LC_COLLATE", column("datcollate"));
        add("LC_CTYPE", column("datctype"));
        // PostgreSQL 15 and 16 have `daticulocale`, 17 `datlocale` for any provider of its own.
        match column("datlocprovider") {
            Some("i") => {
                add("LOCALE_PROVIDER", Some("icu"));
                add("ICU_LOCALE", column("daticulocale").or_else(|| column("datlocale")));
                add("ICU_RULES", column("daticurules"));
            }
            Some("b") => {
                add("LOCALE_PROVIDER", Some("builtin"));
                add("BUILTIN_LOCALE", column("datlocale"));
            }
            Some("c") => add("LOCALE_PROVIDER", Some("libc")),
            _ => {}
        }
        statement
    }

    /// How many connections it takes; -1 for any number.
    pub(super) fn connection_limit(&self) -> i64 {
        self.row.get("datconnlimit").and_then(Value::as_i64).unwrap_or(-1)
    }

    /// Whether anybody may clone it.
    pub(super) fn is_template(&self) -> bool {
        self.row.get("datistemplate").and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Waits until no session of a call is left: what the call has sent has taken effect by then, or never will. It waits
/// as long as the server may need to notice that nobody is there, and no longer than the call itself might have taken.
///
/// # Errors
/// One is left still: which, and how to end it.
pub(super) async fn session_over(backups: &Backups, client: &Client, at: &At) -> Result<(), Failure> {
    let failed = |error: tokio_postgres::Error| backups.trouble("looking for the sessions of a call", &error);
    let statement = "SELECT pid, coalesce(state, 'in a state that is not shown'), coalesce(extract(epoch FROM now() - \
                     backend_start)::bigint, 0) FROM pg_stat_activity \
                     WHERE application_name = $1 AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 1";
    let (application, until) = (at.key(), Instant::now() + SESSION_ENDS_WITHIN.min(at.deadline));
    while let Some(left) = client.query_opt(statement, &[&application]).await.map_err(failed)? {
        if Instant::now() >= until {
            let (pid, state): (i32, String) = (left.try_get(0).map_err(failed)?, left.try_get(1).map_err(failed)?);
            let seconds: i64 = left.try_get(2).map_err(failed)?;
            return Err(Failure::transient(format!(
                "the server still carries on what this call has begun: process {pid}, {application}, {state}, there for \
                 {seconds} s. Wait until it has ended, or end it with  SELECT pg_terminate_backend({pid});  it then \
                 leaves nothing behind, or all of it"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Whether a name is a database's own, or one under which ripcord has kept or made it: `app_before_20261123T031500Z`.
pub(super) fn is_name_of(live: &str, name: &str) -> bool {
    let is_made = |mark: &str| {
        name.rfind(mark).is_some_and(|at| {
            let end = &name[at..];
            end[mark.len()..].starts_with(|c: char| c.is_ascii_digit()) && name_with(live, end) == name
        })
    };
    name == live || is_made("_before_") || is_made("_new_")
}

/// A name in a statement.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in a statement, for a server with `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `COMMENT ON DATABASE`.
pub(super) fn comment(database: &str, text: Option<&str>) -> String {
    let text = text.map_or_else(|| "NULL".to_owned(), literal);
    format!("COMMENT ON DATABASE {} IS {text}", identifier(database))
}

/// A name of at most [`NAME_BYTES_MAX`] that ends with `end`, as much of `name` before it as fits.
pub(super) fn name_with(name: &str, end: &str) -> String {
    let room = NAME_BYTES_MAX.saturating_sub(end.len());
    let mut cut = name.len().min(room);
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", &name[..cut])
}
