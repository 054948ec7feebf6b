//! `notify`: messages to people.
//!
//! What a plugin wants said ([`Call`]) is put into the operator's words (`wording`), cleaned (`notice`)
//! and handed to the connection's channel: `mail` by `smtp`, `webhook` in the format of a service
//! (`format`), or `file`. A channel answers what became of it, and never fails.

mod channel;
mod connection;
mod doctor;
mod file;
mod format;
mod incident;
mod limit;
mod mail;
mod notice;
mod smtp;
mod webhook;
mod wording;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::CapabilityCall;
use crate::secret::{Scrub, Scrubber};

pub use connection::{Address, Channel, Connection, Mail, Smtp, Tls, Webhook, WebhookUrl};
pub use format::Format;
pub(crate) use wording::{Problem, problems};
pub use wording::{Template, Text};

/// A notice, as the plugin sends it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Facts that a channel may show as a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Where the incident stands; none for a notice that says nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// Where an incident stands, in the words of status pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The cause is being looked for.
    Investigating,
    /// The cause is known.
    Identified,
    /// What was done about it is being watched.
    Monitoring,
    /// It is over.
    Resolved,
}

/// How bad it is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nobody is affected.
    Info,
    /// Something may go wrong.
    Warning,
    /// Something does not work.
    Error,
    /// What matters most does not work.
    Critical,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        })
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// The one operation.
pub const SEND: &str = "send";

/// What became of a notice. A notice that was not sent is a reply: it never blocks a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The channel has taken it.
    Sent,
    /// It may have gone out; why that can't be known.
    PerhapsSent(String),
    /// It has not gone out; why.
    NotSent(String),
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`].
    pub fn reports_failure(&self) -> bool {
        !matches!(self, Self::Sent)
    }
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        SEND
    }

    fn target(&self) -> String {
        self.subject.clone()
    }

    fn summary(&self) -> String {
        format!("send \"{}\"", self.subject)
    }

    fn is_notice(&self) -> bool {
        true
    }
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Sent => {}
            Self::PerhapsSent(why) | Self::NotSent(why) => why.scrub(scrubber),
        }
    }
}
