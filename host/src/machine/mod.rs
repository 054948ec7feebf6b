//! The run's state machine: pure, total, without I/O and without a clock.
//!
//! `state × event → state` is [`State::apply`]; `state → what to do next` is [`State::next`]. The
//! live run, the preview of a resumption and the property tests all drive this one machine.

mod apply;
mod drift;
mod follow_up;
mod next;
mod notice;
mod state;
mod watch;

#[cfg(test)]
mod tests;

pub use apply::Impossible;
pub use drift::{Drift, Seen};
pub use follow_up::{After, FollowUp, FollowUpState};
pub use next::{Next, describe};
pub use state::{Course, Execution, Fate, Gate, Made, Mutation, State};
pub use watch::{Attempt, Standing, Tally};
