//! `ripcord:plugin@0.1`: its types and the host's, one translated to the other.

use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{Component as Compiled, HasSelf, Linker};

use crate::capability::{
    Call, Invocation, Payload, Repeat, Reply, command as commands, git as gits, http as https, notify as notices,
};
use crate::component::LoadError;
use crate::component::guest::{Effect, Export, Guest, Pending, Returned};
use crate::failure::{Failure, Problem};
use crate::journal::{CheckOutcome, Level};
use crate::manifest::{Access, Kind, Manifest, Role};

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
    clock as wit_clock, command as wit_command, git as wit_git, http as wit_http, log as wit_log, notify as wit_notify,
    types as wit,
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
            LoadError::NotAPlugin(format!("the component imports what ripcord does not offer: {error:#}"))
        })?;
        let not_an_action = match ActionPluginPre::new(linked.clone()) {
            Ok(pre) => return Ok(Self::Action(pre)),
            Err(error) => error,
        };
        match CheckPluginPre::new(linked) {
            Ok(pre) => Ok(Self::Check(pre)),
            Err(not_a_check) => Err(LoadError::NotAPlugin(format!(
                "the component exports neither an action nor a check of ripcord:plugin@0.1 (as an action: {not_an_action:#}; as a check: {not_a_check:#})"
            ))),
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

/// An event that holds a guest's value has to read back, and the journal's JSON goes 128 deep.
const DEPTH_MAX: usize = 64;

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn parse_returned(what: &str, text: &str) -> Result<Value, Failure> {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) if depth(&value) <= DEPTH_MAX => Ok(value),
        Ok(Value::Object(_)) => {
            Err(Failure::permanent(format!("the plugin returned a {what} that is nested more than {DEPTH_MAX} deep")))
        }
        Ok(_) => Err(Failure::permanent(format!("the plugin returned a {what} that is no JSON object"))),
        Err(error) => Err(Failure::permanent(format!("the plugin returned a {what} that is no JSON: {error}"))),
    }
}

impl wit_plugin::Manifest {
    fn into_host(self, kind: Kind) -> wasmtime::Result<Manifest> {
        let Self { name, version, title, description, parameters, roles, can_undo } = self;
        let parameters = serde_json::from_str(&parameters)
            .map_err(|error| wasmtime::Error::msg(format!("the manifest's parameters are no JSON: {error}")))?;
        let roles = roles.into_iter().map(Role::from).collect();
        Ok(Manifest { kind, name, version, title, description, parameters, roles, can_undo, imports: Vec::new() })
    }
}

impl From<wit_plugin::Role> for Role {
    fn from(role: wit_plugin::Role) -> Self {
        let wit_plugin::Role { name, capability, access, reason, required } = role;
        let access = match access {
            wit_plugin::Access::Read => Access::Read,
            wit_plugin::Access::Write => Access::Write,
        };
        Self { name, capability, access, reason, required }
    }
}

impl wit_check::Verdict {
    /// As JSON: `{"outcome", "summary", "evidence", "measurements"}`.
    fn into_host(self) -> Result<Value, Failure> {
        let Self { outcome, summary, evidence, measurements } = self;
        let outcome = match outcome {
            wit_check::Outcome::Pass => CheckOutcome::Pass,
            wit_check::Outcome::Fail => CheckOutcome::Fail,
            wit_check::Outcome::Inconclusive => CheckOutcome::Inconclusive,
        };
        let evidence = parse_returned("check's evidence", &evidence)?;
        let measurements: Vec<Value> = measurements
            .into_iter()
            .map(|measurement| serde_json::json!({ "name": measurement.name, "value": measurement.value, "unit": measurement.unit }))
            .collect();
        Ok(
            serde_json::json!({ "outcome": outcome, "summary": summary, "evidence": evidence, "measurements": measurements }),
        )
    }
}

impl From<&crate::component::guest::Context> for wit_plugin::Context {
    fn from(context: &crate::component::guest::Context) -> Self {
        Self {
            run: context.run.clone(),
            step: context.step.clone(),
            target: context.target.clone(),
            roles: context.roles.clone(),
        }
    }
}

