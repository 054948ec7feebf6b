//! Durations as people write them: `"30s"`, `"1m 30s"`. For `#[serde(with = "crate::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes a duration as a person would.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads what a person wrote.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom(format!(
            "`{text}` is no duration: write a number and its unit, like \"30s\" or \"2m\""
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Table(#[serde(with = "super")] Duration);

    #[test]
    fn a_duration_is_read_and_written_as_a_person_would_and_needs_its_unit() {
        for (text, milliseconds) in [("30s", 30_000), ("1m 30s", 90_000), ("250ms", 250)] {
            let table: Table = serde_json::from_value(text.into()).unwrap();
            assert_eq!(table.0.as_millis(), milliseconds);
            assert_eq!(serde_json::to_value(table).unwrap(), text);
        }
        for wrong in ["30", "soon", ""] {
            let error = serde_json::from_value::<Table>(wrong.into()).err().unwrap().to_string();
            assert!(error.contains("\"30s\""), "{error}");
        }
    }
}
