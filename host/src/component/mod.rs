//! Components: loading them, and calling one export on a fresh instance.

mod bundled;
mod cache;
mod contract;
mod engine;
mod guest;
mod refused;
mod wasi;

pub use bundled::{bundled, names as bundled_names};
pub use cache::{Component, LoadError, Unfit};
pub use engine::Components;
pub use guest::{Context, Effect, Ended, Export, Pending, Returned};
