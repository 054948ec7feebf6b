//! One export, called once on a fresh instance, within its limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Mutex;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::cache::Component;
use super::engine::{Components, TICK};
use super::wasi::{self, VirtualTime};
use crate::capability::{Call, Invocation, Reply, Settlement};
use crate::failure::Failure;
use crate::journal::{GoodState, Level, Limits, Outcome};
use crate::manifest::Manifest;
use crate::pipeline::{Caller, Stop};

/// An export, with what it is called with: where it runs, its configuration, and what else it is
/// handed.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the contract's parameters, which wit/ describes")]
pub enum Export {
    /// What the plugin is.
    Describe,
    /// An action's main path.
    Apply { context: Context, config: Value },
    /// Its way back.
    Undo { context: Context, config: Value, effects: Vec<Effect>, receipt: Option<Value> },
    /// What became of one of its calls.
    Reconcile { context: Context, config: Value, pending: Pending },
    /// A check.
    Check { context: Context, config: Value },
}

/// Where an execution runs. It never says whether anything is really sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The run.
    pub run: String,
    /// The step or the check.
    pub step: String,
    /// The plan's target.
    pub target: String,
    /// The roles that the plan has bound, in the manifest's order.
    pub roles: Vec<String>,
    /// The good states of the target that were known when the run began, newest first.
    pub good_states: Vec<GoodState>,
}

/// A mutation that was made, as `undo` is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Its place in its execution.
    pub ordinal: u32,
    /// The role it went through.
    pub role: String,
    /// The call.
    pub call: Call,
    /// Its reply, if it is known.
    pub reply: Option<Reply>,
}

/// A mutation whose fate `reconcile` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The role it went through.
    pub role: String,
    /// The call.
    pub call: Call,
}

/// What an export has returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Returned {
    /// `describe`.
    Manifest(Manifest),
    /// `apply`'s receipt, `null` of an `undo`, or a check's verdict.
    Receipt(Result<Value, Failure>),
    /// `reconcile`.
    Reconciled(Settlement<Reply>),
}

/// Why an export has not returned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Ended {
    /// The pipeline stopped it.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// It trapped.
    #[error("{0}")]
    Trapped(String),
}

/// What an instance holds.
pub(super) struct Guest {
    caller: Arc<Mutex<Box<dyn Caller>>>,
    budget: Budget,
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) time: VirtualTime,
}

/// What an element of a table costs the host.
const TABLE_ELEMENT_BYTES: u64 = 8;

/// The core instances of one component, and as many memories and tables: plenty for what a toolchain
/// makes of one program.
const INSTANCES_MAX: usize = 64;

/// What an instance may still use: memory and tables count together.
struct Budget {
    memory_bytes: u64,
    memory_bytes_max: u64,
    ticks: u64,
    ticks_max: u64,
    /// When it began, and how much of the time since then was the host's, WASI's sleeps apart.
    began: Instant,
    hosted: Duration,
}

impl Components {
    /// Calls an export on a fresh instance of a component. `began` and `seed` are the beginning of
    /// its time and the source of its randomness.
    pub async fn execute(
        &self,
        component: &Component,
        export: &Export,
        caller: Box<dyn Caller>,
        limits: &Limits,
        began: Timestamp,
        seed: [u8; 32],
    ) -> Result<Returned, Ended> {
        self.tick();
        let caller = Arc::new(Mutex::new(caller));
        let time = VirtualTime::new(began);
        let guest = Guest {
            caller: Arc::clone(&caller),
            budget: Budget {
                memory_bytes: 0,
                memory_bytes_max: limits.memory_bytes_max,
                ticks: 0,
                ticks_max: limits.cpu_ms_max / TICK.as_millis() as u64,
                began: Instant::now(),
                hosted: Duration::ZERO,
            },
            wasi: wasi::context(&time, seed),
            table: ResourceTable::new(),
            time: time.clone(),
        };
        let mut store = Store::new(self.engine(), guest);
        store.limiter(|guest| &mut guest.budget);
        store.set_hostcall_fuel(usize::try_from(limits.value_bytes_max).unwrap_or(usize::MAX));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let guest = store.data_mut();
            let napped = guest.time.napped();
            let budget = &mut guest.budget;
            budget.count_tick(napped);
            if budget.ticks > budget.ticks_max {
                let limit = TICK * u32::try_from(budget.ticks_max).unwrap_or(u32::MAX);
                let limit = humantime::format_duration(limit);
                return Err(
                    Stop::Limit(format!("it used more than {limit} of processor time (limits.cpu-ms-max)")).into()
                );
            }
            // Yielding lets time-outs be noticed while a guest computes.
            Ok(UpdateDeadline::Yield(1))
        });
        let returned = tokio::select! {
            returned = component.pre.call(&mut store, export) => returned.map_err(|error| ended(error, limits)),
            stop = time.stopped() => Err(Ended::Stopped(stop)),
        };
        drop(store);
        let returned = returned?;
        if let Export::Apply { .. } | Export::Undo { .. } | Export::Reconcile { .. } | Export::Check { .. } = export {
            caller.lock().await.finish()?;
        }
        returned.within(limits)
    }

    /// What a component says of itself. It may make no call for that.
    pub async fn describe(&self, component: &Component) -> Result<Arc<Manifest>, Ended> {
        if let Some(manifest) = component.manifest.get() {
            return Ok(manifest.clone());
        }
        let limits = Limits { cpu_ms_max: 1_000, ..Limits::default() };
        let returned = self
            .execute(component, &Export::Describe, Box::new(Nobody), &limits, Timestamp::UNIX_EPOCH, [0; 32])
            .await?;
        let Returned::Manifest(mut manifest) = returned else {
            return Err(Ended::Trapped("internal: describe returned something else than a manifest".to_owned()));
        };
        manifest.imports.clone_from(&component.imports);
        Ok(component.manifest.get_or_init(|| Arc::new(manifest)).clone())
    }
}