impl From<&Effect> for wit_action::Effect {
    fn from(effect: &Effect) -> Self {
        Self {
            ordinal: effect.ordinal,
            role: effect.role.clone(),
            call: to_json(&effect.call),
            reply: effect.reply.as_ref().map(to_json),
        }
    }
}

impl From<&Pending> for wit_action::Pending {
    fn from(pending: &Pending) -> Self {
        Self { role: pending.role.clone(), call: to_json(&pending.call) }
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        let problem = |problem: wit::Problem| Problem {
            message: problem.message,
            // Evidence that is none, or too deep to be kept, is left out; the message says what matters.
            evidence: serde_json::from_str(&problem.evidence)
                .ok()
                .filter(|value| depth(value) <= DEPTH_MAX)
                .unwrap_or_default(),
        };
        match failure {
            wit::Failure::Denied(what) => Self::Denied(problem(what)),
            wit::Failure::Transient(what) => Self::Transient(problem(what)),
            wit::Failure::Permanent(what) => Self::Permanent(problem(what)),
            wit::Failure::Unknown(what) => Self::Unknown(problem(what)),
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        let problem = |problem: Problem| wit::Problem {
            message: problem.message,
            evidence: if problem.evidence.is_null() { "{}".to_owned() } else { problem.evidence.to_string() },
        };
        match failure {
            Failure::Denied(what) => Self::Denied(problem(what)),
            Failure::Transient(what) => Self::Transient(problem(what)),
            Failure::Permanent(what) => Self::Permanent(problem(what)),
            Failure::Unknown(what) => Self::Unknown(problem(what)),
        }
    }
}

impl From<wit::Repeat> for Repeat {
    fn from(repeat: wit::Repeat) -> Self {
        match repeat {
            wit::Repeat::Once => Self::Once,
            wit::Repeat::Idempotent => Self::Idempotent,
            wit::Repeat::Keyed(key) => Self::Keyed(key),
        }
    }
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

impl wit_http::Host for Guest {
    async fn send(
        &mut self,
        role: String,
        request: wit_http::Request,
        repeat: wit::Repeat,
        assume: Option<wit_http::Response>,
    ) -> wasmtime::Result<Result<wit_http::Response, wit::Failure>> {
        let wit_http::Request { method, path, headers, body } = request;
        let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
        let call = https::Call { method, path, headers, body: body.map(Payload) };
        let assume = assume.map(|response| {
            let headers = response.headers.into_iter().map(|header| (header.name, header.value)).collect();
            Reply::Http(https::Reply { status: response.status, headers, body: Payload(response.body) })
        });
        let take = |reply| match reply {
            Reply::Http(https::Reply { status, headers, body }) => {
                let headers = headers.into_iter().map(|(name, value)| wit_http::Header { name, value }).collect();
                Some(wit_http::Response { status, headers, body: body.0 })
            }
            _ => None,
        };
        self.make(role, Call::Http(call), repeat.into(), assume, take).await
    }
}

impl Guest {
    async fn git<R>(
        &mut self,
        role: String,
        call: gits::Call,
        take: fn(gits::Reply) -> Option<R>,
    ) -> wasmtime::Result<Result<R, wit::Failure>> {
        self.git_mutation(role, call, Repeat::Once, None, take).await
    }

    async fn git_mutation<R>(
        &mut self,
        role: String,
        call: gits::Call,
        repeat: Repeat,
        assume: Option<gits::Reply>,
        take: fn(gits::Reply) -> Option<R>,
    ) -> wasmtime::Result<Result<R, wit::Failure>> {
        match self.call(Invocation { role, call: Call::Git(call), repeat, assume: assume.map(Reply::Git) }).await? {
            Ok(Reply::Git(reply)) => take(reply)
                .map(Ok)
                .ok_or_else(|| wasmtime::Error::msg("internal: a reply of another kind than its call")),
            Ok(_) => Err(wasmtime::Error::msg("internal: a reply of another capability than its call")),
            Err(failure) => Ok(Err(failure.into())),
        }
    }

