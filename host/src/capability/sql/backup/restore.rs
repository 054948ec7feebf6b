//! Restoring a backup into a new database.
//!
//! The database is made first, and marked as being restored; all that the backup holds comes into it in
//! one transaction, which looks it over and sets the mark of a database that is whole. So whoever finds
//! that mark finds everything. A new database without it is nobody's: the next attempt drops it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::SinkExt;
use serde_json::{Value as Json, json};
use tokio_postgres::Client;
use tokio_postgres::error::ErrorPosition;

use super::catalogue::{self, Entry, comment, identifier};
use super::driver::{Backups, Tell};
use super::facts::Facts;
use super::folder::Opened;
use super::mark::{FromBackup, Mark};
use super::obstacle;
use super::script::Piece;
use super::source::{self, Extent, Reading};
use super::tools::Program;
use super::{Backup, DatabaseState, Format, Restored};
use crate::capability::sql::Reply;
use crate::capability::sql::session::Session;
use crate::capability::{At, Prepared, Settlement};
use crate::failure::Failure;
use crate::id::Digest;

/// How much of a statement is shown to people.
const SHOWN_CHARS: usize = 160;

/// Everything that can be known before anything is touched.
struct Ready {
    backups: Arc<Backups>,
    at: At,
    opened: Opened,
    program: Option<Program>,
    facts: Facts,
    live: Entry,
    name: String,
    server: Session,
}

/// The new database's name: the live one's, the run and the call.
pub(super) fn name(live: &str, at: &At) -> String {
    let run = at.run.as_str().replace('-', "_");
    catalogue::name_with(live, &format!("_new_{run}_{}_{}", at.execution, at.ordinal))
}

pub(super) async fn prepare(
    backups: &Arc<Backups>,
    at: &At,
    name: &str,
    sha256: Option<Digest>,
) -> Result<Box<dyn Prepared<Reply>>, Failure> {
    let mut opened = backups.folder()?.backup(name)?;
    let refused = |problem: String| Failure::permanent(format!("backup {name} can't be restored: {problem}"));
    let expected = [(sha256, "it was chosen"), (opened.backup.sha256, "it was made")];
    if expected.iter().any(|(expected, _)| expected.is_some()) {
        let now = backups.checksum(&opened).await?;
        for (expected, whose) in expected {
            if let Some(expected) = expected.filter(|expected| *expected != now) {
                return Err(refused(format!("it is another file than when {whose}: it has {now}, and had {expected}")));
            }
        }
    }
    let server = backups.maintenance(&at.key()).await?;
    let major = backups.major(&server.client).await?;
    let live = backups.live(&server.client).await?;
    let program = match opened.backup.format {
        Format::Custom => Some(backups.tools.find("pg_restore", major).await?),
        Format::Plain | Format::PlainGzip => None,
    };
    let reading = source::read(&opened.file, opened.backup.format, program.as_ref(), Extent::Facts, backups.timeout)?;
    let facts = reading.finish().await.map_err(refused)?;
    backups.identify(&mut opened, program.as_ref()).await;
    if let Some(obstacle) = obstacle::of_restore(backups, &server.client, &facts, &opened.backup).await? {
        return Err(refused(obstacle));
    }
    let name = self::name(&live.name, at);
    let (backups, at) = (backups.clone(), at.clone());
    Ok(Box::new(Ready { backups, at, opened, program, facts, live, name, server }))
}

#[async_trait]
impl Prepared<Reply> for Ready {
    fn marker(&self) -> Option<Json> {
        Some(json!({ "database": self.name }))
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        self.create().await?;
        match self.fill().await {
            Ok(restored) => Ok(Reply::Restored(restored)),
            Err(failure @ Failure::Unknown(_)) => Err(failure),
            Err(failure) => Err(self.take_back(failure).await),
        }
    }
}

