//! The people who may be there to answer while a run goes on.

use async_trait::async_trait;

use crate::id::CallId;
use crate::journal::{Answer, GateOpened, Verdict};
use crate::machine::Mutation;

/// Somebody at the terminal, or nobody.
#[async_trait]
pub trait People: Send + Sync {
    /// Asks at a gate. `None` if nobody is there; the future is dropped if the gate is answered
    /// elsewhere or expires.
    async fn gate(&self, gate: &GateOpened) -> Option<(Answer, String)>;

    /// Asks what became of a mutation. `None` if nobody is there.
    async fn settle(&self, call: CallId, mutation: &Mutation, seen: &str) -> Option<DoubtAnswer>;
}

/// A person's answer to a doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct DoubtAnswer {
    /// What became of it.
    pub verdict: Verdict,
    /// Who says so.
    pub by: String,
}

/// Nobody is there: answers come through the journal.
pub struct Nobody;

#[async_trait]
impl People for Nobody {
    async fn gate(&self, _gate: &GateOpened) -> Option<(Answer, String)> {
        None
    }

    async fn settle(&self, _call: CallId, _mutation: &Mutation, _seen: &str) -> Option<DoubtAnswer> {
        None
    }
}
