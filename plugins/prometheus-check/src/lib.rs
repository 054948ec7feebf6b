//! Observes what a Prometheus server answers to a query, now or over a while. What that has to be is for the
//! plan's `expect`, as in `value < 0.5`.

mod answer;
mod empty;

use std::fmt::Write as _;

use ripcord_plugin::{Check, Context, Manifest, Result, Role, Span, Verdict, clock, export_check, http};
use serde::Deserialize;
use serde_json::json;

use crate::answer::{Answer, Found};
use crate::empty::Empty;

const PROMETHEUS: http::Service = http::Service::role("prometheus");

/// How many of its values a message shows.
const SHOWN_MAX: usize = 3;

struct PrometheusCheck;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    query: String,
    last: Option<Span>,
    step: Option<Span>,
    #[serde(default)]
    empty: Empty,
}

impl Check for PrometheusCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Prometheus check",
            description: "Asks a Prometheus server. `values` (all numbers that the query gives), `value` (the one of \
                          a single series; the newest of a range) and `series` (labels, value, values) are evidence for \
                          the plan's `expect`, as doubles; NaN is left out, +Inf and -Inf are the largest and the \
                          smallest double. A query that gives no number is inconclusive unless `empty` says otherwise.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("prometheus", "http", "to ask it: GET /api/v1/query, or /api/v1/query_range")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        let response = PROMETHEUS.get(path(&config)).send()?;
        match answer::read(&response, &config.query)? {
            Answer::Found(found) => Ok(judge(&config, found)),
            Answer::Nothing(why) => Ok(Verdict::inconclusive(why)),
        }
    }
}

fn path(config: &Config) -> String {
    let query = http::segment(&config.query);
    let Some(last) = config.last else { return format!("/api/v1/query?query={query}") };
    let now = clock::now();
    let end = now.seconds as f64 + f64::from(now.nanoseconds / 1_000_000) / 1000.0;
    let (start, step) = (end - last.0.as_secs_f64(), config.step.map_or(15.0, |step| step.0.as_secs_f64()));
    format!("/api/v1/query_range?query={query}&start={start:.3}&end={end:.3}&step={step}")
}

fn judge(config: &Config, mut found: Found) -> Verdict {
    let mut seen = found.in_words(&config.query, SHOWN_MAX);
    for warning in &found.warnings {
        // Writing to a string can't fail.
        let _ = write!(seen, "; Prometheus warns: {warning}");
    }
    let outcome = if found.values.is_empty() {
        if let Empty::Number(number) = config.empty {
            found.values.push(number);
            found.value = Some(number);
            seen += &format!("; the plan counts that as {number}");
        }
        config.empty.outcome()
    } else {
        ripcord_plugin::Outcome::Pass
    };
    let mut evidence = json!({ "values": found.values, "series": found.series, "warnings": found.warnings });
    if let Some(value) = found.value {
        evidence["value"] = json!(value);
    }
    let verdict = Verdict::new(outcome, seen).evidence(evidence);
    match found.value {
        Some(value) => verdict.measurement("value", value, ""),
        None => verdict.measurement("values", found.values.len() as f64, ""),
    }
}

export_check!(PrometheusCheck);
