//! Values as the server sends them.

use std::error::Error;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Span};
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Row, Statement};

use super::numeric;
use super::value::{Column, Float, Value};
use crate::capability::Payload;

type Undecodable = Box<dyn Error + Sync + Send>;

/// The columns that a statement gives, and why one of them can't be read, if it can't.
pub(super) fn columns(statement: &Statement) -> Result<Vec<Column>, String> {
    let columns = statement.columns().iter().map(|column| {
        let (name, of_type) = (column.name(), column.type_());
        if !Cell::accepts(of_type) {
            return Err(format!(
                "column `{name}` is of type {of_type}, which has no form here: cast it, as in  {name}::text"
            ));
        }
        Ok(Column { name: name.to_owned(), type_name: of_type.name().to_owned() })
    });
    columns.collect()
}

/// The values of one row.
pub(super) fn row(row: &Row) -> Result<Vec<Value>, String> {
    let cell = |index: usize| {
        let cell: Result<Cell, _> = row.try_get(index);
        cell.map(|Cell(value)| value).map_err(|error| {
            let column = &row.columns()[index];
            let why = error.source().map(ToString::to_string).unwrap_or_else(|| error.to_string());
            format!("column `{0}` ({1}) can't be read: {why}; cast it, as in  {0}::text", column.name(), column.type_())
        })
    };
    (0..row.len()).map(cell).collect()
}

/// A value of any type that has a form of its own.
struct Cell(Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(of_type: &Type, raw: &'a [u8]) -> Result<Self, Undecodable> {
        match of_type.kind() {
            Kind::Domain(base) => Self::from_sql(base, raw),
            Kind::Array(_) => {
                let items = Vec::<Self>::from_sql(of_type, raw)?;
                Ok(Self(Value::Array(items.into_iter().map(|Self(item)| item).collect())))
            }
            Kind::Enum(_) => text(raw).map(Value::Text).map(Self),
            _ => scalar(of_type, raw).map(Self),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Undecodable> {
        Ok(Self(Value::Null))
    }

    fn accepts(of_type: &Type) -> bool {
        match of_type.kind() {
            Kind::Array(item) => !matches!(item.kind(), Kind::Array(_)) && Self::accepts(item),
            Kind::Domain(base) => Self::accepts(base),
            Kind::Enum(_) => true,
            _ => is_known(of_type),
        }
    }
}

/// `citext` is an extension's, and has another number in each database.
fn is_text(of_type: &Type) -> bool {
    let known = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN, Type::XML, Type::CHAR];
    known.contains(of_type) || of_type.name() == "citext"
}

fn is_known(of_type: &Type) -> bool {
    const KNOWN: [Type; 18] = [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
        Type::BYTEA,
        Type::DATE,
        Type::TIME,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::INTERVAL,
        Type::UUID,
        Type::JSON,
        Type::JSONB,
        Type::VOID,
    ];
    is_text(of_type) || KNOWN.contains(of_type)
}

fn scalar(of_type: &Type, raw: &[u8]) -> Result<Value, Undecodable> {
    Ok(match of_type {
        &Type::BOOL => Value::Boolean(bool::from_sql(of_type, raw)?),
        &Type::INT2 => Value::Integer(i16::from_sql(of_type, raw)?.into()),
        &Type::INT4 => Value::Integer(i32::from_sql(of_type, raw)?.into()),
        &Type::INT8 => Value::Integer(i64::from_sql(of_type, raw)?),
        &Type::OID => Value::Integer(u32::from_sql(of_type, raw)?.into()),
        &Type::FLOAT4 => Value::Float(Float(f32::from_sql(of_type, raw)?.into())),
        &Type::FLOAT8 => Value::Float(Float(f64::from_sql(of_type, raw)?)),
        &Type::NUMERIC => Value::Numeric(numeric::text(raw).ok_or("it is no numeric")?),
        &Type::BYTEA => Value::Bytes(Payload(raw.to_vec())),
        &Type::DATE => Value::Date(date(raw)?),
        &Type::TIME => Value::Time(time(microseconds(raw)?)?),
        &Type::TIMESTAMP => Value::Timestamp(timestamp(microseconds(raw)?, "")?),
        &Type::TIMESTAMPTZ => Value::Timestamptz(timestamp(microseconds(raw)?, "Z")?),
        &Type::INTERVAL => Value::Interval(interval(raw)?),
        &Type::UUID => Value::Uuid(uuid::Uuid::from_sql(of_type, raw)?.to_string()),
        &Type::JSON => Value::Json(text(raw)?),
        &Type::JSONB => match raw {
            [1, raw @ ..] => Value::Json(text(raw)?),
            _ => return Err("it is of a version of jsonb that is not known".into()),
        },
        &Type::VOID => Value::Null,
        of_type if is_text(of_type) => Value::Text(text(raw)?),
        _ => return Err("its type has no form here".into()),
    })
}

fn text(raw: &[u8]) -> Result<String, Undecodable> {
    Ok(std::str::from_utf8(raw)?.to_owned())
}

fn microseconds(raw: &[u8]) -> Result<i64, Undecodable> {
    Ok(i64::from_be_bytes(raw.try_into()?))
}

/// PostgreSQL counts from here.
const EPOCH: DateTime = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);

