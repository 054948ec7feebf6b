//! The live run: carries out what the state machine says, and records what came of it.

mod agreement;
mod alerts;
mod assemble;
mod begin;
mod execute;
mod gate;
mod job;
mod notice;
mod people;
mod preview;
mod replay;
mod seams;
mod settle;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use crate::alertmanager::Notification;
use crate::component::Components;
use crate::id::{CallId, RunId};
use crate::journal::{Behind, End, Event, GateId, Question, Request, RunOutcome};
use crate::machine::{Next, State};
use crate::pipeline::Divergence;
use crate::record::{Record, RecordError};

pub use agreement::Agreement;
pub use assemble::{AssembleError, Checked, Opens, Sources, Unopened, check, offline, opening};
pub use begin::{BeginRunError, begin};
pub use job::{Job, Unit};
pub use people::{DoubtAnswer, Nobody, People};
pub use preview::{
    BoundRole, Branch, BranchEnd, Finding, Outlook, PreviewReport, PreviewedCheck, PreviewedFollowUp, PreviewedGate,
    PreviewedNotice, PreviewedPlugin, PreviewedProbe, PreviewedSending, PreviewedStep, When, preview,
    preview_follow_up,
};
pub use replay::{Replayed, replay};
pub use seams::{Seams, Untouched};

/// How often a running host looks for what people have written into the run.
const PEOPLE_EVERY: Duration = Duration::from_millis(500);

/// A run in this process's hands. The caller holds the run's lock as long as it lives.
pub struct Runner {
    run: RunId,
    components: Components,
    job: Arc<Job>,
    record: Arc<Mutex<Record>>,
    people: Arc<dyn People>,
    seams: Arc<dyn Seams>,
    interrupt: watch::Sender<bool>,
    paused: Arc<AtomicBool>,
    /// An execution goes on: an open mutation is one that was sent, and not one that is looked at.
    goes: AtomicBool,
    notifications: Mutex<Option<mpsc::Receiver<Notification>>>,
}

/// Where a run has got to when the runner lets go of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Stand {
    /// It ended in a known state.
    Ended(RunOutcome, String),
    /// It waits for a person's answer about a call.
    Asks(Question),
    /// It waits at a gate, and nobody is here to answer.
    AtGate(GateId),
    /// It was asked to pause.
    Paused,
}

/// A mutation that has been sent and not yet been answered.
#[derive(Debug, Clone, PartialEq)]
pub struct UnderWay {
    /// The call.
    pub request: Request,
    /// How long its attempt may still take.
    pub left: Duration,
}

/// Why a run can't go on. The journal stays as it is; `resume` continues from there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// The record can't go on.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A replay differs from the journal.
    #[error(transparent)]
    Diverged(#[from] Box<Divergence>),
    /// The run names a step that its plan does not have.
    #[error("internal: the run's plan has no step or check `{0}`")]
    NoSuchUnit(String),
}

/// Asks a running host to pause at its next durable point.
#[derive(Clone)]
pub struct Pause {
    interrupt: watch::Sender<bool>,
    paused: Arc<AtomicBool>,
}

impl Pause {
    /// Asks.
    pub fn ask(&self) {
        self.paused.store(true, Ordering::SeqCst);
        self.interrupt.send_replace(true);
    }
}

impl Runner {
    /// A runner for a run that has begun.
    pub fn new(
        components: Components,
        job: Arc<Job>,
        record: Record,
        people: Arc<dyn People>,
        seams: Arc<dyn Seams>,
    ) -> Self {
        Self {
            run: record.run().clone(),
            components,
            job,
            record: Arc::new(Mutex::new(record)),
            people,
            seams,
            interrupt: watch::Sender::new(false),
            paused: Arc::default(),
            goes: AtomicBool::new(false),
            notifications: Mutex::default(),
        }
    }

    /// From now on takes in these alerts as well.
    pub fn receive(&mut self, notifications: mpsc::Receiver<Notification>) {
        *self.notifications.get_mut() = Some(notifications);
    }

    /// What pauses this run.
    pub fn pause(&self) -> Pause {
        Pause { interrupt: self.interrupt.clone(), paused: Arc::clone(&self.paused) }
    }