impl Returned {
    fn within(self, limits: &Limits) -> Result<Self, Ended> {
        let size = match &self {
            Self::Receipt(Ok(value)) => value.to_string().len() as u64,
            _ => 0,
        };
        if size > limits.value_bytes_max {
            let message = format!(
                "it returned {size} bytes; at most {} are taken (limits.value-bytes-max)",
                limits.value_bytes_max
            );
            return Err(Stop::Limit(message).into());
        }
        Ok(self)
    }
}

/// A host's stop travels through the guest as an error; what else ends a guest is its own trap.
/// What `describe` has returned is no manifest.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoManifest(pub(super) String);

fn ended(error: wasmtime::Error, limits: &Limits) -> Ended {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return Ended::Stopped(stop.clone());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            Stop::Limit("it called itself too deeply: its stack of 512 KiB is used up".to_owned()).into()
        }
        Some(trap) => Ended::Trapped(format!("it trapped: {trap}")),
        None if format!("{error:#}").contains("fuel allocated for hostcalls has been exhausted") => Stop::Limit(
            format!("it handed the host more than {} bytes at once (limits.value-bytes-max)", limits.value_bytes_max),
        )
        .into(),
        None => match error.downcast_ref::<NoManifest>() {
            Some(why) => Ended::Trapped(why.to_string()),
            None => Ended::Trapped(format!("it trapped: {error:#}")),
        },
    }
}

impl Guest {
    pub(super) async fn call(&mut self, invocation: Invocation) -> Result<Outcome, Stop> {
        let began = Instant::now();
        let outcome = self.caller.lock().await.call(invocation).await;
        self.budget.hosted += began.elapsed();
        outcome
    }

    pub(super) async fn now(&mut self) -> Result<Timestamp, Stop> {
        let began = Instant::now();
        let now = self.caller.lock().await.now().await;
        self.budget.hosted += began.elapsed();
        now
    }

    pub(super) async fn sleep(&mut self, duration: Duration) -> Result<(), Stop> {
        let began = Instant::now();
        let slept = self.caller.lock().await.sleep(duration).await;
        self.budget.hosted += began.elapsed();
        slept
    }

    pub(super) async fn log(&mut self, level: Level, message: String) -> Result<(), Stop> {
        let began = Instant::now();
        let logged = self.caller.lock().await.log(level, message).await;
        self.budget.hosted += began.elapsed();
        logged
    }

    pub(super) fn caller(&self) -> Arc<Mutex<Box<dyn Caller>>> {
        Arc::clone(&self.caller)
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Budget {
    /// Epochs pass during host calls as well, and are noticed when the guest goes on: a tick counts
    /// only if the guest itself has had that much time. (One that waits for the processor does not
    /// use it, so that the time alone would say too much.) `napped` is what the host has slept for it
    /// through WASI.
    fn count_tick(&mut self, napped: Duration) {
        let own = self.began.elapsed().saturating_sub(self.hosted).saturating_sub(napped);
        if u128::from(self.ticks) < own.as_millis() / TICK.as_millis() {
            self.ticks += 1;
        }
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current) as u64)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.take((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        INSTANCES_MAX
    }
}

impl Budget {
    fn take(&mut self, bytes: u64) -> wasmtime::Result<bool> {
        self.memory_bytes = self.memory_bytes.saturating_add(bytes);
        if self.memory_bytes > self.memory_bytes_max {
            let limit = self.memory_bytes_max >> 20;
            return Err(
                Stop::Limit(format!("it asked for more than {limit} MiB of memory (limits.memory-bytes-max)")).into()
            );
        }
        Ok(true)
    }
}

/// The caller of `describe`: there is nothing to reach.
struct Nobody;

#[async_trait::async_trait]
impl Caller for Nobody {
    async fn call(&mut self, invocation: Invocation) -> Result<Outcome, Stop> {
        Err(not_in_describe(&invocation.call.summary()))
    }

    async fn now(&mut self) -> Result<Timestamp, Stop> {
        Err(not_in_describe("clock: now"))
    }

    async fn sleep(&mut self, _duration: Duration) -> Result<(), Stop> {
        Err(not_in_describe("clock: sleep"))
    }

    async fn log(&mut self, _level: Level, _message: String) -> Result<(), Stop> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}

fn not_in_describe(call: &str) -> Stop {
    Stop::Limit(format!("its `describe` made a call ({call}), and may make none"))
}
