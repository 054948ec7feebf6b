//! Rolls one connector back: disables it, restores its code, builds and deploys.
//!
//! It goes the way of `rollback_connector.sh`, but looks before it acts: what already is as it
//! should be is left alone, and a version or a file that does not exist is found out before the
//! connector is touched.

mod config;
mod undo;

use ripcord_plugin::command::{Output, Program};
use ripcord_plugin::git::{ASSUMED_ID, Moved, Pushed, WorkingCopy};
use ripcord_plugin::{
    Action, Call, Context, Effects, Failure, Manifest, Pending, Reconciliation, Reply, Result, Role, export_action,
    http, log,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use config::Config;

const ADMIN: http::Service = http::Service::role("admin");
const CODE: WorkingCopy = WorkingCopy::role("code");
const BUILD: Program = Program::role("build");
const DEPLOY: Program = Program::role("deploy");

struct ConnectorDisable;

#[derive(Serialize, Deserialize)]
struct Receipt {
    connector: String,
    version: String,
    /// The commit that the version names.
    commit: String,
    /// Where the working copy was, and where it is now.
    previous: String,
    head: String,
    /// The paths whose code is another one now.
    changed: Vec<String>,
    /// Whether this run disabled the connector; false if it already was.
    disabled: bool,
    /// The branch that was pushed to.
    pushed: Option<String>,
    deployed: bool,
}

impl Action for ConnectorDisable {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Roll one connector back",
            description: "Disables the connector, restores its code from a version, commits it, pushes it if asked, \
                          builds and deploys. What already is so is left alone. Undo goes back to the code of \
                          before, builds and deploys it if it had been deployed, and enables the connector.",
            parameters: include_str!("parameters.json"),
            roles: vec![
                Role::write("admin", "http", "to disable the connector, and to enable it again in an undo"),
                Role::write("code", "git", "to restore the connector's code"),
                Role::write("build", "command", "to build what is then deployed"),
                Role::write("deploy", "command", "to deploy it"),
            ],
            can_undo: true,
        }
    }

    fn apply(_: &Context, config: Config) -> Result<Receipt> {
        let path = config.path();
        let commit = CODE.resolve(&config.version)?;
        // `restore` deletes what a version does not have: a mistyped path would go unnoticed.
        CODE.show(&commit, &path)?;
        let previous = CODE.resolve("HEAD")?;
        let lease = lease(&config, &previous)?;
        // What is to be committed has to be in `HEAD`; else the working copy counts.
        let place = config.commit.then_some("HEAD");
        let is_restored = CODE.diff(&commit, place, &[&path])?.paths.is_empty();

        let mut receipt = Receipt {
            connector: config.connector.clone(),
            version: config.version.clone(),
            commit,
            head: previous.clone(),
            previous,
            changed: Vec::new(),
            disabled: false,
            pushed: None,
            deployed: false,
        };

        if is_enabled(&config, true)? != Some(false) {
            log::info(format!("disabling connector {}", config.connector));
            switch(&config.disable())?;
            receipt.disabled = true;
        }
        if !is_restored {
            log::info(format!("restoring {path} from {}", config.version));
            receipt.changed = restore(&receipt.commit, &path, &receipt.previous)?.changed;
            if config.commit {
                receipt.head = commit_path(&config.message(), &path, &receipt.previous)?;
            }
        }
        if let Some(branch) = config.push.as_deref().filter(|_| receipt.head != receipt.previous) {
            push(&receipt.head, branch, lease.as_deref())?;
            receipt.pushed = Some(branch.to_owned());
        }
        if !is_restored || config.redeploy {
            build_and_deploy()?;
            receipt.deployed = true;
        } else {
            log::info(format!(
                "{path} already is at {}: nothing is built or deployed, because the plan says `redeploy = false`",
                config.version
            ));
        }
        Ok(receipt)
    }

    fn undo(_: &Context, config: Config, effects: Effects, _: Option<Receipt>) -> Result<()> {
        undo::undo(&config, &undo::Done::from_effects(&config, &effects)?)
    }

    /// Asks the service whether the connector is what the lost request wanted it to be.
    fn reconcile(_: &Context, config: Config, pending: Pending) -> Reconciliation {
        let wanted = match pending.call() {
            Ok(Call::Http(call)) if call.path == config.disable() => false,
            Ok(Call::Http(call)) if call.path == config.enable() => true,
            Ok(_) => return Reconciliation::Unknown("only the state of the connector can be looked at".to_owned()),
            Err(failure) => return Reconciliation::Unknown(failure.message().to_owned()),
        };
        match is_enabled(&config, wanted) {
            Ok(Some(enabled)) if enabled == wanted => Reconciliation::Happened(Reply::Http(http::Response::new(200))),
            Ok(Some(_)) => Reconciliation::DidNotHappen,
            Ok(None) => Reconciliation::Unknown(format!(
                "`state` is not set, so nothing tells whether connector {} is enabled",
                config.connector
            )),
            Err(failure) => Reconciliation::Unknown(failure.message().to_owned()),
        }
    }
}

