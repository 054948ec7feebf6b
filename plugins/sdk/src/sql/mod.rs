//! A PostgreSQL database that the operator has named.

mod backup;

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Map;

use crate::bindings::action::ripcord::plugin::sql as wit;
use crate::{Payload, Repeat, Result};

pub use backup::{
    Backup, BackupContents, BackupFormat, DatabaseState, Dump, DumpedBackup, MadeDatabase, ReadBackup, Removal,
    Restore, Restored, Swap, Swapped,
};

/// The database behind a role.
#[derive(Debug, Clone, Copy)]
pub struct Database<'a> {
    role: &'a str,
}

impl<'a> Database<'a> {
    /// The database that the plan has bound to a role.
    pub const fn role(role: &'a str) -> Self {
        Self { role }
    }

    /// One statement that changes nothing. Parameters stand in it as `$1`, `$2`, … .
    pub fn query(&self, statement: impl Into<String>) -> Query<'a> {
        Query { role: self.role, statement: statement.into(), parameters: Vec::new(), assume: None }
    }

    /// One statement in a transaction of its own. Parameters stand in it as `$1`, `$2`, … .
    pub fn execute(&self, statement: impl Into<String>) -> Execute<'a> {
        Execute {
            role: self.role,
            statement: statement.into(),
            parameters: Vec::new(),
            repeat: Repeat::Once,
            assume: None,
        }
    }
}

/// A query that is not yet made.
#[derive(Debug, Clone)]
#[must_use = "nothing is asked until `send`"]
pub struct Query<'a> {
    role: &'a str,
    statement: String,
    parameters: Vec<Value>,
    assume: Option<Rows>,
}

impl Query<'_> {
    /// With a value for the next parameter.
    pub fn parameter(mut self, value: impl Into<Value>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// The reply with which a preview answers behind an assumed reply.
    pub fn assume(self, rows: Rows) -> Self {
        Self { assume: Some(rows), ..self }
    }

    /// Asks.
    pub fn send(self) -> Result<Rows> {
        let Self { role, statement, parameters, assume } = self;
        wit::query(role, &statement, &values(parameters), assume.map(wit::Rows::from).as_ref()).map(Rows::from)
    }
}

/// A statement that is not yet executed.
#[derive(Debug, Clone)]
#[must_use = "nothing is executed until `send`"]
pub struct Execute<'a> {
    role: &'a str,
    statement: String,
    parameters: Vec<Value>,
    repeat: Repeat,
    assume: Option<Executed>,
}

impl Execute<'_> {
    /// With a value for the next parameter.
    pub fn parameter(mut self, value: impl Into<Value>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// What the host may do when it can't find out whether it happened.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Doing it twice has the effect of doing it once.
    pub fn idempotent(self) -> Self {
        self.repeat(Repeat::Idempotent)
    }

    /// The reply with which a preview answers.
    pub fn assume(self, executed: Executed) -> Self {
        Self { assume: Some(executed), ..self }
    }

    /// Does it.
    pub fn send(self) -> Result<Executed> {
        let Self { role, statement, parameters, repeat, assume } = self;
        let assume =
            assume.map(|Executed { affected, returned }| wit::Executed { affected, returned: returned.into() });
        let wit::Executed { affected, returned } =
            wit::execute(role, &statement, &values(parameters), &repeat, assume.as_ref())?;
        Ok(Executed { affected, returned: returned.into() })
    }
}

/// A mutation as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the parameters are those of the contract's sql.wit")]
pub enum Call {
    /// One statement in a transaction of its own.
    Execute { statement: String, parameters: Vec<Value> },
    /// Dumps the database.
    Dump { format: BackupFormat, version: Option<String> },
    /// Restores a backup into a new database.
    Restore { backup: String, sha256: Option<String> },
    /// Gives a restored or kept database the live one's name.
    Swap { database: String },
    /// Drops a restored or kept database.
    DropDatabase { database: String },
    /// Deletes a backup.
    DeleteBackup { name: String },
}

/// A mutation's reply as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Of `execute`.
    Executed(Executed),
    /// Of `dump`. The journal says more of it.
    Backup(DumpedBackup),
    /// Of `restore`.
    Restored(Restored),
    /// Of `swap`.
    Swapped(Swapped),
    /// Of `drop-database`: its name.
    Dropped(String),
    /// Of `delete-backup`: its name.
    Deleted(String),
}

/// What a statement has changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Executed {
    /// How many rows were inserted, updated or deleted.
    pub affected: u64,
    /// What `RETURNING` gave.
    pub returned: Rows,
}

/// The rows that a statement gave.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rows {
    /// In their order.
    pub columns: Vec<Column>,
    /// Each with one value a column.
    pub rows: Vec<Vec<Value>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Column {
    /// As the statement calls it.
    pub name: String,
    /// As PostgreSQL calls its type: `int8`, `text`, `_text` for an array of texts.
    pub type_name: String,
}

/// A value of a parameter or a column. What each case means, the contract's sql.wit says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "sql.wit documents them")]
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
    /// Of one dimension: an array in an array is sent as NULL.
    Array(Vec<Value>),
}

/// A number that may be none. In the journal a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Float(pub f64);

