//! What the server's catalogue says of databases, and the words that it is told things in.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Client;

use super::mark::Mark;

/// The longest name of anything.
pub(super) const NAME_BYTES_MAX: usize = 63;
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

/// Waits until no session with this name is left: what the call has sent has taken effect by then, or
/// never will.
pub(super) async fn session_over(client: &Client, application: &str) -> Result<(), tokio_postgres::Error> {
    let statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()";
    while client.query_one(statement, &[&application]).await?.try_get::<_, i64>(0)? > 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
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
