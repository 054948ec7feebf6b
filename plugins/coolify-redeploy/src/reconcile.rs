//! What became of a change whose answer was lost: never asked for again before that is known.

use ripcord_plugin::http::{Call as Request, Response};
use ripcord_plugin::{Call, Pending, Reconciliation, Reply, Result};
use serde_json::{Value, json};

use crate::coolify::Coolify;
use crate::deployment::reply;
use crate::undo::{begun, shows};
use crate::version::Way;

/// Looks at Coolify.
pub(crate) fn reconcile(coolify: &Coolify<'_>, pending: &Pending) -> Result<Reconciliation> {
    let Call::Http(call) = pending.call()? else {
        return Ok(Reconciliation::Unknown("this plugin makes no such call".to_owned()));
    };
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    match (call.method.as_str(), path) {
        ("PATCH", _) => settings(coolify, &call),
        ("POST", _) if path.ends_with("/cancel") => cancelled(coolify, path),
        ("POST", _) if path.ends_with("/rollback") => deployed(coolify, &call, Way::Rollback),
        ("POST", "/deploy") if query.starts_with("uuid=") => deployed(coolify, &call, Way::Pin),
        _ => Ok(Reconciliation::Unknown("this plugin makes no such call".to_owned())),
    }
}

fn settings(coolify: &Coolify<'_>, call: &Request) -> Result<Reconciliation> {
    Ok(match shows(call, &coolify.application(None)?) {
        Some(true) => happened(&json!({ "uuid": coolify.config.application })),
        Some(false) => Reconciliation::DidNotHappen,
        None => Reconciliation::Unknown(
            "this version of Coolify does not show the setting: look at it under Advanced of the application"
                .to_owned(),
        ),
    })
}

fn cancelled(coolify: &Coolify<'_>, path: &str) -> Result<Reconciliation> {
    let uuid = path.split('/').nth(2).unwrap_or_default();
    Ok(match coolify.deployment(uuid, None)? {
        Some(known) if known.status == "cancelled-by-user" => {
            happened(&json!({ "deployment_uuid": uuid, "status": known.status }))
        }
        // It goes on, or has ended by itself.
        Some(_) => Reconciliation::DidNotHappen,
        None => Reconciliation::Unknown(format!("there is no deployment {uuid} any more")),
    })
}

fn deployed(coolify: &Coolify<'_>, call: &Request, way: Way) -> Result<Reconciliation> {
    let newest = coolify.newest(None)?;
    Ok(match begun(call, &newest) {
        Some(Some(uuid)) => happened(&reply(way, &coolify.config.application, uuid)),
        Some(None) => Reconciliation::DidNotHappen,
        None => {
            Reconciliation::Unknown("the request does not say which deployment was the newest before it".to_owned())
        }
    })
}

fn happened(answer: &Value) -> Reconciliation {
    Reconciliation::Happened(Reply::Http(Response::new(200).with_body(answer.to_string())))
}
