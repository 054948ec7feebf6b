//! `ripcord:plugin@0.1`: its types and the host's, one translated to the other.

mod clock;
mod command;
mod docker;
mod git;
mod http;
mod notify;
mod sql;
mod values;

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Component as Compiled, HasSelf, Linker};

use self::values::parse_returned;
use crate::capability::{Call, Invocation, Repeat, Reply};
use crate::component::guest::{Export, Guest, Returned};
use crate::component::{LoadError, Unfit};
use crate::failure::Failure;
use crate::manifest::Kind;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod bindings {
    pub(super) mod capabilities {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "capabilities",
            imports: { default: async | trappable },
        });
    }
    pub(super) mod action {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "action-plugin",
            imports: { default: async | trappable },
            exports: { default: async },
            with: {
                "ripcord:plugin/types": super::capabilities::ripcord::plugin::types,
                "ripcord:plugin/http": super::capabilities::ripcord::plugin::http,
                "ripcord:plugin/git": super::capabilities::ripcord::plugin::git,
                "ripcord:plugin/docker": super::capabilities::ripcord::plugin::docker,
                "ripcord:plugin/sql": super::capabilities::ripcord::plugin::sql,
                "ripcord:plugin/command": super::capabilities::ripcord::plugin::command,
                "ripcord:plugin/notify": super::capabilities::ripcord::plugin::notify,
                "ripcord:plugin/clock": super::capabilities::ripcord::plugin::clock,
                "ripcord:plugin/log": super::capabilities::ripcord::plugin::log,
            },
        });
    }
    pub(super) mod check {
        wasmtime::component::bindgen!({
            path: "../wit",
            world: "check-plugin",
            imports: { default: async | trappable },
            exports: { default: async },
            with: {
                "ripcord:plugin/types": super::capabilities::ripcord::plugin::types,
                "ripcord:plugin/plugin": super::action::ripcord::plugin::plugin,
                "ripcord:plugin/http": super::capabilities::ripcord::plugin::http,
                "ripcord:plugin/git": super::capabilities::ripcord::plugin::git,
                "ripcord:plugin/docker": super::capabilities::ripcord::plugin::docker,
                "ripcord:plugin/sql": super::capabilities::ripcord::plugin::sql,
                "ripcord:plugin/command": super::capabilities::ripcord::plugin::command,
                "ripcord:plugin/notify": super::capabilities::ripcord::plugin::notify,
                "ripcord:plugin/clock": super::capabilities::ripcord::plugin::clock,
                "ripcord:plugin/log": super::capabilities::ripcord::plugin::log,
            },
        });
    }
}

use bindings::action::exports::ripcord::plugin::action as wit_action;
use bindings::action::ripcord::plugin::plugin as wit_plugin;
use bindings::capabilities::ripcord::plugin::{
    clock as wit_clock, command as wit_command, docker as wit_docker, git as wit_git, http as wit_http, log as wit_log,
    notify as wit_notify, sql as wit_sql, types as wit,
};
use bindings::check::exports::ripcord::plugin::check as wit_check;
use bindings::{action::ActionPlugin, action::ActionPluginPre, check::CheckPlugin, check::CheckPluginPre};

/// A plugin, linked.
#[derive(Clone)]
pub(in crate::component) enum Pre {
    Action(ActionPluginPre<Guest>),
    Check(CheckPluginPre<Guest>),
}

