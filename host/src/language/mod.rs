//! The languages that a report is written in: one table of words each, with the same keys.
//!
//! What servers, plugins and people have said stays as they said it, and so does what ripcord itself
//! wrote into the journal.

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A language that ripcord's reports can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
}

impl Language {
    /// All of them.
    pub const ALL: &[Self] = &[Self::En, Self::Es];

    /// Its name in files and arguments, which is also its BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    /// Its words, as one JSON object of objects.
    pub(crate) fn table(self) -> &'static Value {
        static TABLES: [OnceLock<Value>; 2] = [const { OnceLock::new() }; 2];
        let (table, text) = match self {
            Self::En => (&TABLES[0], include_str!("en.toml")),
            Self::Es => (&TABLES[1], include_str!("es.toml")),
        };
        // Both files are part of the program, and a test reads them.
        table.get_or_init(|| toml::from_str(text).unwrap_or_default())
    }

    /// A fixed word.
    pub(crate) fn word(self, group: &str, key: &str) -> String {
        self.table()[group][key].as_str().map_or_else(|| format!("{group}.{key}"), str::to_owned)
    }

    /// What a value says: the text for its `kind` in this group, with its other fields in the places
    /// that are marked `{field}`. A field that has words of its own, in a group of its name, is said in
    /// those.
    pub(crate) fn say(self, group: &str, said: &impl Serialize) -> String {
        // What is said has texts for keys and no floats: there is nothing that could fail.
        self.say_value(group, &serde_json::to_value(said).unwrap_or_default())
    }

    fn say_value(self, group: &str, said: &Value) -> String {
        self.fill(&self.word(group, kind(said)), said)
    }

    /// As [`Language::say`], with what stands between backticks in the text (not in a field) apart: of
    /// these pieces every second one is a command.
    pub(crate) fn pieces(self, group: &str, said: &Value) -> Vec<String> {
        self.word(group, kind(said)).split('`').map(|piece| self.fill(piece, said)).collect()
    }

    /// A text with the fields of an object in their places. Nothing that a field holds is taken for a
    /// mark.
    pub(crate) fn fill(self, text: &str, fields: &Value) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, mark)) = rest.split_once('{') {
            let (field, behind) = mark.split_once('}').unwrap_or((mark, ""));
            filled.push_str(before);
            filled.push_str(&self.shown(field, &fields[field]));
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }

    fn shown(self, field: &str, value: &Value) -> String {
        match value {
            Value::String(text) => self.table()[field][text].as_str().unwrap_or(text).to_owned(),
            Value::Array(values) => values.iter().map(|value| self.shown(field, value)).collect::<Vec<_>>().join(", "),
            Value::Object(_) => self.say_value(field, value),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }
}

fn kind(said: &Value) -> &str {
    said["kind"].as_str().or(said.as_str()).unwrap_or_default()
}
