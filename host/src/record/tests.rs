//! The record against two hands on one file, and against being cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex as StdMutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::id::{Digest, ExecutionId};
use crate::journal::*;
use crate::machine::{Course, Next};

/// A journal that can be made to hang: the caller is cut off there, and what was asked for happens.
struct Hanging {
    journal: SqliteJournal,
    hang: StdMutex<Option<Hang>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Hang {
    AfterAppend,
    BeforeReadingAll,
}

impl Hanging {
    async fn hang_if(&self, at: Hang) {
        let hangs = self.hang.lock().unwrap().take_if(|hang| *hang == at).is_some();
        if hangs {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Journal for Hanging {
    async fn append(&self, run: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError> {
        let result = self.journal.append(run, expected, events).await;
        self.hang_if(Hang::AfterAppend).await;
        result
    }

    async fn read(&self, run: &RunId, after: Option<Head>) -> Result<(Vec<Recorded>, Head), ReadError> {
        if after.is_none() {
            self.hang_if(Hang::BeforeReadingAll).await;
        }
        self.journal.read(run, after).await
    }

    async fn begin(&self, beginning: Beginning) -> Result<Head, BeginError> {
        self.journal.begin(beginning).await
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

struct Bench {
    folder: TempDir,
    journal: Arc<Hanging>,
    run: RunId,
    record: Record,
    told: Arc<StdMutex<Vec<Event>>>,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "r".to_owned().into();
        let started: RunStarted = serde_json::from_value(json!({
            "run": run, "ripcord": "0", "plan-name": "p", "plan-path": "p.toml", "plan": Digest::of(b""),
            "params": {}, "target": "t", "operator-path": "ripcord.toml", "plugins": {}, "limits": Limits::default(),
            "shape": { "steps": [{ "id": "a", "can-undo": true }], "verify": [] }, "approval": Approval::default(),
        }))
        .unwrap();
        let journal = SqliteJournal::open(folder.path().join("journal")).unwrap();
        let journal = Arc::new(Hanging { journal, hang: StdMutex::new(None) });
        let events = vec![dated(Event::RunStarted(Box::new(started)))];
        journal.begin(Beginning { run: run.clone(), events, holds: vec![], blobs: vec![] }).await.unwrap();
        let mut record = Record::open(journal.clone(), &run).await.unwrap();
        let told = Arc::new(StdMutex::new(Vec::new()));
        let listener = told.clone();
        record.listen(Arc::new(move |recorded| listener.lock().unwrap().push(recorded.event.clone())));
        Self { folder, journal, run, record, told }
    }

    /// Another process appends.
    async fn elsewhere(&self, event: Event) {
        let journal = SqliteJournal::open(self.folder.path().join("journal")).unwrap();
        let (_, head) = journal.read(&self.run, None).await.unwrap();
        journal.append(&self.run, head, &[dated(event)]).await.unwrap();
    }

    /// Commits, and is cut off where the journal hangs.
    async fn commit_cut_off(&mut self, hang: Hang, event: Event) {
        *self.journal.hang.lock().unwrap() = Some(hang);
        let cut = tokio::time::timeout(Duration::from_millis(200), self.record.commit(event)).await;
        cut.expect_err("it hangs");
    }

    /// What is on the disk is what is known, and it was told once and in its order.
    async fn is_whole(&self, events: &[Event]) {
        let (state, recorded, head) = look(self.journal.as_ref(), &self.run).await.unwrap();
        let recorded: Vec<_> = recorded.into_iter().skip(1).map(|recorded| recorded.event).collect();
        assert_eq!(recorded, events);
        assert_eq!((&state, head), (self.record.state(), self.record.head()));
        assert_eq!(*self.told.lock().unwrap(), events);
    }
}

fn dated(event: Event) -> Dated {
    Dated { at: Timestamp::now(), event }
}

fn line(message: &str) -> Event {
    Event::Logged { execution: ExecutionId(1), level: Level::Info, message: message.into() }
}

fn began() -> Event {
    Event::ExecutionBegan { execution: ExecutionId(1), purpose: Purpose::Apply("a".into()), config: Value::Null }
}

fn aborted() -> Event {
    Event::AbortRequested { by: "ada".into() }
}

#[tokio::test]
async fn a_person_s_event_between_two_of_ours_is_taken_in() {
    let mut bench = Bench::new().await;
    bench.record.commit(began()).await.unwrap();
    bench.record.note(line("noted before")).unwrap();
    bench.elsewhere(aborted()).await;
    bench.record.commit(line("recorded behind")).await.unwrap();
    assert_eq!(bench.record.state().course, Course::Back);
    bench.is_whole(&[began(), aborted(), line("noted before"), line("recorded behind")]).await;

    bench.elsewhere(Event::UndoRequested { by: "ada".into() }).await;
    bench.record.refresh().await.unwrap();
    assert_eq!(bench.record.head().sequence, 6);
}

#[tokio::test]
async fn what_a_person_has_overtaken_is_dropped_and_the_rest_is_kept() {
    let mut bench = Bench::new().await;
    bench.record.note(line("kept")).unwrap();
    bench.elsewhere(aborted()).await;
    let overtaken = bench.record.commit(began()).await;
    assert!(matches!(overtaken, Err(RecordError::Overtaken)), "{overtaken:?}");
    assert!(matches!(bench.record.state().next(), Next::End(RunOutcome::Unchanged, _)));
    bench.record.flush().await.unwrap();
    let (state, recorded, _) = look(bench.journal.as_ref(), &bench.run).await.unwrap();
    assert_eq!(
        recorded.into_iter().skip(1).map(|recorded| recorded.event).collect::<Vec<_>>(),
        [aborted(), line("kept")]
    );
    assert_eq!(&state, bench.record.state());

    // The same if it was taken in before.
    let overtaken = bench.record.commit(began()).await;
    assert!(matches!(overtaken, Err(RecordError::Overtaken)), "{overtaken:?}");
}

#[tokio::test]
async fn an_event_that_no_person_writes_is_another_host_s() {
    let mut bench = Bench::new().await;
    bench.elsewhere(aborted()).await;
    bench.elsewhere(line("who is this?")).await;
    for result in [bench.record.commit(line("ours")).await, bench.record.refresh().await] {
        assert!(matches!(result, Err(RecordError::Foreign { sequence: 3, .. })), "{result:?}");
    }
}

#[tokio::test]
async fn an_append_that_was_cut_off_is_known_as_our_own() {
    let mut bench = Bench::new().await;
    bench.record.note(began()).unwrap();
    bench.commit_cut_off(Hang::AfterAppend, line("cut off")).await;
    bench.elsewhere(aborted()).await;
    bench.record.commit(line("behind")).await.unwrap();
    bench.is_whole(&[began(), line("cut off"), aborted(), line("behind")]).await;
}

#[tokio::test]
async fn a_person_s_event_is_not_lost_if_taking_it_in_is_cut_off() {
    let mut bench = Bench::new().await;
    bench.record.commit(began()).await.unwrap();
    bench.elsewhere(aborted()).await;
    bench.commit_cut_off(Hang::BeforeReadingAll, line("cut off")).await;
    bench.record.flush().await.unwrap();
    assert_eq!(bench.record.state().course, Course::Back);
    bench.is_whole(&[began(), aborted(), line("cut off")]).await;
}
