//! A mutation is one transaction: it happens once or not, and what happened is found out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ripcord::capability::sql::{Call, Executed, Reply, Value};
use ripcord::capability::{At, Settlement};
use ripcord::failure::Failure;
use serde_json::json;

use super::{SqlDriver, assert_says, at, open, writer};
use crate::postgres::{Database, server};

const INSERT: &str = "INSERT INTO calls (id, said) VALUES ($1, 'x') RETURNING id";

fn insert(id: i64) -> Call {
    Call::Execute { statement: INSERT.to_owned(), parameters: vec![Value::Integer(id)] }
}

fn plain(statement: &str) -> Call {
    Call::Execute { statement: statement.to_owned(), parameters: Vec::new() }
}

async fn execute(driver: &SqlDriver, call: &Call) -> Result<Executed, Failure> {
    match driver.prepare(&at(), call).await?.perform().await? {
        Reply::Executed(executed) => Ok(executed),
        other => panic!("{other:?}"),
    }
}

fn with_calls() -> Database {
    let database = Database::new();
    database.as_owner(
        "CREATE TABLE calls (id int PRIMARY KEY, said text); \
         CREATE TABLE parts (call int REFERENCES calls DEFERRABLE INITIALLY DEFERRED)",
    );
    database
}

fn ids(database: &Database) -> String {
    database.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM calls")
}

#[tokio::test]
async fn a_statement_says_what_it_changed_and_is_found_again() {
    let database = with_calls();
    let driver = writer(&database, "").await;
    let prepared = driver.prepare(&at(), &insert(1)).await.unwrap();
    assert_eq!(ids(&database), "", "nobody sees what is not committed");
    let marker = prepared.marker();
    let reply = prepared.perform().await.unwrap();
    let Reply::Executed(executed) = &reply else { panic!("{reply:?}") };
    assert_eq!((executed.affected, &executed.returned.rows), (1, &vec![vec![Value::Integer(1)]]));
    assert_eq!(driver.settle(&at(), &insert(1), marker.as_ref()).await, Settlement::Happened(reply));
    for (statement, affected) in [
        ("UPDATE calls SET said = 'y'", 1),
        ("DELETE FROM calls WHERE id = 99", 0),
        ("CREATE INDEX ON calls (said)", 0),
    ] {
        assert_eq!(execute(&driver, &plain(statement)).await.unwrap().affected, affected, "{statement}");
    }
    // Nothing that one statement has set is there for the next.
    execute(&driver, &plain("SET statement_timeout = 1")).await.unwrap();
    execute(&driver, &plain("SELECT pg_sleep(0.05)")).await.unwrap();
}

#[tokio::test]
async fn what_is_only_got_ready_vanishes() {
    let database = with_calls();
    let driver = writer(&database, "timeout = '5s'").await;
    let prepared = driver.prepare(&at(), &insert(1)).await.unwrap();
    let marker = prepared.marker();
    // While it is open, nobody knows yet.
    let soon = At { deadline: Duration::from_millis(200), ..at() };
    match driver.settle(&soon, &insert(1), marker.as_ref()).await {
        Settlement::Unknown(seen) => assert!(seen.ends_with("has not ended yet"), "{seen}"),
        other => panic!("{other:?}"),
    }
    drop(prepared);
    assert_eq!(driver.settle(&at(), &insert(1), marker.as_ref()).await, Settlement::DidNotHappen);
    assert_eq!(driver.settle(&at(), &insert(1), None).await, Settlement::DidNotHappen);
    assert_eq!(ids(&database), "");
}

#[tokio::test]
async fn what_the_server_turns_away_has_not_happened() {
    let database = with_calls();
    let driver = writer(&database, "timeout = '300ms'").await;
    execute(&driver, &insert(1)).await.unwrap();
    for (call, kind, says) in [
        (insert(1), "permanent", "duplicate key value violates unique constraint \"calls_pkey\" (23505)"),
        // Found out by the COMMIT.
        (plain("INSERT INTO parts VALUES (7)"), "permanent", "COMMIT on"),
        (plain("DELETE FROM no_such_table"), "permanent", "(42P01)"),
        (plain("DELETE FROM pg_authid"), "permanent", "GRANT what is missing to owner"),
        (plain("DELETE FROM calls; DELETE FROM parts"), "permanent", "send them one by one"),
        (plain("CREATE DATABASE other"), "permanent", "each statement runs inside of a transaction"),
        (plain("SELECT pg_sleep(9)"), "transient", "statement timeout"),
    ] {
        assert_says(&execute(&driver, &call).await.unwrap_err(), kind, &[says]);
    }
    // Somebody else holds what it needs.
    let other = writer(&database, "").await;
    let holding = other.prepare(&at(), &plain("LOCK TABLE calls")).await.unwrap();
    assert_says(&execute(&driver, &insert(2)).await.unwrap_err(), "transient", &["timeout"]);
    drop(holding);
    execute(&driver, &insert(2)).await.unwrap();
    assert_eq!(ids(&database), "1 2");
}

