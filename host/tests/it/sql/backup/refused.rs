//! What can't be restored leaves no database, touches no live one, and says why.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use ripcord::capability::sql::Call;
use ripcord::capability::sql::backup::Format;

use super::super::{assert_says, open};
use super::{Place, change, dump, list, made, read, restore, swap};
use crate::postgres::Server;

/// The last lines of a plain dump that is whole.
const END: &str = "--\n-- PostgreSQL database dump complete\n--\n";

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
