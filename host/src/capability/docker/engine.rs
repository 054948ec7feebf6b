//! The engine's API: reaching it, and what its errors say.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;

use super::connection::{Connection, GRACE_MAX};
use crate::capability::cause::find;
use crate::failure::Failure;

/// How much later than any deadline the client itself would give a request up.
const AFTER_DEADLINE: Duration = Duration::from_secs(60);

/// One engine, connected to at its first call: an engine that is down stops only the steps that need it.
pub(super) struct Engine {
    pub(super) connection: Connection,
    base: PathBuf,
    client: OnceCell<Docker>,
}

/// What an error says of the call that it ended.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody listens, or nobody is let in; nothing was sent.
    Unreachable(String, &'static str),
    /// The files of `tls` can't be used; nothing was sent.
    Unfit(String),
    /// The engine has answered, and it was no yes.
    Answered(u16, String),
    /// It was sent, and no answer came.
    Lost(String),
}

impl Engine {
    pub(super) fn new(connection: Connection, base: PathBuf) -> Self {
        Self { connection, base, client: OnceCell::new() }
    }

    /// The engine, speaking a version of its API that both know.
    pub(super) async fn client(&self) -> Result<&Docker, Trouble> {
        self.client
            .get_or_try_init(|| async {
                let client = self.connect().map_err(|error| match error {
                    error @ Error::SocketNotFoundError(_) => self.trouble(&error),
                    error => Trouble::Unfit(error.to_string()),
                })?;
                client.negotiate_version().await.map_err(|error| self.trouble(&error))
            })
            .await
    }

    fn connect(&self) -> Result<Docker, Error> {
        let settings = &self.connection.settings;
        // The pipeline keeps the deadline; this one only must not come before it.
        let longest = (settings.timeout + GRACE_MAX + AFTER_DEADLINE).as_secs();
        match &settings.tls {
            None => Docker::connect_with_socket(&settings.host, longest, API_DEFAULT_VERSION),
            Some(tls) => {
                let [key, cert, ca] = [&tls.key, &tls.cert, &tls.ca].map(|file| self.base.join(file));
                Docker::connect_with_ssl(&settings.host, &key, &cert, &ca, longest, API_DEFAULT_VERSION)
            }
        }
    }

    pub(super) fn trouble(&self, error: &Error) -> Trouble {
        let host = &self.connection.settings.host;
        let is_connect = match error {
            Error::SocketNotFoundError(_) => true,
            Error::HyperLegacyError { err } => err.is_connect(),
            _ => false,
        };
        let kind = find::<std::io::Error>(error).map(std::io::Error::kind);
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Trouble::Answered(*status_code, message.trim().to_owned())
            }
            _ if is_connect && kind == Some(ErrorKind::PermissionDenied) => Trouble::Unreachable(
                format!("{host} lets this user not in"),
                "add the user to the group `docker` (who is in it is as good as root), or run ripcord as one who is",
            ),
            _ if is_connect => Trouble::Unreachable(
                format!("no Docker engine listens at {host}"),
                "start it (`systemctl start docker`), or correct `host`",
            ),
            error => Trouble::Lost(last_cause(error)),
        }
    }

    /// The failure of a call that changes nothing.
    pub(super) fn failed(&self, what: &str, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Lost(why) => Failure::transient(format!("{what}: the engine gave no whole answer: {why}")),
            trouble => trouble.before_effect(what),
        }
    }

    pub(super) fn failure(&self, what: &str, error: &Error) -> Failure {
        self.failed(what, self.trouble(error))
    }
}

impl Trouble {
    /// The failure of a call that was not sent, or was answered.
    pub(super) fn before_effect(self, what: &str) -> Failure {
        match self {
            Self::Unreachable(why, remedy) => Failure::transient(format!("{what}: {why}; nothing was sent; {remedy}")),
            Self::Unfit(why) => Failure::permanent(format!("{what}: `tls`: {why}; nothing was sent")),
            Self::Answered(status, message) if status >= 500 => {
                Failure::transient(format!("{what}: the engine answered {status}: {message}"))
            }
            Self::Answered(status, message) => {
                Failure::permanent(format!("{what}: the engine answered {status}: {message}"))
            }
            Self::Lost(why) => Failure::unknown(format!("{what}: the connection to the engine was lost: {why}")),
        }
    }
}

/// The innermost of an error's causes says most.
fn last_cause(error: &Error) -> String {
    crate::capability::cause::causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}
