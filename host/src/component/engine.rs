//! The engine, and the one constructor of its configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, OptLevel};

use super::cache::{self, Component, LoadError};
use super::contract;
use super::guest::Guest;
use super::wasi;
use crate::id::Digest;
use crate::journal::Blob;

/// How often the clock of the guests' processor time ticks.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The engine that runs all components, with those that it has loaded.
#[derive(Clone)]
pub struct Components {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linker: Linker<Guest>,
    cache: PathBuf,
    loaded: Mutex<BTreeMap<Digest, Component>>,
    ticking: OnceLock<()>,
}

impl Components {
    /// An engine that keeps what it compiles in this folder, which only this user may write.
    pub fn new(cache: impl Into<PathBuf>) -> Result<Self, LoadError> {
        let engine = Engine::new(&config()).map_err(LoadError::engine)?;
        let mut linker = Linker::new(&engine);
        contract::add_to_linker(&mut linker).map_err(LoadError::engine)?;
        wasi::add_to_linker(&mut linker).map_err(LoadError::engine)?;
        let inner = Inner { engine, linker, cache: cache.into(), loaded: Mutex::default(), ticking: OnceLock::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Loads a component: from memory, from the cache, or by compiling it.
    pub fn load(&self, bytes: &Blob) -> Result<Component, LoadError> {
        let digest = bytes.digest();
        let mut loaded = self.inner.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = loaded.get(&digest) {
            return Ok(component.clone());
        }
        let compiled = cache::load(&self.inner.engine, &self.inner.cache, digest, bytes.bytes())?;
        let component = contract::inspect(&self.inner.engine, &self.inner.linker, compiled, bytes)?;
        loaded.insert(digest, component.clone());
        Ok(component)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Starts the clock of the guests' processor time, once.
    pub(super) fn tick(&self) {
        self.inner.ticking.get_or_init(|| {
            let engine = self.inner.engine.weak();
            std::thread::spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(TICK);
                }
            });
        });
    }
}

/// What compiles and runs a component must be the same everywhere, or caches miss and replays
/// diverge; so it is said here and nowhere else.
fn config() -> Config {
    let mut config = Config::new();
    config
        // Guest code is stopped by epochs: 0.2 % in a tight loop, against 1 % for fuel.
        .epoch_interruption(true)
        // The contract has no async functions, and a call costs half without the support for them.
        .concurrency_support(false)
        // A replay has to see the same bits on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(512 << 10);
    config
}
