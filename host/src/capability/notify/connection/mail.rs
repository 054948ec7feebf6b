//! Mail: the server that takes it, who it comes from, and whom it goes to.

use std::path::PathBuf;

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Host;

use crate::schema::text_schema;
use crate::secret::SecretRef;

/// Notices by mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// The mail server that takes them.
    pub smtp: Smtp,
    /// Who they come from.
    pub from: Address,
    /// Whom they go to; at least one.
    pub to: Vec<Address>,
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("dependentRequired" = { "user": ["password"], "password": ["user"] }))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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
    pub(in crate::capability::notify) fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

text_schema!(
    Address,
    "Address",
    r"^[^\r\n]*@[^\r\n]*$",
    "A mail address: `ops@example.org`, `Operations <ops@example.org>`."
);

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

impl Smtp {
    pub(super) fn check(&self) -> Result<(), String> {
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

    pub(in crate::capability::notify) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
            Tls::None => 25,
        })
    }
}
