//! The way of one call, from a guest's request to its reply:
//!
//! ```text
//! guest ─▶ replay ─▶ policy ─▶ mode ─▶ intent and marker ─▶ driver ─▶ result ─▶ guest
//! ```
//!
//! Each concern stands here once, for all capabilities. [`Pipeline::call`] reads from top to bottom.

mod live;
mod policy;
mod preview;
mod replay;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};

use crate::capability::{At, Invocation, Repeat};
use crate::failure::Failure;
use crate::id::{CallId, ExecutionId, RunId};
use crate::journal::{Event, Level, Limits, Outcome, Request};
use crate::machine::Made;
use crate::record::{Record, RecordError};
use crate::secret::{Scrub, Scrubber};

pub use policy::{Bound, DynDriver, Grant, Open, Policy};
pub use preview::{Asked, Assumed, Depth, HOLE, Mutation, Preview, Previewed};
pub use replay::Divergence;

/// A sleep is never longer.
pub const SLEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a guest reaches the world through. The bindings translate to it; a test may stand in between.
#[async_trait]
pub trait Caller: Send {
    /// Makes a call and waits for what came of it.
    async fn call(&mut self, invocation: Invocation) -> Result<Outcome, Stop>;
    /// The run's time.
    async fn now(&mut self) -> Result<Timestamp, Stop>;
    /// Waits.
    async fn sleep(&mut self, duration: Duration) -> Result<(), Stop>;
    /// Writes a line into the run's log.
    async fn log(&mut self, level: Level, message: String) -> Result<(), Stop>;
    /// The guest has returned: whether it has made all the calls that the journal knows of.
    fn finish(&mut self) -> Result<(), Stop>;
}

/// Why a guest is not let go on. None of it is the guest's to see.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Stop {
    /// A mutation's fate is not known.
    #[error("it is not known what became of call {0}")]
    Doubt(CallId),
    /// A mutation that the preview did not list waits for a person.
    #[error("call {0} was not in the preview")]
    Gate(CallId),
    /// Somebody wants the run to pause or to take another way.
    #[error("interrupted")]
    Interrupted,
    /// What the guest asks for is not what it asked for the first time.
    #[error(transparent)]
    Diverged(#[from] Box<Divergence>),
    /// The record can't go on.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A preview can't see further: a mutation says nothing of its reply.
    #[error("the preview ends here: {0}")]
    PreviewEnds(String),
    /// A replay has come to the end of the record.
    #[error("the record ends here")]
    RecordEnds,
    /// The guest went over a limit; what it did, and how much it may.
    #[error("{0}")]
    Limit(String),
}

/// One execution's way to the world.
pub struct Pipeline {
    /// What does not change during the execution.
    pub setting: Setting,
    /// What really happens.
    pub mode: Mode,
    /// The calls that the journal knows of.
    pub known: Vec<Made>,
    ordinal: u32,
    log_lines: u32,
    log_bytes: u64,
}

/// What does not change during an execution.
#[derive(Clone)]
pub struct Setting {
    /// The run.
    pub run: RunId,
    /// The execution.
    pub execution: ExecutionId,
    /// When it began, from the journal.
    pub began: Timestamp,
    /// What it may do.
    pub policy: Policy,
    /// How often and how a call is retried.
    pub retry: Retry,
    /// What it may use.
    pub limits: Limits,
    /// What takes secrets out.
    pub scrubber: Scrubber,
    /// Turns true when the run is to stop at its next durable point.
    pub interrupt: watch::Receiver<bool>,
}

/// How the host retries a call that certainly did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first one included.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub backoff: Duration,
}

/// What really happens to a call.
#[derive(Clone)]
pub enum Mode {
    /// It is carried out and recorded.
    Live(Arc<Mutex<Record>>),
    /// Reads are carried out; mutations are listed and turned away.
    Preview(Arc<Mutex<Preview>>),
    /// Nothing: there is only what the journal knows of.
    Replay,
}

impl Pipeline {
    /// The way to the world of one execution, of which some calls may be known.
    pub fn new(setting: Setting, mode: Mode, known: Vec<Made>) -> Self {
        Self { setting, mode, known, ordinal: 0, log_lines: 0, log_bytes: 0 }
    }

    fn next_address(&mut self) -> Result<CallId, Stop> {
        let limit = self.setting.limits.calls_max;
        if self.ordinal >= limit {
            return Err(Stop::Limit(format!("it made more than {limit} calls (limits.calls-max)")));
        }
        let address = CallId { execution: self.setting.execution, ordinal: self.ordinal };
        self.ordinal += 1;
        Ok(address)
    }

    /// New calls stop here when the run is to pause; known ones are still delivered, so that nothing
    /// depends on when the wish came.
    fn stop_if_interrupted(&self) -> Result<(), Stop> {
        if *self.setting.interrupt.borrow() { Err(Stop::Interrupted) } else { Ok(()) }
    }

    /// What has no effect is given up when the run is to stop: it is done again when the run goes on.
    async fn unless_interrupted<T>(&self, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.interruption() => Err(Stop::Interrupted),
        }
    }

    /// Comes when the run is to pause. In a preview and in a replay nobody is there to wish it: never.
    async fn interruption(&self) {
        let mut interrupt = self.setting.interrupt.clone();
        if interrupt.wait_for(|&wanted| wanted).await.is_err() {
            std::future::pending().await
        }
    }

    fn at(&self, call: CallId, deadline: Duration, repeat: &Repeat) -> At {
        At {
            run: self.setting.run.clone(),
            execution: self.setting.execution,
            ordinal: call.ordinal,
            began: self.setting.began,
            deadline,
            idempotency_key: match repeat {
                Repeat::Keyed(key) => Some(key.clone()),
                Repeat::Once | Repeat::Idempotent => None,
            },
        }
    }

    fn is_replaying(&self) -> bool {
        (self.ordinal as usize) < self.known.len()
    }
}

