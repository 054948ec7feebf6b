//! The answers, by the official description save for what Coolify's own code does otherwise.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::lies::{Told, Version};
use super::world::{Application, Deployment, QUEUE_MAX, World};

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// `Retry-After`, in seconds.
    pub(super) retry_after: Option<u32>,
    /// Where the browser of somebody who does not ask for JSON is sent.
    pub(super) location: Option<&'static str>,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, retry_after: None, location: None }
    }

    fn message(status: u16, message: &str) -> Self {
        Self::new(status, json!({ "message": message }))
    }
}

/// One request, understood as far as HTTP goes.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Value,
    pub(super) abilities: &'a [String],
    pub(super) accepts_json: bool,
}

/// What `PATCH` knows of what matters here; the rest of the official list changes nothing.
const PATCHED: &[&str] = &[
    "git_commit_sha",
    "git_branch",
    "git_repository",
    "docker_registry_image_name",
    "docker_registry_image_tag",
    "is_auto_deploy_enabled",
    "name",
    "description",
    "domains",
    "build_pack",
    "health_check_enabled",
];

/// Answers, and does it.
pub(super) fn answer(world: &mut World, told: &Told, version: Version, asked: &Asked<'_>) -> Answer {
    let may = |ability: &str| asked.abilities.iter().any(|has| has == ability || has == "root");
    let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
    if told.tells(version, "api-disabled") {
        return Answer::new(403, json!({ "success": true, "message": "API is disabled." }));
    }
    if asked.abilities.is_empty() {
        return Answer::message(401, "Unauthenticated.");
    }
    let needed = match (asked.method, &parts[..]) {
        ("GET", _) => "read",
        ("PATCH", _) => "write",
        _ => "deploy",
    };
    if !may(needed) {
        let missing = format!("Missing required permissions: {needed}");
        return match parts[..] {
            ["deploy"] if told.tells(version, "deploy-unauthorised") => {
                let text = "Unauthorized to deploy this resource.";
                Answer::new(200, json!({ "deployments": [{ "message": text, "resource_uuid": "" }] }))
            }
            _ => Answer::message(403, &missing),
        };
    }
    match (asked.method, &parts[..]) {
        ("GET", ["version"]) => Answer::new(200, Value::String(version.to_string())),
        ("GET", ["health"]) => Answer::new(200, Value::String("OK".to_owned())),
        ("GET", ["deployments"]) => active(world, told, version),
        ("GET", ["deployments", "applications", uuid]) => history(world, uuid, asked),
        ("GET", ["deployments", uuid]) => match world.deployment(uuid) {
            Some(deployment) => Answer::new(200, shown_deployment(deployment)),
            None => Answer::message(404, "Deployment not found."),
        },
        ("POST", ["deployments", uuid, "cancel"]) => cancel(world, told, version, uuid),
        ("POST", ["deploy"]) => deploy(world, told, version, asked),
        (method, ["applications", uuid, rest @ ..]) => {
            let Some(application) = world.applications.get(*uuid).cloned() else {
                return Answer::message(404, "Application not found.");
            };
            match (method, rest) {
                ("GET", []) => look(world, told, version, uuid),
                ("PATCH", []) => patch(world, uuid, &asked.body),
                ("POST", ["start" | "restart"]) => {
                    let restart_only = rest == ["restart"];
                    let uuid = world.fresh();
                    if !told.tells(version, "queue-full") && world.queued() < QUEUE_MAX {
                        let deploys = application.configured(version, told);
                        world.queue(Deployment { restart_only, ..deployment(&uuid, &application, deploys) });
                    }
                    let message = if restart_only { "Restart request queued." } else { "Deployment request queued." };
                    Answer::new(200, json!({ "message": message, "deployment_uuid": uuid }))
                }
                ("POST", ["stop"]) => {
                    let keeps = asked.query.get("docker_cleanup").is_some_and(|value| value == "false");
                    if let Some(application) = world.applications.get_mut(*uuid) {
                        application.is_stopped = true;
                        if !keeps {
                            application.kept.clear();
                        }
                    }
                    Answer::message(200, "Application stopping request queued.")
                }
                ("GET", ["rollback-images"]) if version >= Version(4, 3, 0) => images(&application, told, version),
                ("POST", ["rollback"]) if version >= Version(4, 3, 0) => {
                    rollback(world, told, version, &application, &asked.body)
                }
                _ => Answer::message(404, "Not found."),
            }
        }
        _ => Answer::message(404, "Not found."),
    }
}

