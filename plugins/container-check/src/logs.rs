//! What a container's log says.

use regex_lite::Regex;
use ripcord_plugin::docker::Engine;
use ripcord_plugin::{Failure, Result, Span};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Finding;

/// How much of a line stands in a message.
const QUOTED_CHARS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Logs {
    #[serde(default = "newest")]
    lines: u32,
    since: Option<Span>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    max: usize,
    #[serde(default)]
    require: Vec<String>,
}

fn newest() -> u32 {
    200
}

pub(crate) struct Patterns {
    deny: Vec<Regex>,
    require: Vec<Regex>,
}

pub(crate) struct Seen {
    pub(crate) lines: Vec<String>,
    pub(crate) denied: Vec<String>,
    missing: Vec<String>,
    truncated: bool,
}

impl Logs {
    pub(crate) fn patterns(&self) -> Result<Patterns> {
        let compiled = |key: &str, texts: &[String]| {
            let compile = |text: &String| {
                let why = |error| Failure::permanent(format!("logs.{key}: `{text}` is no regular expression: {error}"));
                Regex::new(text).map_err(why)
            };
            texts.iter().map(compile).collect::<Result<Vec<_>>>()
        };
        Ok(Patterns { deny: compiled("deny", &self.deny)?, require: compiled("require", &self.require)? })
    }

    /// The lines that count: those that are young enough.
    pub(crate) fn look(
        &self,
        engine: Engine,
        container: &str,
        began: Option<i64>,
        now: i64,
        patterns: &Patterns,
    ) -> Result<Seen> {
        let age = |since: Span| i64::try_from(since.0.as_millis()).unwrap_or(i64::MAX);
        let since = self.since.map(|since| now.saturating_sub(age(since))).or(began);
        let tail = engine.logs(container, self.lines, since)?;
        // The engine counts in seconds.
        let counts = |at: Option<i64>| at.zip(since).is_none_or(|(at, since)| at >= since);
        let lines: Vec<_> = tail.lines.into_iter().filter(|line| counts(line.at)).map(|line| line.text).collect();
        let is_denied = |line: &&String| patterns.deny.iter().any(|pattern| pattern.is_match(line));
        let denied = lines.iter().filter(is_denied).cloned().collect();
        let is_missing = |pattern: &&Regex| !lines.iter().any(|line| pattern.is_match(line));
        let missing = patterns.require.iter().filter(is_missing).map(|pattern| pattern.as_str().to_owned()).collect();
        Ok(Seen { lines, denied, missing, truncated: tail.truncated })
    }

    pub(crate) fn judge(&self, container: &str, seen: &Seen) -> Vec<Finding> {
        let mut findings = Vec::new();
        if seen.denied.len() > self.max {
            let newest = seen.denied.last().map(|line| line.chars().take(QUOTED_CHARS_MAX).collect::<String>());
            let (count, max) = (seen.denied.len(), self.max);
            let lines = if count == 1 { "line" } else { "lines" };
            findings.push(Finding::Wrong(format!(
                "the log of {container} has {count} {lines} that should not be there, expected at most {max}; the newest: {}",
                newest.unwrap_or_default()
            )));
        }
        if let Some(missing) = seen.missing.first() {
            findings.push(Finding::Wrong(format!("the log of {container} has no line like `{missing}`")));
        }
        findings
    }
}

impl Seen {
    pub(crate) fn evidence(&self) -> Value {
        json!({
            "lines": self.lines,
            "denied": self.denied,
            "missing": self.missing,
            "truncated": self.truncated,
        })
    }
}
