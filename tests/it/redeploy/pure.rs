//! What `coolify-redeploy` decides, apart from all that it does: those of its files run here, with the
//! tests in them. A component's own tests could not run on this machine.

#![allow(dead_code, reason = "the plugin uses the rest")]

#[path = "../../../plugins/coolify-redeploy/src/application.rs"]
mod application;
#[path = "../../../plugins/coolify-redeploy/src/choice/mod.rs"]
mod choice;
#[path = "../../../plugins/coolify-redeploy/src/history.rs"]
mod history;
#[path = "../../../plugins/coolify-redeploy/src/version.rs"]
mod version;
