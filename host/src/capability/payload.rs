//! Bytes that are mostly text: bodies and outputs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::id::Digest;
use crate::secret::{Scrub, Scrubber};

/// Bytes. In JSON a string if they are UTF-8, else `{"base64": "…"}`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(pub Vec<u8>);

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({:?})", String::from_utf8_lossy(&self.0))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Scrub for Payload {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self(bytes) = self;
        bytes.scrub(scrubber);
    }
}

impl Payload {
    /// For people: a JSON value in lines of its own, any other text as it is, else only how much there
    /// is of what.
    pub fn in_words(&self) -> String {
        let Self(bytes) = self;
        // A number or a text alone is as readable as it is, and reads back as something else.
        if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice::<Value>(bytes)
            && let Ok(pretty) = serde_json::to_string_pretty(&value)
        {
            return pretty;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => format!("{} bytes that are no text, {}", bytes.len(), Digest::of(bytes)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary {
    base64: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Encoded {
    Text(String),
    Binary(Binary),
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Binary { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Encoded::deserialize(deserializer)? {
            Encoded::Text(text) => Ok(Self(text.into_bytes())),
            Encoded::Binary(binary) => STANDARD.decode(binary.base64).map(Self).map_err(serde::de::Error::custom),
        }
    }
}
