//! Whether a login can only read.
//!
//! `READ ONLY` holds what a statement does to tables. It does not hold what leaves the database: programs
//! and files of the server, replication slots, functions of a stranger's. And one defence is none: so the
//! login that queries run as has no right to write anything, by itself or by a role that it could take.

use tokio_postgres::{Client, Error};

use super::connection::{Access, Connection};
use crate::failure::Failure;

/// What a login may do besides reading, as the server says it.
pub(super) struct Rights {
    /// `it is a superuser`: what goes beyond this database's tables; nothing if it has no such right.
    pub(super) beyond: Option<String>,
    /// A table that it may write to.
    written: Option<String>,
    /// The server's version: 150004 is 15.4.
    version: i32,
}

/// What the operator is told to do.
pub(super) struct Remedy {
    /// How a login that can only read is named in the file.
    name: &'static str,
    database: String,
}

impl Remedy {
    pub(super) fn of(connection: &Connection) -> Self {
        let name = match (&connection.read_as, connection.access) {
            (Some(_), _) => "name it in  read-as",
            (None, Access::Read) => "name it in  url",
            (None, _) => "add  read-as = { user = \"ripcord_read\", password = \"secret:NAME\" }",
        };
        Self { name, database: connection.url.database.clone() }
    }

    fn lines(&self, version: i32) -> String {
        let grant = if version >= 140_000 {
            "GRANT pg_read_all_data TO ripcord_read"
        } else {
            "GRANT USAGE ON SCHEMA public TO ripcord_read; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ripcord_read"
        };
        format!(
            "make a login that can only read, in {}:  CREATE ROLE ripcord_read LOGIN PASSWORD '…'; {grant};  then, in \
             ripcord.toml, {}",
            self.database, self.name
        )
    }
}

impl Rights {
    /// A denial that says what is too much, and what to do.
    pub(super) fn check(&self, user: &str, remedy: &Remedy) -> Result<(), Failure> {
        match self.describe(user, remedy) {
            None => Ok(()),
            Some((seen, remedy)) => Err(Failure::denied(format!("nothing was asked: {seen}; {remedy}"))),
        }
    }

    /// What is too much, and what to do; nothing if it can only read.
    pub(super) fn describe(&self, user: &str, remedy: &Remedy) -> Option<(String, String)> {
        let written = || self.written.as_ref().map(|table| format!("it may write to {table}"));
        let too_much = self.beyond.clone().or_else(written)?;
        Some((
            format!("queries would run as {user}, who can do more than read ({too_much})"),
            remedy.lines(self.version),
        ))
    }
}

/// Looks at what the login of this connection may do, with all roles that it could take.
pub(super) async fn of(client: &Client) -> Result<Rights, Error> {
    // A superuser is a member of all roles, so the attributes of the login itself come first.
    const RIGHTS: &str = "
        WITH taken AS (
            SELECT r.oid, r.rolname, r.rolname = session_user AS is_itself,
                   CASE WHEN r.rolsuper THEN 'a superuser'
                        WHEN r.rolname = 'pg_execute_server_program' THEN 'one who runs programs on the server'
                        WHEN r.rolname = 'pg_write_server_files' THEN 'one who writes files on the server'
                        WHEN r.rolname = 'pg_signal_backend' THEN 'one who ends the sessions of others'
                        WHEN r.rolreplication THEN 'one who replicates'
                        WHEN r.rolcreaterole THEN 'one who makes roles'
                   END AS is
            FROM pg_roles r
            WHERE pg_has_role(session_user, r.oid, 'MEMBER')
        ), written AS (
            SELECT format('%I.%I', n.nspname, c.relname) AS name
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN taken
            WHERE c.relkind IN ('r', 'p', 'v', 'f')
              AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
              AND (has_table_privilege(taken.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                   OR has_any_column_privilege(taken.oid, c.oid, 'INSERT, UPDATE'))
            LIMIT 1
        )
        SELECT current_setting('server_version_num')::int4,
               COALESCE(
                   (SELECT 'it is ' || taken.is FROM taken WHERE is_itself AND taken.is IS NOT NULL),
                   (SELECT 'it is a member of ' || quote_ident(rolname) || ', ' || taken.is FROM taken
                    WHERE taken.is IS NOT NULL ORDER BY rolname LIMIT 1)),
               (SELECT name FROM written)";
    let row = client.query_one(RIGHTS, &[]).await?;
    Ok(Rights { version: row.try_get(0)?, beyond: row.try_get(1)?, written: row.try_get(2)? })
}