    async fn git_move(
        &mut self,
        role: String,
        call: gits::Call,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        let assume = assume.map(|wit_git::Moved { head, previous, changed }| {
            gits::Reply::Moved(gits::Moved { head, previous, changed })
        });
        let take = |reply| match reply {
            gits::Reply::Moved(gits::Moved { head, previous, changed }) => {
                Some(wit_git::Moved { head, previous, changed })
            }
            _ => None,
        };
        self.git_mutation(role, call, repeat.into(), assume, take).await
    }
}

fn changed_paths(paths: Vec<gits::ChangedPath>) -> Vec<wit_git::ChangedPath> {
    let change = |change| match change {
        gits::Change::Added => wit_git::Change::Added,
        gits::Change::Modified => wit_git::Change::Modified,
        gits::Change::Deleted => wit_git::Change::Deleted,
    };
    paths
        .into_iter()
        .map(|changed| wit_git::ChangedPath { path: changed.path, change: change(changed.change) })
        .collect()
}

impl wit_git::Host for Guest {
    async fn resolve(&mut self, role: String, revision: String) -> wasmtime::Result<Result<String, wit::Failure>> {
        let take = |reply| if let gits::Reply::Resolved(id) = reply { Some(id) } else { None };
        self.git(role, gits::Call::Resolve { revision }, take).await
    }

    async fn log(
        &mut self,
        role: String,
        revision: String,
        paths: Vec<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<wit_git::CommitInfo>, wit::Failure>> {
        let take = |reply| match reply {
            gits::Reply::Commits(commits) => {
                let info = |commit: gits::Commit| {
                    let gits::Commit { id, parents, author, committed_at, message } = commit;
                    wit_git::CommitInfo { id, parents, author, committed_at, message }
                };
                Some(commits.into_iter().map(info).collect())
            }
            _ => None,
        };
        self.git(role, gits::Call::Log { revision, paths, limit }, take).await
    }

    async fn diff(
        &mut self,
        role: String,
        from: String,
        to: Option<String>,
        paths: Vec<String>,
    ) -> wasmtime::Result<Result<wit_git::Difference, wit::Failure>> {
        let take = |reply| match reply {
            gits::Reply::Difference { paths, patch } => {
                Some(wit_git::Difference { paths: changed_paths(paths), patch })
            }
            _ => None,
        };
        self.git(role, gits::Call::Diff { from, to, paths }, take).await
    }

    async fn show(
        &mut self,
        role: String,
        revision: String,
        path: String,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Failure>> {
        let take = |reply| if let gits::Reply::Content(content) = reply { Some(content.0) } else { None };
        self.git(role, gits::Call::Show { revision, path }, take).await
    }

    async fn status(
        &mut self,
        role: String,
        paths: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<wit_git::ChangedPath>, wit::Failure>> {
        let take = |reply| if let gits::Reply::Status(paths) = reply { Some(changed_paths(paths)) } else { None };
        self.git(role, gits::Call::Status { paths }, take).await
    }

    async fn remote_head(
        &mut self,
        role: String,
        branch: String,
    ) -> wasmtime::Result<Result<Option<String>, wit::Failure>> {
        let take = |reply| if let gits::Reply::RemoteHead(head) = reply { Some(head) } else { None };
        self.git(role, gits::Call::RemoteHead { branch }, take).await
    }

    async fn restore(
        &mut self,
        role: String,
        revision: String,
        paths: Vec<String>,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, gits::Call::Restore { revision, paths }, repeat, assume).await
    }

    async fn reset(
        &mut self,
        role: String,
        revision: String,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, gits::Call::Reset { revision }, repeat, assume).await
    }

    async fn revert(
        &mut self,
        role: String,
        revision: String,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, gits::Call::Revert { revision }, repeat, assume).await
    }

    async fn commit(
        &mut self,
        role: String,
        message: String,
        paths: Vec<String>,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, gits::Call::Commit { message, paths }, repeat, assume).await
    }

