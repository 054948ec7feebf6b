//! The way back: the settings as they were. What runs stays until the next deployment.

use ripcord_plugin::http::Call as Request;
use ripcord_plugin::{Call, Effects, Reply, Result, log};
use serde_json::{Map, Value, json};

use crate::application::Application;
use crate::coolify::{Coolify, Note};
use crate::history::History;

/// What an `apply` did that matters for the way back, newest first.
#[derive(Default)]
struct Done {
    /// What was set, and what had stood there.
    settings: Vec<(Map<String, Value>, Map<String, Value>)>,
    /// Deployments were cancelled.
    cancelled: bool,
    /// A deployment was asked for; behind which other one, if that is known.
    deployed: Option<Option<String>>,
}

impl Done {
    fn from_effects(effects: &Effects) -> Result<Self> {
        let mut done = Self::default();
        for effect in effects.iter().rev() {
            let (Call::Http(call), reply) = (effect.call()?, effect.reply()?) else { continue };
            // An error has changed nothing; of a 500, nobody knows.
            if matches!(&reply, Some(Reply::Http(response)) if (400..500).contains(&response.status)) {
                continue;
            }
            match (call.method.as_str(), call.path.as_str()) {
                ("PATCH", _) => done.settings.extend(settings(&call)),
                (_, path) if path.ends_with("/cancel") => done.cancelled = true,
                _ => done.deployed = Some(Note::of(&call).and_then(|note| note.behind)),
            }
        }
        Ok(done)
    }
}

/// What a `PATCH` has set, and what had stood there.
fn settings(call: &Request) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let set = serde_json::from_slice(&call.body.as_ref()?.0).ok()?;
    match Note::of(call)?.was? {
        Value::Object(was) => Some((set, was)),
        _ => None,
    }
}

/// Puts the settings back, the last one first.
pub(crate) fn undo(coolify: &Coolify<'_>, effects: &Effects) -> Result<()> {
    let done = Done::from_effects(effects)?;
    for (set, was) in &done.settings {
        put_back(coolify, set, was)?;
    }
    if let Some(behind) = &done.deployed {
        let newest = coolify.newest(Some(json!({ "deployments": [] })))?;
        let begun = behind.as_deref().and_then(|behind| newest.begun_since(behind, None));
        match begun.filter(|known| known.is_active()) {
            // To cancel it could leave both versions serving.
            Some(known) => log::warn(format!(
                "deployment {} of this run is {}, and goes on: cancel it in Coolify if it must not",
                known.uuid, known.status
            )),
            None => log::warn(
                "the version that runs stays what it is: an undo puts settings back, and deploys nothing. For another \
                 version, deploy it",
            ),
        }
    }
    if done.cancelled {
        log::warn("deployments that were cancelled stay so: start again in Coolify what is still wanted");
    }
    Ok(())
}

fn put_back(coolify: &Coolify<'_>, set: &Map<String, Value>, was: &Map<String, Value>) -> Result<()> {
    let mut assumed = json!({ "build_pack": "" });
    for (key, value) in set {
        assumed[key] = value.clone();
    }
    let now = coolify.application(Some(assumed))?;
    let (mut back, mut replaced) = (Map::new(), Map::new());
    for (key, was) in was {
        let (now, set) = (value(&now, key), set.get(key).cloned().unwrap_or_default());
        if was.is_null() {
            log::warn(format!("{key} stays {set}: this version of Coolify has not told what it was before"));
        } else if now == *was {
            log::info(format!("{key} is {was} already"));
        } else if now != set && !now.is_null() {
            log::warn(format!("{key} is {now} by now, which is not of this run's doing, and stays so (it was {was})"));
        } else {
            back.insert(key.clone(), was.clone());
            replaced.insert(key.clone(), set);
        }
    }
    if !back.is_empty() {
        for (key, value) in &back {
            log::info(format!("setting {key} to {value} again"));
        }
        coolify.patch(&Value::Object(back.clone()), Value::Object(replaced))?;
        for (key, value) in &back {
            coolify.did(format!("{key} is {value} again"));
        }
    }
    Ok(())
}

/// A setting as it is; `null` if this version does not show it.
pub(crate) fn value(application: &Application, key: &str) -> Value {
    match key {
        "git_commit_sha" => json!(application.pin()),
        "docker_registry_image_tag" => json!(application.image_tag()),
        "is_auto_deploy_enabled" => json!(application.auto_deploy()),
        _ => Value::Null,
    }
}

/// Whether a `PATCH` shows in the application; none if this version does not show what it set.
pub(crate) fn shows(call: &Request, application: &Application) -> Option<bool> {
    let (set, _) = settings(call)?;
    let mut all = true;
    for (key, set) in &set {
        match value(application, key) {
            Value::Null => return None,
            now => all &= now == *set,
        }
    }
    Some(all)
}

/// What came of a request for a deployment, as far as the list of deployments tells.
pub(crate) fn begun<'a>(call: &Request, newest: &'a History) -> Option<Option<&'a str>> {
    let note = Note::of(call)?;
    let begun = newest.begun_since(note.behind.as_deref()?, note.commit.as_deref());
    Some(begun.map(|known| known.uuid.as_str()))
}
