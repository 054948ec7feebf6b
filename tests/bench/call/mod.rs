//! A call through policy and journal, apart from the disk.

mod memory;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ripcord::capability::Invocation;
use tokio::runtime::Runtime;

use crate::fixture;
use crate::sample::{Unit, by_turns};
use crate::table::Row;
use memory::MemoryJournal;

const ROUNDS: usize = 30;
/// As many as a long execution has before it changes something.
const CALLS: u32 = 1_000;

pub(crate) fn measure() -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [reads, mutations] =
        by_turns("call", ROUNDS, [&mut || calls(&runtime, fixture::read), &mut || calls(&runtime, fixture::mutation)]);
    let row = |figure: &str, took: crate::sample::Sample, aim: Duration| Row {
        figure: format!("{figure} through policy and journal, its events' JSON and hashes included, without a disk"),
        ripcord: took.show(Unit::Microseconds),
        beside: String::new(),
        result: format!("{} µs", Unit::Microseconds.number(took.median())),
        aim: format!("< {} µs", aim.as_micros()),
        met: took.median() < aim,
    };
    vec![row("a read", reads, Duration::from_micros(2)), row("a mutation", mutations, Duration::from_micros(5))]
}

/// What one of many calls takes, with its share of the journal's writing.
fn calls(runtime: &Runtime, invocation: fn() -> Invocation) -> Duration {
    runtime.block_on(async {
        let record = fixture::begin(Arc::new(MemoryJournal::default()), "r").await;
        let mut pipeline = fixture::pipeline(&record, true).await;
        // What the guest hands over is the guest's.
        let invocations: Vec<_> = (0..CALLS).map(|_| invocation()).collect();
        let began = Instant::now();
        for invocation in invocations {
            fixture::make(&mut pipeline, invocation).await;
        }
        record.lock().await.flush().await.unwrap();
        began.elapsed() / CALLS
    })
}
