//! The run's time.

use std::time::Duration;

use crate::bindings::action::ripcord::plugin::clock as wit;

pub use wit::Instant;

/// The time, UTC. A replay sees the same.
pub fn now() -> Instant {
    wit::now()
}

/// Waits, at most 24 hours. In a preview it ends at once.
pub fn sleep(duration: Duration) {
    wit::sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}
