//! Backups against a real server: what comes back, what is left alone, and what a crash leaves.

mod killed;
mod refused;
mod restored;
mod sessions;
mod swapped;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use ripcord::capability::At;
use ripcord::capability::sql::backup::{Backup, Contents, Database as Made, DumpOptions, Format, Restored, Swapped};
use ripcord::capability::sql::{Call, Reply};
use ripcord::failure::Failure;
use ripcord::id::ExecutionId;

use super::{SqlDriver, open};
use crate::postgres::Database;

/// What a dump has to bring back, and a lexer may stumble over.
const SCHEMA: &str = r#"
    CREATE TYPE mood AS ENUM ('good', 'bad;');
    CREATE TABLE calls (id serial PRIMARY KEY, said text, mood mood DEFAULT 'good');
    CREATE TABLE notes (call int REFERENCES calls, note text, raw bytea);
    INSERT INTO calls (said) SELECT 'call ' || n FROM generate_series(1, 500) n;
    INSERT INTO notes VALUES (1, E'tab\t newline\n back\\slash', '\x00ff'), (2, '\.', NULL), (3, E'\\.\n\\.', NULL), (4, '\! touch x', '');
    CREATE FUNCTION odd() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RETURN $$;' \! $$ || '--'; END; $f$;
    CREATE FUNCTION body() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 ELSE 2 END; SELECT count(*)::int FROM calls; END;
    CREATE VIEW "view; of "" calls" AS SELECT said FROM calls WHERE said <> 'it''s \';
    COMMENT ON TABLE calls IS E'quote '' and \\ and ; -- no comment';
    CREATE INDEX ON calls (said);
    GRANT SELECT ON calls TO reader;
    SELECT lo_from_bytea(4711, 'large; object');
"#;

struct Place {
    database: Database,
    folder: tempfile::TempDir,
}

impl Place {
    /// A database with something in it, and a folder for its backups.
    fn new() -> Self {
        let place = Self { database: Database::new(), folder: tempfile::tempdir().unwrap() };
        place.database.as_owner(SCHEMA);
        place
    }

    async fn driver(&self) -> SqlDriver {
        self.driver_with("").await
    }

    async fn driver_with(&self, more: &str) -> SqlDriver {
        self.driver_as("postgres", "superuser", more).await
    }

    async fn driver_as(&self, user: &str, secret: &str, more: &str) -> SqlDriver {
        open(&format!(
            "url = {:?}\npassword = 'secret:{secret}'\naccess = 'restore'\nbackups = {:?}\n{more}",
            self.database.url(user),
            self.folder.path()
        ))
        .await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What one of PostgreSQL's own tools makes of the database, as somebody else would call it.
    fn dumped_by_hand(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let server = self.database.server;
        let ran = Command::new(server.program("pg_dump"))
            .args(arguments)
            .args(["-U", "postgres", "-d", &self.database.name, "-p", &server.port.to_string(), "-h"])
            .arg(server.folder())
            .stdout(fs::File::create(&path).unwrap())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        path
    }

    /// Everything that a restore has to bring back.
    fn content(&self) -> String {
        self.database.psql(
            "SELECT count(*), sum(id), max(said) FROM calls; SELECT * FROM notes ORDER BY call; SELECT odd(), body(); \
             SELECT count(*) FROM \"view; of \"\" calls\"; SELECT obj_description('calls'::regclass); \
             SELECT tableowner, has_table_privilege('reader', 'calls', 'SELECT') FROM pg_tables WHERE tablename = 'calls'; \
             SELECT convert_from(lo_get(4711), 'utf8'); SELECT last_value FROM calls_id_seq; \
             SELECT conname, convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        )
    }

    /// The databases whose names begin like the live one's, with what belongs to their names.
    fn databases(&self) -> String {
        self.database.server.psql(
            "postgres",
            &format!(
                "SELECT regexp_replace(datname, '_(new|before)_.*', '_\\1'), pg_get_userbyid(datdba), \
                 pg_encoding_to_char(encoding), datcollate, datconnlimit, \
                 (SELECT string_agg(a.grantor::regrole || '>' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END \
                  || ':' || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ' ' ORDER BY a.grantor::regrole::text, a.grantee, a.privilege_type) \
                  FROM aclexplode(datacl) a), \
                 (SELECT string_agg(coalesce(nullif(setrole, 0)::regrole::text, 'all') || ' ' || array_to_string(setconfig, ';'), ' / ' ORDER BY setrole) \
                  FROM pg_db_role_setting WHERE setdatabase = d.oid), \
                 CASE WHEN shobj_description(oid, 'pg_database') LIKE '{{\"ripcord%' THEN 'marked' ELSE shobj_description(oid, 'pg_database') END \
                 FROM pg_database d WHERE datname ~ '^{0}(_|$)' ORDER BY 1",
                self.database.name
            ),
        )
    }
}

/// Each call of a test has a place of its own in the run.
fn next_at() -> At {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    At { execution: ExecutionId(1000 + COUNT.fetch_add(1, Ordering::Relaxed)), ..super::at() }
}

async fn change(driver: &SqlDriver, call: Call) -> Result<Reply, Failure> {
    driver.prepare(&next_at(), &call).await?.perform().await
}

async fn dump(driver: &SqlDriver, format: Format, version: Option<&str>) -> Result<Backup, Failure> {
    let call = Call::Dump(DumpOptions { format, version: version.map(str::to_owned) });
    match change(driver, call).await? {
        Reply::Backup(backup) => Ok(*backup),
        other => panic!("{other:?}"),
    }
}

fn restoring(backup: &str) -> Call {
    Call::Restore { backup: backup.to_owned(), sha256: None }
}

async fn restore(driver: &SqlDriver, backup: &str) -> Result<Restored, Failure> {
    match change(driver, restoring(backup)).await? {
        Reply::Restored(restored) => Ok(restored),
        other => panic!("{other:?}"),
    }
}

async fn swap(driver: &SqlDriver, database: &str) -> Result<Swapped, Failure> {
    match change(driver, Call::Swap { database: database.to_owned() }).await? {
        Reply::Swapped(swapped) => Ok(swapped),
        other => panic!("{other:?}"),
    }
}

async fn list(driver: &SqlDriver) -> Vec<Backup> {
    match driver.read(&next_at(), &Call::Backups).await.unwrap() {
        Reply::Backups(backups) => backups,
        other => panic!("{other:?}"),
    }
}

async fn read(driver: &SqlDriver, name: &str) -> Contents {
    match driver.read(&next_at(), &Call::ReadBackup { name: name.to_owned() }).await.unwrap() {
        Reply::Contents(contents) => *contents,
        other => panic!("{other:?}"),
    }
}

async fn made(driver: &SqlDriver) -> Vec<Made> {
    match driver.read(&next_at(), &Call::Databases).await.unwrap() {
        Reply::Databases(databases) => databases,
        other => panic!("{other:?}"),
    }
}
