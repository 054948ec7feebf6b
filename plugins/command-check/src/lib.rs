//! Observes what a command prints: one run of a program that the operator has marked as a read, and
//! whether it exits as expected. What it prints is for the plan's `expect`, as in
//! `int(command.stdout) > 0`.

use std::collections::BTreeMap;

use ripcord_plugin::command::{Ending, Program};
use ripcord_plugin::{Check, Context, Manifest, Result, Role, Verdict, export_check};
use serde::Deserialize;
use serde_json::json;

const COMMAND: Program = Program::role("command");

struct CommandCheck;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    arguments: BTreeMap<String, String>,
    #[serde(default)]
    exit: i32,
}

impl Check for CommandCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Command check",
            description: "Runs one program that changes nothing and compares its exit code. `command` (exit, stdout, \
                          stderr) is evidence for the plan's `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("command", "command", "to look through its eyes")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        let mut run = COMMAND.run();
        for (name, value) in config.arguments {
            run = run.argument(name, value);
        }
        let output = run.send()?;
        let seen = format!("the command {}", output.ending);
        let verdict = match output.ending {
            Ending::Exited(code) if code == config.exit => Verdict::pass(seen),
            Ending::Exited(_) | Ending::Signalled(_) => Verdict::fail(format!("{seen}, expected {}", config.exit)),
            Ending::TimedOut => Verdict::inconclusive(seen),
        };
        Ok(verdict.evidence(json!({ "command": {
            "exit": output.exit_code(),
            "stdout": output.stdout.text(),
            "stderr": output.stderr.text(),
        } })))
    }
}

export_check!(CommandCheck);
