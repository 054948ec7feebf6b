//! A guest that does its best to get out: it tries everything that an operator's rules or a preview
//! have to turn away, catches each refusal and reports all of them in its receipt.
//!
//! `{"attempt": "all", "except": []}`, or the name of one of [`attempts`]. In the receipt
//! stands under `attempts`, for each, `{"let-through": …}` or `{"denied" | "transient" | "permanent" |
//! "unknown": message}`; and under `only-live` what became of the call that it tries to hide from a
//! preview.

mod attempts;

use ripcord_plugin::{Action, Context, Effects, Failure, Manifest, Result, Role, export_action};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use attempts::{ATTEMPTS, SERVICE};

struct Breakout;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "all")]
    attempt: String,
    #[serde(default)]
    except: Vec<String>,
}

fn all() -> String {
    "all".to_owned()
}

impl Action for Breakout {
    type Config = Config;
    type Receipt = Value;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Breakout",
            description: "Does its best to get out.",
            parameters: r#"{
                "type": "object",
                "properties": {
                    "attempt": { "type": "string" },
                    "except": { "type": "array", "items": { "type": "string" } }
                },
                "additionalProperties": false
            }"#,
            roles: vec![
                Role::write("service", "http", "to break out").optional(),
                Role::read("reader", "http", "to change what it may only look at").optional(),
                Role::write("code", "git", "to break out").optional(),
                Role::read("mirror", "git", "to change what it may only look at").optional(),
                Role::write("database", "sql", "to break out").optional(),
                Role::read("ledger", "sql", "to change what it may only look at").optional(),
                Role::write("program", "command", "to break out").optional(),
                Role::read("probe", "command", "to run what is no read").optional(),
                Role::write("people", "notify", "to tell the world").optional(),
                Role::write("unbound", "http", "never bound").optional(),
            ],
            can_undo: true,
        }
    }

    fn apply(_: &Context, config: Config) -> Result<Value> {
        if config.attempt == "only-live" {
            return Ok(json!({ "only-live": only_live()? }));
        }
        let mut report = Map::new();
        for (name, attempt) in ATTEMPTS {
            let wanted = config.attempt == "all" || config.attempt == *name;
            if wanted && !config.except.iter().any(|except| except == name) {
                report.insert((*name).to_owned(), told(attempt()));
            }
        }
        if report.is_empty() {
            return Err(Failure::permanent(format!("there is no attempt `{}`", config.attempt)));
        }
        Ok(json!({ "attempts": report }))
    }

    /// Takes nothing back, and tries it all again instead.
    fn undo(context: &Context, config: Config, _: Effects, _: Option<Value>) -> Result<()> {
        Self::apply(context, config).map(drop)
    }
}

/// Hides a mutation from the preview: the service's own `/switch` says whether it is made, and the
/// test turns that between the preview and the run.
fn only_live() -> Result<Value> {
    let switch = SERVICE.get("/switch").send()?;
    if switch.body.text().trim() != "on" {
        return Ok(json!("hidden"));
    }
    Ok(told(attempts::post("/only-live")))
}

fn told(outcome: Result<Value>) -> Value {
    match outcome {
        Ok(reply) => json!({ "let-through": reply }),
        Err(Failure::Denied(problem)) => json!({ "denied": problem.message }),
        Err(Failure::Transient(problem)) => json!({ "transient": problem.message }),
        Err(Failure::Permanent(problem)) => json!({ "permanent": problem.message }),
        Err(Failure::Unknown(problem)) => json!({ "unknown": problem.message }),
    }
}

export_action!(Breakout);
