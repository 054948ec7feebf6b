//! What an error of the database says about the target.

use serde_json::{Map, Value as Json};
use tokio_postgres::error::{DbError, ErrorPosition, Severity, SqlState};

use super::session::Sessions;
use crate::capability::cause::{causes, find};
use crate::doctor::network;
use crate::failure::{Failure, Problem};

/// Why a statement came to nothing, and whether its connection can go on.
pub(super) struct Trouble {
    pub(super) failure: Failure,
    /// The transaction has failed, and the connection only has to roll it back.
    pub(super) is_usable: bool,
}

impl Trouble {
    /// It was not sent.
    pub(super) fn refused(message: String) -> Self {
        Self { failure: Failure::permanent(message), is_usable: true }
    }

    /// It was broken off while the server was still at it.
    pub(super) fn broken_off(message: String) -> Self {
        Self { failure: Failure::permanent(message), is_usable: false }
    }
}

/// An error before any commit: nothing of it is left at the target.
pub(super) fn of(doing: &str, error: &tokio_postgres::Error, user: &str) -> Trouble {
    match error.as_db_error() {
        Some(error) => {
            let problem = Problem { message: format!("{doing}: {}", in_words(error, user)), evidence: evidence(error) };
            let is_usable = error.parsed_severity() == Some(Severity::Error);
            Trouble { failure: classified(error.code(), problem), is_usable }
        }
        // A statement that wants to be fed or drained, like COPY.
        None if error.to_string().starts_with("unexpected message") => Trouble::broken_off(format!(
            "{doing}: it is none that gives rows or a number of rows (COPY … FROM STDIN or TO STDOUT is not)"
        )),
        None => {
            let message = format!("{doing}: the connection was lost: {}", chain(error));
            Trouble { failure: Failure::transient(message), is_usable: false }
        }
    }
}

/// An error before there was a connection.
pub(super) fn connecting(sessions: &Sessions, error: &tokio_postgres::Error) -> Failure {
    let (user, place) = (sessions.user(), sessions.place());
    let to = format!("{user} can't connect to {place}");
    if let Some(error) = error.as_db_error() {
        let message = format!("{to}: {}", in_words(error, user));
        return classified(error.code(), Problem { message, evidence: evidence(error) });
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        let (seen, remedy) = network::distrust(place, tls, "ca-file");
        return Failure::permanent(format!("{to}: {seen}; {remedy}"));
    }
    match chain(error) {
        why if why.contains("password missing") => {
            Failure::permanent(format!("{to}: the server asks for a password: add  password = \"secret:NAME\""))
        }
        why if why.contains("server does not support TLS") => Failure::permanent(format!(
            "{to}: the server does not encrypt (`ssl` is off there); if nobody can listen in between, add \
             ?sslmode=disable to the url"
        )),
        why => Failure::transient(format!("{to}: {why}")),
    }
}

/// Class 40 is a transaction that lost against another one, 08 a connection, 53 a server that is full, 57P
/// one that stops or starts.
fn classified(code: &SqlState, problem: Problem) -> Failure {
    let may_work_later = code == &SqlState::LOCK_NOT_AVAILABLE
        || code == &SqlState::QUERY_CANCELED
        || ["40", "08", "53", "57P"].iter().any(|class| code.code().starts_with(class));
    if may_work_later { Failure::Transient(problem) } else { Failure::Permanent(problem) }
}

/// In one line: what the server said, and what to do about it where that is known.
fn in_words(error: &DbError, user: &str) -> String {
    let mut words = format!("{} ({})", error.message(), error.code().code());
    for (name, text) in [("", error.detail()), ("hint: ", error.hint())] {
        if let Some(text) = text {
            words.push_str(&format!("; {name}{text}"));
        }
    }
    if let Some(ErrorPosition::Original(position)) = error.position() {
        words.push_str(&format!("; at character {position}"));
    }
    let remedy = match error.code().code() {
        "42501" => format!("; GRANT what is missing to {user}, or take another login"),
        "25006" => "; a query changes nothing: what does goes through `execute`".to_owned(),
        "28P01" => "; put the right password where its secret comes from".to_owned(),
        "28000" => "; see the server's pg_hba.conf".to_owned(),
        "42601" if error.message().contains("multiple commands") => "; send them one by one".to_owned(),
        "57014" => "; `timeout` of the connection says how long it may take".to_owned(),
        "25001" => "; each statement runs inside of a transaction".to_owned(),
        _ => String::new(),
    };
    words + &remedy
}

fn evidence(error: &DbError) -> Json {
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => Some(position.to_string()),
        _ => None,
    };
    let said = [
        ("sqlstate", Some(error.code().code())),
        ("severity", Some(error.severity())),
        ("message", Some(error.message())),
        ("detail", error.detail()),
        ("hint", error.hint()),
        ("position", position.as_deref()),
        ("where", error.where_()),
        ("schema", error.schema()),
        ("table", error.table()),
        ("column", error.column()),
        ("constraint", error.constraint()),
    ];
    let said = said.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Json::from(text?))));
    Json::Object(said.collect::<Map<_, _>>())
}

/// An error with its causes in one line. The first one only says that there is one.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error).skip(1) {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.ends_with(&text)) {
            texts.push(text);
        }
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
