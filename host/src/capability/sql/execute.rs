//! A statement that changes something: one transaction, whose number is durable before it commits.
//!
//! The statement is carried out while the call is got ready, and the transaction left open: an open
//! transaction vanishes with its host. What the server locks for it stays locked until the intent is on
//! disk, and so is what is known of the reply. Letting the call go is the `COMMIT`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::error::Severity;

use super::session::{Session, Sessions};
use super::value::Value;
use super::{Executed, Reply};
use crate::capability::{Prepared, Settlement};
use crate::failure::Failure;
use crate::secret::{Scrub, Scrubber};

/// How often a transaction that has not ended is asked about.
const POLL: Duration = Duration::from_millis(50);

/// How a transaction is found again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Marker {
    /// Its number: 64 bits, never given twice by one server.
    xid: String,
    /// Where that number counts.
    server: Server,
    /// What to answer if it has committed: the server keeps the fact alone.
    executed: Executed,
}

/// Which database it is, and which history of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Server {
    /// Of the server's files, from its `initdb`.
    system: String,
    /// A standby that takes over, and a server restored from its archive, begins a new one; what the old
    /// one committed last may be missing there, and its numbers given again.
    timeline: String,
    /// A database that is restored under its old name is another one.
    database: u32,
}

/// A transaction that is open, with its statement carried out.
pub(super) struct Ready {
    writers: Arc<Sessions>,
    session: Session,
    marker: Marker,
    json: Json,
}

/// Carries the statement out in a transaction that is left open.
pub(super) async fn prepare(
    writers: &Arc<Sessions>,
    statement: &str,
    parameters: &[Value],
    scrubber: &Scrubber,
) -> Result<Ready, Failure> {
    let session = writers.begin().await?;
    let outcome = writers.run(&session.client, statement, parameters).await;
    let (mut returned, affected) = match outcome {
        Ok(outcome) => outcome,
        Err(trouble) => {
            if trouble.is_usable && session.roll_back().await.is_ok() {
                writers.put(session);
            }
            return Err(trouble.failure);
        }
    };
    let numbered = async {
        let row = session.client.query_one("SELECT pg_current_xact_id()::text", &[]).await?;
        Ok::<_, tokio_postgres::Error>((row.try_get(0)?, server(&session.client).await?))
    };
    let (xid, server) = numbered.await.map_err(|error| writers.trouble("numbering the transaction", &error).failure)?;
    let server = server.ok_or_else(|| {
        Failure::permanent(format!("{} is a standby, and takes no changes: name the primary", writers.place()))
    })?;
    // It goes into the journal, and what goes there is scrubbed.
    returned.scrub(scrubber);
    // A statement that gives rows says how many it gave, even where it has changed none.
    let executed = Executed { affected, returned };
    let marker = Marker { xid, server, executed };
    let json = serde_json::to_value(&marker)
        .map_err(|error| Failure::permanent(format!("the transaction's marker can't be written: {error}")))?;
    Ok(Ready { writers: writers.clone(), session, marker, json })
}

#[async_trait]
impl Prepared<Reply> for Ready {
    fn marker(&self) -> Option<Json> {
        Some(self.json.clone())
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { writers, session, marker, json: _ } = *self;
        let Err(error) = session.client.batch_execute("COMMIT").await else {
            tokio::spawn(async move {
                if session.reset().await.is_ok() {
                    writers.put(session);
                }
            });
            return Ok(Reply::Executed(marker.executed));
        };
        // A constraint that is checked last is an error, and undoes all. What ends the session may come
        // behind the commit as well as before it.
        let is_error = error.as_db_error().is_some_and(|error| error.parsed_severity() == Some(Severity::Error));
        let failure = writers.trouble("COMMIT", &error).failure;
        if is_error
            && status(&session.client, &marker.xid).await.is_ok_and(|status| status.as_deref() == Some("aborted"))
        {
            writers.put(session);
            return Err(failure);
        }
        Err(Failure::Unknown(failure.problem().clone()))
    }
}

