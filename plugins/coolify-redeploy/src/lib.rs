//! Rolls an application of Coolify back: to the last good deployment if Coolify builds it from git, to
//! the last good tag if it is an image.
//!
//! What Coolify answers is not what it does, in ways that differ from one version to the next. So no
//! answer is taken for an effect: a deployment is followed to its end, and the version that runs is asked
//! for itself.

mod application;
mod choice;
mod config;
mod coolify;
mod deployment;
mod history;
mod reconcile;
mod rollback;
mod running;
mod undo;
mod version;

use ripcord_plugin::{Action, Context, Effects, Manifest, Pending, Reconciliation, Result, Role, export_action};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use choice::Good;
use config::Config;
use coolify::Coolify;

struct CoolifyRedeploy;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Receipt {
    application: String,
    /// What the service calls the version that runs; where it was not asked, the commit or the tag.
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tag: Option<String>,
    /// The deployment that put it in place; none if it ran already.
    deployment: Option<String>,
    /// The settings that this run has replaced, as they were.
    kept: Map<String, Value>,
    good_state: Good,
}

impl Action for CoolifyRedeploy {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Roll an application of Coolify back",
            description: "Finds the last good version, cancels the deployments that wait or are under way, switches \
                          auto-deploy off, deploys that version and pins it, and waits until it answers and is healthy. \
                          What already runs is left alone. Undo puts the settings back; it deploys nothing, so what runs \
                          stays.",
            parameters: include_str!("parameters.json"),
            roles: vec![
                Role::write(
                    "coolify",
                    "http",
                    "to look at the application and its deployments, and to deploy another one",
                ),
                Role::read("service", "http", "to ask the application itself which version runs").optional(),
            ],
            can_undo: true,
        }
    }

    fn apply(context: &Context, config: Config) -> Result<Receipt> {
        let coolify = Coolify::new(&config);
        rollback::roll_back(context, &coolify).map_err(|failure| coolify.stopped(failure))
    }

    fn undo(_: &Context, config: Config, effects: Effects, _: Option<Receipt>) -> Result<()> {
        let coolify = Coolify::new(&config);
        undo::undo(&coolify, &effects).map_err(|failure| coolify.stopped(failure))
    }

    fn reconcile(_: &Context, config: Config, pending: Pending) -> Reconciliation {
        let answer = reconcile::reconcile(&Coolify::new(&config), &pending);
        answer.unwrap_or_else(|failure| Reconciliation::Unknown(failure.message().to_owned()))
    }
}

export_action!(CoolifyRedeploy);