    async fn push(
        &mut self,
        role: String,
        revision: String,
        branch: String,
        lease: Option<String>,
        repeat: wit::Repeat,
        assume: Option<wit_git::Pushed>,
    ) -> wasmtime::Result<Result<wit_git::Pushed, wit::Failure>> {
        let assume = assume.map(|wit_git::Pushed { branch, head, previous }| {
            gits::Reply::Pushed(gits::Pushed { branch, head, previous })
        });
        let take = |reply| match reply {
            gits::Reply::Pushed(gits::Pushed { branch, head, previous }) => {
                Some(wit_git::Pushed { branch, head, previous })
            }
            _ => None,
        };
        self.git_mutation(role, gits::Call::Push { revision, branch, lease }, repeat.into(), assume, take).await
    }
}

impl wit_command::Host for Guest {
    async fn run(
        &mut self,
        role: String,
        arguments: Vec<wit_command::Argument>,
        assume: Option<wit_command::Output>,
    ) -> wasmtime::Result<Result<wit_command::Output, wit::Failure>> {
        let arguments = arguments.into_iter().map(|argument| (argument.name, argument.value)).collect();
        let assume = assume.map(|output| {
            let ending = match output.ending {
                wit_command::Ending::Exited(code) => commands::Ending::Exited(code),
                wit_command::Ending::Signalled(signal) => commands::Ending::Signalled(signal),
                wit_command::Ending::TimedOut => commands::Ending::TimedOut,
            };
            let (stdout, stderr) = (Payload(output.stdout), Payload(output.stderr));
            Reply::Command(commands::Reply { ending, stdout, stderr, truncated: output.truncated })
        });
        let take = |reply| match reply {
            Reply::Command(commands::Reply { ending, stdout, stderr, truncated }) => {
                let ending = match ending {
                    commands::Ending::Exited(code) => wit_command::Ending::Exited(code),
                    commands::Ending::Signalled(signal) => wit_command::Ending::Signalled(signal),
                    commands::Ending::TimedOut => wit_command::Ending::TimedOut,
                };
                Some(wit_command::Output { ending, stdout: stdout.0, stderr: stderr.0, truncated })
            }
            _ => None,
        };
        // Whether a command may be repeated, the operator alone declares.
        self.make(role, Call::Command(commands::Call { arguments }), Repeat::Once, assume, take).await
    }
}

impl wit_notify::Host for Guest {
    async fn send(
        &mut self,
        role: String,
        notice: wit_notify::Notice,
    ) -> wasmtime::Result<Result<wit_notify::Delivery, wit::Failure>> {
        let wit_notify::Notice { subject, text, fields } = notice;
        let fields = fields.into_iter().map(|field| (field.name, field.value)).collect();
        let take = |reply| match reply {
            Reply::Notify(notices::Reply::Sent) => Some(wit_notify::Delivery::Sent),
            Reply::Notify(notices::Reply::PerhapsSent(why)) => Some(wit_notify::Delivery::PerhapsSent(why)),
            Reply::Notify(notices::Reply::NotSent(why)) => Some(wit_notify::Delivery::NotSent(why)),
            _ => None,
        };
        self.make(role, Call::Notify(notices::Call { subject, text, fields }), Repeat::Once, None, take).await
    }
}

impl wit_clock::Host for Guest {
    async fn now(&mut self) -> wasmtime::Result<wit_clock::Instant> {
        let now: Timestamp = self.now().await?;
        let since = now.duration_since(Timestamp::UNIX_EPOCH);
        Ok(wit_clock::Instant {
            seconds: since.as_secs(),
            nanoseconds: u32::try_from(since.subsec_nanos()).unwrap_or(0),
        })
    }

    async fn sleep(&mut self, milliseconds: u64) -> wasmtime::Result<()> {
        Ok(self.sleep(Duration::from_millis(milliseconds)).await?)
    }
}

impl wit_log::Host for Guest {
    async fn log(&mut self, level: wit_log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            wit_log::Level::Debug => Level::Debug,
            wit_log::Level::Info => Level::Info,
            wit_log::Level::Warn => Level::Warn,
            wit_log::Level::Error => Level::Error,
        };
        Ok(self.log(level, message).await?)
    }
}
