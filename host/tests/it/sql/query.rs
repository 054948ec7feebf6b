//! A query changes nothing, whatever it says and whoever logs in.

use std::time::{Duration, Instant};

use ripcord::capability::sql::{Call, Value};

use super::{assert_says, at, open, query, reader, writer};
use crate::postgres::{Database, server};

/// All that somebody could have changed.
fn content(database: &Database) -> String {
    database.psql("SELECT * FROM calls; SELECT last_value, is_called FROM calls_id_seq; SELECT count(*) FROM pg_class")
}

fn with_calls() -> Database {
    let database = Database::new();
    database.as_owner("CREATE TABLE calls (id serial, said text); INSERT INTO calls (said) VALUES ('hello'), (NULL)");
    database
}

#[tokio::test]
async fn a_query_gives_rows_with_their_columns() {
    let database = with_calls();
    let driver = reader(&database, "").await;
    let rows = query(&driver, "SELECT id, said AS words FROM calls WHERE id < $1", &[Value::Integer(9)]).await.unwrap();
    let columns: Vec<_> = rows.columns.iter().map(|column| (column.name.as_str(), column.type_name.as_str())).collect();
    assert_eq!(columns, [("id", "int4"), ("words", "text")]);
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(rows.rows, [[Value::Integer(1), text("hello")], [Value::Integer(2), Value::Null]]);
    for statement in ["SHOW server_version", "VALUES (1)", "TABLE calls", "EXPLAIN SELECT 1", "SELECT 1;"] {
        assert!(!query(&driver, statement, &[]).await.unwrap().rows.is_empty(), "{statement}");
    }
}

/// The login itself may write here, and is looked past, so that `READ ONLY` alone has to hold.
#[tokio::test]
async fn no_statement_gets_out_of_its_transaction() {
    let database = with_calls();
    database.as_owner(
        "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS $$ DELETE FROM calls RETURNING id $$; \
         CREATE FUNCTION wipe_safely() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ \
           BEGIN SET TRANSACTION READ WRITE; DELETE FROM calls; RETURN 1; END $$; \
         CREATE PROCEDURE wipe_and_commit() LANGUAGE plpgsql AS $$ \
           BEGIN ROLLBACK; SET TRANSACTION READ WRITE; DELETE FROM calls; COMMIT; END $$",
    );
    let driver = reader(&database, "").await;
    let failure = query(&driver, "COPY calls TO STDOUT", &[]).await.unwrap_err();
    assert_says(&failure, "permanent", &["it is none that gives rows"]);
    // From here on the login may write. Its connection has been looked at already.
    query(&driver, "SELECT 1", &[]).await.unwrap();
    database.as_owner("GRANT ALL ON calls TO reader; GRANT ALL ON SEQUENCE calls_id_seq TO reader");
    database.psql("GRANT CREATE ON SCHEMA public TO reader");
    let before = content(&database);
    for (statement, says) in [
        ("DELETE FROM calls", "read-only transaction (25006); a query changes nothing"),
        ("WITH gone AS (DELETE FROM calls RETURNING id) SELECT * FROM gone", "read-only transaction"),
        ("SELECT wipe()", "read-only transaction"),
        ("SELECT wipe_safely()", "before any query"),
        ("CALL wipe_and_commit()", "invalid transaction termination"),
        ("DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM calls; END $$", "before any query"),
        ("DO $$ BEGIN COMMIT; DELETE FROM calls; COMMIT; END $$", "invalid transaction termination"),
        ("SET TRANSACTION READ WRITE", "before any query"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "before any query"),
        ("SELECT nextval('calls_id_seq')", "read-only transaction"),
        ("CREATE TABLE more (id int)", "read-only transaction"),
        ("SELECT 1; DELETE FROM calls", "send them one by one"),
        ("COMMIT; DELETE FROM calls; COMMIT", "send them one by one"),
        ("COPY calls FROM STDIN", "read-only transaction"),
        ("VACUUM calls", "each statement runs inside of a transaction"),
    ] {
        let failure = query(&driver, statement, &[]).await.unwrap_err();
        assert_says(&failure, "permanent", &[says]);
        assert_eq!(content(&database), before, "{statement}");
    }
    // These do what they say, and nothing comes behind them.
    for statement in [
        "COMMIT",
        "COMMIT AND CHAIN",
        "ROLLBACK",
        "BEGIN READ WRITE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "SELECT set_config('statement_timeout', '0', false)",
        "PREPARE sneaky AS DELETE FROM calls",
    ] {
        let _ = query(&driver, statement, &[]).await;
        let failure = query(&driver, "DELETE FROM calls", &[]).await.unwrap_err();
        assert_says(&failure, "permanent", &["read-only transaction"]);
        assert_eq!(content(&database), before, "{statement}");
    }
    assert_eq!(query(&driver, "SHOW statement_timeout", &[]).await.unwrap().rows, [[Value::Text("30s".into())]]);
}

