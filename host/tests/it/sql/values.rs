//! Values there and back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use ripcord::capability::Payload;
use ripcord::capability::sql::{Float, Value};

use super::{assert_says, query, reader};
use crate::postgres::Database;

fn texts(of: fn(String) -> Value, values: &[&str]) -> Vec<Value> {
    values.iter().map(|text| of((*text).to_owned())).collect()
}

#[tokio::test]
async fn each_kind_of_value_goes_there_and_comes_back_as_it_was() {
    let database = Database::new();
    database.psql(
        "CREATE TYPE mood AS ENUM ('good', 'so \"so\"'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
         CREATE DOMAIN name_of AS text",
    );
    let driver = reader(&database, "").await;
    let floats = [0.0, -0.0, 0.1, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let singles = [0.5, f64::from(f32::MAX), f64::from(0.1_f32), f64::NAN, f64::INFINITY];
    let integers = |values: &[i64]| values.iter().copied().map(Value::Integer).collect::<Vec<_>>();
    let float = |values: &[f64]| values.iter().map(|value| Value::Float(Float(*value))).collect::<Vec<_>>();
    let bytes = |values: &[&[u8]]| values.iter().map(|value| Value::Bytes(Payload(value.to_vec()))).collect::<Vec<_>>();
    let awkward = ["", "'; DROP TABLE calls; --", "a\"b\\c", "NULL", "{}", "ñ 漢 🦀", "line\nline\ttab", "$1", "\u{1}"];
    for (type_name, values) in [
        ("bool", vec![Value::Boolean(true), Value::Boolean(false)]),
        ("int2", integers(&[0, i16::MIN.into(), i16::MAX.into()])),
        ("int4", integers(&[0, i32::MIN.into(), i32::MAX.into()])),
        ("int8", integers(&[0, i64::MIN, i64::MAX, 9_007_199_254_740_993])),
        ("oid", integers(&[0, u32::MAX.into()])),
        ("positive", integers(&[7])),
        ("float8", float(&floats)),
        ("float4", float(&singles)),
        (
            "numeric",
            texts(
                Value::Numeric,
                &[
                    "0",
                    "0.00",
                    "1",
                    "-1",
                    "10000",
                    "9999",
                    "100000000",
                    "0.0001",
                    "0.00010000",
                    "-0.5",
                    "12.50",
                    "123456789012345678901234567890.123456789012345678901234567890",
                    "NaN",
                    "Infinity",
                    "-Infinity",
                    "1000000000000000000000000000000",
                    "0.000000000000000000000000000001",
                ],
            ),
        ),
        ("text", texts(Value::Text, &awkward)),
        ("varchar", texts(Value::Text, &awkward)),
        ("name_of", texts(Value::Text, &awkward)),
        ("name", texts(Value::Text, &["pg_class"])),
        ("mood", texts(Value::Text, &["good", "so \"so\""])),
        ("xml", texts(Value::Text, &["<a>1</a>"])),
        ("bytea", bytes(&[b"", b"text", b"\x00\xff\\x", &[0; 300]])),
        (
            "date",
            texts(Value::Date, &["2026-11-23", "0001-01-01", "9999-12-31", "2000-02-29", "infinity", "-infinity"]),
        ),
        ("time", texts(Value::Time, &["00:00:00", "13:05:00.25", "23:59:59.999999", "24:00:00"])),
        (
            "timestamp",
            texts(
                Value::Timestamp,
                &["2026-11-23T13:05:00", "1969-12-31T23:59:59.999999", "0001-01-01T00:00:00", "infinity", "-infinity"],
            ),
        ),
        (
            "timestamptz",
            texts(
                Value::Timestamptz,
                &[
                    "2026-11-23T13:05:00.123456Z",
                    "1969-12-31T23:59:59Z",
                    "0001-01-01T00:00:00Z",
                    "infinity",
                    "-infinity",
                ],
            ),
        ),
        (
            "interval",
            texts(
                Value::Interval,
                &["PT0S", "P1Y2M3DT4H5M6.7S", "P-1Y-2M-3DT-4H-5M-6.7S", "P1M-1D", "PT-0.000001S", "PT100000H", "P13D"],
            ),
        ),
        ("uuid", texts(Value::Uuid, &["00000000-0000-0000-0000-000000000000", "6f2c0b1a-9d3e-4f5a-8b7c-0123456789ab"])),
        ("json", texts(Value::Json, &["{\"a\": [1, null, \"\\u00e9\"]}", " 1 ", "null"])),
        ("jsonb", texts(Value::Json, &["{\"a\": 1}", "null", "\"x\""])),
    ] {
        // One by one, and all of them in one array with a NULL.
        let statement = format!("SELECT $1::{type_name}, NULL::{type_name}");
        for value in &values {
            let rows = query(&driver, &statement, std::slice::from_ref(value)).await.unwrap();
            assert_eq!(rows.rows, [vec![value.clone(), Value::Null]], "{type_name}");
            // And as the journal keeps it.
            let json = serde_json::to_string(value).unwrap();
            assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), value, "{json}");
        }
        let list = Value::Array(values.into_iter().chain([Value::Null]).collect());
        let rows = query(&driver, &format!("SELECT $1::{type_name}[]"), std::slice::from_ref(&list)).await.unwrap();
        assert_eq!(rows.rows, [vec![list]], "{type_name}[]");
    }
}