    /// Takes the run as far as it goes without a person who is not here.
    ///
    /// It may be dropped at any `await`: what is under way then counts as cut off, like everything at a
    /// crash, and `resume` finds out what became of it.
    #[tracing::instrument(name = "run", skip_all, fields(ripcord.run = %self.run))]
    pub async fn drive(&self) -> Result<Stand, RunError> {
        self.job.open_connections().for_each(|open| open.driver.expect_calls());
        // Dropped, the set ends its task: nobody writes for this host when it has let go of the run.
        let mut watcher = JoinSet::new();
        watcher.spawn(watch_people(Arc::clone(&self.record), self.interrupt.clone()));
        if let Some(notifications) = self.notifications.lock().await.take() {
            let (record, scrubber) = (Arc::clone(&self.record), self.job.scrubber.clone());
            watcher.spawn(alerts::take_alerts(record, scrubber, self.interrupt.clone(), notifications));
        }
        self.drive_watched().await
    }

    /// The mutation that is being carried out right now: what a pause waits for. None while the record
    /// is being written, which takes a moment only.
    pub fn under_way(&self) -> Option<UnderWay> {
        if !self.goes.load(Ordering::SeqCst) {
            return None;
        }
        let record = self.record.try_lock().ok()?;
        let state = record.state();
        let (call, mutation) = state.under_way()?;
        let purpose = &state.executions.get(&call.execution)?.purpose;
        let grant = self.job.units.get(execute::unit_of(state, purpose))?.roles.get(&mutation.request.role)?;
        let open = grant.bound.as_ref()?.open.as_ref()?;
        let passed = Duration::try_from(Timestamp::now().duration_since(mutation.intended)).unwrap_or_default();
        let left = open.deadline(&mutation.request.call, mutation.marker.as_ref()).saturating_sub(passed);
        Some(UnderWay { request: mutation.request.clone(), left })
    }

