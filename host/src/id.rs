//! The names of things in a journal.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A run's name: the second it began and four letters, `20261122-180312-k7qm`. It sorts by time and
/// can be read out over a telephone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new name for a run that begins now.
    pub fn new(now: Timestamp) -> Self {
        // No vowels and nothing that looks like something else.
        const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";
        let mut rng = rand::rng();
        let tail: String = (0..4).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect();
        Self(format!("{}-{tail}", now.strftime("%Y%m%d-%H%M%S")))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for RunId {
    fn from(name: String) -> Self {
        Self(name)
    }
}

/// An execution's number in its run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub u32);

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A call's address in its run: what `resolve` takes, written `3.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The execution that made it.
    pub execution: ExecutionId,
    /// Its place in that execution, from 0.
    pub ordinal: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.execution, self.ordinal)
    }
}

impl FromStr for CallId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (execution, ordinal) = text.split_once('.')?;
            Some(Self { execution: ExecutionId(execution.parse().ok()?), ordinal: ordinal.parse().ok()? })
        };
        parse().ok_or_else(|| format!("`{text}` is no call: a call is written EXECUTION.ORDINAL, like 3.0"))
    }
}

/// A SHA-256, written `sha256:…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut bytes).ok()?;
            Some(Self(bytes))
        };
        parse().ok_or_else(|| format!("`{text}` is no digest: a digest is `sha256:` and 64 hexadecimal digits"))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
