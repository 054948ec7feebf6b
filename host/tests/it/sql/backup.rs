//! Backups against a real server: what comes back, what is left alone, and what a crash leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ripcord::capability::sql::backup::{
    Backup, Contents, Database as Made, DatabaseState, DumpOptions, Format, Restored, Swapped,
};
use ripcord::capability::sql::{Call, Reply};
use ripcord::capability::{At, Settlement};
use ripcord::failure::Failure;
use ripcord::id::ExecutionId;
use rustix::process::{Signal, kill_process};
use serde_json::Value as Json;

use super::{SqlDriver, assert_says, open};
use crate::postgres::{Database, Server};
use crate::{Host, pid, wait_until};

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

#[tokio::test]
async fn each_format_brings_everything_back_and_the_one_before_is_kept() {
    for format in [Format::Custom, Format::Plain, Format::PlainGzip] {
        let place = Place::new();
        let driver = place.driver().await;
        let before = place.content();
        let backup = dump(&driver, format, Some("1.4.2")).await.unwrap();
        assert!(backup.name.starts_with(&format!("{}-20", place.database.name)), "{}", backup.name);
        assert!(backup.name.contains("Z-1.4.2."), "{}", backup.name);
        assert_eq!(list(&driver).await, std::slice::from_ref(&backup));
        let contents = read(&driver, &backup.name).await;
        assert_eq!((contents.tables, contents.problem, &contents.backup), (2, None, &backup));
        assert!(contents.entries.contains(&"TABLE public.calls".to_owned()), "{:?}", contents.entries);

        place.database.as_owner("DELETE FROM notes; DELETE FROM calls; DROP FUNCTION odd");
        let restored = restore(&driver, &backup.name).await.unwrap();
        assert_eq!((restored.tables, restored.rows), (2, 504));
        assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "0", "a restore does not touch the live one");
        let swapped = swap(&driver, &restored.database).await.unwrap();
        assert_eq!(place.content(), before, "{format:?}");
        assert_eq!(place.database.server.psql(&swapped.kept, "SELECT count(*) FROM calls"), "0");

        // And back again.
        let states = |databases: &[Made]| databases.iter().map(|made| made.state).collect::<Vec<_>>();
        let kept = made(&driver).await;
        assert_eq!((states(&kept), kept[0].name.as_str()), (vec![DatabaseState::Kept], swapped.kept.as_str()));
        // Perhaps in the same second, to which the name is dated.
        let again = swap(&driver, &swapped.kept).await.unwrap();
        assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "0");
        change(&driver, Call::DropDatabase { database: again.kept.clone() }).await.unwrap();
        assert_eq!(made(&driver).await, []);
    }
}

/// Two applications that keep their backups in one folder.
#[tokio::test]
async fn a_backup_of_another_database_is_not_restored_into_this_one() {
    let (place, other) = (Place::new(), Place::new());
    let theirs = dump(&other.driver().await, Format::Custom, None).await.unwrap();
    for name in [theirs.name.clone(), format!("{}.json", theirs.name)] {
        fs::copy(other.path(&name), place.path(&name)).unwrap();
    }
    let driver = place.driver().await;
    // Neither does one whom somebody else has dumped.
    fs::copy(other.dumped_by_hand("theirs.dump", &["-Fc"]), place.path("theirs.dump")).unwrap();
    let line = format!("backups-of = [{:?}]", other.database.name);
    let words =
        format!("it is of the database {}, and this connection's is {}", other.database.name, place.database.name);
    for name in [theirs.name.as_str(), "theirs.dump"] {
        let problem = read(&driver, name).await.problem.unwrap();
        assert!(problem.starts_with(&words) && problem.ends_with(&line), "{problem}");
        assert_says(&restore(&driver, name).await.unwrap_err(), "permanent", &[&words, &line]);
        assert_eq!(made(&driver).await, []);
    }
    // What the line allows, and what ripcord itself has kept.
    let allowed = place.driver_with(&line).await;
    let contents = read(&allowed, "theirs.dump").await;
    assert_eq!((contents.problem, contents.backup.database), (None, Some(other.database.name.clone())));
    let restored = restore(&allowed, "theirs.dump").await.unwrap();
    let swapped = swap(&driver, &restored.database).await.unwrap();
    let kept = Command::new(place.database.server.program("pg_dump"))
        .args(["-Fc", "-U", "postgres", "-d", &swapped.kept, "-p", &place.database.server.port.to_string(), "-h"])
        .arg(place.database.server.folder())
        .output()
        .unwrap();
    fs::write(place.path("kept.dump"), kept.stdout).unwrap();
    let contents = read(&driver, "kept.dump").await;
    assert_eq!((contents.problem, contents.backup.database), (None, Some(swapped.kept)));
}

