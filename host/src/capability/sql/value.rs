//! Values of parameters and columns, as the journal keeps them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::capability::Payload;
use crate::secret::{Scrub, Scrubber};

/// A value. What each case means, `wit/sql.wit` says. An array holds no arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(Float),
    Numeric(String),
    Text(String),
    Bytes(Payload),
    Date(String),
    Time(String),
    Timestamp(String),
    Timestamptz(String),
    Interval(String),
    Uuid(String),
    Json(String),
    Array(Vec<Value>),
}

/// A number that may be none. In JSON a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Debug, Clone, Copy)]
pub struct Float(pub f64);

/// The rows that a statement gave.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// In their order.
    pub columns: Vec<Column>,
    /// Each with one value a column.
    pub rows: Vec<Vec<Value>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Column {
    /// As the statement calls it.
    pub name: String,
    /// As PostgreSQL calls its type.
    pub type_name: String,
}

impl Value {
    /// Its case, as messages call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Numeric(_) => "numeric",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::Timestamptz(_) => "timestamptz",
            Self::Interval(_) => "interval",
            Self::Uuid(_) => "uuid",
            Self::Json(_) => "json",
            Self::Array(_) => "array",
        }
    }
}

/// No two values read the same: an approval is bound to this text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(Float(value)) => write!(f, "float {value:?}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Numeric(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::Timestamp(text)
            | Self::Timestamptz(text)
            | Self::Interval(text)
            | Self::Uuid(text)
            | Self::Json(text) => write!(f, "{} {}", self.kind(), quoted(text)),
            Self::Bytes(Payload(bytes)) => write!(f, "bytes {}", quoted(&STANDARD.encode(bytes))),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A replay compares what it finds with what was recorded, and NaN has to be what it was.
impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || (self.0.is_nan() && other.0.is_nan())
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number if number.is_nan() => serializer.serialize_str("NaN"),
            number if number > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Float, E> {
                Ok(Float(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Float, E> {
                match text {
                    "NaN" => Ok(Float(f64::NAN)),
                    "Infinity" => Ok(Float(f64::INFINITY)),
                    "-Infinity" => Ok(Float(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(Number)
    }
}

impl Scrub for Rows {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { columns, rows } = self;
        for Column { name, type_name: _ } in columns {
            name.scrub(scrubber);
        }
        rows.iter_mut().flatten().for_each(|value| value.scrub(scrubber));
    }
}

impl Scrub for Value {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => {}
            Self::Numeric(text)
            | Self::Text(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::Timestamp(text)
            | Self::Timestamptz(text)
            | Self::Interval(text)
            | Self::Uuid(text)
            | Self::Json(text) => text.scrub(scrubber),
            Self::Bytes(bytes) => bytes.scrub(scrubber),
            Self::Array(items) => items.iter_mut().for_each(|item| item.scrub(scrubber)),
        }
    }
}