#[tokio::test]
async fn who_can_do_more_than_read_is_asked_nothing() {
    let database = with_calls();
    let name = |role: &str| format!("{role}_{}", database.name);
    let role = |role: &str, attributes: &str, then: &str| {
        let role = name(role);
        let then = then.replace("ROLE", &role);
        database.psql(&format!("CREATE ROLE {role} LOGIN {attributes}; GRANT pg_read_all_data TO {role}; {then}"));
        role
    };
    let path = database.server.folder().join(format!("copied-{}", database.name));
    let copy = format!("COPY (SELECT 1) TO PROGRAM 'touch {}'", path.display());
    for (user, says) in [
        ("postgres".to_owned(), "it is a superuser"),
        (role("author", "", "GRANT INSERT ON calls TO ROLE"), "it may write to public.calls"),
        (role("programs", "", "GRANT pg_execute_server_program TO ROLE"), "a member of pg_execute_server_program"),
        (role("files", "", "GRANT pg_write_server_files TO ROLE"), "a member of pg_write_server_files"),
        (role("ender", "", "GRANT pg_signal_backend TO ROLE"), "a member of pg_signal_backend"),
        (
            role(
                "heir",
                "NOINHERIT",
                "CREATE USER ROLE_donor; GRANT INSERT ON calls TO ROLE_donor; GRANT ROLE_donor TO ROLE",
            ),
            "it may write to public.calls",
        ),
        (role("climber", "NOINHERIT", "GRANT postgres TO ROLE"), "it is a member of postgres, a superuser"),
        (role("maker", "CREATEROLE", ""), "it is one who makes roles"),
        (role("standby", "REPLICATION", ""), "it is one who replicates"),
        (role("column", "", "GRANT UPDATE (said) ON calls TO ROLE"), "it may write to public.calls"),
        (role("writer", "", "GRANT pg_write_all_data TO ROLE"), "it may write to public.calls"),
    ] {
        let socket = server().folder().display().to_string().replace('/', "%2F");
        let url = format!("postgres://{user}@{socket}:{}/{}", server().port, database.name);
        let driver = open(&format!("url = {url:?}")).await;
        for statement in [copy.as_str(), "SELECT 1"] {
            let failure = query(&driver, statement, &[]).await.unwrap_err();
            let whole = format!("queries would run as {user}, who can do more than read (");
            assert_says(
                &failure,
                "denied",
                &[&whole, says, "CREATE ROLE ripcord_read LOGIN", "in ripcord.toml, name it in  url"],
            );
        }
        // And where it is the login of a connection that may write, another one is asked for.
        let driver = open(&format!("url = {url:?}\naccess = 'write'")).await;
        let failure = query(&driver, "SELECT 1", &[]).await.unwrap_err();
        assert_says(&failure, "denied", &["read-as = { user = \"ripcord_read\", password = \"secret:NAME\" }"]);
    }
    assert!(!path.exists(), "a program ran");
    let driver = writer(&database, "").await;
    assert_eq!(query(&driver, "SELECT session_user", &[]).await.unwrap().rows, [[Value::Text("reader".into())]]);
}

