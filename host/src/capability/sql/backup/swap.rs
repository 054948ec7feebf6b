//! Changing two databases' names in one transaction, and dropping a database that ripcord has made.
//!
//! A database that has sessions can't be renamed. `ALTER DATABASE … RENAME` first locks the name, then
//! waits for its sessions to end; with the lock held, whoever connects anew waits at the door. So the
//! sessions are ended from a second connection while the statement waits: a pool that reconnects at once
//! gets in only when the names are changed, and nothing but sessions is gone if it comes to nothing. No
//! database is ever closed to connections, so none has to be opened again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::catalogue::{self, Entry, comment, identifier};
use super::driver::Backups;
use super::mark::Mark;
use super::restore::look_over;
use super::takeover::Belongings;
use super::{DatabaseState, Swapped};
use crate::capability::sql::Reply;
use crate::capability::sql::session::Session;
use crate::capability::{At, Prepared, Settlement};
use crate::failure::Failure;

/// How long sessions may take to end. PostgreSQL waits five seconds at a time for them.
const SESSIONS_END_WITHIN: Duration = Duration::from_secs(8);
/// How often the sessions that are left are told to end.
const END_EVERY: Duration = Duration::from_millis(50);
/// How many of the sessions that do not end are named.
const NAMED_MAX: i64 = 5;

/// What settles a swap.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Marker {
    /// The transaction; it is aborted unless its COMMIT got through.
    transaction: String,
    live: String,
    kept: String,
    live_oid: u32,
    new_oid: u32,
}

struct Swap {
    backups: Arc<Backups>,
    at: At,
    live: Entry,
    new: Entry,
    marker: Marker,
    /// Inside of the transaction.
    session: Session,
}

struct DropDatabase {
    backups: Arc<Backups>,
    entry: Entry,
    session: Session,
}