/// Puts the capabilities into the linker.
pub(in crate::component) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::capabilities::Capabilities::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl Pre {
    pub(in crate::component) fn new(linker: &Linker<Guest>, compiled: &Compiled) -> Result<Self, LoadError> {
        let linked = linker.instantiate_pre(compiled).map_err(|error| {
            LoadError::NotAPlugin(Unfit {
                problem: format!("it imports what ripcord does not offer: {error:#}"),
                remedy: "its author has to build it against `ripcord:plugin@0.1`".to_owned(),
            })
        })?;
        let not_an_action = match ActionPluginPre::new(linked.clone()) {
            Ok(pre) => return Ok(Self::Action(pre)),
            Err(error) => error,
        };
        match CheckPluginPre::new(linked) {
            Ok(pre) => Ok(Self::Check(pre)),
            Err(not_a_check) => Err(LoadError::NotAPlugin(Unfit {
                problem: format!(
                    "what it exports is neither an action nor a check (as an action: {not_an_action:#}; as a check: \
                     {not_a_check:#})"
                ),
                remedy: "its author has to build it against `ripcord:plugin@0.1`".to_owned(),
            })),
        }
    }

    /// Calls one export on a fresh instance.
    pub(in crate::component) async fn call(
        &self,
        store: &mut Store<Guest>,
        export: &Export,
    ) -> wasmtime::Result<Returned> {
        match self {
            Self::Action(pre) => call_action(&pre.instantiate_async(&mut *store).await?, store, export).await,
            Self::Check(pre) => call_check(&pre.instantiate_async(&mut *store).await?, store, export).await,
        }
    }
}

async fn call_action(plugin: &ActionPlugin, store: &mut Store<Guest>, export: &Export) -> wasmtime::Result<Returned> {
    let action = plugin.ripcord_plugin_action();
    Ok(match export {
        Export::Describe => {
            let manifest = action.call_describe(&mut *store).await?;
            Returned::Manifest(manifest.into_host(Kind::Action)?)
        }
        Export::Apply { context, config } => {
            let receipt = action.call_apply(&mut *store, &context.into(), &config.to_string()).await?;
            Returned::Receipt(receipt.map_err(Failure::from).and_then(|text| parse_returned("receipt", &text)))
        }
        Export::Undo { context, config, effects, receipt } => {
            let effects: Vec<_> = effects.iter().map(wit_action::Effect::from).collect();
            let receipt = receipt.as_ref().map(Value::to_string);
            let undone =
                action.call_undo(&mut *store, &context.into(), &config.to_string(), &effects, receipt.as_ref()).await?;
            Returned::Receipt(undone.map(|()| Value::Null).map_err(Failure::from))
        }
        Export::Reconcile { context, config, pending } => {
            let answer =
                action.call_reconcile(&mut *store, &context.into(), &config.to_string(), &pending.into()).await?;
            Returned::Reconciled(match answer {
                wit_action::Reconciliation::Happened(reply) => match serde_json::from_str(&reply) {
                    Ok(reply) => crate::capability::Settlement::Happened(reply),
                    Err(error) => crate::capability::Settlement::Unknown(format!(
                        "the plugin says that it happened, but with a reply that is none: {error}"
                    )),
                },
                wit_action::Reconciliation::DidNotHappen => crate::capability::Settlement::DidNotHappen,
                wit_action::Reconciliation::Unknown(seen) => crate::capability::Settlement::Unknown(seen),
            })
        }
        Export::Check { .. } => return Err(wasmtime::Error::msg("internal: an action was asked to check")),
    })
}

async fn call_check(plugin: &CheckPlugin, store: &mut Store<Guest>, export: &Export) -> wasmtime::Result<Returned> {
    let check = plugin.ripcord_plugin_check();
    Ok(match export {
        Export::Describe => {
            let manifest = check.call_describe(&mut *store).await?;
            Returned::Manifest(manifest.into_host(Kind::Check)?)
        }
        Export::Check { context, config } => {
            match check.call_check(&mut *store, &context.into(), &config.to_string()).await? {
                Ok(verdict) => Returned::Receipt(verdict.into_host()),
                Err(failure) => Returned::Receipt(Err(failure.into())),
            }
        }
        _ => return Err(wasmtime::Error::msg("internal: a check was asked to act")),
    })
}

impl Guest {
    /// Hands a call to the pipeline and its reply back, in the capability's own type.
    async fn make<R>(
        &mut self,
        role: String,
        call: Call,
        repeat: Repeat,
        assume: Option<Reply>,
        take: fn(Reply) -> Option<R>,
    ) -> wasmtime::Result<Result<R, wit::Failure>> {
        match self.call(Invocation { role, call, repeat, assume }).await? {
            Ok(reply) => take(reply)
                .map(Ok)
                .ok_or_else(|| wasmtime::Error::msg("internal: a reply of another kind than its call")),
            Err(failure) => Ok(Err(failure.into())),
        }
    }
}

impl wit::Host for Guest {}
