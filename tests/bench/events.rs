//! Durable events, against what the disk itself can do.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ripcord::journal::{Journal, SqliteJournal};
use tokio::runtime::Runtime;

use crate::fixture;
use crate::sample::{Sample, Unit, by_turns, timed};
use crate::table::Row;

const ROUNDS: usize = 20;
/// In one round: each is two events, its intent and its answer, which are durable one after the other.
const MUTATIONS: u32 = 100;
const EVENTS_A_MUTATION: u32 = 2;
/// What an event of the pipeline's comes to on the disk.
const EVENT_BYTES: usize = 400;
const RUNS: u32 = 64;

pub(crate) fn measure() -> Vec<Row> {
    let folder = fixture::folder();
    let mut file = File::create(folder.path().join("append")).unwrap();
    let mut append = || {
        let appends = MUTATIONS * EVENTS_A_MUTATION;
        let took = timed(|| {
            for _ in 0..appends {
                file.write_all(&[b'x'; EVENT_BYTES]).unwrap();
                file.sync_data().unwrap();
            }
        });
        took / appends
    };
    let (one, many) = (Machine::new(folder.path(), "one", 1), Machine::new(folder.path(), "many", RUNS));
    let [one, many, append] =
        by_turns("durable events", ROUNDS, [&mut || one.event(), &mut || many.event(), &mut append]);
    let row = |figure: String, took: &Sample, aim: f64| {
        let ratio = append.median().div_duration_f64(took.median());
        Row {
            figure,
            ripcord: took.show(Unit::Microseconds),
            beside: format!("append of {EVENT_BYTES} bytes and `fdatasync`: {}", append.show(Unit::Microseconds)),
            result: format!("{ratio:.2} times its rate"),
            aim: format!("≥ {aim}"),
            met: ratio >= aim,
        }
    };
    let mut rows = vec![
        row("a durable event of one run".to_owned(), &one, 0.9),
        row(format!("a durable event of {RUNS} runs side by side"), &many, 9.0),
    ];
    rows.extend([flushes(1, 200, 2.0), flushes(RUNS, 100, 0.1)].into_iter().flatten());
    rows
}

/// Runs that share a journal, each on its way through the real pipeline.
struct Machine {
    runtime: Runtime,
    journal: Arc<SqliteJournal>,
    name: String,
    runs: u32,
    round: std::cell::Cell<u32>,
}

impl Machine {
    fn new(folder: &Path, name: &str, runs: u32) -> Self {
        let journal = Arc::new(SqliteJournal::open(folder.join(format!("{name}.sqlite"))).unwrap());
        // As in the program itself: one thread for all runs, one for the journal.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, journal, name: name.to_owned(), runs, round: Default::default() }
    }

    /// What one event takes, all runs together.
    fn event(&self) -> Duration {
        self.round.set(self.round.get() + 1);
        self.runtime.block_on(async {
            let mut pipelines = Vec::new();
            for run in 0..self.runs {
                let journal: Arc<dyn Journal> = self.journal.clone();
                let record = fixture::begin(journal, &format!("{}-{}-{run}", self.name, self.round.get())).await;
                pipelines.push(fixture::pipeline(&record, true).await);
            }
            let began = Instant::now();
            let runs = pipelines.into_iter().map(|mut pipeline| {
                tokio::spawn(async move {
                    for _ in 0..MUTATIONS {
                        fixture::make(&mut pipeline, fixture::mutation()).await;
                    }
                })
            });
            join_all(runs).await.into_iter().for_each(|run| run.unwrap());
            began.elapsed() / (self.runs * MUTATIONS * EVENTS_A_MUTATION)
        })
    }
}

/// How often the disk is asked to flush, counted by the system itself. None without `strace`.
fn flushes(runs: u32, mutations: u32, aim: f64) -> Option<Row> {
    let counted = |mutations: u32| {
        let this = std::env::current_exe().unwrap();
        let traced = Command::new("strace")
            .args(["-f", "-qq", "-c", "-U", "calls,name", "-e", "trace=fsync,fdatasync,sync_file_range,msync"])
            .arg(this)
            .args(["mutate", &runs.to_string(), &mutations.to_string()])
            .output();
        let traced = match traced {
            Ok(traced) if traced.status.success() => traced,
            other => {
                eprintln!("flushes are not counted, for want of a working `strace`: {other:?}");
                return None;
            }
        };
        let text = String::from_utf8_lossy(&traced.stderr).into_owned();
        let calls = text.lines().filter(|line| line.contains("sync") && !line.contains("total"));
        Some(calls.filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok()).sum::<f64>())
    };
    // Opening and beginning cost the same, however many mutations follow.
    let (short, long) = (counted(1)?, counted(1 + mutations)?);
    let each = (long - short) / f64::from(runs * mutations);
    Some(Row {
        figure: format!("flushes a mutation, {runs} {} side by side", if runs == 1 { "run" } else { "runs" }),
        ripcord: format!("{:.0} for {} mutations", long - short, runs * mutations),
        beside: String::new(),
        result: format!("{each:.2}"),
        aim: format!("≤ {aim}"),
        met: each <= aim,
    })
}

/// Makes so many mutations in each of so many runs.
pub(crate) fn mutate(runs: u32, mutations: u32) {
    let folder = fixture::folder();
    let machine = Machine::new(folder.path(), "traced", runs);
    machine.runtime.block_on(async {
        let mut pipelines = Vec::new();
        for run in 0..runs {
            let record = fixture::begin(machine.journal.clone(), &format!("r{run}")).await;
            pipelines.push(fixture::pipeline(&record, true).await);
        }
        let runs = pipelines.iter_mut().map(async |pipeline| {
            for _ in 0..mutations {
                fixture::make(pipeline, fixture::mutation()).await;
            }
        });
        join_all(runs).await;
    });
}
