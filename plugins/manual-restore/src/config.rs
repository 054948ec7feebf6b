//! What the plan says: `parameters.json` describes each of them.

use ripcord_plugin::Span;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) code: Option<Code>,
    pub(crate) backup: Option<String>,
    #[serde(default = "yes")]
    pub(crate) database: bool,
    #[serde(default)]
    pub(crate) stop: Vec<String>,
    start: Option<Vec<Vec<String>>>,
    #[serde(default = "two_minutes")]
    pub(crate) healthy_within: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Code {
    pub(crate) to: Option<String>,
    #[serde(default)]
    pub(crate) by: By,
    pub(crate) push: Option<String>,
    message: Option<String>,
}

/// How the code gets back.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    #[default]
    Revert,
    Reset,
}

impl Config {
    /// The containers to start, group by group.
    pub(crate) fn start(&self) -> Vec<Vec<String>> {
        match &self.start {
            Some(groups) => groups.clone(),
            None if self.stop.is_empty() => Vec::new(),
            None => vec![self.stop.clone()],
        }
    }
}

impl Code {
    /// The message of the commit that takes the code back.
    pub(crate) fn message(&self, to: &str) -> String {
        self.message.as_deref().unwrap_or("Roll back to {to}").replace("{to}", to)
    }
}

fn yes() -> bool {
    true
}

fn two_minutes() -> Span {
    Span::seconds(120)
}
