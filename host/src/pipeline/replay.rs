//! What the journal knows of an execution is delivered again, in the same order.

use jiff::Timestamp;

use super::{Pipeline, Stop};
use crate::failure::{Failure, Problem};
use crate::id::{CallId, ExecutionId};
use crate::journal::{Outcome, Request};
use crate::machine::{Fate, Made};

/// What the journal knows of a call.
pub(super) enum Known {
    /// Its outcome.
    Outcome(Outcome),
    /// A doubt about it was settled, and it is to be sent again; how often no reply has come so far.
    SendAgain(Again, u32),
    /// Nothing.
    Nothing,
}

/// Why a known mutation is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It did not happen.
    DidNotHappen,
    /// It may have happened, and its policy lets it be repeated.
    MayBeRepeated,
}

/// A guest asks for something else than it did the first time. A guest is deterministic, so its bytes,
/// its configuration or a reply is another one than it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("call {call} diverges from the journal\n  recorded: {recorded}\n  now:      {now}")]
pub struct Divergence {
    /// Where.
    pub call: CallId,
    /// What the journal has.
    pub recorded: String,
    /// What the guest did now.
    pub now: String,
}

impl Divergence {
    pub(super) fn ended_early(execution: ExecutionId, ordinal: u32, made: &Made) -> Box<Self> {
        Box::new(Self {
            call: CallId { execution, ordinal },
            recorded: show(made),
            now: "the plugin returned".to_owned(),
        })
    }
}

impl Pipeline {
    pub(super) fn replay(&self, id: CallId, request: &Request) -> Result<Known, Stop> {
        let Some(made) = self.known.get(id.ordinal as usize) else { return Ok(Known::Nothing) };
        let same = match made {
            Made::Read { request: recorded, .. } => recorded == request,
            Made::Mutation(mutation) => mutation.request == *request,
            Made::Clock(_) | Made::Sleep(_) => false,
        };
        if !same {
            return Err(diverged(id, made, show_request(request)));
        }
        Ok(match made {
            Made::Read { outcome, .. } => Known::Outcome(outcome.clone()),
            Made::Mutation(mutation) => match &mutation.fate {
                Fate::Answered(outcome) => Known::Outcome(outcome.clone()),
                Fate::Unknowable if mutation.told => Known::Outcome(Err(Failure::unknown(
                    "a person has said that it can't be found out whether it happened",
                ))),
                // A probe's: nobody was asked.
                Fate::Unknowable => Known::Outcome(Err(match &mutation.lost {
                    Some(seen) => Failure::Unknown(Problem::no_answer(seen.clone())),
                    None => {
                        let summary = request.call.summary();
                        Failure::unknown(format!("{summary}: ripcord itself was cut off before the answer came"))
                    }
                })),
                Fate::Cleared => Known::SendAgain(Again::DidNotHappen, mutation.doubted),
                Fate::Repeating => Known::SendAgain(Again::MayBeRepeated, mutation.doubted),
                Fate::Open => return Err(Stop::Doubt(id)),
            },
            Made::Clock(_) | Made::Sleep(_) => Known::Nothing,
        })
    }

    pub(super) fn replay_clock(&self, id: CallId) -> Result<Option<Timestamp>, Stop> {
        match self.known.get(id.ordinal as usize) {
            None => Ok(None),
            Some(Made::Clock(now)) => Ok(Some(*now)),
            Some(made) => Err(diverged(id, made, "clock: now".to_owned())),
        }
    }

    pub(super) fn replay_sleep(&self, id: CallId) -> Result<Option<Timestamp>, Stop> {
        match self.known.get(id.ordinal as usize) {
            None => Ok(None),
            Some(Made::Sleep(until)) => Ok(Some(*until)),
            Some(made) => Err(diverged(id, made, "clock: sleep".to_owned())),
        }
    }
}

fn diverged(call: CallId, made: &Made, now: String) -> Stop {
    Stop::Diverged(Box::new(Divergence { call, recorded: show(made), now }))
}

fn show(made: &Made) -> String {
    match made {
        Made::Clock(_) => "clock: now".to_owned(),
        Made::Sleep(_) => "clock: sleep".to_owned(),
        Made::Read { request, .. } => show_request(request),
        Made::Mutation(mutation) => show_request(&mutation.request),
    }
}

/// Whole, as JSON: two calls may differ in nothing but a body.
fn show_request(request: &Request) -> String {
    serde_json::to_string(request).unwrap_or_else(|_| format!("{} through {}", request.call.summary(), request.role))
}
