//! What the plan says: `parameters.json` describes each of them.

use ripcord_plugin::Span;
use serde::Deserialize;

use super::application::Health;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) application: String,
    pub(crate) to: Option<String>,
    #[serde(default)]
    pub(crate) bad: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) freeze: bool,
    #[serde(default = "path")]
    pub(crate) path: String,
    #[serde(default = "pointer")]
    pub(crate) pointer: String,
    pub(crate) expect: Option<String>,
    pub(crate) tag: Option<String>,
    #[serde(default = "running")]
    pub(crate) health: Health,
    #[serde(default = "poll")]
    pub(crate) poll: Span,
    #[serde(default = "deploys_within")]
    pub(crate) deploys_within: Span,
    #[serde(default = "settles_within")]
    pub(crate) settles_within: Span,
    #[serde(default = "waits_at_most")]
    pub(crate) waits_at_most: Span,
}

fn yes() -> bool {
    true
}

fn path() -> String {
    "/health".to_owned()
}

fn pointer() -> String {
    "/version".to_owned()
}

fn running() -> Health {
    Health::Running
}

fn poll() -> Span {
    Span::seconds(5)
}

fn deploys_within() -> Span {
    Span::seconds(10 * 60)
}

fn settles_within() -> Span {
    Span::seconds(2 * 60)
}

fn waits_at_most() -> Span {
    Span::seconds(3 * 60)
}