/// The name under which the live database of today is kept: `app_before_20261123T031500Z`, with a number behind it if
/// there is one already: a swap can be taken back within the same second.
async fn kept_name(client: &Client, live: &str) -> Result<String, tokio_postgres::Error> {
    let end = format!("_before_{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    let mut name = catalogue::name_with(live, &end);
    for number in 2_u32.. {
        if Entry::find(client, &name).await?.is_none() {
            break;
        }
        name = catalogue::name_with(live, &format!("{end}_{number}"));
    }
    Ok(name)
}

pub(super) async fn prepare(
    backups: &Arc<Backups>,
    at: &At,
    database: &str,
) -> Result<Box<dyn Prepared<Reply>>, Failure> {
    let session = backups.maintenance(&at.key()).await?;
    let client = &session.client;
    let live = backups.live(client).await?;
    let (new, mark) = own(backups, client, database, &live).await?;
    let refused =
        |problem: String| Failure::permanent(format!("{database} can't take the place of {}: {problem}", live.name));
    if mark.state == DatabaseState::Restoring {
        return Err(refused("it was not restored to its end".to_owned()));
    }
    // What was live before is taken as it is: whoever takes a rollback back wants just that.
    if mark.state == DatabaseState::Restored {
        let inside = backups.session(database, &at.key()).await?;
        let looked = look_over(&inside.client).await;
        let tables =
            looked.map_err(|error| backups.trouble(&format!("looking at {database}"), &error))?.map_err(refused)?;
        if let Some(restored) = mark.restored.filter(|restored| restored.tables != tables) {
            return Err(refused(format!(
                "it has {tables} tables, and had {} when backup {} was restored into it",
                restored.tables, restored.backup
            )));
        }
    }
    let failed = |error: tokio_postgres::Error| backups.trouble("beginning the swap", &error);
    let begin = "SET statement_timeout = 0; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '5min'; \
                 BEGIN; SET LOCAL synchronous_commit = on";
    client.batch_execute(begin).await.map_err(failed)?;
    let transaction = client.query_one("SELECT pg_current_xact_id()::text", &[]).await.map_err(failed)?;
    let marker = Marker {
        transaction: transaction.try_get(0).map_err(failed)?,
        live: live.name.clone(),
        kept: kept_name(client, &live.name).await.map_err(failed)?,
        live_oid: live.oid,
        new_oid: new.oid,
    };
    let (backups, at) = (backups.clone(), at.clone());
    Ok(Box::new(Swap { backups, at, live, new, marker, session }))
}

/// A database that ripcord has made or kept, with its mark: no other is ever swapped in or dropped.
async fn own(backups: &Backups, client: &Client, database: &str, live: &Entry) -> Result<(Entry, Mark), Failure> {
    let entry = Entry::find(client, database).await.map_err(|error| backups.trouble("looking", &error))?;
    let entry = entry.ok_or_else(|| Failure::permanent(format!("there is no database {database}")))?;
    match entry.mark().filter(|mark| entry.oid != live.oid && mark.of == live.name) {
        Some(mark) => Ok((entry, mark)),
        None => Err(Failure::permanent(format!(
            "{database} is no database that ripcord has restored or kept of {}: its comment does not say so",
            live.name
        ))),
    }
}

#[async_trait]
impl Prepared<Reply> for Swap {
    fn marker(&self) -> Option<Json> {
        serde_json::to_value(&self.marker).ok()
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { backups, session, marker, .. } = &*self;
        let client = &session.client;
        self.rename_live().await?;
        self.exchange().await?;
        match client.batch_execute("COMMIT").await {
            Ok(()) => Ok(marker.reply()),
            Err(error) if error.as_db_error().is_some() => Err(backups.trouble("committing the swap", &error)),
            Err(error) => Err(Failure::unknown(backups.trouble("committing the swap", &error).to_string())),
        }
    }
}

impl Swap {
    /// Gives both databases up to nobody, and the live one its other name.
    async fn rename_live(&self) -> Result<(), Failure> {
        let Self { backups, live, new, marker, session, .. } = self;
        let failed = |error: tokio_postgres::Error| {
            backups.trouble(&format!("renaming {} to {}; nothing was changed", live.name, marker.kept), &error)
        };
        let second = backups.maintenance("ripcord").await?;
        let away = format!("ALTER DATABASE {} RENAME TO {}", identifier(&live.name), identifier(&marker.kept));
        let taken = format!("ALTER DATABASE {} RENAME TO {}", identifier(&new.name), identifier(&live.name));
        let until = Instant::now() + SESSIONS_END_WITHIN;
        let mut refusal = None;
        loop {
            let renamed = {
                // What a savepoint has locked is unlocked again with it.
                let statements = format!("SAVEPOINT free; {away}; {taken}");
                let renaming = session.client.batch_execute(&statements);
                let ending = async {
                    loop {
                        refusal = end_sessions(&second.client, live.oid, new.oid).await.err().or(refusal.take());
                        tokio::time::sleep(END_EVERY).await;
                    }
                };
                tokio::select! {
                    renamed = renaming => renamed,
                    () = ending => return Err(Failure::permanent("internal: what never ends has ended")),
                }
            };
            match renamed {
                Ok(()) => return Ok(()),
                Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
                    session.client.batch_execute("ROLLBACK TO SAVEPOINT free").await.map_err(failed)?;
                    // Who may not be told to end does not end.
                    if refusal.is_none() && Instant::now() < until {
                        continue;
                    }
                    let who = who(&second.client, live.oid, new.oid).await.unwrap_or_default();
                    let refusal = refusal.map(|error| format!(" ({})", words(&error))).unwrap_or_default();
                    return Err(Failure::permanent(format!(
                        "{} was not swapped, and is as it was: {}{who}{refusal}. End them, or let {} end them (GRANT \
                         pg_signal_backend), and try again",
                        live.name,
                        words(&error),
                        backups.user(),
                    )));
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Gives the new one all that belongs to the name, and sees that it has it.
    async fn exchange(&self) -> Result<(), Failure> {
        let Self { backups, at, live, new, marker, session } = self;
        let client = &session.client;
        let failed = |error: tokio_postgres::Error| {
            backups.trouble("handing owner, grants and settings on; nothing was changed", &error)
        };
        let gone = || Failure::permanent("internal: a database is gone in the middle of its swap".to_owned());
        let before = Entry::find(client, &marker.kept).await.map_err(failed)?.ok_or_else(gone)?;
        let after = Entry::find(client, &live.name).await.map_err(failed)?.ok_or_else(gone)?;
        if (before.oid, after.oid) != (live.oid, new.oid) {
            return Err(gone());
        }
        let wanted = Belongings::of(client, &before).await.map_err(failed)?;
        let has = Belongings::of(client, &after).await.map_err(failed)?;
        for statement in wanted.give(&live.name, &has) {
            client
                .batch_execute(&statement)
                .await
                .map_err(|error| backups.trouble(&format!("`{statement}`; nothing was changed"), &error))?;
        }
        // The live one's comment, even if an earlier swap has put it into a mark.
        let comment_before = match before.mark() {
            Some(mark) => mark.comment,
            None => before.comment.clone(),
        };
        client.batch_execute(&comment(&live.name, comment_before.as_deref())).await.map_err(failed)?;
        let mark = Mark { comment: comment_before, ..Mark::new(DatabaseState::Kept, &live.name, at) };
        client.batch_execute(&comment(&marker.kept, Some(&mark.write()))).await.map_err(failed)?;
        let after = Entry::find(client, &live.name).await.map_err(failed)?.ok_or_else(gone)?;
        let got = Belongings::of(client, &after).await.map_err(failed)?;
        match wanted.missing_in(&got) {
            None => Ok(()),
            Some(missing) => Err(Failure::permanent(format!(
                "{} would not have its {missing} after the swap, and nothing was changed: {} can't hand them on; a \
                 superuser can",
                live.name,
                backups.user()
            ))),
        }
    }
}

impl Marker {
    fn reply(&self) -> Reply {
        Reply::Swapped(Swapped { live: self.live.clone(), kept: self.kept.clone() })
    }
}

/// Tells all sessions of two databases to end, each by itself: one may be somebody's who can't be told.
async fn end_sessions(client: &Client, live: u32, new: u32) -> Result<(), tokio_postgres::Error> {
    let sessions = "SELECT pid FROM pg_stat_activity WHERE datid IN ($1, $2) AND pid <> pg_backend_pid()";
    let mut refusal = Ok(());
    for session in client.query(sessions, &[&live, &new]).await? {
        let pid: i32 = session.try_get(0)?;
        if let Err(error) = client.query("SELECT pg_terminate_backend($1)", &[&pid]).await {
            refusal = Err(error);
        }
    }
    refusal
}

/// The sessions that are still there, for people.
async fn who(client: &Client, live: u32, new: u32) -> Result<String, tokio_postgres::Error> {
    let sessions = "SELECT format('process %s, %s of %s%s', pid, coalesce(nullif(application_name, ''), backend_type), \
                    coalesce(usename, '?'), ' from ' || host(client_addr)) FROM pg_stat_activity \
                    WHERE datid IN ($1, $2) AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT $3";
    let rows = client.query(sessions, &[&live, &new, &NAMED_MAX]).await?;
    let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    Ok(if names.is_empty() { String::new() } else { format!("; there are {}", names.join("; ")) })
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => match error.detail() {
            Some(detail) => format!("{}: {detail}", error.message()),
            None => error.message().to_owned(),
        },
        None => error.to_string(),
    }
}

pub(super) async fn settle(backups: &Backups, at: &At, marker: &Json) -> Result<Settlement<Reply>, Failure> {
    let marker: Marker = match serde_json::from_value(marker.clone()) {
        Ok(marker) => marker,
        Err(error) => return Ok(Settlement::Unknown(format!("its marker can't be read: {error}"))),
    };
    let server = backups.maintenance("ripcord").await?;
    let client = &server.client;
    let failed = |error: tokio_postgres::Error| backups.trouble("looking what became of the swap", &error);
    catalogue::session_over(backups, client, at).await?;
    let status = "SELECT pg_xact_status($1::text::xid8)";
    // A transaction that is long over is not known any more; the names are.
    let status: Option<String> = match client.query_one(status, &[&marker.transaction]).await {
        Ok(row) => row.try_get(0).map_err(failed)?,
        Err(error) if error.as_db_error().is_some() => None,
        Err(error) => return Err(failed(error)),
    };
    let oid = async |name: &str| Entry::find(client, name).await.map(|entry| entry.map(|entry| entry.oid));
    let (live, kept) = (oid(&marker.live).await.map_err(failed)?, oid(&marker.kept).await.map_err(failed)?);
    Ok(match (status.as_deref(), live, kept) {
        // The names are exact. A transaction's number is given again, to another one, where a standby took over that
        // had not heard of it.
        (_, Some(live), Some(kept)) if live == marker.new_oid && kept == marker.live_oid => {
            Settlement::Happened(marker.reply())
        }
        (Some("aborted"), ..) => Settlement::DidNotHappen,
        (None, Some(live), None) if live == marker.live_oid => Settlement::DidNotHappen,
        (status, live, kept) => Settlement::Unknown(format!(
            "transaction {} is {}; database {} has the oid {live:?}, which was {} before and is {} after, and {} has {kept:?}",
            marker.transaction,
            status.unwrap_or("not known any more"),
            marker.live,
            marker.live_oid,
            marker.new_oid,
            marker.kept
        )),
    })
}

pub(super) async fn prepare_drop(
    backups: &Arc<Backups>,
    at: &At,
    database: &str,
) -> Result<Box<dyn Prepared<Reply>>, Failure> {
    let session = backups.maintenance(&at.key()).await?;
    let live = backups.live(&session.client).await?;
    let (entry, _) = own(backups, &session.client, database, &live).await?;
    Ok(Box::new(DropDatabase { backups: backups.clone(), entry, session }))
}

#[async_trait]
impl Prepared<Reply> for DropDatabase {
    fn marker(&self) -> Option<Json> {
        Some(serde_json::json!({ "oid": self.entry.oid }))
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { backups, entry, session } = *self;
        // Without force: whoever looks at it has a reason to.
        match session.client.batch_execute(&format!("DROP DATABASE {}", identifier(&entry.name))).await {
            Ok(()) => Ok(Reply::Dropped(entry.name)),
            Err(error) if error.as_db_error().is_some() => {
                Err(backups.trouble(&format!("dropping {}", entry.name), &error))
            }
            Err(error) => {
                Err(Failure::unknown(backups.trouble(&format!("dropping {}", entry.name), &error).to_string()))
            }
        }
    }
}

pub(super) async fn settle_drop(
    backups: &Backups,
    at: &At,
    database: &str,
    marker: &Json,
) -> Result<Settlement<Reply>, Failure> {
    let server = backups.maintenance("ripcord").await?;
    let failed = |error: tokio_postgres::Error| backups.trouble("looking what became of a dropped database", &error);
    catalogue::session_over(backups, &server.client, at).await?;
    let oid = Entry::find(&server.client, database).await.map_err(failed)?.map(|entry| u64::from(entry.oid));
    Ok(match oid == marker.get("oid").and_then(Json::as_u64) {
        true => Settlement::DidNotHappen,
        false => Settlement::Happened(Reply::Dropped(database.to_owned())),
    })
}
