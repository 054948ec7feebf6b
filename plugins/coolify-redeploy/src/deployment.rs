//! One deployment: asked for, and followed to its end.

use std::time::Duration;

use ripcord_plugin::http::Response;
use ripcord_plugin::{Failure, Result, clock, log};
use serde_json::{Value, json};

use crate::choice::Target;
use crate::coolify::{Coolify, Note, message, well};
use crate::history::Deployment;
use crate::version::Way;

/// What a preview takes for the UUID of a deployment that does not exist yet.
pub(crate) const ASSUMED_UUID: &str = "assumed-deployment";

/// How often a deployment may be missing that Coolify said it has queued: it is written a moment later.
const MISSED_MAX: u32 = 3;

/// Cancels everything that waits or is under way.
pub(crate) fn cancel_all(coolify: &Coolify<'_>, active: &[&Deployment]) -> Result<()> {
    for deployment in active {
        let uuid = &deployment.uuid;
        log::info(format!("cancelling deployment {uuid}"));
        let response = coolify.cancel(uuid)?;
        if response.is_success() {
            coolify.did(format!("deployment {uuid} was cancelled"));
            continue;
        }
        // A 500 is what cancelling answers through 4.3.6; a 400 says that it has ended meanwhile.
        match coolify.deployment(uuid, None)? {
            Some(known) if known.is_active() => return Err(not_cancelled(&response, &known)),
            Some(known) => coolify.did(format!("deployment {uuid} is {}", known.status)),
            None => {}
        }
    }
    Ok(())
}

fn not_cancelled(response: &Response, known: &Deployment) -> Failure {
    let why = format!(
        ", and deployment {} is {} all the same: it would undo a rollback. Cancel it in Coolify, and try again",
        known.uuid, known.status
    );
    response.unexpected(&why)
}

/// Asks for the deployment of the target, which is in place: as a pin, as a tag, or with `/rollback` by
/// itself. `behind` is the newest deployment that there is. Gives the UUID that Coolify answers, which
/// need not be that of any deployment.
pub(crate) fn ask(coolify: &Coolify<'_>, target: &Target, way: Way, behind: &str) -> Result<String> {
    let commit = target.commit().map(str::to_owned);
    let note = Note { behind: Some(behind.to_owned()), commit, was: None };
    let uuid = &coolify.config.application;
    let (path, body) = match way {
        Way::Rollback => (format!("{}/rollback", coolify.path()), Some(json!({ "commit": target.name() }))),
        // Without `force`, which an old Coolify takes for true whatever it is set to.
        Way::Pin | Way::None => (format!("/deploy?uuid={}", ripcord_plugin::http::segment(uuid)), None),
    };
    log::info(format!("asking for a deployment of {target}"));
    let response = coolify.deploy(&path, body.as_ref(), &note, &reply(way, uuid, ASSUMED_UUID))?;
    if response.status >= 500
        && let Some(known) = coolify.newest(None)?.begun_since(behind, target.commit())
    {
        log::warn(format!("Coolify answered {}, and began deployment {} all the same", response.status, known.uuid));
        coolify.did(format!("a deployment of {target} was asked for"));
        return Ok(known.uuid.clone());
    }
    let response = well(response)?;
    let Some(uuid) = deployment_uuid(&response)? else {
        let said = message_of_deploy(&response);
        return Err(response.unexpected(&format!(
            " without a deployment, so none was begun{said}. Does the token have the ability `deploy`, and its team this \
             application?"
        )));
    };
    coolify.did(format!("a deployment of {target} was asked for"));
    Ok(uuid)
}

/// What Coolify answers to a request for a deployment.
pub(crate) fn reply(way: Way, application: &str, deployment: &str) -> Value {
    match way {
        Way::Rollback => json!({ "deployment_uuid": deployment }),
        Way::Pin | Way::None => json!({ "deployments": [
            { "resource_uuid": application, "deployment_uuid": deployment }
        ] }),
    }
}

fn deployment_uuid(response: &Response) -> Result<Option<String>> {
    let json: Value = response.json()?;
    let known = [json.pointer("/deployment_uuid"), json.pointer("/deployments/0/deployment_uuid")];
    Ok(known.into_iter().flatten().find_map(Value::as_str).filter(|uuid| !uuid.is_empty()).map(str::to_owned))
}

fn message_of_deploy(response: &Response) -> String {
    let json = response.json::<Value>().unwrap_or_default();
    let inner = json.pointer("/deployments/0/message").and_then(Value::as_str).map(str::to_owned);
    match inner.unwrap_or_else(|| message(response)).as_str() {
        "" => String::new(),
        said => format!(" ({said})"),
    }
}

/// Follows a deployment to its end. `answered` is the UUID that Coolify gave for it; where there is no such
/// deployment, the one that was begun behind `behind` is meant.
pub(crate) fn follow(coolify: &Coolify<'_>, target: &Target, answered: String, behind: &str) -> Result<Deployment> {
    let (config, mut uuid) = (coolify.config, answered);
    let (mut waited, mut missed, mut told) = (Duration::ZERO, 0, String::new());
    loop {
        let assumed = json!({ "deployment_uuid": uuid, "status": "finished", "commit": target.name() });
        let mut trouble = None;
        match coolify.deployment(&uuid, Some(assumed)) {
            Ok(Some(known)) if !known.is_active() => return ended(target, known),
            Ok(Some(known)) => {
                if told != known.status {
                    log::info(format!("deployment {uuid} is {}", known.status));
                    told = known.status;
                }
            }
            Ok(None) => match coolify.newest(None)?.begun_since(behind, target.commit()) {
                Some(known) => {
                    log::warn(format!("there is no deployment {uuid}, as Coolify said; it is {}", known.uuid));
                    uuid.clone_from(&known.uuid);
                    continue;
                }
                None if missed == MISSED_MAX => return Err(phantom(&uuid, target)),
                None => missed += 1,
            },
            // The deployment goes on, whoever may look at it.
            Err(failure @ Failure::Denied(_)) => return Err(failure),
            Err(failure) => trouble = Some(failure),
        }
        if waited >= config.deploys_within.0 {
            let seen = trouble.map(|failure| format!(": {}", failure.message())).unwrap_or_default();
            return Err(Failure::permanent(format!(
                "deployment {uuid} of {target} has not ended within `deploys-within` ({}) and is {}{seen}. It may still \
                 end well: look at it in Coolify",
                config.deploys_within,
                if told.is_empty() { "nowhere to be seen" } else { &told },
            )));
        }
        clock::sleep(config.poll.0);
        // Without a time of its own it would poll for ever.
        waited += config.poll.0.max(Duration::from_millis(1));
    }
}

fn phantom(uuid: &str, target: &Target) -> Failure {
    Failure::permanent(format!(
        "Coolify answered that it has queued deployment {uuid} of {target}, and there is none, and no other one: nothing is \
         being deployed. Is its queue stuck? Look under Servers, and run `php artisan horizon:status` in Coolify's container"
    ))
}

fn ended(target: &Target, known: Deployment) -> Result<Deployment> {
    if !known.is_finished() {
        return Err(Failure::permanent(format!(
            "deployment {} of {target} ended as {}: what ran before may still run. Its log is in Coolify, under Deployments",
            known.uuid, known.status
        )));
    }
    match (target.commit(), known.commit.as_deref()) {
        (Some(wanted), Some(deployed)) if deployed != wanted => Err(Failure::permanent(format!(
            "deployment {} finished with commit {deployed}, not with {wanted}, which was asked for",
            known.uuid
        ))),
        _ => Ok(known),
    }
}
