//! Compiled components on disk. This is the one module with `unsafe`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;

use super::contract::Pre;
use super::refused;
use crate::id::Digest;
use crate::journal::Blob;
use crate::manifest::Manifest;

/// A component, ready to be instantiated.
#[derive(Clone)]
pub struct Component {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Blob,
    /// The capabilities that it imports.
    pub imports: Vec<String>,
    pub(super) pre: Pre,
    pub(super) manifest: Arc<std::sync::OnceLock<Arc<Manifest>>>,
}

/// Why a component can't be loaded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// It is not a component, or one that this machine can't run.
    #[error("{0}")]
    Invalid(Unfit),
    /// It is one, but not a plugin.
    #[error("{0}")]
    NotAPlugin(Unfit),
    /// The engine itself can't be set up.
    #[error("internal: {0}")]
    Engine(String),
    /// The folder of compiled components can't be used.
    #[error("{}: {problem}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// What is wrong with a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Unfit {
    /// What it is, or is not.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl LoadError {
    /// What to do about it, unless the message says it.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Invalid(unfit) | Self::NotAPlugin(unfit) => Some(&unfit.remedy),
            Self::Engine(_) | Self::Cache { .. } => None,
        }
    }

    pub(super) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }

    fn cache(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Cache { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// The compiled component: from the cache, else compiled and put there.
pub(super) fn load(
    engine: &Engine,
    folder: &Path,
    digest: Digest,
    bytes: &[u8],
) -> Result<wasmtime::component::Component, LoadError> {
    let path = folder.join(file_name(engine, digest));
    if path.exists() {
        check_folder(folder)?;
        // A file that wasmtime does not take (another version of it, other settings) is made anew.
        if let Ok(component) = deserialize(engine, &path) {
            return Ok(component);
        }
    }
    refused::check_header(bytes).map_err(LoadError::Invalid)?;
    let compiled = engine.precompile_component(bytes).map_err(|error| LoadError::Invalid(refused::damaged(&error)))?;
    write(folder, &path, &compiled)?;
    deserialize(engine, &path).map_err(LoadError::engine)
}

/// SAFETY and reason: wasmtime trusts a precompiled file as it trusts its own compiler; whoever can
/// write it can run any code in this process. This module loads only files that it wrote itself,
/// below a name that binds the component's SHA-256 and all of the engine's settings, from a folder
/// that belongs to this user and that nobody else may write ([`check_folder`], asked before each
/// load), so whoever could plant a file there could replace this program as well. Files appear
/// whole, by a rename. wasmtime itself refuses files of another version or configuration.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<wasmtime::component::Component> {
    unsafe { wasmtime::component::Component::deserialize_file(engine, path) }
}

fn file_name(engine: &Engine, digest: Digest) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut settings = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut settings);
    format!("{}-{:016x}.cwasm", hex::encode(digest.0), settings.finish())
}

fn write(folder: &Path, path: &Path, compiled: &[u8]) -> Result<(), LoadError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let failed = |error: std::io::Error| {
        // The error itself names a temporary file, which says nothing to anybody.
        let problem = match error.kind() {
            std::io::ErrorKind::StorageFull => "the disk is full: make room on this file system".to_owned(),
            kind => kind.to_string(),
        };
        LoadError::cache(folder, format!("a compiled plugin can't be kept there: {problem}"))
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    check_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(compiled).map_err(failed)?;
    file.as_file().sync_data().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn check_folder(folder: &Path) -> Result<(), LoadError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(folder).map_err(|error| LoadError::cache(folder, error))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(LoadError::cache(
            folder,
            "this folder of compiled plugins belongs to another user; set RIPCORD_STATE to a folder of your own",
        ));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(LoadError::cache(
            folder,
            format!("others may write this folder of compiled plugins; run  chmod go-w {}", folder.display()),
        ));
    }
    Ok(())
}
