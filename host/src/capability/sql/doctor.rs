//! Examines a database: the way to it, whether it lets ripcord in, what its logins may do, its clock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::address::Host;
use super::connection::{Access, Connection};
use super::driver::SqlDriver;
use super::rights;
use super::session::{Session, Sessions};
use super::trouble;
use crate::doctor::network::{self, milliseconds};
use crate::doctor::{Aspect, Exam};
use crate::failure::Failure;

/// The oldest server whose transactions can be asked about by their whole number.
const VERSION_MIN: i32 = 130_000;
/// How far two clocks may be apart before somebody should know.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    let url = &connection.url;
    match &url.host {
        Host::Tcp(host) => {
            if network::connect(exam, host, url.port, |_| Ok(())).await.is_none() {
                return;
            }
        }
        Host::Socket(folder) => {
            let socket = folder.join(format!(".s.PGSQL.{}", url.port));
            if !socket.exists() {
                let seen = format!("there is no socket {}", socket.display());
                return exam.fault(Aspect::Connection, seen, "start the server, or correct the url");
            }
        }
    }
    if !exam.has_secrets {
        return exam.untried(Aspect::Login, "nobody logged in, because a secret is missing");
    }
    let driver = match SqlDriver::open(connection, exam.opening).await {
        Ok(driver) => driver,
        Err(error) => return exam.fault(Aspect::Settings, error.to_string(), "correct it in ripcord.toml"),
    };
    let readers = &driver.readers;
    let Some(reader) = log_in(exam, readers).await else { return };
    server(exam, &reader, connection).await;
    match rights::of(&reader.client).await {
        Ok(rights) => match rights.describe(readers.user(), &rights::Remedy::of(connection)) {
            None => exam.good(Aspect::Rules, format!("{} can only read", readers.user())),
            // Without queries, a login that may do all is no fault: a backup needs one.
            Some((seen, remedy)) => exam.fault(Aspect::Rules, format!("{seen}; no query would be made"), remedy),
        },
        Err(error) => said(exam, Aspect::Rules, &readers.trouble("looking at the login's rights", &error).failure),
    }
    if connection.access > Access::Read && connection.read_as.is_some() {
        drop(log_in(exam, &driver.writers).await);
    }
    super::backup::examine(&driver.backups, connection.access, exam).await;
}

async fn log_in(exam: &Exam<'_>, sessions: &Sessions) -> Option<Session> {
    let who = format!("{} in {}", sessions.user(), sessions.place());
    exam.trying(Aspect::Login, who.as_str());
    let began = Instant::now();
    match sessions.log_in().await {
        Ok(session) => {
            exam.good(Aspect::Login, format!("{who} is let in ({})", milliseconds(began.elapsed())));
            Some(session)
        }
        Err(error) => {
            said(exam, Aspect::Login, &trouble::connecting(sessions, &error));
            None
        }
    }
}

/// What the server is.
async fn server(exam: &Exam<'_>, session: &Session, connection: &Connection) {
    let began = Instant::now();
    let asked = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
                 pg_is_in_recovery(), clock_timestamp()";
    let (version, name, is_standby, now): (i32, String, bool, Timestamp) =
        match session.client.query_one(asked, &[]).await {
            Ok(row) => (row.get(0), row.get(1), row.get(2), row.get(3)),
            Err(error) => return exam.fault(Aspect::Answer, error.to_string(), "look at the server's own log"),
        };
    if version < VERSION_MIN {
        let seen = format!("PostgreSQL {name} can't be asked what became of a transaction");
        exam.fault(Aspect::Version, seen, "PostgreSQL 13 or newer is needed");
    } else {
        exam.good(Aspect::Version, format!("PostgreSQL {name}"));
    }
    if is_standby && connection.access > Access::Read {
        exam.fault(Aspect::State, "the server is a standby, and takes no changes", "name the primary in the url");
    }
    clock(exam, now, began.elapsed());
}

fn clock(exam: &Exam<'_>, theirs: Timestamp, took: Duration) {
    let skew = Timestamp::now().duration_since(theirs);
    if skew.abs() <= SKEW_MAX + SignedDuration::try_from(took).unwrap_or_default() {
        return exam.good(Aspect::Clock, "its clock and this machine's agree");
    }
    let which = if skew.is_positive() { "ahead of" } else { "behind" };
    let apart = humantime::format_duration(Duration::from_secs(skew.as_secs().unsigned_abs()));
    let seen = format!("this machine's clock is about {apart} {which} the server's");
    let remedy = "see which is wrong (`timedatectl`): the times in the report will not fit the server's log";
    exam.warning(Aspect::Clock, seen, remedy);
}

fn said(exam: &Exam<'_>, aspect: Aspect, failure: &Failure) {
    let message = &failure.problem().message;
    // The last of it says what to do.
    match message.rsplit_once("; ") {
        Some((seen, remedy)) => exam.fault(aspect, seen, remedy),
        None => exam.fault(aspect, message.as_str(), "look at the server's own log"),
    }
}