fn look(world: &mut World, told: &Told, version: Version, uuid: &str) -> Answer {
    let Some(application) = world.applications.get_mut(uuid) else { return Answer::message(404, "Not found.") };
    let status = match application {
        Application { is_stopped: true, .. } => "exited:unhealthy",
        Application { unhealthy_looks: 1.., .. } => {
            application.unhealthy_looks -= 1;
            "running:unhealthy"
        }
        _ => "running:healthy",
    };
    // An image application carries git fields as well.
    let (repository, branch) = match application.is_image() {
        true => ("coollabsio/coolify", "main"),
        false => (application.git_repository.as_str(), application.git_branch.as_str()),
    };
    let mut shown = json!({
        "id": 1, "uuid": application.uuid, "name": "asistente-andrea", "description": null, "fqdn": null,
        "git_repository": repository, "git_branch": branch, "git_commit_sha": application.git_commit_sha,
        "docker_registry_image_name": application.docker_registry_image_name,
        "docker_registry_image_tag": application.docker_registry_image_tag,
        "build_pack": application.build_pack, "status": status, "health_check_enabled": true,
    });
    if !told.tells(version, "auto-deploy-not-shown") {
        shown["settings"] = json!({ "is_auto_deploy_enabled": application.is_auto_deploy_enabled });
    }
    Answer::new(200, shown)
}

fn patch(world: &mut World, uuid: &str, body: &Value) -> Answer {
    let Some(fields) = body.as_object() else { return Answer::message(400, "Invalid request.") };
    let mut errors = Map::new();
    for (key, value) in fields {
        let problem = match key.as_str() {
            key if !PATCHED.contains(&key) => Some("This field is not allowed."),
            "is_auto_deploy_enabled" if !value.is_boolean() => Some("The field must be true or false."),
            "git_commit_sha" if value.as_str().is_none_or(str::is_empty) => Some("The field must be a string."),
            _ => None,
        };
        if let Some(problem) = problem {
            errors.insert(key.clone(), json!([problem]));
        }
    }
    if !errors.is_empty() {
        return Answer::new(422, json!({ "message": "Validation failed.", "errors": errors }));
    }
    if let Some(application) = world.applications.get_mut(uuid) {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        if let Some(pin) = text("git_commit_sha") {
            application.is_pin_new |= pin != application.git_commit_sha;
            application.git_commit_sha = pin;
        }
        application.git_branch = text("git_branch").unwrap_or(application.git_branch.clone());
        if let Some(tag) = text("docker_registry_image_tag") {
            application.docker_registry_image_tag = Some(tag);
        }
        if let Some(on) = fields.get("is_auto_deploy_enabled").and_then(Value::as_bool) {
            application.is_auto_deploy_enabled = on;
        }
    }
    Answer::new(200, json!({ "uuid": uuid }))
}

fn deploy(world: &mut World, told: &Told, version: Version, asked: &Asked<'_>) -> Answer {
    let Some(application) = asked.query.get("uuid").and_then(|uuid| world.applications.get(uuid)).cloned() else {
        return Answer::message(404, "No resources found.");
    };
    if told.tells(version, "queue-full") || world.queued() >= QUEUE_MAX {
        let text = format!("Deployment queue is full ({QUEUE_MAX}).");
        return Answer { retry_after: Some(60), ..Answer::message(429, &text) };
    }
    let deploys = application.configured(version, told);
    let force = match asked.query.get("force").map(String::as_str) {
        None => false,
        Some("false" | "0") => told.tells(version, "force-false-is-true"),
        Some(_) => true,
    };
    let uuid = world.fresh();
    let is_there =
        |other: &Deployment| other.application == application.uuid && other.is_active() && other.deploys == deploys;
    if !force && told.tells(version, "deploy-phantom") && world.deployments.iter().any(is_there) {
        let text = "Deployment already queued for this commit.";
        let phantom = json!({ "message": text, "resource_uuid": application.uuid, "deployment_uuid": uuid });
        return Answer::new(200, json!({ "deployments": [phantom] }));
    }
    let message = format!("Application {} deployment queued.", application.uuid);
    world.queue(Deployment { force_rebuild: force, ..deployment(&uuid, &application, deploys) });
    let queued = json!({ "message": message, "resource_uuid": application.uuid, "deployment_uuid": uuid });
    Answer::new(200, json!({ "deployments": [queued] }))
}

fn rollback(world: &mut World, told: &Told, version: Version, application: &Application, body: &Value) -> Answer {
    let fields = body.as_object();
    let Some(commit) = fields.filter(|fields| fields.len() == 1).and_then(|fields| fields.get("commit")?.as_str())
    else {
        let errors = json!({ "commit": ["The commit field is required."] });
        return Answer::new(422, json!({ "message": "Validation error.", "errors": errors }));
    };
    if told.tells(version, "queue-full") || world.queued() >= QUEUE_MAX {
        return Answer::message(400, &format!("Deployment queue is full ({QUEUE_MAX})."));
    }
    let is_image_lie = application.is_image() && told.tells(version, "image-rollback-redeploys");
    let deploys = if is_image_lie { application.configured(version, told) } else { commit.to_owned() };
    let is_rebuilt = application.is_pin_new && told.tells(version, "pin-forces-rebuild");
    let force_rebuild = is_rebuilt || !application.kept.iter().any(|kept| kept == commit);
    let uuid = world.fresh();
    world.queue(Deployment { rollback: true, force_rebuild, ..deployment(&uuid, application, deploys) });
    Answer::new(200, json!({ "message": "Rollback queued.", "deployment_uuid": uuid }))
}