/// Each line of a refusal, carried out by a superuser, takes its obstacle away; with all of them it works.
#[tokio::test]
async fn what_a_login_lacks_is_found_before_anything_is_touched_with_the_lines_that_grant_it() {
    let place = Place::new();
    let (name, server) = (&place.database.name, place.database.server);
    let as_superuser = |statement: &str| server.psql("postgres", statement);
    let role = |what: &str| format!("{what}_{name}");
    let (login, other, member, policy) = (role("login"), role("other"), role("member"), role("policy"));
    as_superuser(&format!(
        "CREATE ROLE {login} LOGIN PASSWORD '{}'; GRANT pg_signal_backend TO {login}; CREATE ROLE {other}; \
         CREATE ROLE {member}; CREATE ROLE {policy}",
        crate::postgres::OWNER_PASSWORD
    ));
    for statement in [
        "SELECT lo_unlink(4711)".to_owned(),
        "CREATE EXTENSION pageinspect".to_owned(),
        format!("CREATE SCHEMA theirs AUTHORIZATION {other}; CREATE TABLE theirs.things (id int)"),
        format!("ALTER TABLE theirs.things OWNER TO {other}"),
        format!("ALTER DEFAULT PRIVILEGES FOR ROLE {member} IN SCHEMA public GRANT SELECT ON TABLES TO reader"),
        format!("CREATE POLICY own ON calls TO {policy} USING (said <> ' TO nobody')"),
        format!("ALTER DATABASE {name} SET log_min_duration_statement = '1s'"),
        format!("ALTER DATABASE {name} SET app.motto = 'mine'"),
        format!("ALTER DATABASE {name} SET statement_timeout = '1min'"),
        format!("ALTER ROLE reader IN DATABASE {name} SET work_mem = '7MB'"),
    ] {
        place.database.psql(&statement);
    }
    let driver = place.driver_as(&login, "owner", "").await;
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    place.dumped_by_hand("whole.sql", &[]);
    let before = place.databases();
    let lacking = [
        "may not make databases",
        "who owns or has granted something in it",
        &format!("who owns the database {name}"),
        "may not create the extension pageinspect",
        "may not set log_min_duration_statement",
        "may not set app.motto",
        "may not set what reader has of its own",
    ];
    for file in ["whole.dump", "whole.sql"] {
        assert_says(&restore(&driver, file).await.unwrap_err(), "permanent", &lacking);
    }
    // For one who only dumps, they are as good as any.
    let dumps = format!(
        "url = {:?}\npassword = 'secret:owner'\naccess = 'write'\nbackups = {:?}",
        place.database.url(&login),
        place.folder.path()
    );
    assert_eq!(read(&open(&dumps).await, "whole.dump").await.problem, None);

    let problem = read(&driver, "whole.dump").await.problem.unwrap();
    let (_, lines) = problem.split_once("with:  ").unwrap();
    let lines: Vec<_> = lines.trim_end_matches(';').split("; ").collect();
    assert!(lines.len() >= 7 && !problem.contains("statement_timeout"), "{problem}");
    // Who is a superuser lacks nothing, so that line comes last.
    let (superuser, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.ends_with("SUPERUSER"));
    lines.iter().for_each(|line| _ = as_superuser(line));
    let problem = read(&driver, "whole.dump").await.problem.unwrap();
    assert!(problem.contains("pageinspect") && problem.ends_with(&format!("{};", superuser[0])), "{problem}");
    assert!(!lacking.iter().any(|words| problem.contains(words) && !words.contains("pageinspect")), "{problem}");
    assert_eq!(place.databases(), before);
    // Without it all is well.
    place.database.psql("DROP EXTENSION pageinspect");
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    let restored = restore(&driver, "whole.dump").await.unwrap();
    swap(&driver, &restored.database).await.unwrap();
    assert_eq!(place.database.psql("SHOW app.motto; SHOW log_min_duration_statement"), "mine\n1s");

    // A role that only a policy or a default privilege names.
    place.database.psql(&format!("DROP POLICY own ON calls; CREATE POLICY own ON calls TO {policy}"));
    place.dumped_by_hand("policy.dump", &["-Fc"]);
    place.database.psql(&format!("DROP POLICY own ON calls; DROP OWNED BY {policy}"));
    for database in made(&driver).await {
        server.psql(&database.name, &format!("DROP OWNED BY {policy}"));
    }
    as_superuser(&format!("DROP ROLE {policy}"));
    let line = format!("CREATE ROLE \"{policy}\"");
    assert_says(&restore(&driver, "policy.dump").await.unwrap_err(), "permanent", &[&line]);
}

