//! Builds the bundled plugins, and writes the table of them that `component::bundled` includes.

use std::env;
use std::fs;
use std::path::Path;

const PLUGINS: &[&str] = &[
    "plugins/admin-panel-off",
    "plugins/alert-check",
    "plugins/backup-before-deploy",
    "plugins/command-check",
    "plugins/connector-disable",
    "plugins/container-check",
    "plugins/coolify-redeploy",
    "plugins/executor-readonly",
    "plugins/http-check",
    "plugins/log-check",
    "plugins/manual-restore",
    "plugins/notify-people",
    "plugins/prometheus-check",
    "plugins/sql-check",
    "plugins/webhook-check",
];

fn main() {
    link_at_a_fixed_address();
    let components = ripcord_plugin_build::components_or_exit(PLUGINS);
    let rows: String = components
        .iter()
        .map(|component| format!("    ({:?}, include_bytes!({:?})),\n", component.name, component.path))
        .collect();
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let table = format!("&[\n{rows}]\n");
    if let Err(error) = fs::write(Path::new(&out).join("bundled.rs"), table) {
        println!("cargo::error=can't write the table of bundled plugins: {error}");
    }
}

/// A position-independent program has its 100,000 pointers adjusted at each start: 700 pages that are
/// copied, some 2 ms, and that three times in a rollback with two commands, for each has a supervisor.
/// Stack, heap, libraries and the plugins' code are at random addresses all the same.
fn link_at_a_fixed_address() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
