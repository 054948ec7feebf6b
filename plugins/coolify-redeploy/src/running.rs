//! The version that runs: not what Coolify believes, but what answers.

use std::time::Duration;

use ripcord_plugin::{Context, Failure, Result, clock, http, log};
use serde_json::{Value, json};

use crate::choice::{Target, is_expected};
use crate::config::Config;
use crate::coolify::Coolify;
use crate::version::Way;

pub(crate) const SERVICE: http::Service = http::Service::role("service");

/// What has to run, and how one sees it.
pub(crate) struct Wanted<'a> {
    pub(crate) target: &'a Target,
    pub(crate) way: Way,
    /// What the service calls it.
    pub(crate) expected: &'a str,
}

/// What the service says which version it is, or why it does not. None if it can't be asked.
pub(crate) fn said(context: &Context, config: &Config, expected: &str) -> Option<std::result::Result<String, String>> {
    if !context.is_bound("service") {
        return None;
    }
    let assumed = http::Response::new(200).with_body(body(&config.pointer, expected).to_string());
    let path = &config.path;
    let asked = SERVICE.get(path.as_str()).header("accept", "application/json").assume(assumed).send();
    Some(asked.map_err(|failure| failure.message().to_owned()).and_then(|response| {
        if !response.is_success() {
            return Err(format!("GET {path} answered {}", response.status));
        }
        let text = response.body.text();
        if config.pointer.is_empty() {
            return Ok(text.trim().trim_matches('"').to_owned());
        }
        let json: Value = serde_json::from_str(&text).map_err(|_| format!("GET {path} answered no JSON"))?;
        match json.pointer(&config.pointer) {
            Some(Value::String(version)) => Ok(version.clone()),
            Some(version @ Value::Number(_)) => Ok(version.to_string()),
            _ => Err(format!("the answer to GET {path} has no version at {}", config.pointer)),
        }
    }))
}

/// The answer in which the version stands there.
fn body(field: &str, version: &str) -> Value {
    let nest = |inner, key: &str| json!({ (key.replace("~1", "/").replace("~0", "~")): inner });
    field.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(json!(version), nest)
}

/// Waits until the wanted version answers and is as healthy as it has to be, and gives the name that it
/// goes by. A deployment that has finished says neither.
pub(crate) fn wait(context: &Context, coolify: &Coolify<'_>, wanted: &Wanted<'_>) -> Result<String> {
    let config = coolify.config;
    let mut waited = Duration::ZERO;
    loop {
        let not_yet = match look(context, coolify, wanted) {
            Ok(Ok(version)) => return Ok(version),
            Ok(Err(not_yet)) => not_yet,
            Err(failure @ Failure::Denied(_)) => return Err(failure),
            Err(failure) => failure.message().to_owned(),
        };
        if waited >= config.settles_within.0 {
            return Err(Failure::permanent(format!(
                "the deployment of {} has finished, but {} later {not_yet}",
                wanted.target, config.settles_within
            )));
        }
        clock::sleep(config.poll.0);
        waited += config.poll.0.max(Duration::from_millis(1));
    }
}

/// One look: the version, or what is not as it should be yet.
fn look(context: &Context, coolify: &Coolify<'_>, wanted: &Wanted<'_>) -> Result<std::result::Result<String, String>> {
    let assumed = json!({ "build_pack": "", "status": "running:healthy" });
    let status = coolify.application(Some(assumed))?.status;
    if !coolify.config.health.accepts(&status) {
        let advice = match status.as_str() {
            "running:unknown" => ": Coolify has no health check for it. Give it one, or write health = \"running\"",
            _ => "",
        };
        return Ok(Err(format!("the application is `{status}`{advice}")));
    }
    match said(context, coolify.config, wanted.expected) {
        Some(Ok(version)) if is_expected(&version, wanted.expected) => return Ok(Ok(version)),
        Some(Ok(version)) => {
            return Ok(Err(format!("the service says that it is {version}, not {}", wanted.expected)));
        }
        Some(Err(why)) => return Ok(Err(format!("the service does not tell its version: {why}"))),
        None => {}
    }
    if wanted.way == Way::Rollback {
        let assumed = json!({ "current": wanted.target.name(), "images": [] });
        match coolify.running_image(assumed)? {
            Some(tag) if tag == wanted.target.name() => return Ok(Ok(wanted.expected.to_owned())),
            Some(tag) => return Ok(Err(format!("the image that runs is that of {tag}"))),
            None => {}
        }
    }
    log::warn(
        "nothing tells which version really runs: Coolify says that it has deployed it, and can't tell more. Bind `service`, \
         so that the version can be asked for",
    );
    Ok(Ok(wanted.expected.to_owned()))
}
