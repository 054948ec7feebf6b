//! The statements on the journal's tables.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::file;
use crate::id::{Digest, RunId};
use crate::journal::chain::{Altered, Claim, Follower, Link};
use crate::journal::harm::{Broken, Stored};
use crate::journal::{BeginError, Head, Outline, ReadError, Recorded, Sound, StorageError};

/// The recorded end of a run, if there is such a run.
pub(super) fn head_of(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached("SELECT sequence, hash FROM runs WHERE run = ?1")?
        .query_row([run.as_str()], |row| {
            Ok(Head { sequence: row.get::<_, i64>(0)?.cast_unsigned(), hash: Digest(row.get(1)?) })
        })
        .optional()
}

/// Enters a run that is not there yet.
pub(super) fn insert_run(connection: &Connection, run: &RunId, head: Head) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO runs (run, sequence, hash) VALUES (?1, ?2, ?3)")?.execute(params![
        run.as_str(),
        stored(head.sequence),
        head.hash.0
    ])?;
    Ok(())
}

/// Moves the recorded end of a run.
pub(super) fn set_head(connection: &Connection, run: &RunId, head: Head) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE runs SET sequence = ?2, hash = ?3 WHERE run = ?1")?.execute(params![
        run.as_str(),
        stored(head.sequence),
        head.hash.0
    ])?;
    Ok(())
}

/// Puts links behind a run's last.
pub(super) fn insert_events(connection: &Connection, run: &RunId, links: &[Link]) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO events (run, sequence, at, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for Link { sequence, at, event, hash } in links {
        insert.execute(params![run.as_str(), stored(*sequence), at, event, hash.0])?;
    }
    Ok(())
}

/// Keeps bytes under their digest. A copy that was damaged since an earlier run is made whole: this
/// run must not depend on it.
pub(super) fn keep(connection: &Connection, digest: Digest, bytes: &[u8]) -> rusqlite::Result<()> {
    // Most runs find theirs. To compare it here spares three copies of it.
    let found = connection
        .prepare_cached(BLOB)?
        .query_row([digest.to_string()], |row| Ok(row.get_ref(0)?.as_blob() == Ok(bytes)))
        .optional()?;
    if found == Some(true) {
        return Ok(());
    }
    let sql = "INSERT INTO blobs (digest, bytes) VALUES (?1, ?2)
               ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes";
    connection.prepare_cached(sql)?.execute(params![digest.to_string(), bytes])?;
    Ok(())
}

/// Holds all, or says what is held; what it held until then goes back with the request's savepoint.
pub(super) fn hold(
    connection: &Connection,
    run: &RunId,
    resources: &[String],
) -> rusqlite::Result<Result<(), BeginError>> {
    for resource in resources {
        connection
            .prepare_cached("INSERT INTO holds (resource, run) VALUES (?1, ?2) ON CONFLICT (resource) DO NOTHING")?
            .execute([resource, run.as_str()])?;
        match holder(connection, resource)? {
            Some(holder) if holder != *run => {
                return Ok(Err(BeginError::Held { resource: resource.clone(), holder }));
            }
            _ => {}
        }
    }
    Ok(Ok(()))
}

/// Who holds a resource.
pub(super) fn holder(connection: &Connection, resource: &str) -> rusqlite::Result<Option<RunId>> {
    connection
        .prepare_cached("SELECT run FROM holds WHERE resource = ?1")?
        .query_row([resource], |row| row.get(0).map(String::into))
        .optional()
}

const BLOB: &str = "SELECT bytes FROM blobs WHERE digest = ?1";

/// The bytes kept under a digest, unchecked.
pub(super) fn blob(connection: &Connection, digest: Digest) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(BLOB)?.query_row([digest.to_string()], |row| row.get(0)).optional()
}

/// Lets go of all that a run holds.
pub(super) fn release(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM holds WHERE run = ?1")?.execute([run.as_str()])?;
    Ok(())
}

/// The names of all runs, newest first.
pub(super) fn runs(connection: &Connection) -> rusqlite::Result<Vec<RunId>> {
    let mut select = connection.prepare_cached("SELECT run FROM runs ORDER BY number DESC")?;
    select.query_map([], |row| row.get(0).map(String::into))?.collect()
}

/// Enters that a run may have left its target in a good state.
pub(super) fn enter_good_state(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    // A beginning that was damaged since is for the run's next reader to tell of.
    let sql = "INSERT OR IGNORE INTO good_states (target, run)
               SELECT event ->> '$.target', run FROM events WHERE run = ?1 AND sequence = 1 AND json_valid(event)";
    connection.prepare_cached(sql)?.execute([run.as_str()])?;
    Ok(())
}

/// The runs that may have left a target in a good state, newest first.
pub(super) fn with_good_states(connection: &Connection, target: &str) -> rusqlite::Result<Vec<RunId>> {
    let sql = "SELECT run FROM good_states JOIN runs USING (run) WHERE target = ?1 ORDER BY number DESC LIMIT 1000";
    let mut select = connection.prepare_cached(sql)?;
    select.query_map([target], |row| row.get(0).map(String::into))?.collect()
}

