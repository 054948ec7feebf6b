//! Where a test may put itself in between: an injected failure is a use of this program like any
//! other, and needs no code of its own in it.

use std::sync::Arc;

use crate::journal::Journal;
use crate::pipeline::{Caller, DynDriver};

/// Wraps the three seams of a call's way.
pub trait Seams: Send + Sync {
    /// Around the journal.
    fn journal(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        journal
    }

    /// Around a connection's driver; `name` is `http.coolify`.
    fn driver(&self, name: &str, driver: DynDriver) -> DynDriver {
        let _ = name;
        driver
    }

    /// Around what a guest reaches the world through.
    fn caller(&self, caller: Box<dyn Caller>) -> Box<dyn Caller> {
        caller
    }
}

/// Nothing in between.
pub struct Untouched;

impl Seams for Untouched {}
