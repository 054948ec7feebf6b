//! How good ripcord is, measured beside what it is compared with: `cargo xtask bench [FILTER]`.
//!
//! Both sides of a figure are measured in one go, turn by turn, so that what else the machine does hits
//! both. No absolute time decides anything: a figure is a ratio or a difference, and one that misses its
//! aim says so in the table and fails nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod call;
mod connector;
#[path = "../it/world/docker.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod docker;
mod events;
mod fallback;
mod fixture;
#[path = "../it/andrea/image.rs"]
mod image;
mod machine;
#[path = "../it/world/postgres.rs"]
mod postgres;
mod process;
mod replay;
mod restore;
mod runs;
mod sample;
mod server;
mod start;
mod table;

use std::path::PathBuf;

use table::Row;

/// A figure's name, and what measures it.
type Figure = (&'static str, fn() -> Vec<Row>);

const FIGURES: &[Figure] = &[
    ("connector", connector::measure),
    ("fallback", fallback::measure),
    ("restore", restore::measure),
    ("start", start::measure),
    ("call", call::measure),
    ("events", events::measure),
    ("replay", replay::measure),
    ("runs", runs::measure),
];

/// Where the table goes, if all figures were measured.
const TABLE: &str = "RIPCORD_BENCH_TABLE";

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // What `cargo bench` adds.
    arguments.retain(|argument| argument != "--bench");
    // Parts of a figure that need a process of their own.
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => return server::serve(),
        ["mutate", runs, mutations] => return events::mutate(runs.parse().unwrap(), mutations.parse().unwrap()),
        ["carry", runs, port] => return runs::carry(runs.parse().unwrap(), port.parse().unwrap()),
        _ => {}
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|filter| name.contains(filter.as_str()));
    let mut rows = Vec::new();
    for (name, measure) in FIGURES.iter().filter(|(name, _)| wanted(name)) {
        eprintln!("measuring {name}");
        rows.extend(measure());
    }
    sample::progress("");
    if rows.is_empty() {
        let names: Vec<_> = FIGURES.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no figure like {arguments:?}; there are {}", names.join(", "));
        std::process::exit(2);
    }
    print!("{}", table::render(&rows));
    if let (Some(path), true) = (std::env::var_os(TABLE).map(PathBuf::from), arguments.is_empty()) {
        let text = format!("{}\n{}{}", include_str!("BENCHMARKS.head.md"), table::render(&rows), machine::describe());
        std::fs::write(&path, text).unwrap();
        eprintln!("written to {}", path.display());
    }
}