/// A run's events behind a trusted head, with its end, checked.
pub(super) fn read_events(
    connection: &Connection,
    path: &Path,
    run: &RunId,
    after: Option<Head>,
) -> Result<(Vec<Recorded>, Head), ReadError> {
    let explain = |error: rusqlite::Error| file::explain(path, &error);
    // Head and events have to be of one moment: other processes append.
    let snapshot = connection.unchecked_transaction().map_err(explain)?;
    let end = head_of(&snapshot, run).map_err(explain)?.ok_or_else(|| ReadError::NoSuchRun(run.clone()))?;
    let mut follower = Follower::new(run, after, end)?;
    let mut select = snapshot
        .prepare_cached(
            "SELECT sequence, at, event, hash FROM events WHERE run = ?1 AND sequence > ?2 ORDER BY sequence",
        )
        .map_err(explain)?;
    let after = after.map_or(0, |head| stored(head.sequence));
    let mut rows = select.query(params![run.as_str(), after]).map_err(explain)?;
    let mut events: Vec<Recorded> = Vec::new();
    while let Some(row) = rows.next().map_err(explain)? {
        let next = claim(row, 0).map_err(explain)?;
        if let Err(altered) = follower.follow(next) {
            let mut rest = vec![Stored::of(next)];
            while let Some(row) = rows.next().map_err(explain)? {
                rest.push(Stored::of(claim(row, 0).map_err(explain)?));
            }
            let (sound, sound_at) = (follower.at(), events.last().map(|recorded| recorded.at));
            let broken = Broken { run, sound, sound_at, end, rest: &rest };
            return Err(ReadError::Altered(
                Box::new(broken.diagnose(altered)),
                Box::new(Sound { events, head: Some(sound) }),
            ));
        }
        events.push(recorded(path, run, next)?);
    }
    let sound = follower.at();
    match follower.finish() {
        Ok(head) => Ok((events, head)),
        Err(altered) => Err(ReadError::Altered(Box::new(altered), Box::new(Sound { events, head: Some(sound) }))),
    }
}

/// All runs, newest first.
pub(super) fn outlines(connection: &Connection, path: &Path) -> rusqlite::Result<Vec<Outline>> {
    let sql = "SELECT runs.run, runs.sequence,
                      first.sequence, first.at, first.event, first.hash,
                      last.sequence, last.at, last.event, last.hash
               FROM runs
               LEFT JOIN events AS first ON first.run = runs.run AND first.sequence = 1
               LEFT JOIN events AS last ON last.run = runs.run AND last.sequence = runs.sequence
               ORDER BY runs.number DESC";
    let mut select = connection.prepare_cached(sql)?;
    let outline = |row: &Row<'_>| {
        let run: RunId = row.get::<_, String>(0)?.into();
        let length = row.get::<_, i64>(1)?.cast_unsigned();
        let end = |column: usize| match row.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => claim(row, column).map(Some),
        };
        let read = |claim: Option<Claim<'_>>, sequence| -> Result<Recorded, ReadError> {
            let claim = claim.ok_or(Altered::Missing { run: run.clone(), sequence })?;
            Ok(recorded(path, &run, claim)?)
        };
        let (first, last) = (end(2)?, end(6)?);
        let ends = read(first, 1).and_then(|first| Ok((first, read(last, length)?)));
        Ok(Outline { run, ends })
    };
    select.query_map([], outline)?.collect()
}

/// The columns sequence, at, event, hash, from this one on.
fn claim<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Claim<'a>> {
    // As bytes: a text that is no UTF-8 any more is for the chain to find, not for SQLite.
    let bytes = |column: usize| -> rusqlite::Result<&'a [u8]> { Ok(row.get_ref(column)?.as_bytes()?) };
    Ok(Claim {
        sequence: row.get::<_, i64>(column)?.cast_unsigned(),
        at: bytes(column + 1)?,
        event: bytes(column + 2)?,
        hash: bytes(column + 3)?,
    })
}

fn recorded(path: &Path, run: &RunId, claim: Claim<'_>) -> Result<Recorded, StorageError> {
    let sequence = claim.sequence;
    let unknown = |error: &dyn std::fmt::Display| StorageError {
        path: path.display().to_string(),
        problem: format!(
            "event {sequence} of run {run} says something that ripcord {} does not understand ({}): another version \
             has written it",
            env!("CARGO_PKG_VERSION"),
            // Without the list of everything that it does understand.
            error.to_string().split(", expected ").next().unwrap_or_default()
        ),
        remedy: "use that version of ripcord for this run".to_owned(),
    };
    let at = std::str::from_utf8(claim.at).map_err(|error| unknown(&error))?;
    Ok(Recorded {
        sequence,
        at: at.parse().map_err(|error: jiff::Error| unknown(&error))?,
        event: serde_json::from_slice(claim.event).map_err(|error| unknown(&error))?,
    })
}

/// A sequence number as SQLite has it. No run has 2⁶³ events.
fn stored(sequence: u64) -> i64 {
    sequence.cast_signed()
}