impl Ready {
    /// Makes the empty database. What an earlier attempt of this call has left goes first.
    async fn create(&self) -> Result<(), Failure> {
        let Self { backups, at, name, live, .. } = self;
        let client = &self.server.client;
        let failed = |error: tokio_postgres::Error| backups.trouble(&format!("making the new database {name}"), &error);
        if let Some(left) = Entry::find(client, name).await.map_err(failed)? {
            let mark = left.mark();
            if mark.as_ref().is_some_and(|mark| mark.call != at.key()) || (mark.is_none() && left.comment.is_some()) {
                return Err(Failure::permanent(format!("there is a database {name} that this run has not made")));
            }
            client.batch_execute(&drop_by_force(name)).await.map_err(failed)?;
        }
        client.batch_execute(&live.create_like(name)).await.map_err(failed)?;
        let mark = Mark::new(DatabaseState::Restoring, &live.name, at);
        client.batch_execute(&comment(name, Some(&mark.write()))).await.map_err(failed)
    }

    /// Leaves nothing of an attempt that failed.
    async fn take_back(&self, failure: Failure) -> Failure {
        let Self { backups, name, .. } = self;
        match self.server.client.batch_execute(&drop_by_force(name)).await {
            Ok(()) => failure,
            Err(error) => {
                let left = backups.trouble(&format!("dropping what was restored so far, {name}"), &error);
                let message = format!("{failure}; {left}: it can be dropped by hand, nobody uses it");
                match failure {
                    Failure::Transient(_) => Failure::transient(message),
                    _ => Failure::permanent(message),
                }
            }
        }
    }

    async fn fill(&self) -> Result<Restored, Failure> {
        let Self { backups, at, opened, program, facts, live, name, .. } = self;
        let mut session = backups.session(name, &at.key()).await?;
        session.set_busy(true);
        let client = &session.client;
        let failed = |error: tokio_postgres::Error| backups.trouble(&format!("restoring into {name}"), &error);
        let begin = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                     BEGIN; SET LOCAL synchronous_commit = on";
        client.batch_execute(begin).await.map_err(failed)?;
        let transaction = transaction(client).await.map_err(failed)?;
        if facts.owners.is_empty() {
            // A dump without owners belongs to whoever restores it: that is the live database's owner.
            let role = format!("SET LOCAL ROLE {}", identifier(&live.owner));
            client.batch_execute(&role).await.map_err(failed)?;
        }
        let reading =
            source::read(&opened.file, opened.backup.format, program.as_ref(), Extent::Whole, backups.timeout)?;
        let rows = self.feed(client, reading).await?;

        let end = "RESET SESSION AUTHORIZATION; RESET ROLE; SET client_encoding = 'UTF8'; SET CONSTRAINTS ALL IMMEDIATE; \
                   SET LOCAL search_path = pg_catalog";
        client.batch_execute(end).await.map_err(failed)?;
        if self::transaction(client).await.map_err(failed)? != transaction {
            return Err(Failure::permanent(format!(
                "backup {} ends its own transaction (COMMIT, ROLLBACK), so that it can't be restored as a whole",
                opened.backup.name
            )));
        }
        let tables = look_over(client).await.map_err(failed)?;
        let tables =
            tables.map_err(|problem| Failure::permanent(format!("restoring {}: {problem}", opened.backup.name)))?;
        let restored = FromBackup { backup: opened.backup.name.clone(), tables, rows };
        let mark = Mark { restored: Some(restored), ..Mark::new(DatabaseState::Restored, &live.name, at) };
        client.batch_execute(&comment(name, Some(&mark.write()))).await.map_err(failed)?;
        match client.batch_execute("COMMIT").await {
            Ok(()) => {
                session.set_busy(false);
                Ok(Restored { database: name.clone(), tables, rows })
            }
            Err(error) if error.as_db_error().is_some() => Err(failed(error)),
            Err(error) => Err(Failure::unknown(failed(error).to_string())),
        }
    }

