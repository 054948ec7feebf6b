//! A host that is killed: the catalogue says what became of it.

use std::fs;
use std::path::Path;

use ripcord::capability::sql::backup::{DatabaseState, DumpOptions, Format};
use ripcord::capability::sql::{Call, Reply};
use ripcord::capability::{At, Settlement};
use ripcord::id::ExecutionId;
use serde_json::Value as Json;

use super::super::{at, open};
use super::sessions::Deaf;
use super::{Place, made, next_at, restoring};
use crate::{Host, wait_until};

/// What the host of a crash does, as another process: it gets a call ready, and carries it out if told.
#[tokio::test]
#[ignore = "not a test: the others start it as a host of its own"]
async fn as_host() {
    let var = |name| std::env::var(name).unwrap();
    let driver = open(&var("TEST_TABLE")).await;
    let call: Call = serde_json::from_str(&var("TEST_CALL")).unwrap();
    let at = At { execution: ExecutionId(var("TEST_EXECUTION").parse().unwrap()), ..at() };
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
            "sql::backup::killed::as_host",
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