/// The server is told to notice that nobody is there any more, and the host waits no longer for it than it may need.
#[tokio::test]
async fn a_session_that_is_left_is_noticed_by_the_server_or_named() {
    let place = Place::new();
    let driver = place.driver().await;
    let plain = fs::read_to_string(place.dumped_by_hand("whole.sql", &[])).unwrap();
    let watched =
        "SELECT name || '=' || setting AS said FROM pg_settings WHERE name ~ '^tcp_|^client_connection_check'";
    let tells = plain.replacen(
        "CREATE TABLE public.notes",
        &format!("CREATE TABLE public.watched AS {watched};\nCREATE TABLE public.notes"),
        1,
    );
    fs::write(place.path("tells.sql"), tells).unwrap();
    let restored = restore(&driver, "tells.sql").await.unwrap();
    let said = place.database.server.psql(&restored.database, "SELECT said FROM watched ORDER BY 1");
    let expected = "client_connection_check_interval=2000\ntcp_keepalives_count=3\ntcp_keepalives_idle=15\n\
                    tcp_keepalives_interval=5\ntcp_user_timeout=30000";
    assert_eq!(said, expected);

    let at = At { deadline: Duration::from_millis(300), ..next_at() };
    let left = Deaf::named(&place.database, &at.key());
    let call = restoring("whole.sql");
    let marker = serde_json::json!({ "database": "x" });
    let Settlement::Unknown(seen) = driver.settle(&at, &call, Some(&marker)).await else { panic!() };
    let line = format!("SELECT pg_terminate_backend({})", left.backend.as_raw_pid());
    assert!(seen.contains(&line) && seen.contains("Wait until it has ended"), "{seen}");
    drop(left);
    place.database.server.psql("postgres", &line);
    let at = At { deadline: Duration::from_secs(20), ..at };
    assert_eq!(driver.settle(&at, &call, Some(&marker)).await, Settlement::DidNotHappen);
}