    /// Sends the backup; how many rows came with it.
    async fn feed(&self, client: &Client, mut reading: Reading) -> Result<u64, Failure> {
        let Self { backups, at, opened, .. } = self;
        let Backup { name, bytes, .. } = &opened.backup;
        let mut tell = Tell::new(at, format!("restore {name}"), Some(*bytes));
        let mut rows = 0;
        let rejected = |text: &str, error: tokio_postgres::Error| {
            backups.trouble(&format!("restoring backup {name}: {}", place(text, &error)), &error)
        };
        while let Some(piece) = reading.next().await {
            tell.progress(|| reading.position());
            match piece {
                Piece::Statements(text) => {
                    client.batch_execute(&text).await.map_err(|error| rejected(&text, error))?;
                }
                Piece::Copy(statement) => {
                    let copied = copy(client, &statement, &mut reading, &mut tell).await;
                    rows += copied.map_err(|error| rejected(&statement, error))?;
                }
                Piece::Data(_) | Piece::EndOfData => {}
            }
        }
        let whole = reading.finish().await;
        whole.map_err(|problem| Failure::permanent(format!("backup {name} can't be restored: {problem}")))?;
        Ok(rows)
    }
}

async fn copy(
    client: &Client,
    statement: &str,
    reading: &mut Reading,
    tell: &mut Tell,
) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in::<_, bytes::Bytes>(statement).await?;
    futures_util::pin_mut!(sink);
    loop {
        match reading.next().await {
            Some(Piece::Data(data)) => sink.send(data).await?,
            Some(Piece::EndOfData) => return sink.finish().await,
            // Dropping the sink fails the COPY, and the reading knows why there is no end.
            Some(Piece::Statements(_) | Piece::Copy(_)) | None => return Ok(0),
        }
        tell.progress(|| reading.position());
    }
}

/// The line of some statements that the server points at, or their first.
fn place(text: &str, error: &tokio_postgres::Error) -> String {
    let position = match error.as_db_error().and_then(|error| error.position()) {
        Some(ErrorPosition::Original(position)) => position.saturating_sub(1) as usize,
        _ => 0,
    };
    let at = text.char_indices().nth(position).map_or(0, |(at, _)| at);
    let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let lines = text[begin..].lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    format!("`{}`", lines.take(1).collect::<String>().chars().take(SHOWN_CHARS).collect::<String>())
}

async fn transaction(client: &Client) -> Result<String, tokio_postgres::Error> {
    client.query_one("SELECT pg_catalog.pg_current_xact_id()::text", &[]).await?.try_get(0)
}

/// Looks a database over from inside: how many tables it has, or what is wrong with it.
pub(super) async fn look_over(client: &Client) -> Result<Result<u64, String>, tokio_postgres::Error> {
    const OWN: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";
    let tables = format!(
        "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND {OWN}"
    );
    let tables: i64 = client.query_one(&tables, &[]).await?.try_get(0)?;
    let broken = "SELECT i.indexrelid::pg_catalog.regclass::text FROM pg_catalog.pg_index i \
                  WHERE NOT i.indisvalid OR NOT i.indisready LIMIT 5";
    let broken = client.query(broken, &[]).await?;
    let broken = broken.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    Ok(match (u64::try_from(tables).unwrap_or_default(), broken.as_slice()) {
        (0, _) => Err("no table is there".to_owned()),
        (_, [_, ..]) => Err(format!("these indexes are not valid: {}", broken.join(", "))),
        (tables, []) => Ok(tables),
    })
}

pub(super) async fn settle(backups: &Backups, at: &At, marker: &Json) -> Result<Settlement<Reply>, Failure> {
    let Some(name) = marker.get("database").and_then(Json::as_str) else {
        return Ok(Settlement::Unknown(format!("its marker names no database: {marker}")));
    };
    let server = backups.maintenance("ripcord").await?;
    let failed = |error: tokio_postgres::Error| backups.trouble("looking what became of the restore", &error);
    catalogue::session_over(backups, &server.client, at).await?;
    let entry = Entry::find(&server.client, name).await.map_err(failed)?;
    let mark = entry.and_then(|entry| entry.mark()).filter(|mark| mark.call == at.key());
    Ok(match mark.and_then(|mark| mark.reply(name)) {
        Some(restored) => Settlement::Happened(Reply::Restored(restored)),
        None => Settlement::DidNotHappen,
    })
}

fn drop_by_force(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name))
}
