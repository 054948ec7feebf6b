//! A power cut at a chosen point of a chosen mutation.
//!
//! A [`Fault`] wraps the journal, the drivers and the callers of one process, counts its mutations
//! from 1 in the order of their intents, and sends the process a real `SIGKILL` in the window that
//! it was made for: nothing is dropped, flushed or unlocked by anybody but the kernel.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use ripcord::capability::{At, Call, Detail, Driver, Exactly, Invocation, Prepared, Reply, Settlement};
use ripcord::failure::Failure;
use ripcord::id::{Digest, RunId};
use ripcord::journal::{
    AppendError, BeginError, Beginning, Dated, Event, Head, Journal, Level, Outcome, Outline, ReadError, Recorded,
    StorageError,
};
use ripcord::pipeline::{Caller, DynDriver, Stop};
use ripcord::runner::Seams;
use serde_json::Value;

/// The variable that says where: `after-effect:3`.
pub const VARIABLE: &str = "RIPCORD_KILL";

/// How long [`Window::DuringEffect`] lets a mutation go on before it kills: long enough for a
/// program to have been started, far too short for a build.
const INTO_THE_EFFECT: Duration = Duration::from_millis(300);

/// A moment in the life of a mutation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The driver is ready, and the journal knows nothing of the mutation.
    BeforeIntent,
    /// The intent is durable, and nobody has been told so. The marker is durable in the same append.
    AfterIntent,
    /// The pipeline knows that intent and marker are durable, and the effect has not begun.
    AfterMarker,
    /// The driver is at work.
    DuringEffect,
    /// The driver has its reply, and nobody else has.
    AfterEffect,
    /// The reply is durable, and nobody has been told so.
    AfterResult,
    /// The pipeline has returned the reply, and the guest does not have it yet.
    DuringDelivery,
}

impl Window {
    /// The windows that a process passes at a moment of its own, in their order.
    pub const ALL: [Self; 6] = [
        Self::BeforeIntent,
        Self::AfterIntent,
        Self::AfterMarker,
        Self::AfterEffect,
        Self::AfterResult,
        Self::DuringDelivery,
    ];

    /// As [`VARIABLE`] writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeIntent => "before-intent",
            Self::AfterIntent => "after-intent",
            Self::AfterMarker => "after-marker",
            Self::DuringEffect => "during-effect",
            Self::AfterEffect => "after-effect",
            Self::AfterResult => "after-result",
            Self::DuringDelivery => "during-delivery",
        }
    }
}

/// Where a process dies: in this window of its n-th mutation.
#[derive(Debug)]
pub struct Fault {
    window: Window,
    mutation: u64,
    intended: AtomicU64,
    answered: AtomicU64,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (window, mutation) = text.split_once(':')?;
            let window = Window::ALL.into_iter().chain([Window::DuringEffect]).find(|known| known.name() == window)?;
            Some(Self { window, mutation: mutation.parse().ok()?, intended: 0.into(), answered: 0.into() })
        };
        parse().ok_or_else(|| format!("{VARIABLE}={text}: write WINDOW:MUTATION, like after-effect:3"))
    }
}

impl Fault {
    /// Whether this is the moment: in this window of the mutation with this number.
    fn is_at(&self, window: Window, mutation: u64) -> bool {
        self.window == window && self.mutation == mutation
    }

    fn kill_at(&self, window: Window, mutation: u64) {
        if self.is_at(window, mutation) {
            kill();
        }
    }
}

/// Ends this process as a power cut would.
fn kill() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// The seams of a process that dies at a [`Fault`].
pub struct UnderFault(Arc<Fault>);

impl UnderFault {
    /// Seams for this fault.
    pub fn new(fault: Fault) -> Self {
        Self(Arc::new(fault))
    }
}

impl Seams for UnderFault {
    fn journal(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        Arc::new(FaultyJournal { journal, fault: Arc::clone(&self.0) })
    }

    fn driver(&self, _name: &str, driver: DynDriver) -> DynDriver {
        Arc::new(FaultyDriver { driver, fault: Arc::clone(&self.0) })
    }

    fn caller(&self, caller: Box<dyn Caller>) -> Box<dyn Caller> {
        Box::new(FaultyCaller { caller, fault: Arc::clone(&self.0) })
    }
}

struct FaultyJournal {
    journal: Arc<dyn Journal>,
    fault: Arc<Fault>,
}

