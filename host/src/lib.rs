//! ripcord: the host that carries out rollbacks. `docs/design.md` says how it hangs together.

pub mod capability;
pub mod cli;
pub mod component;
pub mod demo;
pub mod diagnostic;
pub mod doctor;
mod document;
pub mod duration;
pub mod failure;
pub mod id;
pub mod journal;
pub mod lab;
pub mod machine;
pub mod manifest;
pub mod operator;
pub mod pipeline;
pub mod plan;
pub mod present;
pub mod process;
pub mod record;
pub mod report;
pub mod runner;
pub mod secret;
mod shell;
pub mod state;
pub mod telemetry;