fn images(application: &Application, told: &Told, version: Version) -> Answer {
    if told.tells(version, "no-images") {
        return Answer::new(200, json!({ "current": null, "images": [] }));
    }
    let images = application.kept.iter().map(
        |tag| json!({ "tag": tag, "created_at": "2026-11-01 10:00:00", "is_current": *tag == application.running }),
    );
    let current = (!told.tells(version, "current-is-null")).then_some(&application.running);
    Answer::new(200, json!({ "current": current, "images": images.collect::<Vec<_>>() }))
}

fn cancel(world: &mut World, told: &Told, version: Version, uuid: &str) -> Answer {
    let Some(deployment) = world.deployment(uuid) else { return Answer::message(404, "Deployment not found.") };
    if !deployment.is_active() {
        let text = format!("Deployment cannot be cancelled. Current status: {}", deployment.status);
        return Answer::message(400, &text);
    }
    let was_going = deployment.status == "in_progress";
    deployment.status = "cancelled-by-user".to_owned();
    let (application, deploys) = (deployment.application.clone(), deployment.deploys.clone());
    if was_going
        && told.tells(version, "cancelled-serves-both")
        && let Some(application) = world.applications.get_mut(&application)
    {
        application.running = format!("{} {deploys}", application.running);
    }
    if told.tells(version, "cancel-answers-500") {
        return Answer::message(500, "Failed to cancel deployment: Undefined variable $server");
    }
    world.start_next(&application);
    let text = "Deployment cancelled successfully.";
    Answer::new(200, json!({ "message": text, "deployment_uuid": uuid, "status": "cancelled-by-user" }))
}

/// Only what waits or goes on.
fn active(world: &World, told: &Told, version: Version) -> Answer {
    let active = world.deployments.iter().filter(|deployment| deployment.is_active()).map(shown_deployment);
    Answer::new(
        200,
        match told.tells(version, "deployments-are-an-object") {
            // PHP writes a list whose first keys were filtered away as an object.
            true => Value::Object((1..).zip(active).map(|(key, shown): (u32, _)| (key.to_string(), shown)).collect()),
            false => Value::Array(active.collect()),
        },
    )
}

fn history(world: &World, uuid: &str, asked: &Asked<'_>) -> Answer {
    if !world.applications.contains_key(uuid) {
        return Answer::message(404, "Application not found.");
    }
    let number = |key: &str, otherwise| asked.query.get(key).map_or(Ok(otherwise), |text| text.parse::<usize>());
    let (Ok(skip), Ok(take @ 1..)) = (number("skip", 0), number("take", 10)) else {
        if !asked.accepts_json {
            return Answer { location: Some("/"), ..Answer::new(302, Value::Null) };
        }
        let errors = json!({ "take": ["The take field must be at least 1."] });
        return Answer::new(422, json!({ "message": "Validation error.", "errors": errors }));
    };
    let of_it: Vec<_> = world.deployments.iter().rev().filter(|deployment| deployment.application == uuid).collect();
    let shown: Vec<_> = of_it.iter().skip(skip).take(take).map(|deployment| shown_deployment(deployment)).collect();
    Answer::new(200, json!({ "count": of_it.len(), "deployments": shown }))
}

fn shown_deployment(deployment: &Deployment) -> Value {
    json!({
        "id": 1, "application_id": "1", "deployment_uuid": deployment.uuid,
        "pull_request_id": deployment.pull_request_id, "docker_registry_image_tag": null,
        "force_rebuild": deployment.force_rebuild, "commit": deployment.commit, "status": deployment.status,
        "is_webhook": deployment.is_webhook, "is_api": !deployment.is_webhook,
        "created_at": deployment.created_at.to_string(), "updated_at": deployment.created_at.to_string(),
        "restart_only": deployment.restart_only, "rollback": deployment.rollback,
        "application_name": "asistente-andrea", "server_name": "localhost",
    })
}

/// One that was asked for now.
pub(super) fn deployment(uuid: &str, application: &Application, deploys: String) -> Deployment {
    let commit = if application.is_image() { "HEAD".to_owned() } else { deploys.clone() };
    Deployment {
        uuid: uuid.to_owned(),
        application: application.uuid.clone(),
        commit,
        deploys,
        status: "queued".to_owned(),
        pull_request_id: 0,
        restart_only: false,
        rollback: false,
        force_rebuild: false,
        is_webhook: false,
        created_at: Timestamp::now(),
    }
}
