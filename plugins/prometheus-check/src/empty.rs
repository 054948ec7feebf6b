//! What it means if a query gives no number.

use std::fmt;

use ripcord_plugin::Outcome;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Empty {
    #[default]
    Inconclusive,
    Fail,
    Pass,
    /// The same as if this number had come.
    Number(f64),
}

impl Empty {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Inconclusive => Outcome::Inconclusive,
            Self::Fail => Outcome::Fail,
            Self::Pass | Self::Number(_) => Outcome::Pass,
        }
    }
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EmptyVisitor)
    }
}

/// By hand, because an untagged enum would double a small plugin's size.
struct EmptyVisitor;

impl Visitor<'_> for EmptyVisitor {
    type Value = Empty;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"inconclusive\", \"fail\", \"pass\" or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Empty, E> {
        match text {
            "inconclusive" => Ok(Empty::Inconclusive),
            "fail" => Ok(Empty::Fail),
            "pass" => Ok(Empty::Pass),
            other => Err(E::custom(format!("`{other}` is none of inconclusive, fail, pass"))),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Empty, E> {
        Ok(Empty::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Empty, E> {
        Ok(Empty::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Empty, E> {
        Ok(Empty::Number(number as f64))
    }
}
