//! A guest that does whatever its configuration says, for tests of the engine.
//!
//! ```json
//! {
//!   "apply": [
//!     { "call": { "role": "service", "http": { "method": "GET", "path": "/version" } } },
//!     { "call": {
//!         "role": "service",
//!         "http": { "method": "POST", "path": "/versions/{0:/http/body}/disable" },
//!         "repeat": "idempotent",
//!         "assume": { "http": { "status": 200 } },
//!         "undo": [{ "call": { "role": "service", "http": { "method": "POST", "path": "/enable" } } }]
//!     } },
//!     { "sleep-ms": 50 }, "now", { "log": "half way" },
//!     { "if": { "value": "{0:/http/body}", "is": "v2", "then": [{ "fail": { "permanent": "v2 is bad" } }] } },
//!     "trap"
//!   ],
//!   "reconcile": { "happened": { "http": { "status": 200 } } }
//! }
//! ```
//!
//! - Each operation adds one entry to the receipt's `replies`: a call its reply in the journal's
//!   form, anything else `null` (`now` its seconds). Those of an `if` follow its own entry.
//! - `{N:POINTER}` inside a call's strings stands for what a JSON pointer finds in reply N.
//! - A failed call ends the execution with that failure. With `"catch": true` it is an entry
//!   `{"failure": {"denied": "message"}}` instead.
//! - `undo` takes the effects newest first, finds the operation of `apply` that made each of them
//!   and does what stands under that operation's `undo`. With `undo-all`, it does that list once.

mod operation;
mod perform;

use ripcord_plugin::{
    Action, Context, Effects, Failure, Manifest, Pending, Reconciliation, Reply, Result, Role, export_action,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use operation::{Named, Operation};
use perform::Execution;

struct Steps;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    apply: Vec<Operation>,
    undo_all: Option<Vec<Operation>>,
    #[serde(default)]
    reconcile: Reconcile,
}

/// What `reconcile` answers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reconcile {
    Happened(Reply),
    DidNotHappen,
    #[default]
    Unknown,
    Trap,
    /// Does these, and takes the last reply's `http.body`: `happened` (with status 200),
    /// `did-not-happen`, anything else is unknown.
    Look(Vec<Operation>),
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    replies: Vec<Value>,
}

impl Action for Steps {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Steps",
            description: "Does whatever its configuration says.",
            parameters: r#"{
                "type": "object",
                "properties": {
                    "apply": { "type": "array" },
                    "undo-all": { "type": "array" },
                    "reconcile": {}
                },
                "required": ["apply"],
                "additionalProperties": false
            }"#,
            roles: vec![
                Role::write("service", "http", "a service").optional(),
                Role::write("other", "http", "another service").optional(),
                Role::read("reader", "http", "a service to look at").optional(),
                Role::write("code", "git", "a working copy").optional(),
                Role::write("database", "sql", "a database").optional(),
                Role::write("containers", "docker", "containers").optional(),
                Role::write("program", "command", "a program").optional(),
                Role::read("probe", "command", "a program to look through").optional(),
                Role::write("people", "notify", "people").optional(),
            ],
            can_undo: true,
        }
    }

    fn apply(_: &Context, config: Config) -> Result<Receipt> {
        let mut execution = Execution::default();
        execution.perform(&config.apply)?;
        Ok(Receipt { replies: execution.replies })
    }

    fn undo(_: &Context, config: Config, effects: Effects, receipt: Option<Receipt>) -> Result<()> {
        let mut execution = Execution { replies: receipt.map(|receipt| receipt.replies).unwrap_or_default() };
        if let Some(operations) = &config.undo_all {
            return execution.perform(operations);
        }
        let mut makers = Vec::new();
        collect_calls(&config.apply, &mut makers);
        for effect in effects.iter().rev() {
            let call = serde_json::to_value(effect.call()?).unwrap_or_default();
            let made = |maker: &&Named| maker.role == effect.role() && perform::may_become(&maker.call, &call);
            // From the back: of two equal calls the later one is undone first.
            let Some(place) = makers.iter().rposition(made) else {
                return Err(Failure::permanent(format!("no operation made the effect {call}")));
            };
            execution.perform(&makers.remove(place).undo)?;
        }
        Ok(())
    }

    fn reconcile(_: &Context, config: Config, _: Pending) -> Reconciliation {
        match config.reconcile {
            Reconcile::Happened(reply) => Reconciliation::Happened(reply),
            Reconcile::DidNotHappen => Reconciliation::DidNotHappen,
            Reconcile::Unknown => Reconciliation::Unknown("the configuration says so".to_owned()),
            Reconcile::Trap => std::process::abort(),
            Reconcile::Look(operations) => {
                let mut execution = Execution::default();
                if let Err(failure) = execution.perform(&operations) {
                    return Reconciliation::Unknown(failure.message().to_owned());
                }
                let seen = execution.replies.last().and_then(|reply| reply.pointer("/http/body")).cloned();
                match seen.as_ref().and_then(Value::as_str) {
                    Some("happened") => Reconciliation::Happened(Reply::Http(ripcord_plugin::http::Response::new(200))),
                    Some("did-not-happen") => Reconciliation::DidNotHappen,
                    _ => Reconciliation::Unknown(format!("saw {seen:?}")),
                }
            }
        }
    }
}

fn collect_calls<'a>(operations: &'a [Operation], calls: &mut Vec<&'a Named>) {
    for operation in operations {
        match operation {
            Operation::Call(call) => calls.push(call),
            Operation::If(condition) => collect_calls(&condition.then, calls),
            _ => {}
        }
    }
}

export_action!(Steps);