/// A migration may have left nothing but rubbish: whoever takes a rollback back wants just that again.
#[tokio::test]
async fn what_was_live_before_is_swapped_in_again_as_it_is() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    place.database.as_owner("DROP VIEW \"view; of \"\" calls\"; DROP FUNCTION body; DROP TABLE notes, calls");
    let restored = restore(&driver, "whole.dump").await.unwrap();
    let swapped = swap(&driver, &restored.database).await.unwrap();
    swap(&driver, &swapped.kept).await.unwrap();
    assert_eq!(place.database.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

#[tokio::test]
async fn what_belongs_to_the_name_goes_over_to_the_new_one() {
    let place = Place::new();
    let name = &place.database.name;
    let server = place.database.server;
    server.psql("postgres", &format!("DROP DATABASE {name}"));
    let made = format!(
        "CREATE DATABASE {name} OWNER owner TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' CONNECTION LIMIT 17"
    );
    server.psql("postgres", &made);
    let role = format!("passer_{name}");
    for statement in [
        format!("CREATE ROLE {role}"),
        format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"),
        format!("GRANT CONNECT ON DATABASE {name} TO {role} WITH GRANT OPTION"),
        format!("SET ROLE {role}; GRANT CONNECT ON DATABASE {name} TO reader"),
        format!("GRANT CREATE ON DATABASE {name} TO reader"),
        format!("ALTER DATABASE {name} SET search_path = \"$user\", public, \"odd, name\""),
        format!("ALTER DATABASE {name} SET app.motto = 'it''s = ; \\'"),
        format!("ALTER ROLE reader IN DATABASE {name} SET work_mem = '7MB'"),
        format!("COMMENT ON DATABASE {name} IS 'the calls'"),
    ] {
        server.psql("postgres", &statement);
    }
    server.psql(name, "SET ROLE owner; SET search_path = public; CREATE TABLE calls (id int)");
    let before = place.databases();
    let driver = place.driver().await;
    let backup = dump(&driver, Format::Custom, None).await.unwrap();
    let restored = restore(&driver, &backup.name).await.unwrap();
    let row = |suffix: &str| {
        let rows = place.databases();
        let row = rows.lines().find(|row| row.starts_with(&format!("{name}{suffix}|"))).unwrap().to_owned();
        row.replacen(&format!("{name}{suffix}"), name, 1)
    };
    // Not before the swap: it may have changed until then.
    assert!(row("_new").starts_with(&format!("{name}|owner|LATIN1|C|-1||")), "{}", row("_new"));
    swap(&driver, &restored.database).await.unwrap();
    assert_eq!(row(""), before);
    assert_eq!(row("_before"), before.replace("the calls", "marked"));
}

/// What can't be restored leaves no database and touches no live one, and says why.
#[tokio::test]
async fn a_restore_that_goes_wrong_leaves_nothing_but_its_reason() {
    let place = Place::new();
    let name = &place.database.name;
    let driver = place.driver().await;
    let archive = fs::read(place.dumped_by_hand("whole.dump", &["-Fc"])).unwrap();
    let plain = fs::read_to_string(place.dumped_by_hand("whole.sql", &[])).unwrap();
    let gone = format!("gone_{name}");
    place.database.server.psql("postgres", &format!("CREATE ROLE {gone}"));
    place.database.psql(&format!("CREATE TABLE orphan (); ALTER TABLE orphan OWNER TO {gone}"));
    let of_role = fs::read(place.dumped_by_hand("role.dump", &["-Fc"])).unwrap();
    place.database.psql("DROP TABLE orphan");
    place.database.server.psql("postgres", &format!("DROP ROLE {gone}"));

    let touched = place.path("touched");
    let with =
        |line: &str| plain.replacen("CREATE TABLE public.notes", &format!("{line}\nCREATE TABLE public.notes"), 1);
    let order = format!("\\! touch {}", touched.display());
    let gzip = |bytes: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zipped = gzip(plain.as_bytes());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut.dump", archive[..archive.len() - 200].to_vec(), "pg_restore ended with"),
        ("cut-early.dump", archive[..300].to_vec(), "pg_restore ended with"),
        (
            "cut-rows.sql",
            plain[..plain.find("call 250").unwrap()].into(),
            "in the middle of a table's rows: it was cut off",
        ),
        (
            "cut-statement.sql",
            plain[..plain.find("RETURNS text").unwrap()].into(),
            "in the middle of a statement: it was cut off",
        ),
        ("cut-end.sql", plain[..plain.find("-- PostgreSQL database dump complete").unwrap()].into(), "its last line"),
        ("cut.sql.gz", zipped[..zipped.len() / 2].to_vec(), "can't be read to its end"),
        ("order.sql", with(&order).into(), "is an order to psql, not SQL: `\\! touch"),
        ("order-behind.sql", with(&format!("SELECT 1 {order}")).into(), "is an order to psql"),
        ("order-quoted.sql", with(&format!("SELECT E'\\'' {order}\n;")).into(), "is an order to psql"),
        ("order.sql.gz", gzip(with(&order).as_bytes()), "is an order to psql"),
        ("other.sql", with("\\connect postgres").into(), "is an order to psql"),
        ("create.sql", with("CREATE DATABASE other;").into(), "is for another database"),
        (
            "cluster.sql",
            format!("--\n-- PostgreSQL database cluster dump\n--\n{plain}").into(),
            "a dump of a whole server",
        ),
        ("commits.sql", with("END; START TRANSACTION;").into(), "ends its own transaction"),
        (
            "wrong.sql",
            with("INSERT INTO public.no_such_table VALUES (1);").into(),
            "`INSERT INTO public.no_such_table VALUES (1);`",
        ),
        ("rows.sql", plain.replacen("\tcall 77\t", "\tcall 77\tmore\t", 1).into(), "COPY public.calls"),
        (
            "extension.sql",
            with("CREATE EXTENSION IF NOT EXISTS no_such_thing WITH SCHEMA public;").into(),
            "needs the extension no_such_thing",
        ),
        ("role.dump", of_role, &gone),
        // As version 17 writes for a server that has no such setting yet.
        (
            "newer.sql",
            plain.replacen("SET lock_timeout", "SET setting_of_the_future = 0;\nSET lock_timeout", 1).into(),
            "sets setting_of_the_future, which this server does not know",
        ),
        ("empty.sql", format!("--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n{}", END).into(), "it holds no table"),
        ("no-backup.txt", b"hello".to_vec(), "is no backup"),
        ("newer.dump", [b"PGDMP\x01\x63\x00".as_slice(), &archive[8..]].concat(), "unsupported version"),
    ];
    let (before, content) = (place.databases(), place.content());
    for (file, bytes, says) in cases {
        fs::write(place.path(file), bytes).unwrap();
        let failure = restore(&driver, file).await.expect_err(file);
        assert_says(&failure, "permanent", &[file, says]);
        assert_eq!(place.databases(), before, "{file}");
    }
    assert!(!touched.exists());
    assert_eq!(place.content(), content);
    let sum = Some(ripcord::id::Digest::of(b"another"));
    let failure = change(&driver, Call::Restore { backup: "whole.dump".to_owned(), sha256: sum }).await.unwrap_err();
    assert_says(&failure, "permanent", &["another file than when it was chosen"]);
    std::os::unix::fs::symlink(place.path("whole.dump"), place.path("link.dump")).unwrap();
    assert_says(&restore(&driver, "link.dump").await.unwrap_err(), "permanent", &["can't open the backup"]);
    assert!(list(&driver).await.iter().all(|backup| backup.name != "link.dump" && backup.name != "no-backup.txt"));
}

