//! A plugin from the program, a file, or the journal, with what it says of itself.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::component::{Component, Components, Ended, LoadError, bundled, bundled_names};
use crate::diagnostic::{Diagnostic, listed, nearest};
use crate::id::Digest;
use crate::journal::Blob;
use crate::manifest::Manifest;
use crate::pipeline::{Grant, Retry};
use crate::plan::{Condition, Uses};
use crate::runner::Unit;

/// The longest component that is read: the largest that are known, whole interpreters, have 20 MB.
const COMPONENT_BYTES_MAX: u64 = 64 << 20;

/// A plugin, as a plan's part uses it.
pub(super) struct Plugin {
    name: String,
    bytes: Blob,
    component: Component,
    pub(super) manifest: Arc<Manifest>,
}

impl Plugin {
    /// The part of a plan that it does. What only the plan's own parts have is left as it is by default.
    pub(super) fn into_unit(
        self,
        roles: BTreeMap<String, Grant>,
        with: &serde_json::Value,
        timeout: Duration,
        expect: Option<Condition>,
    ) -> Unit {
        Unit {
            plugin: self.name,
            bytes: self.bytes,
            component: self.component,
            manifest: self.manifest,
            roles,
            with: with.clone(),
            expect,
            probe: false,
            retry: Retry { attempts: 3, backoff: Duration::from_secs(1) },
            timeout,
            gate: None,
        }
    }
}

/// Loads a plugin; what is wrong with it is for the place where the plan names it.
pub(super) async fn load(components: &Components, uses: &Uses, kept: Option<Blob>) -> Result<Plugin, Diagnostic> {
    let name = match uses {
        Uses::Bundled(name) => name.clone(),
        Uses::File { path, .. } => path.display().to_string(),
    };
    let unusable = |problem: String| Diagnostic::error(format!("plugin {name} can't be used: {problem}"));
    let bytes = match (kept, uses) {
        (Some(kept), _) => kept,
        (None, Uses::Bundled(bundle)) => Blob::new(bundled(bundle).ok_or_else(|| {
            let missing = Diagnostic::error(format!("there is no bundled plugin `{bundle}`"));
            let missing = nearest(bundle, bundled_names())
                .into_iter()
                .fold(missing, |missing, near| missing.help(format!("did you mean `{near}`?")));
            missing
                .help(format!("bundled are {}; a file is named  PATH.wasm@sha256:…", listed(bundled_names(), "none")))
        })?),
        (None, Uses::File { path, digest }) => read_component(path, *digest).map_err(|problem| {
            let Misread { problem, remedy } = problem;
            unusable(problem).help(remedy)
        })?,
    };
    let component = components.load(&bytes).map_err(|error: LoadError| {
        let diagnostic = unusable(error.to_string());
        error.remedy().into_iter().fold(diagnostic, Diagnostic::help)
    })?;
    let manifest = components.describe(&component).await.map_err(|ended: Ended| {
        let author = "its author has to put that right; until then the plan has to do without it";
        unusable(format!("it can't say what it is: {ended}")).help(author)
    })?;
    // Not the bytes just read: all who use this plugin share those that it was loaded from.
    Ok(Plugin { name, bytes: component.bytes.clone(), component, manifest })
}

/// Why a component's file is not the one that was meant.
struct Misread {
    problem: String,
    remedy: String,
}

fn read_component(path: &Path, digest: Digest) -> Result<Blob, Misread> {
    let misread = |problem: String, remedy: &str| Misread { problem, remedy: remedy.to_owned() };
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            misread("there is no such file".to_owned(), "a path in a plan begins at the plan's folder")
        }
        _ => misread(error.to_string(), "it has to be a file that this user may read"),
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len().min(COMPONENT_BYTES_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        let problem = format!("it has more than {} MiB", COMPONENT_BYTES_MAX >> 20);
        return Err(misread(problem, "is it the right file? A component is stripped with  wasm-tools strip"));
    }
    let bytes = Blob::new(bytes);
    let found = bytes.digest();
    if found != digest {
        let problem = format!("it is not the file that the plan was written for: its digest is {found}");
        return Err(misread(problem, "take the file that the plan means; or, if you trust this one, write its digest"));
    }
    Ok(bytes)
}
