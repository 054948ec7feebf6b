//! Where a database is: `postgres://USER@HOST:PORT/DATABASE`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::schema::text_schema;

const PORT_DEFAULT: u16 = 5432;

/// A database's URL as PostgreSQL's own clients write it, without a password in it.
///
/// A server on this machine may be named by the folder of its socket: `postgres://user@/app?host=/run/postgresql`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseUrl {
    text: String,
    /// Who logs in.
    pub user: String,
    /// Where the server listens.
    pub host: Host,
    /// The port, or the number in the socket's name.
    pub port: u16,
    /// The database.
    pub database: String,
    /// How the connection is encrypted.
    pub tls: TlsMode,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The folder of its socket.
    Socket(PathBuf),
}

/// How a connection is encrypted: `sslmode`, with PostgreSQL's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Not at all. What counts on this machine itself, unless said.
    Disable,
    /// If the server can; with whom is not looked at.
    Prefer,
    /// Always; with whom is not looked at.
    Require,
    /// Always, and the certificate has to be for this host. What counts over a network, unless said.
    VerifyFull,
}

text_schema!(
    DatabaseUrl,
    "DatabaseUrl",
    r"^postgres(ql)?://[^:@/?#]+@[^@]*/[^/]+$",
    "A postgres:// URL with a user and a database, and without a password."
);

impl DatabaseUrl {
    /// Whether nobody else can listen in between.
    pub fn is_here(&self) -> bool {
        match &self.host {
            Host::Tcp(host) => is_here(host),
            Host::Socket(_) => true,
        }
    }

    /// A name for the server and the database that is the same however the URL spells them.
    pub fn resource(&self) -> String {
        let host = match &self.host {
            Host::Tcp(host) if !self.is_here() => host.trim_end_matches('.').to_lowercase(),
            // The socket and all the addresses of this machine lead to the server with this port.
            Host::Tcp(_) | Host::Socket(_) => "localhost".to_owned(),
        };
        format!("sql:{host}:{}/{}", self.port, self.database)
    }
}

/// For people: host, port and database.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, .. } = self;
        match host {
            Host::Tcp(host) if host.contains(':') => write!(f, "{database} on [{host}]:{port}"),
            Host::Tcp(host) => write!(f, "{database} on {host}:{port}"),
            Host::Socket(folder) => write!(f, "{database} on {}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// Whether nobody else can listen to what goes there.
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl TryFrom<String> for DatabaseUrl {
    type Error = String;

    // What is wrong may be a password: only what is known not to be one is repeated.
    fn try_from(text: String) -> Result<Self, String> {
        const LIKE: &str = "write it like \"postgres://ripcord@db.example.org:5432/app\"";
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(format!("the URL does not begin with postgres://: {LIKE}"));
        }
        // `url` knows no host in a URL of another scheme that has a user and no host.
        let padded = text.replacen("@/", "@localhost/", 1);
        let url = Url::parse(&padded).map_err(|error| format!("this is no URL ({error}): {LIKE}"))?;
        if url.password().is_some() {
            return Err("the URL has a password in it: write  password = \"secret:NAME\"".to_owned());
        }
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err(format!("the URL does not say who logs in: {LIKE}"));
        }
        let database = decoded(url.path().trim_start_matches('/'))?;
        if database.is_empty() {
            return Err(format!("the URL names no database: {LIKE}"));
        }
        let mut host = match url.host() {
            Some(url::Host::Ipv6(address)) => Host::Tcp(address.to_string()),
            Some(host) => match decoded(&host.to_string())? {
                host if host.starts_with('/') => Host::Socket(host.into()),
                host if host.contains(',') => return Err("the URL names several hosts: name one".to_owned()),
                host => Host::Tcp(host),
            },
            None => return Err(format!("the URL names no host: {LIKE}")),
        };
        let mut tls = None;
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("host", folder) if folder.starts_with('/') && padded != text => host = Host::Socket(folder.into()),
                ("host", _) => {
                    return Err("`host` in the URL is for the folder of a socket, as in \
                                postgres://user@/app?host=/run/postgresql"
                        .to_owned());
                }
                ("sslmode", "disable") => tls = Some(TlsMode::Disable),
                ("sslmode", "prefer") => tls = Some(TlsMode::Prefer),
                ("sslmode", "require") => tls = Some(TlsMode::Require),
                ("sslmode", "verify-full") => tls = Some(TlsMode::VerifyFull),
                ("sslmode", _) => {
                    return Err("sslmode in the URL is one of disable, prefer, require, verify-full".to_owned());
                }
                (key, _) => return Err(format!("the URL has `{key}`, and only sslmode and host are known there")),
            }
        }
        if url.fragment().is_some() {
            return Err("the URL has a fragment (`#…`)".to_owned());
        }
        let tls = match (&host, tls) {
            (Host::Socket(_), None | Some(TlsMode::Disable | TlsMode::Prefer)) => TlsMode::Disable,
            (Host::Socket(_), Some(_)) => return Err("a socket is never encrypted: leave sslmode out".to_owned()),
            (Host::Tcp(_), Some(mode)) => mode,
            (Host::Tcp(host), None) if is_here(host) => TlsMode::Disable,
            (Host::Tcp(_), None) => TlsMode::VerifyFull,
        };
        Ok(Self { user, host, port: url.port().unwrap_or(PORT_DEFAULT), database, tls, text })
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "the URL is not UTF-8".to_owned())?;
    if decoded.contains('\0') { Err("the URL has a NUL in it".to_owned()) } else { Ok(decoded.into_owned()) }
}