const END: &str = "--\n-- PostgreSQL database dump complete\n--\n";

#[tokio::test]
async fn a_dump_without_owners_belongs_to_the_owner_of_the_live_one() {
    let place = Place::new();
    place.dumped_by_hand("nobody.sql", &["--no-owner", "--no-acl"]);
    let driver = place.driver().await;
    let restored = restore(&driver, "nobody.sql").await.unwrap();
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'calls'";
    assert_eq!(place.database.server.psql(&restored.database, owner), "owner");
    // Who logs in is a superuser, and the owner is none.
    place.database.psql("CREATE EXTENSION pageinspect");
    place.dumped_by_hand("nobody.sql", &["--no-owner", "--no-acl"]);
    let failure = restore(&driver, "nobody.sql").await.unwrap_err();
    assert_says(&failure, "permanent", &["made as owner", "extension pageinspect", "without --no-owner"]);
    // Where the operator says that the server allows it, the server has the last word.
    let failure = restore(&place.driver_with(r#"creates-extensions = ["pageinspect"]"#).await, "nobody.sql").await;
    assert_says(&failure.unwrap_err(), "permanent", &["permission denied to create extension"]);
}

#[tokio::test]
async fn tools_of_another_version_are_refused_before_anything_is_touched() {
    let place = Place::new();
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    let tools = tempfile::tempdir().unwrap();
    for name in ["pg_dump", "pg_restore"] {
        let script = format!("#!/bin/sh\necho '{name} (PostgreSQL) 9.6.24'\n");
        fs::write(tools.path().join(name), script).unwrap();
        fs::set_permissions(tools.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let driver = place.driver_with(&format!("tools = {:?}", tools.path())).await;
    let before = place.databases();
    let failure = restore(&driver, "whole.dump").await.unwrap_err();
    assert_says(
        &failure,
        "permanent",
        &["needs pg_restore of that version", "is 9.6.24", "apt install postgresql-client-"],
    );
    let failure = dump(&driver, Format::Plain, None).await.unwrap_err();
    assert_says(&failure, "permanent", &["needs pg_dump of that version"]);
    assert_eq!(place.databases(), before);
    // The folder holds what was there.
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
}

/// Coolify calls an application's database `postgres` unless it is told otherwise. Nobody renames the database that
/// they are in, so it takes another one to work from.
#[tokio::test]
async fn the_database_that_others_are_renamed_from_is_restored_and_swapped_as_well() {
    let folder = std::env::temp_dir().join(format!("ripcord-postgres-own-{}", std::process::id()));
    let server: &'static Server = Box::leak(Box::new(Server::start(&folder)));
    server.psql("postgres", "CREATE TABLE calls AS SELECT generate_series(1, 5) AS n");
    let (url, folder) =
        (format!("postgres://postgres@127.0.0.1:{}/postgres", server.port), tempfile::tempdir().unwrap());
    let table =
        format!("url = {url:?}\npassword = 'secret:superuser'\naccess = 'restore'\nbackups = {:?}", folder.path());
    let driver = open(&table).await;
    let backup = dump(&driver, Format::Custom, None).await.unwrap();
    server.psql("postgres", "DELETE FROM calls");
    let restored = restore(&driver, &backup.name).await.unwrap();
    let swapped = swap(&driver, &restored.database).await.unwrap();
    assert_eq!(
        (swapped.live.as_str(), server.psql("postgres", "SELECT count(*) FROM calls").as_str()),
        ("postgres", "5")
    );
    swap(&driver, &swapped.kept).await.unwrap();
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM calls"), "0");
}

/// A disk of its own that is soon full. Only root may make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(kilobytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kilobytes}k,mode=0777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "this test mounts a small disk: run it as root");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_leaves_no_half_dump_and_no_half_database() {
    // What is full stops the server's checkpoints as well: a server of its own.
    let server_folder = std::env::temp_dir().join(format!("ripcord-postgres-full-{}", std::process::id()));
    let server: &'static Server = Box::leak(Box::new(Server::start(&server_folder)));
    server.psql("postgres", "CREATE DATABASE full_disk");
    let psql = |statements: &str| server.psql("full_disk", statements);
    psql(
        "CREATE TABLE noise AS SELECT n, md5(n::text) || md5((n + 1)::text) AS noise FROM generate_series(1, 60000) n",
    );
    let driver = async |folder: &Path| {
        let url = format!("postgres://postgres@127.0.0.1:{}/full_disk", server.port);
        open(&format!("url = {url:?}\npassword = 'secret:superuser'\naccess = 'restore'\nbackups = {:?}", folder)).await
    };
    let tiny = SmallDisk::mount(128);
    let failure = dump(&driver(tiny.0.path()).await, Format::Plain, None).await.unwrap_err();
    assert_says(&failure, "permanent", &["make room first"]);
    // What could not be known beforehand.
    let small = SmallDisk::mount(1 << 10);
    let failure = dump(&driver(small.0.path()).await, Format::Plain, None).await.unwrap_err();
    assert_says(&failure, "permanent", &["No space left on device"]);
    assert_eq!(fs::read_dir(small.0.path()).unwrap().count(), 0);

    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path()).await;
    let backup = dump(&driver, Format::Custom, None).await.unwrap();
    let data = SmallDisk::mount(20 << 10);
    let runs_as = fs::metadata(server.folder()).unwrap();
    std::os::unix::fs::chown(data.0.path(), Some(runs_as.uid()), Some(runs_as.gid())).unwrap();
    server.psql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", data.0.path().display()));
    server.psql("postgres", "ALTER DATABASE full_disk SET TABLESPACE small");
    let failure = restore(&driver, &backup.name).await.unwrap_err();
    assert_says(&failure, "transient", &["No space left on device", &backup.name]);
    assert_eq!(
        server.psql("postgres", "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname ~ 'full'"),
        "full_disk"
    );
    assert_eq!(psql("SELECT count(*) FROM noise"), "60000");
}

/// A client that keeps one session open, and opens it again for as long as the test runs.
struct Pool {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u32>>,
}

impl Pool {
    fn new(database: &Database, size: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..size)
            .map(|_| {
                let (stop, name, server) = (stop.clone(), database.name.clone(), database.server);
                std::thread::spawn(move || {
                    let mut sessions = 0;
                    while !stop.load(Ordering::Relaxed) {
                        sessions += 1;
                        let ran = Command::new(server.program("psql"))
                            .args(["-XAtq", "-U", "owner", "-d", &name, "-c", "SELECT pg_sleep(5)", "-p"])
                            .arg(server.port.to_string())
                            .arg("-h")
                            .arg(server.folder())
                            .output();
                        drop(ran);
                    }
                    sessions
                })
            })
            .collect();
        Self { stop, threads }
    }

    fn stop(self, database: &Database) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", database.name);
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            database.server.psql("postgres", &end);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

#[tokio::test]
async fn a_pool_that_connects_again_at_once_does_not_keep_a_swap_waiting() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    let restored = restore(&driver, "whole.dump").await.unwrap();
    let pool = Pool::new(&place.database, 4);
    let busy = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", place.database.name);
    wait_until(|| (place.database.server.psql("postgres", &busy) == "4").then_some(()));
    place.database.as_owner("DELETE FROM notes");
    swap(&driver, &restored.database).await.unwrap();
    // The pool is in the new one.
    wait_until(|| (place.database.server.psql("postgres", &busy) == "4").then_some(()));
    assert_eq!(place.database.psql("SELECT count(*) FROM notes"), "4");
    assert!(pool.stop(&place.database) > 4);
}

/// A session whose process is stopped, so that it hears nothing.
struct Deaf {
    client: Child,
    backend: rustix::process::Pid,
}

impl Deaf {
    fn in_database(database: &Database) -> Self {
        Self::named(database, "deaf")
    }

    /// One that is known by this name.
    fn named(database: &Database, application: &str) -> Self {
        let server = database.server;
        let client = Command::new(server.program("psql"))
            .args([
                "-XAtq",
                "-U",
                "postgres",
                "-d",
                &database.name,
                "-c",
                &format!("SET application_name = '{application}'; SELECT pg_sleep(60)"),
                "-p",
            ])
            .arg(server.port.to_string())
            .arg("-h")
            .arg(server.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let asked = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name = '{application}' AND state = 'active'",
            database.name
        );
        let backend = wait_until(|| Some(server.psql("postgres", &asked)).filter(|pid| !pid.is_empty()));
        let backend = pid(&backend);
        kill_process(backend, Signal::STOP).unwrap();
        Self { client, backend }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = kill_process(self.backend, Signal::CONT);
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

#[tokio::test]
async fn a_session_that_does_not_end_leaves_both_databases_as_they_were() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    let restored = restore(&driver, "whole.dump").await.unwrap();
    let before = place.databases();
    let deaf = Deaf::in_database(&place.database);
    let failure = swap(&driver, &restored.database).await.unwrap_err();
    let process = format!("process {}, deaf of postgres", deaf.backend.as_raw_pid());
    assert_says(&failure, "permanent", &["was not swapped, and is as it was", &process]);
    assert_eq!(place.databases(), before);
    assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "500");
    drop(deaf);
    swap(&driver, &restored.database).await.unwrap();
}

/// With no more rights than `doctor` asks for.
#[tokio::test]
async fn an_owner_who_may_make_databases_can_restore_and_swap() {
    let place = Place::new();
    place.database.server.psql("postgres", "ALTER ROLE owner CREATEDB; GRANT pg_signal_backend TO owner");
    place.database.psql("SELECT lo_unlink(4711)");
    let driver = place.driver_as("owner", "owner", "").await;
    let backup = dump(&driver, Format::Custom, None).await.unwrap();
    let restored = restore(&driver, &backup.name).await.unwrap();
    let pool = Pool::new(&place.database, 1);
    swap(&driver, &restored.database).await.unwrap();
    pool.stop(&place.database);
    assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "500");
}