/// Years that are written with four digits everywhere.
fn in_common_use(time: DateTime) -> Result<DateTime, Undecodable> {
    if time.year() >= 1 { Ok(time) } else { Err("it is before the year 1".into()) }
}

fn date(raw: &[u8]) -> Result<String, Undecodable> {
    match i32::from_be_bytes(raw.try_into()?) {
        i32::MAX => Ok("infinity".to_owned()),
        i32::MIN => Ok("-infinity".to_owned()),
        days => Ok(in_common_use(EPOCH.checked_add(Span::new().try_days(days)?)?)?.date().to_string()),
    }
}

fn timestamp(microseconds: i64, zone: &str) -> Result<String, Undecodable> {
    match microseconds {
        i64::MAX => Ok("infinity".to_owned()),
        i64::MIN => Ok("-infinity".to_owned()),
        since => Ok(format!("{}{zone}", in_common_use(EPOCH.checked_add(SignedDuration::from_micros(since))?)?)),
    }
}

fn time(microseconds: i64) -> Result<String, Undecodable> {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    if microseconds == DAY {
        return Ok("24:00:00".to_owned());
    }
    Ok(Time::midnight().checked_add(SignedDuration::from_micros(microseconds))?.to_string())
}

/// In ISO 8601, each part with its own sign, as the server keeps it.
fn interval(raw: &[u8]) -> Result<String, Undecodable> {
    let raw: [u8; 16] = raw.try_into()?;
    let (micros, rest) = raw.split_at(8);
    let (days, months) = rest.split_at(4);
    let micros = i64::from_be_bytes(micros.try_into()?);
    let (days, months) = (i32::from_be_bytes(days.try_into()?), i32::from_be_bytes(months.try_into()?));
    match (months, days, micros) {
        (i32::MAX, i32::MAX, i64::MAX) => return Ok("infinity".to_owned()),
        (i32::MIN, i32::MIN, i64::MIN) => return Ok("-infinity".to_owned()),
        _ => {}
    }
    let part = |number: i64, unit: &str| if number == 0 { String::new() } else { format!("{number}{unit}") };
    let date = part((months / 12).into(), "Y") + &part((months % 12).into(), "M") + &part(days.into(), "D");
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut time = part(seconds / 3600, "H") + &part(seconds / 60 % 60, "M");
    let (seconds, sign) = (seconds % 60, if micros < 0 { "-" } else { "" });
    match fraction {
        0 => time += &part(seconds, "S"),
        _ => {
            let fraction = format!("{:06}", fraction.abs());
            time += &format!("{sign}{}.{}S", seconds.abs(), fraction.trim_end_matches('0'));
        }
    }
    match (date.is_empty(), time.is_empty()) {
        (true, true) => Ok("PT0S".to_owned()),
        (_, true) => Ok(format!("P{date}")),
        _ => Ok(format!("P{date}T{time}")),
    }
}
