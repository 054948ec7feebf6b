//! Components: loading them, and calling one export on a fresh instance.

mod cache;
mod contract;
mod engine;
mod guest;
mod wasi;

pub use cache::{Component, LoadError};
pub use engine::Components;
pub use guest::{Context, Effect, Ended, Export, Pending, Returned};
