//! Observes which alerts fire in an Alertmanager. More can be asked by the plan's `expect`, as in
//! `firing.all(a, a.labels.severity != 'critical')`.

use std::collections::BTreeMap;

use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Role, Verdict, export_check, http};
use serde::{Deserialize, Serialize};
use serde_json::json;

const ALERTMANAGER: http::Service = http::Service::role("alertmanager");

/// How many alerts a message names.
const NAMED_MAX: usize = 3;

struct AlertCheck;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    filter: Vec<String>,
    receiver: Option<String>,
    #[serde(default)]
    max: usize,
    #[serde(default)]
    alive: Vec<String>,
}

/// As `GET /api/v2/alerts` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    fingerprint: String,
    #[serde(rename = "generatorURL", default)]
    generator: String,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    /// By a time in which its route is muted; newer ones say it.
    #[serde(default)]
    muted_by: Vec<String>,
}

/// As the plan's `expect` sees it.
#[derive(Serialize)]
struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    since: String,
    fingerprint: String,
    generator: String,
}

#[derive(Default)]
struct Seen {
    firing: Vec<Alert>,
    silenced: Vec<Alert>,
    inhibited: Vec<Alert>,
}

impl Check for AlertCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Alert check",
            description: "Asks an Alertmanager which alerts fire. `firing`, `silenced` and `inhibited` (lists of alerts: \
                          labels, annotations, since, fingerprint, generator) are evidence for the plan's `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("alertmanager", "http", "to ask it: GET /api/v2/alerts")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        observe(&config)
    }
}

fn observe(config: &Config) -> Result<Verdict> {
    if !config.alive.is_empty() && list(&config.alive, None)?.firing.is_empty() {
        let alive = config.alive.join(", ");
        let why = format!("no alert with {alive} fires, which always should: nobody measures, or no alert arrives");
        return Ok(Verdict::inconclusive(why));
    }
    let seen = list(&config.filter, config.receiver.as_deref())?;
    let Seen { firing, silenced, inhibited } = &seen;
    let mut said = match firing.as_slice() {
        [] => "no alert fires".to_owned(),
        [one] => format!("an alert fires: {}", in_words(one)),
        several => {
            let named: Vec<_> = several.iter().take(NAMED_MAX).map(in_words).collect();
            let more = several.len().saturating_sub(NAMED_MAX);
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            format!("{} alerts fire: {}{more}", several.len(), named.join("; "))
        }
    };
    for (alerts, how) in [(silenced, "silenced"), (inhibited, "inhibited")] {
        if !alerts.is_empty() {
            said += &format!(" ({} {how})", alerts.len());
        }
    }
    let verdict = if firing.len() > config.max {
        let max = match config.max {
            0 => "none".to_owned(),
            max => format!("at most {max}"),
        };
        Verdict::fail(format!("{said}, expected {max}"))
    } else {
        Verdict::pass(said)
    };
    let evidence = json!({ "firing": firing, "silenced": silenced, "inhibited": inhibited });
    Ok(verdict.evidence(evidence).measurement("firing", firing.len() as f64, ""))
}

fn list(filter: &[String], receiver: Option<&str>) -> Result<Seen> {
    let mut path = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true".to_owned();
    for matcher in filter {
        path += &format!("&filter={}", http::segment(matcher));
    }
    if let Some(receiver) = receiver {
        path += &format!("&receiver={}", http::segment(receiver));
    }
    let response = ALERTMANAGER.get(path).send()?;
    match response.status {
        400 => {
            let said =
                response.json::<String>().unwrap_or_else(|_| String::from_utf8_lossy(&response.body.0).into_owned());
            return Err(Failure::permanent(format!(
                "Alertmanager can't make anything of `filter` or `receiver`: {said}"
            )));
        }
        200 => {}
        _ => return Err(Failure::transient(response.unexpected("").message())),
    }
    let listed = match response.json::<Vec<Listed>>() {
        Ok(listed) => listed,
        Err(failure) => return Err(Failure::transient(format!("this is no Alertmanager: {}", failure.message()))),
    };
    let mut seen = Seen::default();
    for Listed { labels, annotations, starts_at, fingerprint, generator, status } in listed {
        let place = if !status.silenced_by.is_empty() || !status.muted_by.is_empty() {
            &mut seen.silenced
        } else if !status.inhibited_by.is_empty() {
            &mut seen.inhibited
        } else {
            &mut seen.firing
        };
        place.push(Alert { labels, annotations, since: starts_at, fingerprint, generator });
    }
    // Those that fire for longest come first.
    seen.firing.sort_by(|a, b| a.since.cmp(&b.since));
    Ok(seen)
}

fn in_words(alert: &Alert) -> String {
    let name = alert.labels.get("alertname").map_or("an alert without a name", String::as_str);
    let severity = alert.labels.get("severity").map(|severity| format!(" ({severity})")).unwrap_or_default();
    let summary = ["summary", "description", "message"].iter().find_map(|key| alert.annotations.get(*key));
    let summary = summary.map(|summary| format!(": {summary}")).unwrap_or_default();
    format!("{name}{severity} since {}{summary}", alert.since)
}

export_check!(AlertCheck);
