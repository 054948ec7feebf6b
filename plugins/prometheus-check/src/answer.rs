//! What Prometheus' HTTP API answers, version 1.

use std::collections::BTreeMap;

use ripcord_plugin::{Failure, Result, http};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer, as far as it says something.
pub(crate) enum Answer {
    Found(Found),
    /// It could not be asked, and may be later.
    Nothing(String),
}

/// What a query gave.
#[derive(Default)]
pub(crate) struct Found {
    /// All numbers.
    pub(crate) values: Vec<f64>,
    /// That of a single series, or the newest.
    pub(crate) value: Option<f64>,
    pub(crate) series: Vec<Series>,
    /// How many samples were no number.
    pub(crate) nan: usize,
    pub(crate) warnings: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    /// The newest.
    pub(crate) value: Option<f64>,
    /// Oldest first.
    pub(crate) values: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// A time and a number, which comes as a text.
type Sample = (f64, String);

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<Sample>,
    #[serde(default)]
    values: Vec<Sample>,
}

/// Reads an answer.
///
/// # Errors
/// A [`Failure`] if the query itself is wrong: a file has to be changed before it can be asked at all.
pub(crate) fn read(response: &http::Response, query: &str) -> Result<Answer> {
    let body = match response.json::<Body>() {
        Ok(body) => body,
        Err(failure) => {
            return Ok(Answer::Nothing(format!("this is no answer of Prometheus: {}", failure.message())));
        }
    };
    let Body { status, data, error_type, error, warnings } = body;
    match (status.as_str(), data) {
        ("success", Some(data)) => found(data, warnings),
        _ if error_type == "bad_data" => {
            Err(Failure::permanent(format!("Prometheus can't make anything of the query `{query}`: {error}")))
        }
        _ => Ok(Answer::Nothing(format!(
            "Prometheus could not answer `{query}` ({}, {error_type}): {error}",
            response.status
        ))),
    }
}

fn found(data: Data, warnings: Vec<String>) -> Result<Answer> {
    let unreadable = |error| Failure::permanent(format!("Prometheus' result can't be read: {error}"));
    let raw = match data.result_type.as_str() {
        "scalar" => {
            let sample: Sample = serde_json::from_value(data.result).map_err(unreadable)?;
            vec![Raw { metric: BTreeMap::new(), value: Some(sample), values: Vec::new() }]
        }
        "vector" | "matrix" => serde_json::from_value::<Vec<Raw>>(data.result).map_err(unreadable)?,
        other => return Err(Failure::permanent(format!("the query gives a {other}: only numbers can be judged"))),
    };
    let mut found = Found { warnings, ..Found::default() };
    for Raw { metric, value, values } in raw {
        let samples: Vec<Sample> = value.into_iter().chain(values).collect();
        if samples.is_empty() {
            let help = "take a number out of it first, as with histogram_quantile(0.95, …)";
            return Err(Failure::permanent(format!("the query gives native histograms: {help}")));
        }
        let numbers = samples.iter().map(|(_, text)| number(text)).collect::<Result<Vec<_>>>()?;
        found.nan += numbers.iter().filter(|number| number.is_none()).count();
        let newest = numbers.last().copied().flatten();
        let values: Vec<f64> = numbers.into_iter().flatten().collect();
        found.values.extend(&values);
        found.series.push(Series { labels: metric, value: newest, values });
    }
    if let [one] = found.series.as_slice() {
        found.value = one.value;
    }
    Ok(Answer::Found(found))
}

/// A number that JSON can carry and a condition compares as it is meant; none if it is NaN, with which nothing
/// compares.
fn number(text: &str) -> Result<Option<f64>> {
    let number: f64 = text
        .parse()
        .map_err(|_| Failure::permanent(format!("Prometheus' result has `{text}` where a number was expected")))?;
    Ok((!number.is_nan()).then(|| number.clamp(f64::MIN, f64::MAX)))
}

impl Found {
    /// What was asked and what came.
    pub(crate) fn in_words(&self, query: &str, shown_max: usize) -> String {
        let shown = match (self.values.as_slice(), self.nan) {
            ([], 0) => return format!("`{query}` gives nothing"),
            ([], _) => return format!("`{query}` gives NaN: there was nothing to count"),
            (values, _) if self.series.iter().any(|series| series.values.len() > 1) => {
                let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(min, max), &it| (it.min(min), it.max(max)));
                format!("{} values from {} to {}", values.len(), said(min), said(max))
            }
            (values, _) => {
                let shown: Vec<String> = values.iter().take(shown_max).map(|value| said(*value)).collect();
                let more = values.len().saturating_sub(shown_max);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                shown.join(", ") + &more
            }
        };
        let nan = match self.nan {
            0 => String::new(),
            nan => format!(" ({nan} NaN left out)"),
        };
        format!("`{query}` gives {shown}{nan}")
    }
}

fn said(value: f64) -> String {
    if value >= f64::MAX {
        "+Inf".to_owned()
    } else if value <= f64::MIN {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
