//! What the templates of both formats for people can use.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use regex::Regex;

use super::Report;
use crate::language::Language;
use crate::present::time;

/// How many calls of one execution are listed, and how many entries of the timeline: a report is there
/// to be read.
pub(super) const ROWS_MAX: usize = 500;

/// An environment that knows the report's language and the reader's zone. The format adds how values
/// are escaped.
pub(super) fn environment(report: &Report, zone: &TimeZone) -> Result<Environment<'static>, Error> {
    let language = report.language;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.add_filter("say", move |said: Serde<serde_json::Value>, group: String| -> String {
        brief(&language.say(&group, &said.0))
    });
    environment.add_function("t", move |key: String, fields: Option<Serde<serde_json::Value>>| -> String {
        language.fill(&language.word("label", &key), &fields.map(|fields| fields.0).unwrap_or_default())
    });
    let clock = zone.clone();
    environment.add_filter("clock", move |at: String| Ok::<_, Error>(time::clock(parsed(&at)?, &clock)));
    let day = zone.clone();
    environment.add_filter("date_time", move |at: String| Ok::<_, Error>(time::date_time(parsed(&at)?, &day)));
    environment.add_filter("took_ms", |took: u64| time::duration(Duration::from_millis(took)));
    environment.add_filter("took_us", |took: u64| time::duration(Duration::from_micros(took)));
    environment.add_function("between", |from: String, to: String| {
        let (from, to) = (parsed(&from)?, parsed(&to)?);
        Ok::<_, Error>(if from < to { time::duration(time::between(from, to)) } else { String::new() })
    });
    environment.add_filter("pretty", |value: Serde<serde_json::Value>| -> String {
        serde_json::to_string_pretty(&value.0).unwrap_or_default()
    });
    environment.add_filter("brief", |text: String| brief(&text));
    environment.add_filter("role", move |role: String| match language.table()["label"][&role].as_str() {
        Some(known) => known.to_owned(),
        None => role,
    });
    environment.add_global("rows_max", ROWS_MAX);
    Ok(environment)
}

fn parsed(at: &str) -> Result<Timestamp, Error> {
    at.parse().map_err(|error: jiff::Error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// The whole object ids of a text in the length in which people use them. The JSON has them whole.
pub(super) fn brief(text: &str) -> String {
    static OBJECT_ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b([0-9a-f]{10})[0-9a-f]{30}\b").ok());
    match OBJECT_ID.as_ref() {
        Some(object_id) => object_id.replace_all(text, "$1").into_owned(),
        None => text.to_owned(),
    }
}

/// The pieces of a sentence, each with whether it is a command.
pub(super) fn pieces(language: Language, group: &str, said: &serde_json::Value) -> Vec<(bool, String)> {
    let pieces = language.pieces(group, said).into_iter().enumerate();
    pieces.map(|(index, piece)| (index % 2 == 1, brief(&piece))).collect()
}

/// A text that is not escaped any more.
pub(super) fn safe(text: String) -> Value {
    Value::from_safe_string(text)
}
