//! What the operator says of a connection.
use super::{Call, Reply};
use crate::capability::{CapabilityConnection, Driver, Judgement, OpenError, Opening, Repeat};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {}

impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;
    fn judge(&self, _name: &str, _call: &Call) -> Judgement {
        Judgement::Read
    }
    fn repeat(&self, _call: &Call, _claim: Repeat) -> Repeat {
        Repeat::Once
    }
    fn deadline(&self, _call: &Call) -> Duration {
        Duration::from_secs(30)
    }
    fn open(&self, _opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        Err(OpenError::Unusable(String::new()))
    }
}
