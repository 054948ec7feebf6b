//! A journal that is not the one that was written: cut, altered by hand, of another program, of another
//! version.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::Messages;
use crate::world::World;

const PLAN: &str = "[[step]]\nid = \"a\"\nuse = \"steps\"\nbind = { service = \"service\" }\n\
    [[step.with.apply]]\ncall = { role = \"service\", http = { method = \"POST\", path = \"/a1\" }, \
    assume = { http = { status = 200 } } }\n\
    [[step.with.apply]]\ncall = { role = \"service\", http = { method = \"POST\", path = \"/a2\" }, \
    assume = { http = { status = 200 } } }\n";

/// An event as it is stored.
#[derive(Clone)]
struct Row {
    at: String,
    event: String,
    hash: Vec<u8>,
}

fn rows(connection: &Connection) -> Vec<Row> {
    let mut select = connection.prepare("SELECT at, event, hash FROM events ORDER BY sequence").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok(Row { at: row.get(0)?, event: row.get(1)?, hash: row.get(2)? });
    select.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Writes the whole record of the one run anew, with its end.
fn replace(connection: &Connection, rows: &[Row]) {
    let run: String = connection.query_row("SELECT run FROM runs", [], |row| row.get(0)).unwrap();
    connection.execute("DELETE FROM events", []).unwrap();
    for (sequence, Row { at, event, hash }) in (1_i64..).zip(rows) {
        let insert = "INSERT INTO events (run, sequence, at, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
        connection.execute(insert, params![run, sequence, at, event, hash]).unwrap();
    }
}

/// The chain as somebody would forge it who knows how: every hash fits.
fn forge(connection: &Connection, rows: &mut [Row]) {
    let run: String = connection.query_row("SELECT run FROM runs", [], |row| row.get(0)).unwrap();
    let framed = |fields: &[&[u8]]| -> Vec<u8> {
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        hasher.finalize().to_vec()
    };
    let mut hash = framed(&[b"ripcord journal 1: run", run.as_bytes()]);
    for (sequence, row) in (1_u64..).zip(rows.iter_mut()) {
        let number = sequence.to_le_bytes();
        hash = framed(&[
            b"ripcord journal 1: event",
            &hash,
            run.as_bytes(),
            &number,
            row.at.as_bytes(),
            row.event.as_bytes(),
        ]);
        row.hash = hash.clone();
    }
    replace(connection, rows);
    connection.execute("UPDATE runs SET sequence = ?1, hash = ?2", params![rows.len() as i64, hash]).unwrap();
}

/// The place of the first event of this kind that has this in it.
fn place(rows: &[Row], kind: &str, part: &str) -> usize {
    let kind = format!("{{\"event\":\"{kind}\"");
    rows.iter().position(|row| row.event.starts_with(&kind) && row.event.contains(part)).unwrap()
}

type Harm = fn(&Connection, Vec<Row>);

/// A name, and what somebody does to the journal of a run that was verified.
const ALTERED: &[(&str, Harm)] = &[
    ("event-altered", |connection, mut rows| {
        let place = place(&rows, "intended", "/a1");
        rows[place].event = rows[place].event.replace("/a1", "/x1");
        replace(connection, &rows);
    }),
    ("event-is-no-json", |connection, mut rows| {
        let place = place(&rows, "intended", "/a1");
        rows[place].event.truncate(20);
        replace(connection, &rows);
    }),
    ("time-altered", |connection, mut rows| {
        let place = place(&rows, "intended", "/a1");
        rows[place].at = "2001-01-01T00:00:00Z".to_owned();
        replace(connection, &rows);
    }),
    ("hash-altered", |connection, mut rows| {
        let place = place(&rows, "intended", "/a1");
        rows[place].hash[0] ^= 1;
        replace(connection, &rows);
    }),
    ("last-event-altered", |connection, mut rows| {
        let last = rows.last_mut().unwrap();
        last.event = last.event.replace("verified", "undone");
        replace(connection, &rows);
    }),
    ("event-deleted", |connection, rows| {
        let sequence = place(&rows, "intended", "/a1") as i64 + 1;
        connection.execute("DELETE FROM events WHERE sequence = ?1", [sequence]).unwrap();
    }),
    ("event-taken-out-and-renumbered", |connection, mut rows| {
        rows.remove(place(&rows, "intended", "/a1"));
        replace(connection, &rows);
        connection.execute("UPDATE runs SET sequence = sequence - 1", []).unwrap();
    }),
    ("events-swapped", |connection, mut rows| {
        let (one, other) = (place(&rows, "intended", "/a1"), place(&rows, "intended", "/a2"));
        rows.swap(one, other);
        replace(connection, &rows);
    }),
    ("event-put-in", |connection, mut rows| {
        let place = place(&rows, "intended", "/a1");
        rows.insert(place, rows[place].clone());
        replace(connection, &rows);
        connection.execute("UPDATE runs SET sequence = sequence + 1", []).unwrap();
    }),
    ("end-deleted", |connection, rows| {
        connection.execute("DELETE FROM events WHERE sequence > ?1", [rows.len() as i64 - 2]).unwrap();
    }),
    ("events-appended", |connection, mut rows| {
        rows.push(rows.last().unwrap().clone());
        replace(connection, &rows);
    }),
    ("end-altered", |connection, _| {
        connection.execute("UPDATE runs SET hash = zeroblob(32)", []).unwrap();
    }),
    ("all-events-deleted", |connection, _| {
        connection.execute("DELETE FROM events", []).unwrap();
    }),
];

#[test]
fn an_altered_journal() {
    let world = World::new();
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    world.plan("plan", PLAN);
    world.ripcord(&["run", "plan.toml", "--yes"]).expect(0);
    let sound = world.path("sound.sqlite");
    let journal = world.path("state/journal.sqlite");
    Connection::open(&journal).unwrap().execute("VACUUM INTO ?1", [sound.to_str().unwrap()]).unwrap();
    let run = world.journal().last();
    assert!(!rows(&Connection::open(&sound).unwrap()).is_empty());
    let restore = || restore(&journal, &sound);
    let mut messages = Messages::about("journal");

    for (name, harm) in ALTERED {
        restore();
        let connection = Connection::open(&journal).unwrap();
        harm(&connection, rows(&connection));
        drop(connection);
        let ran = messages.shows(&world, name, world.shipped(&["audit", "last"]));
        assert_eq!(ran.code(), Some(5), "{ran}");
    }
    // The same for whoever does not think of an audit; what is sound is shown all the same.
    restore();
    alter(&journal, ALTERED[0].1);
    for (name, command, code) in [
        ("resume", &["resume", "last"][..], 5),
        ("undo", &["undo", "last", "--yes"], 5),
        ("report", &["report", "last"], 5),
        ("runs", &["runs"], 0),
        ("show", &["show", "last"], 5),
    ] {
        let ran = messages.shows(&world, &format!("{name}-of-an-altered-run"), world.shipped(command));
        assert_eq!(ran.code(), Some(code), "{ran}");
    }

    restore();
    let head = world.ripcord(&["audit", "last"]).expect(0).stdout;
    let head = head.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned();
    alter(&journal, |connection, mut rows| {
        let place = place(&rows, "intended", "/a1");
        rows[place].event = rows[place].event.replace("/a1", "/x1");
        forge(connection, &mut rows);
    });
    let ran = messages.shows(&world, "whole-chain-forged", world.shipped(&["audit", "last", "--head", &head]));
    assert_eq!(ran.code(), Some(5), "{ran}");

    restore();
    alter(&journal, |connection, mut rows| {
        let place = place(&rows, "execution-ended", "");
        rows[place].event = rows[place].event.replace("execution-ended", "execution-parked");
        forge(connection, &mut rows);
    });
    messages.shows(&world, "run-of-another-version", world.shipped(&["show", "last"]));
    messages.shows(&world, "resume-of-another-versions-run", world.shipped(&["resume", "last"]));

    restore();
    let connection = Connection::open(&journal).unwrap();
    connection.execute("UPDATE blobs SET bytes = zeroblob(10)", []).unwrap();
    drop(connection);
    messages.shows(&world, "plan-altered", world.shipped(&["undo", "last", "--yes"]));
    let connection = Connection::open(&journal).unwrap();
    connection.execute("DELETE FROM blobs", []).unwrap();
    drop(connection);
    messages.shows(&world, "plan-deleted", world.shipped(&["undo", "last", "--yes"]));

    restore();
    Connection::open(&journal).unwrap().pragma_update(None, "user_version", 99).unwrap();
    messages.shows(&world, "of-a-newer-version", world.shipped(&["runs"]));
    restore();
    Connection::open(&journal).unwrap().pragma_update(None, "application_id", 7).unwrap();
    messages.shows(&world, "of-another-program", world.shipped(&["runs"]));
    restore();
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..5000]).unwrap();
    messages.shows(&world, "cut-short", world.shipped(&["audit", "last"]));
    fs::write(
        &journal,
        "this is no database, but it is long enough to have a header of one, which is a hundred bytes.",
    )
    .unwrap();
    messages.shows(&world, "not-a-database", world.shipped(&["audit", "last"]));
    fs::write(&journal, "").unwrap();
    messages.shows(&world, "emptied", world.shipped(&["audit", run.as_str()]));
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    messages.shows(&world, "folder-in-its-place", world.shipped(&["runs"]));
    assert_eq!(world.ledger.mutations().len(), 2);
    messages.end();

    fn alter(journal: &Path, harm: Harm) {
        let connection = Connection::open(journal).unwrap();
        harm(&connection, rows(&connection));
    }
}

/// As it was, without what SQLite keeps beside it.
fn restore(journal: &Path, sound: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", journal.display()));
    }
    fs::copy(sound, journal).unwrap();
    fs::set_permissions(journal, fs::Permissions::from_mode(0o600)).unwrap();
}