#[tokio::test]
async fn too_much_is_a_failure_and_never_cut() {
    let database = Database::new();
    let driver = reader(&database, "rows-max = 10\nbytes-max = 1000\ntimeout = '2s'").await;
    assert_eq!(query(&driver, "SELECT generate_series(1, 10)", &[]).await.unwrap().rows.len(), 10);
    assert_eq!(query(&driver, "SELECT repeat('x', 900)", &[]).await.unwrap().rows.len(), 1);
    for (statement, says) in [
        (
            "SELECT generate_series(1, 11)",
            "gives more than 10 rows: ask for fewer (LIMIT, count(*)), or raise rows-max",
        ),
        ("SELECT generate_series(1, 100000000)", "more than 10 rows"),
        ("SELECT repeat('x', 1001)", "gives more than 1000 bytes: ask for fewer, or raise bytes-max"),
        ("SELECT repeat('x', 300) FROM generate_series(1, 4)", "more than 1000 bytes"),
    ] {
        let begin = Instant::now();
        assert_says(&query(&driver, statement, &[]).await.unwrap_err(), "permanent", &[says]);
        assert!(begin.elapsed() < Duration::from_secs(2), "{statement} was broken off");
    }
    // What the server had to stop is stopped: nobody works for nobody.
    let busy = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state = 'active' AND query ~ 'generate_series' \
         AND pid <> pg_backend_pid()",
        database.name
    );
    crate::wait_until(|| (database.psql(&busy) == "0").then_some(()));
}

#[tokio::test]
async fn a_statement_ends_at_its_time_out_and_with_who_waits_for_it() {
    let database = Database::new();
    let driver = reader(&database, "timeout = '200ms'").await;
    let failure = query(&driver, "SELECT pg_sleep(20)", &[]).await.unwrap_err();
    assert_says(&failure, "transient", &["canceling statement due to statement timeout (57014)", "`timeout`"]);

    let driver = reader(&database, "timeout = '20s'").await;
    let call = Call::Query { statement: "SELECT pg_sleep(20)".to_owned(), parameters: Vec::new() };
    let at = at();
    assert!(tokio::time::timeout(Duration::from_millis(300), driver.read(&at, &call)).await.is_err());
    let sleeping = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND query ~ 'pg_sleep' AND state = 'active' \
         AND pid <> pg_backend_pid()",
        database.name
    );
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while database.psql(&sleeping) != "0" {
        assert!(tokio::time::Instant::now() < until, "the server sleeps on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_connection_is_kept_left_as_it_was_and_opened_again_when_it_is_gone() {
    let database = Database::new();
    let driver = reader(&database, "").await;
    let pid = async || query(&driver, "SELECT pg_backend_pid()", &[]).await.unwrap().rows.remove(0).remove(0);
    let first = pid().await;
    query(&driver, "SELECT pg_advisory_lock(7)", &[]).await.unwrap();
    query(&driver, "SELECT no_such_column", &[]).await.unwrap_err();
    assert_eq!(pid().await, first);
    assert_eq!(database.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"), "0");
    database.psql(&format!("SELECT pg_terminate_backend({first})"));
    assert_ne!(pid().await, first);
}

#[tokio::test]
async fn an_error_is_the_servers_own_with_its_state_and_place() {
    let database = Database::new();
    database.psql("CREATE TABLE kept (id int)");
    let failure = query(&reader(&database, "").await, "SELECT nothing FROM kept", &[]).await.unwrap_err();
    assert_says(
        &failure,
        "permanent",
        &[
            &format!("`SELECT nothing FROM kept` on {} on 127.0.0.1:", database.name),
            "column \"nothing\" does not exist (42703)",
            "at character 8",
        ],
    );
    assert_eq!(failure.problem().evidence["sqlstate"], "42703");
    assert_eq!(failure.problem().evidence["position"], "8");
}
