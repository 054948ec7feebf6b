//! Observes an HTTP endpoint: one `GET`, and whether it answers with the expected status. What the
//! answer says is for the plan's `expect`, as in
//! `response.json.version == steps.redeploy.receipt.version`.

use std::collections::BTreeMap;

use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Role, Verdict, export_check, http};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const SERVICE: http::Service = http::Service::role("service");

/// How much of a body becomes evidence.
const BODY_BYTES_MAX: usize = 64 * 1024;

struct HttpCheck;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    path: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

impl Check for HttpCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "HTTP check",
            description: "Sends one GET and compares the status. `response` (status, headers, body, json) is \
                          evidence for the plan's `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("service", "http", "to look at the endpoint")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        let mut request = SERVICE.get(&config.path);
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        let response = match request.send() {
            Ok(response) => response,
            // A file has to be changed before this can be observed at all.
            Err(denied @ Failure::Denied(_)) => return Err(denied),
            Err(failure) => return Ok(Verdict::inconclusive(failure.message())),
        };
        let seen = format!("GET {} answered {}", config.path, response.status);
        let verdict = if response.status == config.status {
            Verdict::pass(seen)
        } else {
            Verdict::fail(format!("{seen}, expected {}", config.status))
        };
        let bytes = response.body.0.len();
        Ok(verdict.evidence(json!({ "response": evidence(&response) })).measurement("body", bytes as f64, "bytes"))
    }
}

fn evidence(response: &http::Response) -> Value {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        // RFC 9110, 5.3: several fields of one name mean the same as one with their values in a list.
        match headers.get_mut(name) {
            Some(Value::String(present)) => *present = format!("{present}, {value}"),
            _ => drop(headers.insert(name.clone(), json!(value))),
        }
    }
    let body = &response.body.0;
    let mut evidence = json!({
        "status": response.status,
        "headers": headers,
        "body": String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES_MAX)]),
    });
    if body.len() <= BODY_BYTES_MAX
        && let Ok(json) = serde_json::from_slice::<Value>(body)
    {
        evidence["json"] = json;
    }
    evidence
}

export_check!(HttpCheck);
