//! What cargo itself cannot do: get ready what the build and the tests need besides crates.

mod ready;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask test [ARGUMENTS]   get ready and run all tests; ARGUMENTS go to `cargo test`
cargo xtask demo [ARGUMENTS]   get ready and run `ripcord demo`
cargo xtask bench [FILTER]     get ready, measure, and write BENCHMARKS.md (with FILTER: some figures, only printed)
cargo xtask soak               get ready and kill Andrea's and GENIA's rollbacks and their undo in every window of every change
cargo xtask ci                 what has to pass before a change goes in: .ci/run";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("test", rest)) => test(rest),
        Some(("demo", rest)) => demo(rest),
        Some(("bench", rest)) => bench(rest),
        Some(("soak", [])) => soak(),
        Some(("ci", [])) => run(&mut Command::new(root().join(".ci/run"))),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn test(arguments: &[String]) -> Result<(), String> {
    ready::wasm_target()?;
    ready::packages()?;
    // No `--package`: demo and tests build the workspace's default members with one set of features,
    // and wasmtime once.
    run(cargo().arg("test").args(arguments))
}

fn soak() -> Result<(), String> {
    ready::wasm_target()?;
    ready::packages()?;
    let killed = ["andrea::killed", "genia::a_scenario_that_is_killed"];
    let arguments = ["test", "--test", "it", "--", "--nocapture"];
    run(cargo().args(arguments).args(killed).env("RIPCORD_SOAK", "1"))
}

fn demo(arguments: &[String]) -> Result<(), String> {
    ready::wasm_target()?;
    run(cargo().args(["run", "--quiet", "--bin", "ripcord", "--", "demo"]).args(arguments))
}

fn bench(filter: &[String]) -> Result<(), String> {
    ready::wasm_target()?;
    ready::packages()?;
    ready::measuring()?;
    // The program that some figures start is built as the others are, with the same set of features.
    run(cargo().args(["build", "--release", "--bin", "ripcord"]))?;
    let table = root().join("BENCHMARKS.md");
    run(cargo().args(["bench", "--bench", "figures", "--"]).args(filter).env("RIPCORD_BENCH_TABLE", table))
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs a command to its end, with this process's terminal.
fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("can't start {command:?}: {error}")),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