#[tokio::test]
async fn only_what_ripcord_made_is_ever_dropped_or_deleted() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("by-hand.dump", &["-Fc"]);
    let other = format!("{}_other", place.database.name);
    place.database.server.psql("postgres", &format!("CREATE DATABASE {other}"));
    for name in [&place.database.name, &other, "postgres", "no_such_database"] {
        for call in [Call::DropDatabase { database: name.to_owned() }, Call::Swap { database: name.to_owned() }] {
            let failure = change(&driver, call).await.unwrap_err();
            assert_says(&failure, "permanent", &[name]);
        }
    }
    let failure = change(&driver, Call::DeleteBackup { name: "by-hand.dump".into() }).await.unwrap_err();
    assert_says(&failure, "permanent", &["was not made by ripcord"]);
    let own = dump(&driver, Format::Plain, None).await.unwrap();
    change(&driver, Call::DeleteBackup { name: own.name.clone() }).await.unwrap();
    let left: Vec<_> = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["by-hand.dump"]);
}

#[tokio::test]
async fn two_restores_at_once_have_a_database_each() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    let (first, second) = tokio::join!(restore(&driver, "whole.dump"), restore(&driver, "whole.dump"));
    let (first, second) = (first.unwrap().database, second.unwrap().database);
    assert_ne!(first, second);
    for database in [first, second] {
        assert_eq!(place.database.server.psql(&database, "SELECT count(*) FROM calls"), "500");
    }
}

