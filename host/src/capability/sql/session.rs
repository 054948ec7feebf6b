//! Connections to a database, kept from one statement to the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::pin_mut;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Host;
use super::connection::Connection;
use super::trouble::{self, Trouble};
use super::value::{Rows, Value};
use super::{decode, encode, rights, tls};
use crate::capability::{OpenError, Opening};
use crate::failure::Failure;

/// Whoever does not answer a greeting within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nor is a kept connection that does not answer within this time: another one is quicker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that is silent for this long is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// So often, and so many times; then it is given up.
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;
/// How many connections are kept for later. Steps come one after the other.
const IDLE_MAX: usize = 2;

/// What a login is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}

/// The connections of one login.
pub(super) struct Sessions {
    purpose: Purpose,
    config: Config,
    tls: MakeRustlsConnect,
    /// Database and server, for messages.
    place: String,
    limits: Limits,
    /// What a login that may do too much is told to do.
    remedy: rights::Remedy,
    idle: Mutex<Vec<Session>>,
}

/// How much one statement may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    timeout: Duration,
    rows_max: u64,
    bytes_max: u64,
}

/// One connection, with nothing under way on it unless it is `busy`.
pub(super) struct Session {
    pub(super) client: Client,
    task: AbortHandle,
    tls: MakeRustlsConnect,
    busy: bool,
}

impl Sessions {
    pub(super) fn new(
        connection: &Connection,
        purpose: Purpose,
        user: &str,
        password: Option<&SecretString>,
        opening: &Opening,
    ) -> Result<Arc<Self>, OpenError> {
        let url = &connection.url;
        let ca_file = connection.ca_file.as_ref().map(|path| opening.base.join(path));
        let (tls, ssl_mode) = tls::connector(url.tls, ca_file.as_deref())?;
        let mut config = Config::new();
        config.user(user).dbname(&url.database).port(url.port).application_name("ripcord").ssl_mode(ssl_mode);
        config.connect_timeout(CONNECT_TIMEOUT.min(connection.timeout));
        config.keepalives_idle(KEEPALIVE).keepalives_interval(PROBE).keepalives_retries(PROBES);
        match &url.host {
            Host::Tcp(host) => config.host(host),
            Host::Socket(folder) => config.host_path(folder),
        };
        if let Some(password) = password {
            config.password(password.expose_secret());
        }
        let limits =
            Limits { timeout: connection.timeout, rows_max: connection.rows_max, bytes_max: connection.bytes_max };
        let remedy = rights::Remedy::of(connection);
        let place = url.to_string();
        Ok(Arc::new(Self { purpose, config, tls, place, limits, remedy, idle: Mutex::default() }))
    }

    /// Who logs in.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// Database and server, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A new connection. That of a reader is one that can't write.
    pub(super) async fn connect(&self) -> Result<Session, Failure> {
        let session = self.log_in().await.map_err(|error| trouble::connecting(self, &error))?;
        if self.purpose == Purpose::Read {
            let rights = rights::of(&session.client).await;
            let rights = rights.map_err(|error| self.trouble("looking at the login's rights", &error).failure)?;
            rights.check(self.user(), &self.remedy)?;
        }
        Ok(session)
    }