/// What stands between ripcord and the server, and cuts the line at a `COMMIT`.
struct Line {
    port: u16,
}

static CUT: AtomicBool = AtomicBool::new(false);

impl Line {
    /// `forward` says whether the server still hears the `COMMIT` that ripcord gets no answer to.
    fn new(forward: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || carry(client, forward));
            }
        });
        Self { port }
    }
}

fn carry(mut client: TcpStream, forward: bool) {
    let mut server = TcpStream::connect(("127.0.0.1", server().port)).unwrap();
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let is_mute = std::sync::Arc::new(AtomicBool::new(false));
    let mute = is_mute.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from_server.read(&mut buffer) {
            if mute.load(Ordering::SeqCst) || to_client.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let sent = &buffer[..read];
        if sent.windows(7).any(|window| window == b"COMMIT\0") && !CUT.swap(true, Ordering::SeqCst) {
            is_mute.store(true, Ordering::SeqCst);
            if forward {
                server.write_all(sent).unwrap();
            }
            // The line is dead for ripcord at once, for the server a while later.
            let _ = client.shutdown(std::net::Shutdown::Both);
            std::thread::sleep(Duration::from_millis(300));
            break;
        }
        if server.write_all(sent).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_settled_by_its_number() {
    let database = with_calls();
    for (id, forward) in [(1, true), (2, false)] {
        CUT.store(false, Ordering::SeqCst);
        let line = Line::new(forward);
        let url = format!("postgres://owner@127.0.0.1:{}/{}", line.port, database.name);
        let driver = open(&format!("url = {url:?}\npassword = 'secret:owner'\naccess = 'write'\nwrite = ['*']")).await;
        let call = insert(id);
        let prepared = driver.prepare(&at(), &call).await.unwrap();
        let marker = prepared.marker();
        assert_says(&prepared.perform().await.unwrap_err(), "unknown", &["COMMIT on", "the connection was lost"]);
        let settled = driver.settle(&at(), &call, marker.as_ref()).await;
        if forward {
            let Settlement::Happened(Reply::Executed(executed)) = settled else { panic!("{settled:?}") };
            assert_eq!((executed.affected, executed.returned.rows), (1, vec![vec![Value::Integer(id)]]));
        } else {
            assert_eq!(settled, Settlement::DidNotHappen);
        }
    }
    assert_eq!(ids(&database), "1");
}

#[tokio::test]
async fn another_server_or_database_or_history_is_not_believed() {
    let database = with_calls();
    let driver = writer(&database, "timeout = '1s'").await;
    let prepared = driver.prepare(&at(), &insert(1)).await.unwrap();
    let marker = prepared.marker().unwrap();
    prepared.perform().await.unwrap();
    for (pointer, value, says) in [
        ("/server/system", json!("1"), "this is another server"),
        ("/server/timeline", json!("00000009"), "another server has taken over since"),
        ("/server/database", json!(1), "another database under this name"),
        ("/xid", json!("99999999999"), "the server does not know it"),
    ] {
        let mut marker = marker.clone();
        *marker.pointer_mut(pointer).unwrap() = value;
        match driver.settle(&at(), &insert(1), Some(&marker)).await {
            Settlement::Unknown(seen) => assert!(seen.contains(says), "{seen}"),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    // Under its old name there is a restored one now.
    let name = &database.name;
    drop(driver);
    server().psql(
        "postgres",
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'; \
             ALTER DATABASE {name} RENAME TO {name}_old"
        ),
    );
    server().psql("postgres", &format!("CREATE DATABASE {name} OWNER owner"));
    let driver = writer(&database, "").await;
    match driver.settle(&at(), &insert(1), Some(&marker)).await {
        Settlement::Unknown(seen) => assert!(seen.contains("another database under this name"), "{seen}"),
        other => panic!("{other:?}"),
    }
}