/// What the host of a crash does, as another process: it gets a call ready, and carries it out if told.
#[tokio::test]
#[ignore = "not a test: the others start it as a host of its own"]
async fn as_host() {
    let var = |name| std::env::var(name).unwrap();
    let driver = open(&var("TEST_TABLE")).await;
    let call: Call = serde_json::from_str(&var("TEST_CALL")).unwrap();
    let at = At { execution: ExecutionId(var("TEST_EXECUTION").parse().unwrap()), ..super::at() };
    let ready = driver.prepare(&at, &call).await.unwrap();
    println!("\nmarker {}", ready.marker().unwrap());
    if var("TEST_PERFORM") == "true" {
        fs::write(var("TEST_DONE"), format!("{:?}\n", ready.perform().await)).unwrap();
    }
    std::future::pending::<()>().await;
}

/// A host that is killed in the middle of something: nothing of it is left, or all of it, and the
/// catalogue says which.
#[tokio::test]
async fn a_host_that_is_killed_leaves_what_the_catalogue_knows() {
    let place = Place::new();
    let server = place.database.server;
    let name = &place.database.name;
    let driver = place.driver().await;
    // A restore that waits in its middle.
    let plain = fs::read_to_string(place.dumped_by_hand("whole.sql", &[])).unwrap();
    let waits =
        plain.replacen("ALTER TABLE ONLY public.calls", "SELECT pg_sleep(600);\nALTER TABLE ONLY public.calls", 1);
    fs::write(place.path("waits.sql"), waits).unwrap();
    let table = format!(
        "url = {:?}\npassword = 'secret:superuser'\naccess = 'restore'\nbackups = {:?}",
        place.database.url("postgres"),
        place.folder.path()
    );
    let host = |call: &Call, at: &At, perform: bool, done: &Path| {
        Host::start(
            "sql::backup::as_host",
            &[
                ("TEST_TABLE", &table),
                ("TEST_CALL", &serde_json::to_string(call).unwrap()),
                ("TEST_EXECUTION", &at.execution.to_string()),
                ("TEST_PERFORM", if perform { "true" } else { "false" }),
                ("TEST_DONE", done.to_str().unwrap()),
            ],
        )
    };
    let done = tempfile::tempdir().unwrap();
    let done = |name: &str| done.path().join(name);
    let settled = async |call: &Call, at: &At, marker: &Json| driver.settle(at, call, Some(marker)).await;
    let before = place.databases();

    // In the middle of a restore. The same call again drops what is left.
    let (call, at) = (restoring("waits.sql"), next_at());
    let killed = host(&call, &at, true, &done("never"));
    let sleeping =
        format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname LIKE '{name}\\_new%'");
    wait_until(|| (server.psql("postgres", &sleeping) == "1").then_some(()));
    let marker = killed.kill();
    assert_eq!(settled(&call, &at, &marker).await, Settlement::DidNotHappen);
    assert_eq!(made(&driver).await[0].state, DatabaseState::Restoring);
    fs::write(place.path("waits.sql"), &plain).unwrap();
    let Reply::Restored(restored) = driver.prepare(&at, &call).await.unwrap().perform().await.unwrap() else {
        panic!()
    };
    // The reply is lost: the catalogue has it.
    assert_eq!(settled(&call, &at, &marker).await, Settlement::Happened(Reply::Restored(restored.clone())));

    // Before a restore, a swap and a dump have begun.
    let swapping = Call::Swap { database: restored.database.clone() };
    let dumping = Call::Dump(DumpOptions { format: Format::Custom, version: None });
    for call in [&restoring("whole.sql"), &swapping, &dumping] {
        let at = next_at();
        let marker = host(call, &at, false, &done("never")).kill();
        assert_eq!(settled(call, &at, &marker).await, Settlement::DidNotHappen, "{call:?}");
    }

    // Behind a standby that took over without having heard of it, its number is another transaction's.
    let at = next_at();
    let mut marker = host(&swapping, &at, false, &done("never")).kill();
    marker["transaction"] = server.psql("postgres", "SELECT pg_current_xact_id()").into();
    let settlement = settled(&swapping, &at, &marker).await;
    assert!(matches!(&settlement, Settlement::Unknown(seen) if seen.contains("is committed")), "{settlement:?}");

    // In the middle of a swap, which waits for a session.
    let at = next_at();
    let deaf = Deaf::in_database(&place.database);
    let killed = host(&swapping, &at, true, &done("never"));
    let renaming = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%RENAME TO%' AND pid <> pg_backend_pid() AND state = 'active'";
    wait_until(|| (server.psql("postgres", renaming) == "1").then_some(()));
    let marker = killed.kill();
    drop(deaf);
    assert_eq!(settled(&swapping, &at, &marker).await, Settlement::DidNotHappen);
    assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "500");

    // Behind its COMMIT, and behind a dump's renaming.
    for call in [&dumping, &swapping] {
        let at = next_at();
        let path = done(call_name(call));
        let killed = host(call, &at, true, &path);
        let said = crate::wait_for(&path);
        let marker = killed.kill();
        let Settlement::Happened(reply) = settled(call, &at, &marker).await else { panic!("{call:?}") };
        assert_eq!(format!("Ok({reply:?})"), said);
    }
    let rows = place.databases();
    assert!(rows.lines().any(|row| row.starts_with(&format!("{name}_before|"))), "{before}\n{rows}");
}

fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Dump(_) => "dump",
        _ => "swap",
    }
}