/// Asks the server what became of a transaction, and waits while it has not ended: its `COMMIT` may be on
/// its way still, and a server that lost its client finds that out by its own time-out.
pub(super) async fn settle(writers: &Sessions, marker: &Json, deadline: Duration) -> Settlement<Reply> {
    let Marker { xid, server: then, executed } = match serde_json::from_value(marker.clone()) {
        Ok(marker) => marker,
        Err(error) => return Settlement::Unknown(format!("the transaction's marker can't be read: {error}")),
    };
    let until = Instant::now() + deadline;
    let asked = format!("transaction {xid} on {}", writers.place());
    let mut seen;
    loop {
        match look(writers, &xid, &then).await {
            Ok(Fate::Committed) => return Settlement::Happened(Reply::Executed(executed)),
            Ok(Fate::Aborted) => return Settlement::DidNotHappen,
            Ok(Fate::NotKnown(why)) => return Settlement::Unknown(format!("{asked}: {why}")),
            Ok(Fate::Open) => seen = format!("{asked} has not ended yet"),
            Err(failure @ Failure::Transient(_)) => seen = failure.to_string(),
            Err(failure) => return Settlement::Unknown(failure.to_string()),
        }
        if Instant::now() + POLL > until {
            return Settlement::Unknown(seen);
        }
        tokio::time::sleep(POLL).await;
    }
}

enum Fate {
    Committed,
    Aborted,
    Open,
    NotKnown(String),
}

async fn look(writers: &Sessions, xid: &str, then: &Server) -> Result<Fate, Failure> {
    let session = writers.take().await?;
    let failed = |error: tokio_postgres::Error| writers.trouble("asking about a transaction", &error).failure;
    let now = server(&session.client).await.map_err(failed)?;
    let other = match now {
        None => Some("the server is a standby now, and says nothing of what it has not heard of".to_owned()),
        Some(now) if now.system != then.system => Some("this is another server than the one that it ran on".to_owned()),
        Some(now) if now.timeline != then.timeline => Some(
            "another server has taken over since, or this one was restored from its archive: it may not know the last \
             transactions"
                .to_owned(),
        ),
        Some(now) if now.database != then.database => {
            Some("there is another database under this name now (restored, or made anew)".to_owned())
        }
        Some(_) => None,
    };
    let status = match status(&session.client, xid).await {
        Ok(status) => status,
        // A number from the future: the server has been put back.
        Err(error) if error.as_db_error().is_some() => {
            return Ok(Fate::NotKnown(format!("the server does not know it: {error}")));
        }
        Err(error) => return Err(failed(error)),
    };
    writers.put(session);
    Ok(match (other, status.as_deref()) {
        (Some(why), _) => Fate::NotKnown(why),
        (None, Some("committed")) => Fate::Committed,
        (None, Some("aborted")) => Fate::Aborted,
        (None, Some(_)) => Fate::Open,
        (None, None) => Fate::NotKnown("it is so old that the server has forgotten it".to_owned()),
    })
}

async fn status(client: &Client, xid: &str) -> Result<Option<String>, tokio_postgres::Error> {
    client.query_one("SELECT pg_xact_status($1::text::xid8)", &[&xid]).await?.try_get(0)
}

/// Which server and database this is; none if it is a standby, which has no numbers of its own.
async fn server(client: &Client) -> Result<Option<Server>, tokio_postgres::Error> {
    const WHICH: &str = "
        SELECT system_identifier::text,
               CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,
               (SELECT oid FROM pg_database WHERE datname = current_database())
        FROM pg_control_system()";
    let row = client.query_one(WHICH, &[]).await?;
    let timeline: Option<String> = row.try_get(1)?;
    let (system, database) = (row.try_get(0)?, row.try_get(2)?);
    Ok(timeline.map(|timeline| Server { system, timeline, database }))
}