#[async_trait]
impl Journal for FaultyJournal {
    async fn append(&self, run: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError> {
        let has = |wanted: fn(&Event) -> bool| events.iter().any(|dated| wanted(&dated.event));
        // A call that is repeated after a doubt is intended again; each intent counts.
        let intends = has(|event| matches!(event, Event::Intended { .. }));
        let answers = has(|event| matches!(event, Event::Answered { .. }));
        if intends {
            let mutation = self.fault.intended.fetch_add(1, Ordering::SeqCst) + 1;
            self.fault.kill_at(Window::BeforeIntent, mutation);
        }
        let head = self.journal.append(run, expected, events).await?;
        let mutation = self.fault.intended.load(Ordering::SeqCst);
        if intends {
            self.fault.kill_at(Window::AfterIntent, mutation);
        }
        if answers {
            self.fault.answered.store(mutation, Ordering::SeqCst);
            self.fault.kill_at(Window::AfterResult, mutation);
        }
        Ok(head)
    }

    async fn begin(&self, beginning: Beginning) -> Result<Head, BeginError> {
        self.journal.begin(beginning).await
    }

    async fn read(&self, run: &RunId, after: Option<Head>) -> Result<(Vec<Recorded>, Head), ReadError> {
        self.journal.read(run, after).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, ReadError> {
        self.journal.runs().await
    }

    async fn outlines(&self) -> Result<Vec<Outline>, ReadError> {
        self.journal.outlines().await
    }

    async fn with_good_states(&self, target: &str) -> Result<Vec<RunId>, ReadError> {
        self.journal.with_good_states(target).await
    }

    async fn blob(&self, digest: Digest) -> Result<Vec<u8>, ReadError> {
        self.journal.blob(digest).await
    }

    async fn hold(&self, run: &RunId, resources: &[String]) -> Result<(), BeginError> {
        self.journal.hold(run, resources).await
    }

    async fn release(&self, run: &RunId) -> Result<(), StorageError> {
        self.journal.release(run).await
    }

    async fn holder(&self, resource: &str) -> Result<Option<RunId>, ReadError> {
        self.journal.holder(resource).await
    }
}

struct FaultyDriver {
    driver: DynDriver,
    fault: Arc<Fault>,
}

#[async_trait]
impl Driver for FaultyDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        self.driver.place()
    }

    fn exactly(&self, call: &Call) -> Exactly {
        self.driver.exactly(call)
    }

    fn overtime(&self, call: &Call, marker: Option<&Value>) -> Duration {
        self.driver.overtime(call, marker)
    }

    fn expect_calls(&self) {
        self.driver.expect_calls();
    }

    async fn detail(&self, at: &At, call: &Call) -> Option<Detail> {
        self.driver.detail(at, call).await
    }

    async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
        self.driver.read(at, call).await
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        let prepared = self.driver.prepare(at, call).await?;
        Ok(Box::new(FaultyPrepared { prepared, fault: Arc::clone(&self.fault) }))
    }

    async fn settle(&self, at: &At, call: &Call, marker: Option<&Value>) -> Settlement<Reply> {
        self.driver.settle(at, call, marker).await
    }
}

struct FaultyPrepared {
    prepared: Box<dyn Prepared<Reply>>,
    fault: Arc<Fault>,
}

#[async_trait]
impl Prepared<Reply> for FaultyPrepared {
    fn marker(&self) -> Option<Value> {
        self.prepared.marker()
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let mutation = self.fault.intended.load(Ordering::SeqCst);
        self.fault.kill_at(Window::AfterMarker, mutation);
        if self.fault.is_at(Window::DuringEffect, mutation) {
            tokio::spawn(async {
                tokio::time::sleep(INTO_THE_EFFECT).await;
                kill();
            });
        }
        let outcome = self.prepared.perform().await;
        self.fault.kill_at(Window::AfterEffect, mutation);
        outcome
    }
}

struct FaultyCaller {
    caller: Box<dyn Caller>,
    fault: Arc<Fault>,
}

#[async_trait]
impl Caller for FaultyCaller {
    async fn call(&mut self, invocation: Invocation) -> Result<Outcome, Stop> {
        let before = self.fault.answered.load(Ordering::SeqCst);
        let outcome = self.caller.call(invocation).await?;
        let after = self.fault.answered.load(Ordering::SeqCst);
        if after > before {
            self.fault.kill_at(Window::DuringDelivery, after);
        }
        Ok(outcome)
    }

    async fn now(&mut self) -> Result<Timestamp, Stop> {
        self.caller.now().await
    }

    async fn sleep(&mut self, duration: Duration) -> Result<(), Stop> {
        self.caller.sleep(duration).await
    }

    async fn log(&mut self, level: Level, message: String) -> Result<(), Stop> {
        self.caller.log(level, message).await
    }

    fn finish(&mut self) -> Result<(), Stop> {
        self.caller.finish()
    }
}