impl Rows {
    /// The value, if there is one row with one column.
    pub fn value(&self) -> Option<&Value> {
        match self.rows.as_slice() {
            [row] => match row.as_slice() {
                [value] => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// A row as a JSON object. Of columns of one name the last one counts.
    pub fn object(&self, row: &[Value]) -> serde_json::Value {
        let names = self.columns.iter().map(|column| column.name.clone());
        serde_json::Value::Object(names.zip(row.iter().map(Value::to_json)).collect::<Map<_, _>>())
    }
}

impl Value {
    /// As JSON for people and conditions: numbers as numbers (`numeric` too, as near as a float comes),
    /// JSON as what it says, NaN and the infinities and all else as texts, bytes as in the journal.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => serde_json::to_value(value).unwrap_or_default(),
            Self::Numeric(text) => match self.number() {
                Some(number) if number.is_finite() => number.into(),
                _ => text.as_str().into(),
            },
            Self::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Self::Text(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::Timestamp(text)
            | Self::Timestamptz(text)
            | Self::Interval(text)
            | Self::Uuid(text) => text.as_str().into(),
            Self::Bytes(bytes) => serde_json::to_value(bytes).unwrap_or_default(),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
        }
    }

    /// The value as a number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(Float(value)) => Some(*value),
            Self::Numeric(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(Float(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

fn values(values: Vec<Value>) -> Vec<wit::Value> {
    values.into_iter().map(wit::Value::from).collect()
}

impl From<Value> for wit::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.into_iter().map(scalar).collect()),
            value => Self::Scalar(scalar(value)),
        }
    }
}

fn scalar(value: Value) -> wit::Scalar {
    match value {
        Value::Null | Value::Array(_) => wit::Scalar::Null,
        Value::Boolean(value) => wit::Scalar::Boolean(value),
        Value::Integer(value) => wit::Scalar::Integer(value),
        Value::Float(Float(value)) => wit::Scalar::Float(value),
        Value::Numeric(text) => wit::Scalar::Numeric(text),
        Value::Text(text) => wit::Scalar::Text(text),
        Value::Bytes(Payload(bytes)) => wit::Scalar::Bytes(bytes),
        Value::Date(text) => wit::Scalar::Date(text),
        Value::Time(text) => wit::Scalar::Time(text),
        Value::Timestamp(text) => wit::Scalar::Timestamp(text),
        Value::Timestamptz(text) => wit::Scalar::Timestamptz(text),
        Value::Interval(text) => wit::Scalar::Interval(text),
        Value::Uuid(text) => wit::Scalar::Uuid(text),
        Value::Json(text) => wit::Scalar::Json(text),
    }
}

impl From<wit::Scalar> for Value {
    fn from(scalar: wit::Scalar) -> Self {
        match scalar {
            wit::Scalar::Null => Self::Null,
            wit::Scalar::Boolean(value) => Self::Boolean(value),
            wit::Scalar::Integer(value) => Self::Integer(value),
            wit::Scalar::Float(value) => Self::Float(Float(value)),
            wit::Scalar::Numeric(text) => Self::Numeric(text),
            wit::Scalar::Text(text) => Self::Text(text),
            wit::Scalar::Bytes(bytes) => Self::Bytes(bytes.into()),
            wit::Scalar::Date(text) => Self::Date(text),
            wit::Scalar::Time(text) => Self::Time(text),
            wit::Scalar::Timestamp(text) => Self::Timestamp(text),
            wit::Scalar::Timestamptz(text) => Self::Timestamptz(text),
            wit::Scalar::Interval(text) => Self::Interval(text),
            wit::Scalar::Uuid(text) => Self::Uuid(text),
            wit::Scalar::Json(text) => Self::Json(text),
        }
    }
}

impl From<wit::Value> for Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Scalar(scalar) => scalar.into(),
            wit::Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
        }
    }
}

impl From<Rows> for wit::Rows {
    fn from(Rows { columns, rows }: Rows) -> Self {
        let column = |Column { name, type_name }| wit::Column { name, type_name };
        Self { columns: columns.into_iter().map(column).collect(), rows: rows.into_iter().map(values).collect() }
    }
}

impl From<wit::Rows> for Rows {
    fn from(wit::Rows { columns, rows }: wit::Rows) -> Self {
        let column = |wit::Column { name, type_name }| Column { name, type_name };
        let row = |row: Vec<wit::Value>| row.into_iter().map(Value::from).collect();
        Self { columns: columns.into_iter().map(column).collect(), rows: rows.into_iter().map(row).collect() }
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number if number.is_nan() => serializer.serialize_str("NaN"),
            number if number > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(FloatVisitor)
    }
}

struct FloatVisitor;

impl Visitor<'_> for FloatVisitor {
    type Value = Float;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<Float, E> {
        Ok(Float(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<Float, E> {
        Ok(Float(number as f64))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<Float, E> {
        Ok(Float(number as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Float, E> {
        match text {
            "NaN" => Ok(Float(f64::NAN)),
            "Infinity" => Ok(Float(f64::INFINITY)),
            "-Infinity" => Ok(Float(f64::NEG_INFINITY)),
            _ => Err(E::custom("a number that is none")),
        }
    }
}
