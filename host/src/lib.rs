//! ripcord: the host that carries out rollbacks. `docs/design.md` says how it hangs together.

pub mod capability;
mod duration;
pub mod failure;
pub mod id;
pub mod journal;
pub mod manifest;
pub mod pipeline;
pub mod process;
pub mod secret;
