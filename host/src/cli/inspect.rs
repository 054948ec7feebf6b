//! `plugin inspect`: what a plugin says of itself, and what it can reach at all.

use std::io::ErrorKind;

use super::context::Context;
use super::exit::{Exit, Fault};
use super::output;
use crate::component::{bundled, bundled_names};
use crate::diagnostic::{listed, nearest};
use crate::journal::Blob;

pub(super) async fn inspect(context: &Context, plugin: &str) -> Result<Exit, Fault> {
    let bytes = match bundled(plugin) {
        Some(bytes) => Blob::new(bytes),
        None => Blob::new(std::fs::read(plugin).map_err(|error| {
            let fault = match error.kind() {
                ErrorKind::NotFound => Fault::wrong(format!("`{plugin}` is neither a bundled plugin nor a file")),
                _ => Fault::wrong(format!("can't read the component {plugin}: {error}")),
            };
            let near = nearest(plugin, bundled_names()).map(|near| format!("did you mean `{near}`?"));
            let fault = near.into_iter().fold(fault, Fault::hint);
            fault.hint(format!("bundled are {}", listed(bundled_names(), "none")))
        })?),
    };
    let components = context.components(&context.state()?)?;
    let named = |error: &dyn std::fmt::Display| Fault::wrong(format!("plugin {plugin} can't be used: {error}"));
    let component =
        components.load(&bytes).map_err(|error| error.remedy().into_iter().fold(named(&error), Fault::hint))?;
    let manifest =
        components.describe(&component).await.map_err(|ended| named(&format!("it can't say what it is: {ended}")))?;
    output::manifest(context, &manifest, component.digest);
    Ok(Exit::Done)
}