impl From<DatabaseUrl> for String {
    fn from(url: DatabaseUrl) -> Self {
        url.text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_postgresql_reads_it_and_encrypted_unless_it_stays_here() {
        for (text, is) in [
            ("postgres://u@db.example.org/app", "u@ app on db.example.org:5432 VerifyFull sql:db.example.org:5432/app"),
            (
                "postgresql://u@DB.example.org:6000/app",
                "u@ app on DB.example.org:6000 VerifyFull sql:db.example.org:6000/app",
            ),
            ("postgres://u@db/app?sslmode=require", "u@ app on db:5432 Require sql:db:5432/app"),
            ("postgres://u@127.0.0.1/app", "u@ app on 127.0.0.1:5432 Disable sql:localhost:5432/app"),
            (
                "postgres://u@localhost/app?sslmode=verify-full",
                "u@ app on localhost:5432 VerifyFull sql:localhost:5432/app",
            ),
            ("postgres://u@[::1]/app", "u@ app on [::1]:5432 Disable sql:localhost:5432/app"),
            ("postgres://u@10.0.0.1/app", "u@ app on 10.0.0.1:5432 VerifyFull sql:10.0.0.1:5432/app"),
            ("postgres://a%40b@h/my%20app", "a@b@ my app on h:5432 VerifyFull sql:h:5432/my app"),
            (
                "postgres://u@%2Frun%2Fpostgresql/app",
                "u@ app on /run/postgresql/.s.PGSQL.5432 Disable sql:localhost:5432/app",
            ),
            ("postgres://u@/app?host=/run/pg", "u@ app on /run/pg/.s.PGSQL.5432 Disable sql:localhost:5432/app"),
        ] {
            let url = DatabaseUrl::try_from(text.to_owned()).unwrap();
            assert_eq!(format!("{}@ {url} {:?} {}", url.user, url.tls, url.resource()), is, "{text}");
            assert_eq!(String::from(url), text);
        }
    }

    #[test]
    fn what_is_wrong_in_a_url_is_said_without_a_password() {
        for (text, wrong) in [
            ("mysql://u@h/app", "postgres://"),
            ("postgres://u:hunter2hunter2@h/app", "has a password in it"),
            ("postgres://h/app", "who logs in"),
            ("postgres://u@h", "names no database"),
            ("postgres://u@h/app?sslmode=allow", "sslmode"),
            ("postgres://u@h/app?sslmode=verify-ca", "verify-full"),
            ("postgres://u@h/app?options=-c", "`options`"),
            ("postgres://u@h/app?host=/run", "folder of a socket"),
            ("postgres://u@/app?host=/run&sslmode=require", "never encrypted"),
            ("postgres://u@a,b/app", ""),
        ] {
            let error = DatabaseUrl::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(wrong) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
