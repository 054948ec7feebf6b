//! Requests to an HTTP service that the operator has named.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::bindings::action::ripcord::plugin::http as wit;
use crate::failure::excerpt;
use crate::{Failure, Payload, Repeat, Result};

/// How much of a body becomes evidence.
const EVIDENCE_BYTES_MAX: usize = 64 * 1024;

/// The service behind a role.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    role: &'a str,
}

impl<'a> Service<'a> {
    /// The service that the plan has bound to a role.
    pub const fn role(role: &'a str) -> Self {
        Self { role }
    }

    /// A `GET` of a path below the connection's URL: it begins with `/` and is percent-encoded, see
    /// [`segment`].
    pub fn get(&self, path: impl Into<String>) -> Request<'a> {
        self.request("GET", path)
    }

    /// A `POST`.
    pub fn post(&self, path: impl Into<String>) -> Request<'a> {
        self.request("POST", path)
    }

    /// A `PUT`.
    pub fn put(&self, path: impl Into<String>) -> Request<'a> {
        self.request("PUT", path)
    }

    /// A `PATCH`.
    pub fn patch(&self, path: impl Into<String>) -> Request<'a> {
        self.request("PATCH", path)
    }

    /// A `DELETE`.
    pub fn delete(&self, path: impl Into<String>) -> Request<'a> {
        self.request("DELETE", path)
    }

    /// Any method, in upper case.
    pub fn request(&self, method: &str, path: impl Into<String>) -> Request<'a> {
        let call = Call { method: method.to_owned(), path: path.into(), headers: Vec::new(), body: None };
        Request { role: self.role, call, repeat: Repeat::Once, assume: None }
    }
}

/// A request that is not yet sent.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until `send`"]
pub struct Request<'a> {
    role: &'a str,
    call: Call,
    repeat: Repeat,
    assume: Option<Response>,
}

impl Request<'_> {
    /// With a header. Credentials are the host's: a request that sets them is denied.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.call.headers.push((name.into(), value.into()));
        self
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Payload>) -> Self {
        self.call.body = Some(body.into());
        self
    }

    /// With a JSON body.
    pub fn json(self, body: &impl Serialize) -> Self {
        // `Value` takes whatever a derived `Serialize` gives; a map with keys that are no strings is
        // a mistake in the plugin, and the service will say so about `null`.
        let body = serde_json::to_value(body).unwrap_or_default();
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// What the host may do when it can't find out whether the mutation happened; without it, it is
    /// never sent again.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Sending it twice has the effect of sending it once.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers a mutation, or a read behind one.
    pub fn assume(self, response: Response) -> Self {
        Self { assume: Some(response), ..self }
    }

    /// Sends it and waits for the whole response. Any status is a response.
    pub fn send(self) -> Result<Response> {
        let Call { method, path, headers, body } = self.call;
        let summary = format!("{method} {path}");
        let headers = headers.into_iter().map(|(name, value)| wit::Header { name, value }).collect();
        let request = wit::Request { method, path, headers, body: body.map(|payload| payload.0) };
        let assume = self.assume.map(wit::Response::from);
        let response = wit::send(self.role, &request, &self.repeat, assume.as_ref())?;
        Ok(Response { request: summary, ..response.into() })
    }
}

/// A request as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// In upper case.
    pub method: String,
    /// With its query, if any.
    pub path: String,
    /// Without credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    #[serde(default)]
    pub body: Payload,
    /// How long it took; zeros for a reply that was assumed.
    #[serde(default)]
    pub timing: Timing,
    /// What it answers, for messages: `GET /version`.
    #[serde(skip)]
    request: String,
}

/// How long an answer took, from the moment at which the host began to send: name, connection and TLS
/// included if there was no connection yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Timing {
    /// Until the head of the response was there, in microseconds.
    pub first_byte_us: u64,
    /// Until its body was there as well, in microseconds.
    pub total_us: u64,
}

impl Response {
    /// An empty response: mostly for [`Request::assume`].
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Payload::default(),
            timing: Timing::default(),
            request: "the request".to_owned(),
        }
    }

    /// With a body.
    pub fn with_body(self, body: impl Into<Payload>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The response, if its status is one of 200 to 299; else a failure with method, path, status and
    /// the first of the body.
    pub fn expect_success(self) -> Result<Self> {
        if self.is_success() { Ok(self) } else { Err(self.unexpected("")) }
    }

    /// The body, read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body.0)
            .map_err(|error| self.unexpected(&format!(", which is not the JSON that was expected ({error})")))
    }

    /// As evidence for a plan's `expect`: `status`, `headers`, `body`, and `json` if it is some.
    pub fn evidence(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            // RFC 9110, 5.3: several fields of one name mean the same as one with their values in a list.
            match headers.get_mut(name) {
                Some(Value::String(present)) => *present = format!("{present}, {value}"),
                _ => drop(headers.insert(name.clone(), json!(value))),
            }
        }
        let Payload(body) = &self.body;
        let shown = String::from_utf8_lossy(&body[..body.len().min(EVIDENCE_BYTES_MAX)]);
        let mut evidence = json!({ "status": self.status, "headers": headers, "body": shown });
        if body.len() <= EVIDENCE_BYTES_MAX
            && let Ok(json) = serde_json::from_slice::<Value>(body)
        {
            evidence["json"] = json;
        }
        evidence
    }

    /// A failure that says what this answers and how: for a response that can't be what it should.
    pub fn unexpected(&self, why: &str) -> Failure {
        let body = excerpt(&self.body.0);
        let shown = if body.is_empty() { String::new() } else { format!(": {body}") };
        let meaning = match self.status {
            401 => " (it does not accept the connection's credentials)",
            403 => " (the connection's credentials do not allow it)",
            429 => " (it takes no more requests for now)",
            _ => "",
        };
        Failure::permanent(format!("{} answered {}{meaning}{why}{shown}", self.request, self.status))
            .with_evidence(json!({ "request": self.request, "status": self.status, "body": body }))
    }
}

impl From<Response> for wit::Response {
    fn from(response: Response) -> Self {
        let headers = response.headers.into_iter().map(|(name, value)| wit::Header { name, value }).collect();
        let Timing { first_byte_us, total_us } = response.timing;
        let timing = wit::Timing { first_byte_us, total_us };
        Self { status: response.status, headers, body: response.body.0, timing }
    }
}

impl From<wit::Response> for Response {
    fn from(response: wit::Response) -> Self {
        let headers = response.headers.into_iter().map(|header| (header.name, header.value)).collect();
        let wit::Timing { first_byte_us, total_us } = response.timing;
        let timing = Timing { first_byte_us, total_us };
        Self { headers, timing, ..Self::new(response.status).with_body(response.body) }
    }
}

/// A text as one segment of a path: all but RFC 3986's unreserved characters is percent-encoded, so
/// that a value can't become a further segment or a query. (`.` and `..` are refused by the host.)
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_one_segment() {
        for (text, encoded) in
            [("facebook-2.1_a~b", "facebook-2.1_a~b"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("ñ %", "%C3%B1%20%25"), ("", "")]
        {
            assert_eq!(segment(text), encoded);
        }
    }

    #[test]
    fn an_unexpected_status_says_what_was_asked_and_what_came_back() {
        let response = Response { request: "POST /x".to_owned(), ..Response::new(503).with_body("  try later\n") };
        let failure = response.expect_success().map(drop).map_err(|failure| failure.message().to_owned());
        assert_eq!(failure, Err("POST /x answered 503: try later".to_owned()));
    }
}
