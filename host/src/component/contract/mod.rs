//! The contract's versions. Each published one has its module, and plugins of all of them keep
//! working.

mod v0_1;

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component as Compiled, Linker};

pub(super) use v0_1::{Pre, add_to_linker};

use super::cache::{Component, LoadError};
use super::guest::Guest;
use super::refused;
use crate::capability::Capability;
use crate::journal::Blob;

/// What a component imports and exports, checked before anything of it runs.
pub(super) fn inspect(
    engine: &Engine,
    linker: &Linker<Guest>,
    compiled: Compiled,
    bytes: &Blob,
) -> Result<Component, LoadError> {
    let kind = compiled.component_type();
    let (imported, exported) = (kind.imports(engine), kind.exports(engine));
    refused::check_contract(imported.map(|(name, _)| name), exported.map(|(name, _)| name))
        .map_err(LoadError::NotAPlugin)?;
    let mut imports = Vec::new();
    for (name, _) in kind.imports(engine) {
        let interface = name.strip_prefix("ripcord:plugin/").and_then(|rest| rest.split('@').next());
        imports.extend(
            Capability::ALL.iter().filter(|capability| Some(capability.name()) == interface).map(ToString::to_string),
        );
    }
    let pre = v0_1::Pre::new(linker, &compiled)?;
    Ok(Component { digest: bytes.digest(), bytes: bytes.clone(), imports, pre, manifest: Arc::default() })
}
