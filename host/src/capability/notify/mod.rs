//! `notify`: messages to people.
//!
//! A channel is a key of the connection's table and a driver in a file beside this one: `smtp`.

mod connection;
mod doctor;
mod mail;
mod smtp;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::CapabilityCall;
use crate::secret::{Scrub, Scrubber};

pub use connection::{Address, Connection, Smtp, Tls};

/// A notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Facts that a channel may show as a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

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
        "send"
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
