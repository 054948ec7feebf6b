//! The JSON Schemas of the files that people write, made of the very types that read them.
//!
//! They say what can be said of a file's shape: its keys, the kinds of their values, and how those
//! that are texts are written. What depends on several keys, on the machine or on a plugin is for
//! `ripcord check` to find.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use regex::Regex;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::operator::OperatorFile;
use crate::plan::PlanFile;

/// The schema of a plan.
pub fn plan() -> Value {
    of::<PlanFile>()
}

/// The schema of the operator's file.
pub fn operator() -> Value {
    of::<OperatorFile>()
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with_transform(OfAFile);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Makes schemas of Rust types schemas of TOML files.
#[derive(Debug, Clone)]
struct OfAFile;

impl Transform for OfAFile {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = prose(text);
        }
        without_null(schema);
    }
}

/// TOML has no null: what may be absent is left out.
fn without_null(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        _ => {
            let Some(Value::Array(any)) = schema.get_mut("anyOf") else { return };
            any.retain(|one| one["type"] != "null");
            if let [Value::Object(only)] = any.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                only.into_iter().for_each(|(key, value)| drop(schema.insert(key, value)));
            }
        }
    }
}

/// Lines that were broken for the source are joined, and links to other types are only their names.
fn prose(documentation: &str) -> String {
    // The expressions are ours and always compile; the text as it is would do as well.
    let Ok(link) = Regex::new(r"\[(`[^`\]]+`)\](\([^)]*\))?") else { return documentation.to_owned() };
    let text = link.replace_all(documentation, "$1");
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.starts_with("```"));
    paragraphs.map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

/// A text that is written in a certain way.
pub(crate) fn text(pattern: &str, description: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern, "description": description })
}

/// A list of texts that are written in a certain way.
pub(crate) fn texts(pattern: &str) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "pattern": pattern } })
}

/// Gives a type that is read from a text the schema of such a text.
macro_rules! text_schema {
    ($type:ty, $name:literal, $pattern:expr, $description:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::text($pattern, $description)
            }
        }
    };
}
pub(crate) use text_schema;

/// A duration as people write it.
pub(crate) struct DurationText;

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        const UNITS: &str = "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m\
                             |hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y";
        let pattern = format!(r"^0$|^\s*([0-9]+(\.[0-9]+)?\s*({UNITS})\s*)+$");
        json_schema!({
            "type": "string",
            "pattern": pattern,
            "examples": ["30s", "5m", "1h 30m"],
        })
    }
}

/// A name of lower-case words with hyphens.
pub(crate) struct Id;

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$", "maxLength": 64 })
    }
}
