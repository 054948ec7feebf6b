//! ripcord against the real thing: a real git remote, a real HTTP service in another process, a real
//! SMTP server, real npm scripts, a real `SIGKILL`. One module for each promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod andrea;
mod backup;
mod cli;
mod crash;
mod database;
mod docker;
mod docs;
mod drift;
mod follow;
mod follow_up;
mod genia;
mod hostile;
mod interrupt;
mod manual_restore;
mod messages;
mod notices;
mod plans;
mod preview;
mod probes;
mod redeploy;
mod report;
mod secrets;
mod setup;
mod side_by_side;
mod signals;
mod telemetry;
mod told;
mod watch;
mod world;
