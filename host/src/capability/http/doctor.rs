//! Examines a service: the way to it, whether it lets ripcord in, and its clock.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AGE, DATE, HeaderMap, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::connection::{Auth, Connection, Kind};
use super::driver::HttpDriver;
use super::{AddressRange, address, tls};
use crate::doctor::network::{self, milliseconds};
use crate::doctor::{Aspect, Exam};

/// How many of the connection's reads are tried to find one that asks for a login.
const READS_MAX: usize = 3;

/// How far two clocks may be apart before somebody should know.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(30);

/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands for a part of a path that a rule leaves open.
const MADE_UP: &str = "ripcord-doctor";

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    if !way(connection, exam).await {
        return;
    }
    let reads = reads(connection);
    if !exam.has_secrets {
        return exam.untried(Aspect::Login, "nothing was asked, because a secret is missing");
    }
    if reads.is_empty() {
        let why = "nothing was asked: no `read` rule lets a GET through that could be tried";
        return exam.untried(Aspect::Login, why);
    }
    let driver = match HttpDriver::open(connection, exam.opening).await {
        Ok(driver) => driver,
        Err(error) => return exam.fault(Aspect::Settings, error.to_string(), "correct it in ripcord.toml"),
    };
    Asking { connection, exam, driver }.ask(&reads).await;
}

async fn way(connection: &Connection, exam: &Exam<'_>) -> bool {
    examine_way(connection.url.url(), connection.ca_file.as_deref(), &connection.allow_addresses, exam).await
}

/// Name, connection and encryption: whether a service can be reached at all. Nothing is asked of it.
pub(in crate::capability) async fn examine_way(
    url: &Url,
    ca_file: Option<&Path>,
    allowed: &[AddressRange],
    exam: &Exam<'_>,
) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let allow = |found| address::check(host, found, allowed).map_err(|refusal| refusal.to_string());
    let Some(stream) = network::connect(exam, host, port, allow).await else { return false };
    if url.scheme() != "https" {
        return true;
    }
    let ca_file = ca_file.map(|path| exam.opening.base.join(path));
    match tls::client_config(ca_file.as_deref(), true) {
        Ok(config) => network::handshake(exam, stream, host, config, "ca-file").await,
        Err(error) => {
            exam.fault(Aspect::Encryption, error.to_string(), "correct it in ripcord.toml, or on this machine");
            false
        }
    }
}

/// A request that the operator's rules call a read.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    method: &'static str,
    path: String,
    /// The rule left a part of the path open, and something made up stands there.
    is_made_up: bool,
}

/// What can be asked by the `read` rules alone, the exact ones first.
fn reads(connection: &Connection) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    for rule in &connection.read.0 {
        let text = String::from(rule.clone());
        let method = match rule.operation() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            _ => continue,
        };
        let pattern = text.split_once(' ').map_or("/", |(_, pattern)| pattern.trim());
        let path = pattern.replace("**", "*").replace('*', MADE_UP);
        let path = if path == format!("/{MADE_UP}") { "/".to_owned() } else { path };
        let read = Read { method, is_made_up: path != pattern, path };
        // What is left of a pattern may be no path, and `write` counts before `read`.
        let is_read = connection.classify(method, &read.path) == Ok(Kind::Read);
        if is_read && !reads.iter().any(|known| known.path == read.path) {
            reads.push(read);
        }
    }
    reads.sort_by_key(|read| read.is_made_up);
    reads.truncate(READS_MAX);
    reads
}

struct Asking<'a> {
    connection: &'a Connection,
    exam: &'a Exam<'a>,
    driver: HttpDriver,
}