/// Whether the connector is enabled now; none if the plan does not say where to look. A preview that
/// has assumed what came before takes `assumed` for the answer.
fn is_enabled(config: &Config, assumed: bool) -> Result<Option<bool>> {
    let Some(state) = config.state() else { return Ok(None) };
    let response = ADMIN.get(state).assume(config.state_response(assumed)).send()?.expect_success()?;
    match response.json::<Value>()?.pointer(&config.enabled).and_then(Value::as_bool) {
        Some(enabled) => Ok(Some(enabled)),
        None => Err(response.unexpected(&format!(", which has no boolean at `{}`", config.enabled))),
    }
}

/// What the remote's branch has to be at when it is pushed to. It is asked for before anything is
/// touched, and has to be the working copy's commit: else the push would publish other people's
/// unpublished commits, or take published ones away.
fn lease(config: &Config, head: &str) -> Result<Option<String>> {
    let Some(branch) = &config.push else { return Ok(None) };
    let remote = CODE.remote_head(branch)?;
    if remote.as_deref() == Some(head) {
        return Ok(remote);
    }
    let remote = remote.as_deref().unwrap_or("no commit");
    Err(Failure::permanent(format!(
        "the remote's {branch} is at {remote}, the working copy at {head}; nothing was touched. Bring both to the same \
         commit first, or leave `push` out"
    )))
}

/// Disables or enables the connector.
fn switch(path: &str) -> Result<()> {
    ADMIN.post(path).assume(http::Response::new(200)).send()?.expect_success()?;
    Ok(())
}

fn restore(commit: &str, path: &str, head: &str) -> Result<Moved> {
    let assumed = Moved { head: head.to_owned(), previous: head.to_owned(), changed: vec![path.to_owned()] };
    CODE.restore(commit, &[path]).idempotent().assume(assumed).send()
}

/// The commit that `HEAD` is at afterwards: the same as before if there was nothing to commit.
fn commit_path(message: &str, path: &str, head: &str) -> Result<String> {
    let assumed = Moved { head: ASSUMED_ID.to_owned(), previous: head.to_owned(), changed: vec![path.to_owned()] };
    Ok(CODE.commit(message, &[path]).assume(assumed).send()?.head)
}

fn push(head: &str, branch: &str, lease: Option<&str>) -> Result<Pushed> {
    let assumed = Pushed { branch: branch.to_owned(), head: head.to_owned(), previous: lease.map(str::to_owned) };
    // With its lease, a second push of the same commit finds it there already.
    CODE.push(head, branch, lease).idempotent().assume(assumed).send()
}

fn build_and_deploy() -> Result<()> {
    log::info("building");
    BUILD.run().assume(Output::exited(0)).send()?.expect_success()?;
    log::info("deploying");
    DEPLOY.run().assume(Output::exited(0)).send()?.expect_success()?;
    Ok(())
}

export_action!(ConnectorDisable);
