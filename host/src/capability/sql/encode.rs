//! Parameters, in the text form of the type that the server has described.
//!
//! Each one travels by itself, behind the statement; the server reads it with its type's own input
//! function. What reaches it has been checked to be of that type's kind.

use std::error::Error;

use bytes::BytesMut;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use tokio_postgres::Statement;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::value::{Float, Value};
use crate::capability::Payload;

/// The parameters of a statement; an error says which one is of a wrong kind, and what was expected.
pub(super) fn parameters(statement: &Statement, values: &[Value]) -> Result<Vec<Parameter>, String> {
    let expected = statement.params();
    if expected.len() != values.len() {
        let given = values.len();
        return Err(format!("the statement has {} parameters, and {given} are given", expected.len()));
    }
    let parameter = |(index, (value, of_type)): (usize, (&Value, &Type))| match encoded(value, of_type) {
        Ok(text) => Ok(Parameter(text)),
        Err(why) => Err(format!("parameter ${} is of type {of_type}, and {why}", index + 1)),
    };
    values.iter().zip(expected).enumerate().map(parameter).collect()
}

/// A parameter in text form; none is NULL.
#[derive(Debug)]
pub(super) struct Parameter(Option<String>);

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn encoded(value: &Value, of_type: &Type) -> Result<Option<String>, String> {
    match (value, of_type.kind()) {
        (Value::Null, _) => Ok(None),
        (_, Kind::Domain(base)) => encoded(value, base),
        (Value::Array(items), Kind::Array(of_item)) => array(items, of_item).map(Some),
        (Value::Array(_), _) => Err("an array is given".to_owned()),
        (_, Kind::Array(_)) => Err(format!("a single value is given, `{value}`")),
        (_, Kind::Enum(labels)) => match value {
            Value::Text(text) if labels.contains(text) => Ok(Some(text.clone())),
            Value::Text(text) => Err(format!("`{text}` is none of its labels: {}", labels.join(", "))),
            _ => Err(other(value)),
        },
        _ => scalar(value, of_type).map(Some),
    }
}

fn other(value: &Value) -> String {
    format!("a value of another kind is given: {} `{value}`", value.kind())
}

/// `{"a","b",NULL}`: an item in quotes is taken as it is, but for these two characters.
fn array(items: &[Value], of_item: &Type) -> Result<String, String> {
    let item = |value: &Value| {
        let text = encoded(value, of_item)?;
        Ok(text.map_or_else(
            || "NULL".to_owned(),
            |text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        ))
    };
    Ok(format!("{{{}}}", items.iter().map(item).collect::<Result<Vec<_>, String>>()?.join(",")))
}

fn scalar(value: &Value, of_type: &Type) -> Result<String, String> {
    let wrong = || Err(other(value));
    match *of_type {
        Type::BOOL => match value {
            Value::Boolean(value) => Ok(value.to_string()),
            _ => wrong(),
        },
        Type::INT2 => integer(value, i16::MIN.into(), i16::MAX.into()),
        Type::INT4 => integer(value, i32::MIN.into(), i32::MAX.into()),
        Type::INT8 => integer(value, i64::MIN, i64::MAX),
        Type::OID => integer(value, 0, u32::MAX.into()),
        Type::FLOAT4 | Type::FLOAT8 => float(value, *of_type == Type::FLOAT4),
        Type::NUMERIC => match value {
            Value::Integer(value) => Ok(value.to_string()),
            Value::Numeric(digits) => numeric(digits),
            _ => wrong(),
        },
        Type::BYTEA => match value {
            Value::Bytes(Payload(bytes)) => Ok(format!("\\x{}", hex::encode(bytes))),
            _ => wrong(),
        },
        Type::DATE => match value {
            Value::Date(text) => bounded::<Date>(text, "2026-11-23"),
            _ => wrong(),
        },
        Type::TIMESTAMP => match value {
            Value::Timestamp(text) => bounded::<DateTime>(text, "2026-11-23T13:05:00"),
            _ => wrong(),
        },
        Type::TIMESTAMPTZ => match value {
            Value::Timestamptz(text) => bounded::<Timestamp>(text, "2026-11-23T13:05:00Z"),
            _ => wrong(),
        },
        Type::TIME => match value {
            Value::Time(text) if text == "24:00:00" => Ok(text.clone()),
            Value::Time(text) => parsed::<Time>(text, "13:05:00"),
            _ => wrong(),
        },
        Type::INTERVAL => match value {
            Value::Interval(text) => Ok(text.clone()),
            _ => wrong(),
        },
        Type::UUID => match value {
            Value::Uuid(text) => uuid::Uuid::parse_str(text)
                .map(|id| id.to_string())
                .map_err(|error| format!("`{text}` is none: {error}")),
            _ => wrong(),
        },
        Type::JSON | Type::JSONB => match value {
            Value::Json(text) => Ok(text.clone()),
            _ => wrong(),
        },
        // Texts, and all types that have no kind of value to themselves.
        _ => match value {
            Value::Text(text) if text.contains('\0') => Err("no text can hold a NUL".to_owned()),
            Value::Text(text) => Ok(text.clone()),
            _ => wrong(),
        },
    }
}

fn integer(value: &Value, min: i64, max: i64) -> Result<String, String> {
    match value {
        Value::Integer(number) if (min..=max).contains(number) => Ok(number.to_string()),
        Value::Integer(number) => Err(format!("{number} does not fit: it goes from {min} to {max}")),
        _ => Err(other(value)),
    }
}

fn float(value: &Value, is_single: bool) -> Result<String, String> {
    let exact: i64 = if is_single { 1 << f32::MANTISSA_DIGITS } else { 1 << f64::MANTISSA_DIGITS };
    match value {
        Value::Float(Float(number)) if is_single && number.is_finite() && (*number as f32).is_infinite() => {
            Err(format!("{number} does not fit"))
        }
        Value::Float(Float(number)) if number.is_finite() => Ok(format!("{number:?}")),
        Value::Float(Float(number)) if number.is_nan() => Ok("NaN".to_owned()),
        Value::Float(Float(number)) => Ok(if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()),
        Value::Integer(number) if (-exact..=exact).contains(number) => Ok(number.to_string()),
        Value::Integer(number) => Err(format!("{number} would not arrive as it is")),
        Value::Numeric(digits) => numeric(digits),
        _ => Err(other(value)),
    }
}

/// Decimal digits, with a point and an exponent at most: the server's own function takes hexadecimal
/// ones too.
fn numeric(digits: &str) -> Result<String, String> {
    let plain =
        !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    if plain || matches!(digits, "NaN" | "Infinity" | "-Infinity") {
        Ok(digits.to_owned())
    } else {
        Err(format!("`{digits}` is no number: write it like 12.50"))
    }
}

/// A time, or what lies behind all of them.
fn bounded<T: std::str::FromStr + ToString>(text: &str, like: &str) -> Result<String, String> {
    if matches!(text, "infinity" | "-infinity") { Ok(text.to_owned()) } else { parsed::<T>(text, like) }
}

/// As it is written everywhere: the server would also take `now`, or `1/2/3`.
fn parsed<T: std::str::FromStr + ToString>(text: &str, like: &str) -> Result<String, String> {
    text.parse().map(|value: T| value.to_string()).map_err(|_| format!("`{text}` is none: write it like {like}"))
}
