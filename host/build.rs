//! Builds the bundled plugins, and writes the table of them that `component::bundled` includes.

use std::env;
use std::fs;
use std::path::Path;

const PLUGINS: &[&str] =
    &["plugins/command-check", "plugins/connector-disable", "plugins/http-check", "plugins/notify-people"];

fn main() {
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
