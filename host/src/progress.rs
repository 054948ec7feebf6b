//! How far a long call is, for whoever watches right now.
//!
//! It goes past the journal: nothing depends on it, and nobody reads it later. A driver tells, whoever
//! carries the run may listen.

use std::sync::{Arc, PoisonError, RwLock};

use crate::id::{ExecutionId, RunId};

/// Is told of the run, the execution, and how far it is in words.
pub type Listener = dyn Fn(&RunId, ExecutionId, &str) + Send + Sync;

static LISTENER: RwLock<Option<Arc<Listener>>> = RwLock::new(None);

/// From now on this one is told.
pub fn listen(listener: impl Fn(&RunId, ExecutionId, &str) + Send + Sync + 'static) {
    *LISTENER.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(listener));
}

/// Tells how far something is: `restore app.dump: 45 % of 1.20 GiB`.
pub(crate) fn tell(run: &RunId, execution: ExecutionId, text: &str) {
    let listener = LISTENER.read().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(listener) = listener {
        listener(run, execution, text);
    }
}