/// Whatever there is of a type, a hundred at a time: it comes back as it was, and the server reads it as
/// what it was.
#[test]
fn any_value_goes_there_and_comes_back_as_it_was() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = Database::new();
    let driver = runtime.block_on(reader(&database, "bytes-max = 4000000"));
    let text = any::<String>().prop_map(|text| text.replace('\0', ""));
    let span = (any::<i32>(), any::<i32>(), -(1_i64 << 60)..(1_i64 << 60));
    let values = (
        vec(any::<i64>(), 0..100),
        vec(any::<u64>().prop_map(f64::from_bits), 0..100),
        vec(text, 0..100),
        vec(vec(any::<u8>(), 0..50), 0..100),
        vec((any::<i128>(), 0_u32..60), 0..100),
        vec(span, 0..100),
        vec(-62_135_596_800_000_000_i64..253_402_300_799_000_000, 0..100),
    );
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&values, |(integers, floats, texts, bytes, numerics, spans, instants)| {
        let list = |values: Vec<Value>| Value::Array(values);
        let sent = [
            list(integers.into_iter().map(Value::Integer).collect()),
            list(floats.into_iter().map(|float| Value::Float(Float(float))).collect()),
            list(texts.into_iter().map(Value::Text).collect()),
            list(bytes.into_iter().map(|bytes| Value::Bytes(Payload(bytes))).collect()),
            list(
                instants
                    .iter()
                    .map(|micros| Value::Timestamptz(jiff::Timestamp::from_microsecond(*micros).unwrap().to_string()))
                    .collect(),
            ),
        ];
        let there_and_back = "SELECT $1::int8[], $2::float8[], $3::text[], $4::bytea[], $5::timestamptz[]";
        let came = runtime.block_on(query(&driver, there_and_back, &sent)).unwrap();
        prop_assert_eq!(&came.rows, &[sent.to_vec()]);

        // What has more than one way to be written: the server says how it reads what it was sent, and how
        // what it gave is read there.
        let digits = |(number, scale): &(i128, u32)| Value::Numeric(format!("{number}e-{scale}"));
        let numerics = list(numerics.iter().map(digits).collect());
        let months = list(spans.iter().map(|(months, _, _)| Value::Integer(i64::from(months % 1000))).collect());
        let days = list(spans.iter().map(|(_, days, _)| Value::Integer(i64::from(days % 100_000))).collect());
        let micros = list(spans.iter().map(|(_, _, micros)| Value::Integer(*micros)).collect());
        let made = "SELECT array_agg(n ORDER BY i), array_agg(n::text ORDER BY i) \
                    FROM unnest($1::numeric[]) WITH ORDINALITY AS u (n, i)";
        let came = runtime.block_on(query(&driver, made, &[numerics])).unwrap().rows.remove(0);
        let as_text = |value: &Value| match value {
            Value::Array(items) => items.iter().map(|item| item.to_string().replace("numeric ", "")).collect(),
            _ => Vec::new(),
        };
        prop_assert_eq!(as_text(&came[0]), as_text(&came[1]));

        let made = "SELECT array_agg(s ORDER BY i), array_agg(s::text ORDER BY i) FROM (SELECT i, make_interval(months => m, \
                    days => d) + u * interval '1 microsecond' FROM unnest($1::int4[], $2::int4[], $3::int8[]) \
                    WITH ORDINALITY AS u (m, d, u, i)) AS made (i, s)";
        let came = runtime.block_on(query(&driver, made, &[months, days, micros])).unwrap().rows.remove(0);
        if let (Value::Array(_), told) = (&came[0], &came[1]) {
            let again = "SELECT array_agg(s ORDER BY i), array_agg(s::text ORDER BY i) \
                         FROM unnest($1::interval[]) WITH ORDINALITY AS u (s, i)";
            let again = runtime.block_on(query(&driver, again, &came[..1])).unwrap().rows.remove(0);
            prop_assert_eq!((&again[0], &again[1]), (&came[0], told));
        }
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test]
async fn what_is_taken_for_another_kind_arrives_whole_or_not_at_all() {
    let database = Database::new();
    database.psql("CREATE TYPE mood AS ENUM ('good', 'bad')");
    let driver = reader(&database, "").await;
    let text = |text: &str| Value::Text(text.to_owned());
    for (type_name, given, comes) in [
        ("numeric", Value::Integer(7), Value::Numeric("7".into())),
        ("float8", Value::Integer(1 << 53), Value::Float(Float((1_u64 << 53) as f64))),
        ("float8", Value::Numeric("0.5".into()), Value::Float(Float(0.5))),
        ("inet", text("10.0.0.1"), Value::Null),
    ] {
        let statement = match comes {
            Value::Null => format!("SELECT $1::{type_name} IS NULL AND false, NULL"),
            _ => format!("SELECT $1::{type_name}"),
        };
        let rows = query(&driver, &statement, &[given]).await.unwrap();
        assert_eq!(rows.rows[0].last(), Some(&comes), "{type_name}");
    }
    for (type_name, given, says) in [
        ("int4", text("7"), "parameter $1 is of type int4, and a value of another kind is given: text `\"7\"`"),
        ("int2", Value::Integer(40_000), "40000 does not fit: it goes from -32768 to 32767"),
        ("float8", Value::Integer((1 << 53) + 1), "would not arrive as it is"),
        ("float4", Value::Float(Float(1e300)), "does not fit"),
        ("date", Value::Date("today".into()), "`today` is none: write it like 2026-11-23"),
        ("date", text("2026-11-23"), "another kind"),
        ("timestamptz", Value::Timestamptz("2026-11-23 13:00".into()), "write it like 2026-11-23T13:05:00Z"),
        ("numeric", Value::Numeric("0x10".into()), "is no number"),
        ("uuid", Value::Uuid("x".into()), "`x` is none"),
        ("mood", text("fair"), "`fair` is none of its labels: good, bad"),
        ("text", text("a\0b"), "no text can hold a NUL"),
        ("int4[]", Value::Integer(1), "a single value is given, `1`"),
        ("int4", Value::Array(vec![]), "an array is given"),
        ("json", Value::Json("{".into()), "invalid input syntax for type json (22P02)"),
    ] {
        let failure = query(&driver, &format!("SELECT $1::{type_name}"), &[given]).await.unwrap_err();
        assert_says(&failure, "permanent", &[says]);
    }
    let failure = query(&driver, "SELECT $1::int4, $2::int4", &[Value::Integer(1)]).await.unwrap_err();
    assert_says(&failure, "permanent", &["the statement has 2 parameters, and 1 are given"]);
}

#[tokio::test]
async fn a_type_without_a_form_is_named_with_its_cast() {
    let database = Database::new();
    let driver = reader(&database, "").await;
    for (expression, type_name) in [
        ("'10.0.0.1'::inet", "inet"),
        ("'[1,2)'::int4range", "int4range"),
        ("ROW(1, 2)", "record"),
        ("1.5::money", "money"),
    ] {
        let failure = query(&driver, &format!("SELECT {expression} AS it"), &[]).await.unwrap_err();
        let cast = format!("column `it` is of type {type_name}, which has no form here: cast it, as in  it::text");
        assert_says(&failure, "permanent", &[&cast]);
    }
    for (expression, why) in [
        ("'{{1,2},{3,4}}'::int4[]", "too many dimensions"),
        ("'0044-03-15 BC'::date", "before the year 1"),
        ("'20000-01-01'::date", "cast it"),
    ] {
        let failure = query(&driver, &format!("SELECT {expression} AS it"), &[]).await.unwrap_err();
        assert_says(&failure, "permanent", &["column `it`", why]);
    }
}
