//! A swap: what goes over to the new database, and sessions that stand in its way.

use std::fs;
use std::time::Duration;

use ripcord::capability::sql::backup::Format;
use ripcord::capability::{At, Settlement};

use super::super::{assert_says, open};
use super::sessions::{Deaf, Pool};
use super::{Place, dump, next_at, restore, restoring, swap};
use crate::postgres::Server;
use crate::wait_until;

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