#[async_trait]
impl Caller for Pipeline {
    #[tracing::instrument(name = "call", skip_all, fields(
        ripcord.call = format_args!("{}.{}", self.setting.execution, self.ordinal), ripcord.role = invocation.role,
        ripcord.capability = %invocation.call.capability(), ripcord.operation = invocation.call.operation(),
        http.request.method = invocation.call.http().map(|call| &call.method),
        url.path = invocation.call.http().map(|call| &call.path),
        server.address, server.port,
    ))]
    async fn call(&mut self, invocation: Invocation) -> Result<Outcome, Stop> {
        let id = self.next_address()?;
        let Invocation { role, call, repeat, assume } = invocation;
        let connection = self.setting.policy.connection_name(&role);
        let request = Request { role, connection, call };

        // What is known is delivered, and no policy is asked about it again.
        let again = match self.replay(id, &request)? {
            replay::Known::Outcome(outcome) => return Ok(outcome),
            replay::Known::SendAgain(why, doubted) => Some((why, doubted)),
            replay::Known::Nothing => None,
        };
        self.stop_if_interrupted()?;

        let granted = match self.setting.policy.judge(&request.role, &request.call, repeat) {
            Ok(granted) => granted,
            Err(denied) => return self.turn_away(id, request, denied, again.map(|(why, _)| why)).await,
        };
        crate::telemetry::record_server(&granted.open.connection);
        match self.mode.clone() {
            Mode::Replay => Err(Stop::RecordEnds),
            Mode::Preview(preview) => self.preview(&preview, &granted, id, request, assume).await,
            Mode::Live(record) if granted.mutates => self.mutate(&record, &granted, id, request, assume, again).await,
            Mode::Live(record) => {
                let (outcome, took) = self.unless_interrupted(self.read(&granted, id, &request)).await?;
                let event = Event::Called { call: id, request, outcome: outcome.clone(), took_us: micros(took) };
                record.lock().await.note(event)?;
                Ok(outcome)
            }
        }
    }

    async fn now(&mut self) -> Result<Timestamp, Stop> {
        let id = self.next_address()?;
        if let Some(now) = self.replay_clock(id)? {
            return Ok(now);
        }
        // WASI's clock counts in nanoseconds, and so does the journal.
        let now = Timestamp::now();
        match &self.mode {
            Mode::Live(record) => record.lock().await.note(Event::ClockRead { call: id, now })?,
            Mode::Preview(_) => {}
            Mode::Replay => return Err(Stop::RecordEnds),
        }
        Ok(now)
    }

    async fn sleep(&mut self, duration: Duration) -> Result<(), Stop> {
        let id = self.next_address()?;
        let until = match (self.replay_sleep(id)?, self.mode.clone()) {
            (Some(until), Mode::Live(_)) => until,
            (Some(_), Mode::Preview(_) | Mode::Replay) | (None, Mode::Preview(_)) => return Ok(()),
            (None, Mode::Replay) => return Err(Stop::RecordEnds),
            (None, Mode::Live(record)) => {
                self.stop_if_interrupted()?;
                let until = Timestamp::now() + duration.min(SLEEP_MAX);
                record.lock().await.commit(Event::SleepBegan { call: id, until }).await?;
                until
            }
        };
        // No longer than was asked for: the clock may have been put back since then.
        let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default().min(duration);
        // A known sleep that is over is delivered like any known call, whatever anybody wishes.
        if left.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(left) => Ok(()),
            () = self.interruption() => Err(Stop::Interrupted),
        }
    }

    async fn log(&mut self, level: Level, mut message: String) -> Result<(), Stop> {
        let limits = &self.setting.limits;
        let over = self.log_lines >= limits.log_lines_max || self.log_bytes >= limits.log_bytes_max;
        self.log_lines = self.log_lines.saturating_add(1);
        self.log_bytes = self.log_bytes.saturating_add(message.len() as u64);
        // A line before a known call has been written by the first execution of this code.
        if over || self.is_replaying() {
            return Ok(());
        }
        if self.log_bytes > limits.log_bytes_max || self.log_lines == limits.log_lines_max {
            message = format!(
                "this plugin logs more than {} lines or {} bytes; the rest is dropped",
                limits.log_lines_max, limits.log_bytes_max
            );
        }
        message.scrub(&self.setting.scrubber);
        match &self.mode {
            Mode::Live(record) => {
                record.lock().await.note(Event::Logged { execution: self.setting.execution, level, message })?;
            }
            Mode::Preview(preview) => preview.lock().await.says(level, message),
            Mode::Replay => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        match self.known.get(self.ordinal as usize) {
            None => Ok(()),
            Some(made) => Err(Divergence::ended_early(self.setting.execution, self.ordinal, made).into()),
        }
    }
}

impl Pipeline {
    /// A denial is a reply like any other: recorded, so that a replay sees it whatever the rules say
    /// by then.
    async fn turn_away(
        &mut self,
        id: CallId,
        request: Request,
        denied: Failure,
        again: Option<replay::Again>,
    ) -> Result<Outcome, Stop> {
        match (self.mode.clone(), again) {
            (Mode::Replay, _) => Err(Stop::RecordEnds),
            (Mode::Preview(preview), _) => {
                preview.lock().await.denied(request, &denied);
                Ok(Err(denied))
            }
            (Mode::Live(record), None) => {
                let outcome = Err(denied);
                record.lock().await.note(Event::Called { call: id, request, outcome: outcome.clone(), took_us: 0 })?;
                Ok(outcome)
            }
            (Mode::Live(record), Some(again)) => self.forbid_again(&record, id, request, denied, again).await,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
