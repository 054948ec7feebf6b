//! `plugin inspect`: what a plugin says of itself, and what it can reach at all.

use std::path::Path;

use super::context::Context;
use super::exit::{Exit, Fault};
use super::output;
use crate::component::{bundled, bundled_names};
use crate::journal::Blob;

pub(super) async fn inspect(context: &Context, plugin: &str) -> Result<Exit, Fault> {
    let bytes = match bundled(plugin) {
        Some(bytes) => Blob::new(bytes),
        None => Blob::new(std::fs::read(plugin).map_err(|error| {
            let names: Vec<_> = bundled_names().collect();
            Fault::wrong(format!("can't read the component {plugin}: {error}"))
                .hint(format!("name a component's file, or a bundled plugin: {}", names.join(", ")))
        })?),
    };
    let components = context.components(&context.state()?)?;
    let named = |error: &dyn std::fmt::Display| Fault::wrong(format!("{}: {error}", Path::new(plugin).display()));
    let component = components.load(&bytes).map_err(|error| named(&error))?;
    let manifest = components
        .describe(&component)
        .await
        .map_err(|ended| named(&format!("its `describe` did not end well: {ended}")))?;
    output::manifest(context, &manifest, component.digest);
    Ok(Exit::Done)
}
