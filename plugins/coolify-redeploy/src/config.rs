//! What the plan says: `parameters.json` describes each of them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

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
    #[serde(default = "poll", deserialize_with = "duration")]
    pub(crate) poll: Duration,
    #[serde(default = "deploys_within", deserialize_with = "duration")]
    pub(crate) deploys_within: Duration,
    #[serde(default = "settles_within", deserialize_with = "duration")]
    pub(crate) settles_within: Duration,
    #[serde(default = "waits_at_most", deserialize_with = "duration")]
    pub(crate) waits_at_most: Duration,
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

fn poll() -> Duration {
    Duration::from_secs(5)
}

fn deploys_within() -> Duration {
    Duration::from_secs(10 * 60)
}

fn settles_within() -> Duration {
    Duration::from_secs(2 * 60)
}

fn waits_at_most() -> Duration {
    Duration::from_secs(3 * 60)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no duration like \"500ms\", \"5s\" or \"10m\"")))
}

/// One number and one unit, as the schema has it.
fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, parsed) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("5s", Some(Duration::from_secs(5))),
            ("10m", Some(Duration::from_secs(600))),
            ("5", None),
            ("s", None),
            ("1h", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse(text), parsed, "{text}");
        }
    }
}
