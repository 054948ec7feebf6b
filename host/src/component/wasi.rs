//! WASI for the languages that need it, and empty: no files, no sockets, no environment. Its clocks,
//! sleeps and randomness are the run's own, so that a replay sees the same.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chacha20::ChaCha12Rng;
use chacha20::rand_core::SeedableRng;
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, watch};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::guest::Guest;
use crate::pipeline::{Caller, Stop};

/// Puts WASI into the linker, with the clock's sleeps replaced: wasmtime's own would be real ones.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// An empty context.
pub(super) fn context(time: &VirtualTime, seed: [u8; 32]) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    let [low @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = seed;
    builder
        .wall_clock(time.clone())
        .monotonic_clock(time.clone())
        .secure_random(ChaCha12Rng::from_seed(seed))
        .insecure_random(ChaCha12Rng::from_seed(seed))
        .insecure_random_seed(u128::from_le_bytes(low))
        .max_random_size(1 << 20)
        .allow_ip_name_lookup(false)
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

/// A guest's time: it begins when the execution did, and only the guest's own sleeps move it. What
/// the time really is, the contract's `clock` says, and the journal remembers.
#[derive(Clone)]
pub(super) struct VirtualTime {
    began: Timestamp,
    passed_ns: Arc<AtomicU64>,
    /// How long the host has really slept for the guest.
    napped_ns: Arc<AtomicU64>,
    polled: Arc<Naps>,
    /// Time has passed.
    changed: Arc<Notify>,
    stop: watch::Sender<Option<Stop>>,
}

impl VirtualTime {
    pub(super) fn new(began: Timestamp) -> Self {
        Self {
            began,
            passed_ns: Arc::default(),
            napped_ns: Arc::default(),
            polled: Arc::default(),
            changed: Arc::default(),
            stop: watch::Sender::new(None),
        }
    }

    /// Ends when the pipeline has stopped a sleep: `wasi:io/poll` has no way to say so itself.
    pub(super) async fn stopped(&self) -> Stop {
        let mut stop = self.stop.subscribe();
        let stopped = stop.wait_for(Option::is_some).await.map(|stop| stop.clone());
        match stopped {
            Ok(Some(stop)) => stop,
            // The sender lives in `self`; without it there is nobody left to stop.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// How long the host has really slept for the guest through WASI: none of it is the guest's own.
    pub(super) fn napped(&self) -> Duration {
        Duration::from_nanos(self.napped_ns.load(Ordering::Relaxed))
    }

    fn passed_ns(&self) -> u64 {
        self.passed_ns.load(Ordering::Relaxed)
    }
}

impl HostWallClock for VirtualTime {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let began = Duration::try_from(self.began.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default();
        began + Duration::from_nanos(self.passed_ns())
    }
}

impl HostMonotonicClock for VirtualTime {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.passed_ns()
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.time.passed_ns())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let nap = Nap { until_ns: when, time: self.time.clone(), caller: self.caller() };
        let table = self.table();
        let nap = table.push(nap)?;
        subscribe(table, nap)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let until = self.time.passed_ns().saturating_add(duration);
        self.subscribe_instant(until)
    }
}

/// A sleep that goes through the pipeline, like the contract's own.
///
/// Of the naps that a guest polls together only the earliest sleeps: time passes for all of them at
/// once, and each sleep is an entry in the journal.
struct Nap {
    until_ns: u64,
    time: VirtualTime,
    caller: Arc<Mutex<Box<dyn Caller>>>,
}

#[async_trait]
impl Pollable for Nap {
    async fn ready(&mut self) {
        // At once, without a yield: a poll in which something is ready must begin no sleep.
        if self.is_over() {
            return;
        }
        let polled = Polled::enter(&self.time.polled, self.until_ns);
        // The whole list is polled once before any of its sleeps begins: by then all of its naps are
        // in `polled`, and a poll in which something else was ready is over.
        tokio::task::yield_now().await;
        loop {
            // Made before the look at the others, so that no change is missed.
            let changed = self.time.changed.notified();
            if self.is_over() {
                return;
            }
            if polled.is_earliest() {
                return self.sleep().await;
            }
            changed.await;
        }
    }
}

impl Nap {
    fn is_over(&self) -> bool {
        self.until_ns <= self.time.passed_ns()
    }

    async fn sleep(&self) {
        let left = self.until_ns.saturating_sub(self.time.passed_ns());
        let began = Instant::now();
        let slept = self.caller.lock().await.sleep(Duration::from_nanos(left)).await;
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.time.napped_ns.fetch_add(took, Ordering::Relaxed);
        match slept {
            Ok(()) => {
                self.time.passed_ns.fetch_max(self.until_ns, Ordering::Relaxed);
                self.time.changed.notify_waiters();
            }
            Err(stop) => {
                self.time.stop.send_replace(Some(stop));
                let never: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(std::future::pending());
                never.await;
            }
        }
    }
}

/// The naps that are being polled: when each one ends, and which of several that end together it is.
type Naps = StdMutex<BTreeSet<(u64, u64)>>;

/// A nap's place among those that are polled with it, for as long as it is polled.
struct Polled<'a> {
    naps: &'a Naps,
    place: (u64, u64),
}

impl<'a> Polled<'a> {
    fn enter(naps: &'a Naps, until_ns: u64) -> Self {
        let mut entered = naps.lock().unwrap_or_else(PoisonError::into_inner);
        let number = entered.iter().map(|(_, number)| number + 1).max().unwrap_or(0);
        let place = (until_ns, number);
        entered.insert(place);
        Self { naps, place }
    }

    fn is_earliest(&self) -> bool {
        self.naps.lock().unwrap_or_else(PoisonError::into_inner).first() == Some(&self.place)
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.naps.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
    }
}
