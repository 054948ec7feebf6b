//! The command line: what it answers with, and what it finds.

use std::process::Command;

use ripcord::journal::RunOutcome;
use rusqlite::Connection;
use serde_json::Value;

use crate::world::World;

const RUN: &[&str] = &["run", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2", "--yes"];

/// Nothing is touched by any of these, and the message says what to write.
#[test]
fn what_is_wrong_with_files_and_arguments_is_exit_code_2() {
    let world = World::new();
    world.connector_plan();
    world.plan("unknown-key", "targt = \"x\"\n");
    world.plan(
        "unbound",
        "[[step]]\nid = \"a\"\nuse = \"connector-disable\"\nwith = { connector = \"x\", version = \"v\" }\n",
    );
    let before = world.touched();
    for (arguments, says) in [
        (&["check", "missing.toml"][..], "missing.toml"),
        (&["check", "unknown-key.toml"], "targt"),
        (&["check", "unbound.toml"], "admin"),
        (&["preview", "connector.toml", "-p", "connector=facebook"], "version"),
        (&["preview", "connector.toml", "-p", "connector=../x", "-p", "version=v1"], "connector"),
        (&["run", "connector.toml", "-p", "conector=facebook", "-p", "version=v1", "--yes"], "connector"),
        (&["resume", "last"], "no run"),
        (&["report", "20260101"], "ripcord runs"),
        (&["resolve", "last", "three", "--happened"], "3.0"),
        (&["--config", "nowhere.toml", "check", "connector.toml"], "nowhere.toml"),
        (&["plugin", "inspect", "no-such-plugin"], "connector-disable"),
    ] {
        world.ripcord(arguments).expect(2).says(says);
    }
    world.ripcord(RUN).env("GENIA_TOKEN", "short").expect(2).says("genia");
    assert_eq!(world.touched(), before);
}

#[test]
fn each_outcome_has_its_exit_code_and_with_json_its_last_line() {
    let world = World::new();
    world.connector_plan();
    world.ripcord(&["check", "connector.toml"]).expect(0);
    fn json<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--json"], arguments].concat()
    }
    let ended = |ran: crate::world::Ran| -> Value { ran.json().last().cloned().unwrap() };

    let verified = ended(world.ripcord(&json(RUN)).expect(0));
    let run = world.journal().last();
    assert_eq!(verified["event"], "run-ended");
    assert_eq!((verified["run"].as_str(), verified["outcome"].as_str()), (Some(run.as_str()), Some("verified")));

    let undone = ended(world.ripcord(&json(&["undo", "last", "--yes"])).expect(1));
    assert_eq!((undone["event"].as_str(), undone["outcome"].as_str()), (Some("run-ended"), Some("undone")));
    world.ripcord(&["undo", "last", "--yes"]).expect(2);

    world.plan("nothing", "[[step]]\nid = \"a\"\nuse = \"steps\"\nwith = { apply = [\"now\"] }\n");
    let unchanged = ended(world.ripcord(&json(&["run", "nothing.toml", "--yes"])).expect(4));
    assert_eq!(unchanged["outcome"], "unchanged");

    world.plan(
        "broken",
        "[[step]]\nid = \"a\"\nuse = \"steps\"\nwith = { apply = [{ fail = { permanent = \"it is broken\" } }] }\n",
    );
    let halted = ended(world.ripcord(&json(&["run", "broken.toml", "--yes"])).expect(3));
    assert_eq!(halted["outcome"], "halted");
    assert!(halted["why"].as_str().unwrap().contains("it is broken"), "{halted}");
}

#[test]
fn what_was_done_can_be_looked_at_afterwards() {
    let world = World::new();
    world.connector_plan();
    world.ripcord(RUN).expect(0);
    let run = world.journal().last();
    let touched = world.touched();
    let tail = run.as_str().rsplit('-').next().unwrap();
    world.ripcord(&["runs"]).expect(0).says(run.as_str());
    world.ripcord(&["show", tail]).expect(0).says("/connectors/facebook/disable");
    world.ripcord(&["show", "last", "--follow"]).expect(0).says("/connectors/facebook/disable");
    let report = world.ripcord(&["report", "last"]).expect(0);
    report.says("/connectors/facebook/disable").says(run.as_str());
    world.ripcord(&["replay", "last"]).expect(0);
    let audited = world.ripcord(&["audit", "last"]).expect(0);
    // The report prints the head that `audit` compares with.
    let head = audited.stdout.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
    report.says(head);
    world.ripcord(&["audit", "last", "--head", head]).expect(0);
    let other = format!("sha256:{}", "0".repeat(64));
    world.ripcord(&["audit", "last", "--head", &other]).expect(5);
    for command in [&["runs"][..], &["show", "last"], &["report", "last"], &["audit", "last"]] {
        let ran = world.ripcord(&[&["--json"], command].concat()).expect(0);
        assert!(!ran.json().is_empty(), "{ran}");
    }
    assert_eq!(world.touched(), touched);
}

/// Whoever alters one byte of one event is found out, and the event is named.
#[test]
fn an_altered_journal_is_found_out() {
    let world = World::new();
    world.connector_plan();
    world.ripcord(RUN).expect(0);
    let journal = world.path("state/journal.sqlite");
    let connection = Connection::open(&journal).unwrap();
    let (sequence, body): (i64, Vec<u8>) = connection
        .query_row(
            "SELECT sequence, CAST(event AS BLOB) FROM events WHERE CAST(event AS TEXT) LIKE '%/disable%' LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let altered = String::from_utf8(body).unwrap().replace("/disable", "/disabel");
    connection.execute("UPDATE events SET event = CAST(?1 AS TEXT) WHERE sequence = ?2", (altered, sequence)).unwrap();
    drop(connection);
    for command in [&["audit", "last"][..], &["replay", "last"], &["undo", "last", "--yes"]] {
        world.ripcord(command).expect(5).says(&format!("event {sequence}"));
    }
    assert_eq!(world.ledger.mutations().len(), 1);
}

/// The program itself, as a user starts it.
#[test]
fn the_demo_works_with_nothing_configured() {
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("ripcord");
    assert!(program.is_file(), "{} is not built; run:  cargo xtask test", program.display());
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .arg("demo")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&RunOutcome::Verified.to_string()), "{said}");
}
