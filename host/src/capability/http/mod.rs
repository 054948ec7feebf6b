//! `http`: requests to a service that the operator has named.

mod address;
mod base;
mod client;
mod connection;
mod doctor;
mod driver;
mod header;
mod login;
mod path;
mod redirect;
mod response;
pub(crate) mod tls;
mod trouble;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{CapabilityCall, Payload};
use crate::secret::{Scrub, Scrubber};

pub use address::AddressRange;
pub(super) use address::check_url;
pub use base::BaseUrl;
pub(super) use client::Reach;
pub use connection::{Auth, Connection, RepeatLimit};
pub(super) use doctor::examine_way;
pub use header::FieldName;
pub(super) use response::read as read_response;
pub(super) use trouble::Trouble;

/// A request. The path begins with `/` and stands below the connection's base URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// In upper case.
    pub method: String,
    /// With its query, if any.
    pub path: String,
    /// Without credentials: those are the host's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    #[serde(default)]
    pub body: Payload,
    /// How long it took; nothing if nobody measured it.
    #[serde(default, skip_serializing_if = "Timing::is_unmeasured")]
    pub timing: Timing,
}

/// How long an answer took, from the moment at which the host began to send: name, connection and TLS
/// included if there was no connection yet, redirects included, earlier attempts not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timing {
    /// Until the head of the response was there, in microseconds.
    pub first_byte_us: u64,
    /// Until its body was there as well, in microseconds.
    pub total_us: u64,
}

impl Timing {
    fn is_unmeasured(&self) -> bool {
        *self == Self::default()
    }
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`].
    pub fn reports_failure(&self) -> bool {
        self.status >= 400
    }
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        &self.method
    }

    fn target(&self) -> String {
        self.path.clone()
    }

    fn summary(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { status: _, headers, body, timing: _ } = self;
        for (name, value) in headers {
            name.scrub(scrubber);
            value.scrub(scrubber);
        }
        body.scrub(scrubber);
    }
}