    /// A new connection, whatever its login may do.
    pub(super) async fn log_in(&self) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        // What ends a connection, its client is told with the next statement.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Session { client, task, tls: self.tls.clone(), busy: false })
    }

    /// A new connection to a database of the same server, under a name of its own.
    pub(super) async fn log_in_to(&self, database: &str, application: &str) -> Result<Session, Failure> {
        let mut config = self.config.clone();
        config.dbname(database).application_name(application);
        let connected = config.connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| trouble::connecting(self, &error))?;
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Session { client, task, tls: self.tls.clone(), busy: false })
    }

    /// A connection with nothing under way on it; an idle one if there is one that still lives.
    pub(super) async fn take(&self) -> Result<Session, Failure> {
        while let Some(session) = self.pop() {
            let answers = tokio::time::timeout(ANSWER_TIMEOUT, session.client.check_connection());
            if !session.client.is_closed() && matches!(answers.await, Ok(Ok(()))) {
                return Ok(session);
            }
        }
        self.connect().await
    }

    fn pop(&self) -> Option<Session> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a connection for later.
    pub(super) fn put(&self, mut session: Session) {
        session.busy = false;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !session.client.is_closed() {
            idle.push(session);
        }
    }

    /// A connection inside of a new transaction. Dropping it ends both.
    pub(super) async fn begin(&self) -> Result<Session, Failure> {
        let mut session = self.take().await?;
        session.busy = true;
        let mode = match self.purpose {
            Purpose::Read => "READ ONLY",
            Purpose::Write => "READ WRITE",
        };
        let timeout_ms = self.limits.timeout.as_millis().max(1);
        // The settings end with the transaction, so that a pooler in between hands none of them on. A host
        // that is gone without a word leaves its transaction to the second time-out. Committed has to mean
        // durable. And the query at the end, with which the transaction's snapshot is taken, makes the mode
        // unchangeable from here on.
        let begin = format!(
            "BEGIN {mode}; SET LOCAL statement_timeout = {timeout_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {timeout_ms}; SET LOCAL TimeZone = 'UTC'; \
             SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
        );
        match session.client.batch_execute(&begin).await {
            Ok(()) => Ok(session),
            Err(error) => Err(self.trouble("beginning a transaction", &error).failure),
        }
    }

    /// Carries out the one statement of a transaction: its rows, and how many it has affected.
    pub(super) async fn run(&self, client: &Client, statement: &str, values: &[Value]) -> Result<(Rows, u64), Trouble> {
        let doing = || format!("`{}`", statement.split_whitespace().collect::<Vec<_>>().join(" "));
        let failed = |error: tokio_postgres::Error| self.trouble(&doing(), &error);
        let refused = |why: String| Trouble::refused(format!("{} on {}: {why}", doing(), self.place));
        let prepared = client.prepare(statement).await.map_err(failed)?;
        let columns = decode::columns(&prepared).map_err(refused)?;
        let parameters = encode::parameters(&prepared, values).map_err(refused)?;
        let stream = client.query_raw(&prepared, parameters).await.map_err(failed)?;
        pin_mut!(stream);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            bytes += row.raw_size_bytes() as u64;
            let Limits { rows_max, bytes_max, .. } = self.limits;
            if rows.len() as u64 >= rows_max {
                return Err(Trouble::broken_off(format!(
                    "{} on {} gives more than {rows_max} rows: ask for fewer (LIMIT, count(*)), or raise rows-max",
                    doing(),
                    self.place
                )));
            }
            if bytes > bytes_max {
                return Err(Trouble::broken_off(format!(
                    "{} on {} gives more than {bytes_max} bytes: ask for fewer, or raise bytes-max",
                    doing(),
                    self.place
                )));
            }
            rows.push(decode::row(&row).map_err(|why| Trouble { is_usable: false, ..refused(why) })?);
        }
        let affected = stream.rows_affected().unwrap_or(0);
        Ok((Rows { columns, rows }, affected))
    }

    pub(super) fn trouble(&self, doing: &str, error: &tokio_postgres::Error) -> Trouble {
        trouble::of(&format!("{doing} on {}", self.place), error, self.user())
    }
}

impl Session {
    /// Whether the server is to be told if nobody waits for it any more.
    pub(super) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Ends the transaction and leaves nothing of it behind: neither what it changed nor the locks that
    /// outlive a transaction.
    pub(super) async fn roll_back(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("ROLLBACK; SELECT pg_advisory_unlock_all()").await
    }

    /// Forgets what a committed statement may have set for the whole session.
    pub(super) async fn reset(&self) -> Result<(), tokio_postgres::Error> {
        let reset = "RESET SESSION AUTHORIZATION; RESET ALL; SELECT pg_advisory_unlock_all()";
        self.client.batch_execute(reset).await
    }
}

/// A server that works on a statement does not notice that nobody waits for it: it is told.
impl Drop for Session {
    fn drop(&mut self) {
        if !self.busy {
            return;
        }
        self.task.abort();
        if let Ok(runtime) = Handle::try_current() {
            let (cancel, tls) = (self.client.cancel_token(), self.tls.clone());
            runtime.spawn(async move {
                // Best effort: the server ends the statement at its own time-out in any case.
                drop(tokio::time::timeout(CONNECT_TIMEOUT, cancel.cancel_query(tls)).await);
            });
        }
    }
}
