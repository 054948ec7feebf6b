//! What a container's log says.

use ripcord_plugin::docker::Engine;
use ripcord_plugin::lines::{Expected, Patterns, Seen};
use ripcord_plugin::{Result, Span};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Logs {
    #[serde(default = "newest")]
    lines: u32,
    since: Option<Span>,
    #[serde(default)]
    deny: Vec<String>,
    max: Option<usize>,
    per_minute_max: Option<f64>,
    percent_max: Option<f64>,
    #[serde(default)]
    among: Vec<String>,
    #[serde(default)]
    require: Vec<String>,
}

fn newest() -> u32 {
    200
}

impl Logs {
    pub(crate) fn expected(&self) -> Expected {
        Expected {
            deny: self.deny.clone(),
            max: self.max,
            per_minute_max: self.per_minute_max,
            percent_max: self.percent_max,
            among: self.among.clone(),
            require: self.require.clone(),
        }
    }

    /// The lines that count, those that are young enough, and whether some are missing.
    pub(crate) fn look(
        &self,
        engine: Engine,
        container: &str,
        began: Option<i64>,
        now: i64,
        patterns: &Patterns,
    ) -> Result<(Seen, bool)> {
        let age = |since: Span| i64::try_from(since.0.as_millis()).unwrap_or(i64::MAX);
        let since = self.since.map(|since| now.saturating_sub(age(since))).or(began);
        let log = engine.log_since(container, self.lines, since, now)?;
        Ok((patterns.sort(log.lines, log.period), log.truncated))
    }
}
