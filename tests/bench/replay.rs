//! Calls that the journal knows, delivered again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ripcord::journal::SqliteJournal;
use ripcord::record::Record;

use crate::fixture;
use crate::sample::{Unit, by_turns};
use crate::table::Row;

const ROUNDS: usize = 30;
const CALLS: u32 = 20_000;
const AIM_A_SECOND: f64 = 500_000.0;

pub(crate) fn measure() -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = fixture::folder();
    // As `resume` has it: read back from the disk, one mutation to nine reads.
    let record = runtime.block_on(async {
        let journal = Arc::new(SqliteJournal::open(folder.path().join("journal.sqlite")).unwrap());
        let record = fixture::begin(journal.clone(), "r").await;
        let mut pipeline = fixture::pipeline(&record, true).await;
        for invocation in invocations() {
            fixture::make(&mut pipeline, invocation).await;
        }
        record.lock().await.flush().await.unwrap();
        let run = record.lock().await.run().clone();
        Arc::new(tokio::sync::Mutex::new(Record::open(journal, &run).await.unwrap()))
    });
    let mut replay = || -> Duration {
        runtime.block_on(async {
            let mut pipeline = fixture::pipeline(&record, false).await;
            let invocations: Vec<_> = invocations().collect();
            let began = Instant::now();
            for invocation in invocations {
                fixture::make(&mut pipeline, invocation).await;
            }
            began.elapsed() / CALLS
        })
    };
    let [took] = by_turns("replay", ROUNDS, [&mut replay]);
    let a_second = 1.0 / took.median().as_secs_f64();
    vec![Row {
        figure: "a known call delivered again".to_owned(),
        ripcord: took.show(Unit::Microseconds),
        beside: String::new(),
        result: format!("{a_second:.0} a second"),
        aim: format!("≥ {AIM_A_SECOND} a second"),
        met: a_second >= AIM_A_SECOND,
    }]
}

fn invocations() -> impl Iterator<Item = ripcord::capability::Invocation> {
    (0..CALLS).map(|number| if number % 10 == 0 { fixture::mutation() } else { fixture::read() })
}
