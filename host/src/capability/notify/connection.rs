//! What the operator says of a connection: `[notify.NAME]` in `ripcord.toml`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Host;

use super::smtp::SmtpDriver;
use super::{Call, Reply, doctor};
use crate::capability::{CapabilityConnection, Driver, Judgement, OpenError, Opening, Repeat};
use crate::doctor::Exam;
use crate::secret::SecretRef;

/// How much longer than `timeout` the pipeline waits: the driver has to be the one that gives up,
/// because it knows whether the notice may be out.
const GRACE: Duration = Duration::from_secs(2);

/// Where notices go.
// The derived functions become inherent (`remote`), and the implementations below add the checks
// that take more than one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "kebab-case", deny_unknown_fields)]
pub struct Connection {
    /// The mail server that takes them.
    pub smtp: Smtp,
    /// Who they come from: `ripcord <ripcord@example.org>`.
    pub from: Address,
    /// Whom they go to.
    pub to: Vec<Address>,
    /// How long the delivery of one notice may take.
    #[serde(default = "default_timeout", with = "crate::duration")]
    pub timeout: Duration,
}

/// A mail server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Without it, what is usual for `tls`: 465, 587 or 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: Tls,
    /// Who logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Certificates, in PEM form, that are trusted besides the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// How the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// From the first byte.
    Implicit,
    /// Before anything is said; a server that does not offer it gets no notice.
    #[default]
    Starttls,
    /// Not at all.
    None,
}

/// A mail address, with or without a name: `ops@example.org`, `Operations <ops@example.org>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(Mailbox);

impl Address {
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| {
            format!(
                "`{}` is no mail address ({error}): write \"ops@example.org\" or \"Operations <ops@example.org>\"",
                text.escape_debug()
            )
        })
    }
}

impl From<Address> for String {
    fn from(Address(mailbox): Address) -> Self {
        mailbox.to_string()
    }
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

impl<'de> Deserialize<'de> for Connection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let connection = Self::deserialize(deserializer)?;
        connection.check().map_err(serde::de::Error::custom)?;
        Ok(connection)
    }
}

impl Serialize for Connection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl Connection {
    fn check(&self) -> Result<(), String> {
        if self.to.is_empty() {
            return Err("nobody would get the notices: write  to = [\"ops@example.org\"]".to_owned());
        }
        if self.timeout.is_zero() {
            return Err("timeout has to be more than nothing".to_owned());
        }
        self.smtp.check()
    }
}

impl Smtp {
    fn check(&self) -> Result<(), String> {
        let host = Host::parse(&self.host)
            .map_err(|error| format!("smtp.host `{}` is no name of a host ({error})", self.host.escape_debug()))?;
        if self.user.is_some() != self.password.is_some() {
            return Err("smtp.user and smtp.password only work together: write both or neither".to_owned());
        }
        let is_this_machine = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if self.tls == Tls::None && self.user.is_some() && !is_this_machine {
            return Err("smtp.tls = \"none\" would send the password in the clear: write \"starttls\" or \"implicit\""
                .to_owned());
        }
        if self.tls == Tls::None && self.ca_file.is_some() {
            return Err("smtp.ca-file has no use with tls = \"none\": leave one of them out".to_owned());
        }
        Ok(())
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
            Tls::None => 25,
        })
    }
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    /// A connection that is there may be written to, and a notice always is a mutation.
    fn judge(&self, _name: &str, _call: &Call) -> Judgement {
        Judgement::Mutation
    }

    /// A notice is never sent a second time, whatever a plugin claims.
    fn repeat(&self, _call: &Call, _claim: Repeat) -> Repeat {
        Repeat::Once
    }

    fn deadline(&self, _call: &Call) -> Duration {
        self.timeout + GRACE
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        Ok(Arc::new(SmtpDriver::open(self, opening).await?))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}