impl Asking<'_> {
    async fn ask(&self, reads: &[Read]) {
        let mut open = Vec::new();
        for (index, read) in reads.iter().enumerate() {
            let line = format!("{} {}", read.method, read.path);
            self.exam.trying(Aspect::Answer, line.as_str());
            let began = Instant::now();
            let patience = self.connection.timeout.min(PATIENCE);
            let response = match tokio::time::timeout(patience, self.driver.look(read.method, &read.path, true)).await {
                Ok(Ok(response)) => response,
                Err(_) => {
                    let seen = format!("{line} gets no answer within {}", humantime::format_duration(patience));
                    return self.exam.fault(Aspect::Answer, seen, "look at the service's own log");
                }
                Ok(Err(failure)) => {
                    return self.exam.fault(Aspect::Answer, failure.to_string(), "look at the service's own log");
                }
            };
            let took = began.elapsed();
            if index == 0 {
                self.clock(response.headers(), took);
            }
            if !self.answer(read, &line, &response, took) {
                return;
            }
            match self.asks_for_a_login(read, &line).await {
                Some(true) => {
                    let status = response.status().as_u16();
                    let seen = format!("{line} answers {status} with the credentials, and turns away whoever has none");
                    return self.exam.good(Aspect::Login, seen);
                }
                Some(false) => open.push(line),
                None => return,
            }
        }
        if !open.is_empty() {
            let why = format!(
                "{} answers without a login too, so nothing shows whether the credentials count",
                open.join(" and ")
            );
            self.exam.untried(Aspect::Login, why);
        }
    }

    /// What an answer means; whether it is worth to ask on.
    fn answer(&self, read: &Read, line: &str, response: &Response, took: Duration) -> bool {
        let exam = self.exam;
        let status = response.status();
        let answers = format!("{line} answers {}", status.as_u16());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.turned_away(&answers, status, &read.path),
            _ if status.is_server_error() => {
                let remedy = "look at the service's own log: a rollback would meet the same";
                exam.warning(Aspect::Answer, format!("{answers}: it is reached, and not well"), remedy);
            }
            _ if status.is_redirection() => {
                let to = response.headers().get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
                let seen = format!("{answers}, and sends to {}", to.as_deref().unwrap_or("nowhere"));
                let remedy =
                    "write the address that it sends to as `url`; if that is a page to log in, add  auth = { … }";
                exam.warning(Aspect::Answer, seen, remedy);
            }
            StatusCode::NOT_FOUND if !read.is_made_up => {
                let remedy = "see that the rules' paths begin where `url` ends, and that this one is still there";
                exam.warning(Aspect::Answer, format!("{answers}: there is no such path"), remedy);
                return true;
            }
            _ => {
                let made_up = if read.is_made_up { ", of a path that was made up for the rule" } else { "" };
                exam.good(Aspect::Answer, format!("{answers}{made_up} ({})", milliseconds(took)));
                return true;
            }
        }
        false
    }

    fn turned_away(&self, answers: &str, status: StatusCode, path: &str) {
        let (seen, remedy) = match &self.connection.auth {
            None => (
                format!("{answers}: it asks for a login, and the connection has none"),
                "add  auth = { bearer = \"secret:NAME\" }  or what the service wants".to_owned(),
            ),
            Some(auth) if status == StatusCode::UNAUTHORIZED => {
                let secret = auth.secret();
                (
                    format!("{answers}: it does not accept the credentials (secret `{secret}`)"),
                    format!("get a new one from the service, and put it where `{secret}` comes from"),
                )
            }
            Some(auth) => (
                format!("{answers}: it does not let the credentials do that (secret `{}`)", auth.secret()),
                format!("give them the right to read {path} there, or take the rule out"),
            ),
        };
        self.exam.fault(Aspect::Login, seen, remedy);
    }

    /// Whether the service turns away who has no credentials; none if there are none to leave out, or
    /// that is not known.
    async fn asks_for_a_login(&self, read: &Read, line: &str) -> Option<bool> {
        self.connection.auth.as_ref()?;
        self.exam.trying(Aspect::Login, format!("{line} without the credentials"));
        let response = self.driver.look(read.method, &read.path, false).await.ok()?;
        Some(matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }

    fn clock(&self, headers: &HeaderMap, took: Duration) {
        let Some(skew) = skew(headers, Timestamp::now(), took) else { return };
        let apart = skew.abs();
        if apart <= SKEW_MAX {
            return self.exam.good(Aspect::Clock, "its clock and this machine's agree");
        }
        let which = if skew.is_positive() { "ahead of" } else { "behind" };
        let seen = format!("this machine's clock is about {} {which} the service's", roughly(apart));
        let remedy = "see which is wrong (`timedatectl`): the times in the report will not fit the service's log";
        self.exam.warning(Aspect::Clock, seen, remedy);
    }
}

/// More than a minute in whole minutes.
fn roughly(apart: SignedDuration) -> humantime::FormattedDuration {
    let seconds = apart.as_secs().unsigned_abs();
    let rounded = if seconds < 90 { seconds } else { (seconds + 30) / 60 * 60 };
    humantime::format_duration(Duration::from_secs(rounded))
}

/// How far this machine's clock is ahead of the server's, as its `Date` shows it; none if it does not.
fn skew(headers: &HeaderMap, now: Timestamp, took: Duration) -> Option<SignedDuration> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    // A cache answers with the date of its copy.
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse::<i64>().ok()).unwrap_or(0);
    let written = date.saturating_add(SignedDuration::from_secs(age)).ok()?;
    // The answer was written at some time while it was waited for, and whole seconds are all that it says.
    let slack = SignedDuration::try_from(took).ok()? + SignedDuration::from_secs(1);
    let skew = now.duration_since(written);
    Some(if skew.is_positive() { (skew - slack).max(SignedDuration::ZERO) } else { skew })
}

impl Auth {
    fn secret(&self) -> &str {
        match self {
            Self::Bearer(secret)
            | Self::Basic { password: secret, .. }
            | Self::Header { value: secret, .. }
            | Self::Twilio { token: secret, .. }
            | Self::Telnyx { private_key: secret } => secret.name(),
        }
    }
}
