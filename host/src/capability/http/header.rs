//! Header names: which ones are the host's.

use std::cmp::Ordering;

use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::schema::text_schema;

/// A header's name in the operator's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldName(HeaderName);

impl FieldName {
    /// The name, in lower case.
    pub fn name(&self) -> &HeaderName {
        &self.0
    }
}

text_schema!(FieldName, "FieldName", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "The name of an HTTP header.");

impl TryFrom<String> for FieldName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = HeaderName::try_from(text.as_str())
            .map_err(|_| format!("`{}` is no name of a header: write one like \"X-Api-Key\"", text.escape_debug()))?;
        if is_of_the_connection(name.as_str()) {
            return Err(format!("the header {name} belongs to HTTP itself and can't be set"));
        }
        Ok(Self(name))
    }
}

impl From<FieldName> for String {
    fn from(FieldName(name): FieldName) -> Self {
        name.as_str().to_owned()
    }
}

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

/// Whether a header says who is asking.
pub(super) fn is_credential(name: &str) -> bool {
    matches!(name, "authorization" | "cookie" | "proxy-authorization")
}

/// Checks a header that a plugin sets.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    let name = HeaderName::try_from(name).map_err(|_| format!("`{}` is no name of a header", name.escape_debug()))?;
    if HeaderValue::from_str(value).is_err() {
        return Err(format!("the value of the header {name} has a line break or a control character in it"));
    }
    let name = name.as_str();
    if is_credential(name) || is_of_the_connection(name) {
        return Err(format!("the header {name} belongs to the host"));
    }
    if overrides_the_request(name) {
        return Err(format!("the header {name} could make another request of this one than the rules have judged"));
    }
    Ok(())
}

/// What decides where a message ends, whom it reaches, and what the connection does with it.
fn is_of_the_connection(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "transfer-encoding"
            | "connection"
            | "keep-alive"
            | "te"
            | "upgrade"
            | "trailer"
            | "expect"
            | "http2-settings"
    ) || (name.starts_with("proxy-") && name != "proxy-authorization")
}

/// What servers and frameworks take for the method, the path or the sender of a request, in place of
/// the real ones.
fn overrides_the_request(name: &str) -> bool {
    matches!(
        name,
        "x-http-method-override"
            | "x-http-method"
            | "x-method-override"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-original-host"
            | "x-real-ip"
            | "forwarded"
    ) || name.starts_with("x-forwarded-")
}
