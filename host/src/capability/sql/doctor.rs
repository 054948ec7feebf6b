//! Examines a database: the way to it, whether it lets ripcord in, what its logins may do, its clock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::address::{Host, TlsMode};
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
    encryption(connection, exam);
    super::backup::examine(&driver.backups, connection.access, exam).await;
    if connection.access == Access::Read {
        return;
    }
    let writers = &driver.writers;
    let Some(writer) = log_in(exam, writers).await else { return };
    match rights::of(&writer.client).await {
        // A restore makes databases and what belongs to them.
        Ok(rights) if connection.access == Access::Write => {
            if let Some(beyond) = rights.beyond {
                let seen = format!("statements would run as {}, and {beyond}", writers.user());
                exam.warning(Aspect::Rules, seen, "take a login that has only the rights that `write` needs");
            }
        }
        Ok(_) => {}
        Err(error) => said(exam, Aspect::Rules, &writers.trouble("looking at the login's rights", &error).failure),
    }
}

/// What anybody on the way could read, or change.
fn encryption(connection: &Connection, exam: &Exam<'_>) {
    let url = &connection.url;
    if url.is_here() {
        return;
    }
    let seen = match url.tls {
        TlsMode::VerifyFull => return exam.good(Aspect::Encryption, "encrypted, and its certificate is trusted here"),
        TlsMode::Require => "encrypted, and with whom is not looked at (sslmode=require)",
        TlsMode::Prefer => "encrypted only if the server happens to offer it (sslmode=prefer)",
        TlsMode::Disable => "not encrypted (sslmode=disable)",
    };
    exam.warning(Aspect::Encryption, seen, "take sslmode out of the url; if the authority is your own, add  ca-file");
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