    async fn drive_watched(&self) -> Result<Stand, RunError> {
        loop {
            if self.paused.load(Ordering::SeqCst) {
                self.record.lock().await.flush().await?;
                return Ok(Stand::Paused);
            }
            self.interrupt.send_replace(false);
            let next = self.record.lock().await.state().next();
            match self.carry_out(next).await {
                Ok(None) => {}
                Ok(Some(stand)) => return Ok(stand),
                // A person's answer came first: what to do next is another thing now.
                Err(RunError::Record(RecordError::Overtaken)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn carry_out(&self, next: Next) -> Result<Option<Stand>, RunError> {
        // What has been noted becomes durable before anybody is waited for. The others record something
        // themselves, at once.
        if let Next::BeginAfter(..)
        | Next::EndAfter(..)
        | Next::EndDrift { .. }
        | Next::AwaitGate(_)
        | Next::AwaitAnswer(_)
        | Next::Settle(_)
        | Next::Nothing = next
        {
            self.record.lock().await.flush().await?;
        }
        match next {
            Next::OpenGate(before @ (Behind::Step(_) | Behind::FollowUp(_))) => self.open_gate(before).await?,
            Next::OpenGate(before) => self.open_watch_gate(before).await?,
            Next::AwaitGate(gate) => return self.await_gate(&gate).await,
            Next::Begin(purpose) => self.begin_execution(purpose).await?,
            Next::BeginAfter(at, purpose) => {
                // No longer than from one try to the next: the clock may have been put back since the last.
                if self.wait(until(at).min(self.between_tries(&purpose).await)).await {
                    self.begin_execution(purpose).await?;
                }
            }
            Next::Go(execution) => {
                self.goes.store(true, Ordering::SeqCst);
                let gone = self.go(execution).await;
                self.goes.store(false, Ordering::SeqCst);
                gone?;
            }
            Next::Settle(call) => self.settle(call).await?,
            Next::Conclude(execution, end) => self.commit(Event::ExecutionEnded { execution, end }).await?,
            Next::Halt(question) => self.commit(Event::Halted { question }).await?,
            Next::Trip(trigger, cause) => self.trip(trigger, cause).await?,
            Next::AwaitAnswer(call) => return self.await_answer(call).await,
            Next::End(outcome, why) => self.record.lock().await.end(Event::RunEnded { outcome, why }).await?,
            Next::EndAfter(at, outcome, why) => {
                if self.wait(until(at).min(self.window())).await {
                    self.record.lock().await.end(Event::RunEnded { outcome, why }).await?;
                }
            }
            Next::EndFollowUp(item, outcome, why) => {
                self.record.lock().await.end(Event::FollowUpEnded { item, outcome, why }).await?;
            }
            Next::EndDrift { until: at, found, why } => {
                if self.wait(at.map(until).unwrap_or_default().min(self.drift_left().await)).await {
                    self.commit(Event::DriftEnded { found, why }).await?;
                }
            }
            Next::Nothing => {
                let record = self.record.lock().await;
                let (outcome, why) = record.state().ended.clone().unwrap_or((RunOutcome::Halted, String::new()));
                return Ok(Some(Stand::Ended(outcome, why)));
            }
        }
        Ok(None)
    }

    async fn await_answer(&self, call: CallId) -> Result<Option<Stand>, RunError> {
        let (mutation, seen) = {
            let record = self.record.lock().await;
            let state = record.state();
            (state.mutation(call).cloned(), state.seen(call).unwrap_or_default().to_owned())
        };
        let Some(mutation) = mutation else { return Ok(None) };
        let mut interrupt = self.interrupt.subscribe();
        let answer = tokio::select! {
            answer = self.people.settle(call, &mutation, &seen) => answer,
            // Answered elsewhere, or the run is to pause: the machine says what comes next.
            _ = interrupt.wait_for(|&wanted| wanted) => return Ok(None),
        };
        match answer {
            Some(DoubtAnswer { verdict, by }) => {
                let by = crate::journal::Settler::Person(by);
                self.commit(Event::Settled { call, by, verdict }).await?;
                Ok(None)
            }
            None => Ok(Some(Stand::Asks(Question::DidItHappen { call, seen }))),
        }
    }

    /// Waits, and says whether the time has come; a wish to pause or a person's event ends it early.
    async fn wait(&self, left: Duration) -> bool {
        let mut interrupt = self.interrupt.subscribe();
        tokio::select! {
            () = tokio::time::sleep(left) => true,
            _ = interrupt.wait_for(|&wanted| wanted) => false,
        }
    }

    async fn commit(&self, event: Event) -> Result<(), RunError> {
        Ok(self.record.lock().await.commit(event).await?)
    }

    fn unit(&self, id: &str) -> Result<&Unit, RunError> {
        self.job.units.get(id).ok_or_else(|| RunError::NoSuchUnit(id.to_owned()))
    }
}

/// How long it is until then.
fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}

/// Takes in what people write while the run goes on, and interrupts it if it has to take another way.
async fn watch_people(record: Arc<Mutex<Record>>, interrupt: watch::Sender<bool>) {
    let decided = |state: &State| {
        let answered = state.gates.iter().filter(|gate| gate.answer.is_some()).count();
        (state.course, answered, state.halted_on, state.is_stopped())
    };
    let mut before = decided(record.lock().await.state());
    loop {
        tokio::time::sleep(PEOPLE_EVERY).await;
        let mut record = record.lock().await;
        // Whoever appends next has somebody to tell of an error. What was taken in is in the state
        // all the same, whoever has taken it in.
        let _ = record.refresh().await;
        let now = decided(record.state());
        if now != before {
            interrupt.send_replace(true);
            before = now;
        }
    }
}

/// How an execution that the pipeline stopped has ended, if it has.
fn stopped(stop: crate::pipeline::Stop) -> Result<Option<End>, RunError> {
    use crate::pipeline::Stop;
    match stop {
        Stop::Limit(why) => Ok(Some(End::LimitExceeded(why))),
        Stop::Doubt(_) | Stop::Gate(_) | Stop::Interrupted | Stop::PreviewEnds(_) | Stop::RecordEnds => Ok(None),
        Stop::Diverged(divergence) => Err(RunError::Diverged(divergence)),
        Stop::Record(error) => Err(RunError::Record(error)),
    }
}
