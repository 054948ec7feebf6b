//! The way there, step by step: what already is so is left alone, and nothing is changed before it is
//! clear where to go.

use ripcord_plugin::{Context, Failure, Result, log};
use serde_json::{Map, Value, json};

use crate::Receipt;
use crate::application::{Application, Kind};
use crate::choice::{Choice, Good, Seen, Target, choose, expected, is_expected, way};
use crate::config::Config;
use crate::coolify::Coolify;
use crate::deployment::{ASSUMED_UUID, ask, cancel_all, follow};
use crate::history::History;
use crate::running::{self, Wanted};
use crate::version::Way;

/// Rolls back.
pub(crate) fn roll_back(context: &Context, coolify: &Coolify<'_>) -> Result<Receipt> {
    let config = coolify.config;
    let version = coolify.version()?;
    let application = coolify.application(None)?;
    let way = way(version, &application).map_err(Failure::permanent)?;
    let good = good_states(context, config);
    let chosen = |history: &History| {
        let (to, bad) = (config.to.as_deref(), config.bad.as_slice());
        choose(&Seen { application: &application, history, good: &good, to, bad })
    };
    // Of an image the history tells nothing.
    let history = coolify.history(|history| application.kind() == Kind::Image || chosen(history).is_ok())?;
    let Choice { target, is_there, why } = chosen(&history).map_err(Failure::permanent)?;
    let name = expected(config.expect.as_deref(), &target, &good).map_err(Failure::permanent)?;
    log::info(format!("{}, on Coolify {version}: to {target}, because {why}", application.name));
    if is_there && let Some(version) = answers_already(context, coolify, &target, &name) {
        return Ok(receipt(coolify, &target, version, None, Map::new()));
    }

    let mut kept = Map::new();
    cancel_all(coolify, &history.active())?;
    if target.commit().is_some() && config.freeze {
        freeze(coolify, &application, &mut kept)?;
    }
    if way == Way::Pin {
        point(coolify, &application, &target, &mut kept)?;
    }
    let behind = cancel_newcomers(coolify, &history)?;
    let deployment = follow(coolify, &target, ask(coolify, &target, way, &behind)?, &behind)?;
    log::info(format!("deployment {} has put {target} in place", deployment.uuid));
    coolify.did(format!("deployment {} has put {target} in place", deployment.uuid));
    if way == Way::Rollback {
        // Else a restart goes to the branch's head.
        point(coolify, &application, &target, &mut kept)?;
    }
    let version = running::wait(context, coolify, &Wanted { target: &target, way, expected: &name })?;
    Ok(receipt(coolify, &target, version, Some(deployment.uuid), kept))
}

fn receipt(
    coolify: &Coolify<'_>,
    target: &Target,
    version: String,
    deployment: Option<String>,
    kept: Map<String, Value>,
) -> Receipt {
    let (commit, image_tag) = match target {
        Target::Commit(commit) => (Some(commit.clone()), None),
        Target::ImageTag(tag) => (None, Some(tag.clone())),
    };
    let application = coolify.config.application.clone();
    let good_state = Good {
        application: Some(application.clone()),
        version: Some(version.clone()),
        commit: commit.clone(),
        image_tag: image_tag.clone(),
    };
    Receipt { application, version, commit, image_tag, deployment, kept, good_state }
}

/// The good states of this application, newest first.
fn good_states(context: &Context, config: &Config) -> Vec<Good> {
    let known = context.good_states_as::<Good>().map(|good| good.state);
    known.filter(|good| good.is_of(&config.application)).map(|good| good.with_tag(config.tag.as_deref())).collect()
}

/// What the version goes by that runs already, unless the service says otherwise, or nothing.
fn answers_already(context: &Context, coolify: &Coolify<'_>, target: &Target, name: &str) -> Option<String> {
    match running::said(context, coolify.config, name) {
        None => Some(name.to_owned()),
        Some(Ok(version)) if is_expected(&version, name) => Some(version),
        Some(Ok(version)) => {
            log::warn(format!("Coolify has {target} deployed, but the service says that it is {version}"));
            None
        }
        Some(Err(why)) => {
            log::warn(format!("Coolify has {target} deployed, but the service does not say so: {why}"));
            None
        }
    }
}

/// Switches auto-deploy off: a webhook carries a commit of its own past any pin.
fn freeze(coolify: &Coolify<'_>, application: &Application, kept: &mut Map<String, Value>) -> Result<()> {
    if application.auto_deploy() == Some(false) {
        return Ok(());
    }
    log::info("switching auto-deploy off");
    let was = json!({ "is_auto_deploy_enabled": application.auto_deploy() });
    coolify.patch(&json!({ "is_auto_deploy_enabled": false }), was.clone())?;
    coolify.did("auto-deploy was switched off");
    keep(kept, was);
    Ok(())
}

/// Pins the commit, or sets the tag.
fn point(
    coolify: &Coolify<'_>,
    application: &Application,
    target: &Target,
    kept: &mut Map<String, Value>,
) -> Result<()> {
    let (key, was) = match target {
        Target::Commit(_) => ("git_commit_sha", application.pin()),
        Target::ImageTag(_) => ("docker_registry_image_tag", application.image_tag()),
    };
    if was == target.name() {
        return Ok(());
    }
    log::info(format!("setting {key} to {} (it is {was})", target.name()));
    let was = json!({ key: was });
    coolify.patch(&json!({ key: target.name() }), was.clone())?;
    coolify.did(format!("{key} was set to {}", target.name()));
    keep(kept, was);
    Ok(())
}

fn keep(kept: &mut Map<String, Value>, was: Value) {
    if let Value::Object(was) = was {
        kept.extend(was);
    }
}

/// Cancels what was queued since the first look, and gives the newest deployment that there is then. A
/// preview lists it as if there were one: whoever agrees to the rest agrees to that.
fn cancel_newcomers(coolify: &Coolify<'_>, before: &History) -> Result<String> {
    let newest = |history: &History| history.0.first().map(|newest| newest.uuid.clone()).unwrap_or_default();
    let assumed = json!({ "deployments": [{ "deployment_uuid": ASSUMED_UUID, "status": "queued" }] });
    let since = coolify.newest(Some(assumed))?;
    let active = since.active();
    if !active.is_empty() && newest(&since) != newest(before) {
        log::info("a deployment that came in meanwhile is cancelled as well");
    }
    cancel_all(coolify, &active)?;
    Ok(newest(&since))
}
