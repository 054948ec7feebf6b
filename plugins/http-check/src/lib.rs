//! Observes an HTTP endpoint: whether a `GET` is answered with the expected status, and how soon. What
//! the answer says is for the plan's `expect`, as in
//! `response.json.version == steps.redeploy.receipt.version`.

use std::collections::BTreeMap;

use ripcord_plugin::expect::{FirstBytes, Limits, Statuses};
use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Role, Span, Verdict, clock, export_check, http};
use serde::Deserialize;
use serde_json::json;

const SERVICE: http::Service = http::Service::role("service");

struct HttpCheck;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    path: String,
    #[serde(default = "ok")]
    status: Statuses,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "once")]
    tries: u32,
    #[serde(default)]
    interval: Option<Span>,
    #[serde(default)]
    may_fail: u32,
    #[serde(default)]
    ttfb: Limits,
}

fn ok() -> Statuses {
    Statuses::only(200)
}

fn once() -> u32 {
    1
}

impl Check for HttpCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "HTTP check",
            description: "Sends GETs, one or several, and compares the status and the time to the first byte. \
                          `response` (status, headers, body, json; the last one) and `ttfb` (p50, p95, max, in ms) are \
                          evidence for the plan's `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("service", "http", "to look at the endpoint")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        let Seen { last, times, wrong, mut unobserved } = observe(&config)?;
        if wrong.is_empty() && last.is_none() {
            // Nothing was seen at all.
            if let Some(failure) = unobserved.pop() {
                return Err(failure);
            }
        }
        let failed = wrong.len() + unobserved.len();
        let allowed = config.may_fail as usize;
        let mut seen = format!("GET {}", config.path);
        if let Some(last) = &last {
            seen += &format!(" answered {}", last.status);
        }
        if config.tries > 1 {
            seen += &format!(
                "; {} of {} tries were good",
                config.tries as usize - failed.min(config.tries as usize),
                config.tries
            );
        }
        let verdict = match (wrong.last(), unobserved.last(), times.over(&config.ttfb)) {
            (Some(why), ..) if wrong.len() > allowed => Verdict::fail(say(config.tries, seen, why)),
            (_, Some(why), _) if failed > allowed => Verdict::inconclusive(say(config.tries, seen, why.message())),
            (Some(why), ..) if failed > allowed => Verdict::fail(say(config.tries, seen, why)),
            (.., Some(over)) => Verdict::fail(format!("{seen}; {over}")),
            (.., None) => Verdict::pass(seen),
        };
        let mut evidence = json!({ "ttfb": times.evidence() });
        if let Some(last) = &last {
            evidence["response"] = last.evidence();
        }
        let bytes = last.map_or(0, |last| last.body.0.len());
        Ok(times.measured(verdict.evidence(evidence)).measurement("body", bytes as f64, "bytes"))
    }
}

/// One try speaks for itself; of several the last that went wrong does.
fn say(tries: u32, seen: String, why: &str) -> String {
    if tries > 1 { format!("{seen}; {why}") } else { why.to_owned() }
}

#[derive(Default)]
struct Seen {
    last: Option<http::Response>,
    times: FirstBytes,
    /// Of tries that were answered otherwise than expected, or not at all.
    wrong: Vec<String>,
    /// Of tries that say nothing about the service.
    unobserved: Vec<Failure>,
}

fn observe(config: &Config) -> Result<Seen> {
    let mut seen = Seen::default();
    for number in 0..config.tries {
        if let (1.., Some(interval)) = (number, config.interval) {
            clock::sleep(interval.0);
        }
        let mut request = SERVICE.get(&config.path);
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        match request.send() {
            Ok(response) => {
                seen.times.add(&response);
                if !config.status.contain(response.status) {
                    let why = format!("GET {} answered {}, expected {}", config.path, response.status, config.status);
                    seen.wrong.push(why);
                }
                seen.last = Some(response);
            }
            // A file has to be changed before this can be observed at all.
            Err(denied @ Failure::Denied(_)) => return Err(denied),
            Err(failure) if failure.is_no_answer() => seen.wrong.push(failure.message().to_owned()),
            Err(failure) => seen.unobserved.push(failure),
        }
    }
    Ok(seen)
}

export_check!(HttpCheck);
