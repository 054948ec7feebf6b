//! What counts as a good state, and for how long.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::id::{Digest, ExecutionId};
use crate::journal::*;

struct Bench {
    folder: TempDir,
    journal: SqliteJournal,
    minute: i64,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path().join("journal.sqlite")).unwrap();
        Self { folder, journal, minute: 0 }
    }

    /// A run that went as far as these events.
    async fn run(&mut self, name: &str, target: &str, events: Vec<Event>) -> Head {
        let run: RunId = name.to_owned().into();
        let begun = Event::RunStarted(Box::new(started(&run, target)));
        let beginning =
            Beginning { run: run.clone(), events: vec![self.dated(begun)], holds: Vec::new(), blobs: Vec::new() };
        let head = self.journal.begin(beginning).await.unwrap();
        self.goes_on(name, head, events).await
    }

    async fn goes_on(&mut self, name: &str, head: Head, events: Vec<Event>) -> Head {
        let events: Vec<_> = events.into_iter().map(|event| self.dated(event)).collect();
        self.journal.append(&name.to_owned().into(), head, &events).await.unwrap()
    }

    fn dated(&mut self, event: Event) -> Dated {
        self.minute += 1;
        Dated { at: Timestamp::from_second(self.minute * 60).unwrap(), event }
    }

    /// Run, step and state of all that is known of a target.
    async fn known(&self, target: &str) -> Vec<(String, String, Value)> {
        let known = good_states(&self.journal, target).await.unwrap();
        known.into_iter().map(|good| (good.run.to_string(), good.step, good.state)).collect()
    }
}

fn started(run: &RunId, target: &str) -> RunStarted {
    let step = |id: &str| StepShape {
        id: id.to_owned(),
        fallback: None,
        gate: false,
        on_failure: OnFailure::Halt,
        can_undo: true,
    };
    RunStarted {
        run: run.clone(),
        ripcord: "0".into(),
        plan_name: "p".into(),
        plan_path: "p.toml".into(),
        plan: Digest::of(b""),
        params: BTreeMap::new(),
        people: BTreeMap::new(),
        language: Default::default(),
        scenario: None,
        target: target.to_owned(),
        operator_path: "ripcord.toml".into(),
        plugins: BTreeMap::new(),
        shape: Shape {
            steps: vec![step("one"), step("two")],
            verify: vec![CheckShape { id: "health".into(), within_ms: 0, every_ms: 0 }],
            ..Shape::default()
        },
        limits: Limits::default(),
        approval: Approval::default(),
        good_states: Vec::new(),
    }
}

fn execution(number: u32, purpose: Purpose, returned: Value) -> [Event; 2] {
    let execution = ExecutionId(number);
    [
        Event::ExecutionBegan { execution, purpose, config: Value::Null },
        Event::ExecutionEnded { execution, end: End::Returned(returned) },
    ]
}

fn step(number: u32, id: &str, receipt: Value) -> [Event; 2] {
    execution(number, Purpose::Apply(id.to_owned()), receipt)
}

fn check(number: u32, outcome: CheckOutcome) -> Vec<Event> {
    let judged = Event::Judged { execution: ExecutionId(number), outcome, summary: String::new() };
    execution(number, Purpose::Check("health".to_owned()), json!({})).into_iter().chain([judged]).collect()
}

fn ended(outcome: RunOutcome) -> Vec<Event> {
    vec![Event::RunEnded { outcome, why: String::new() }]
}

fn version(version: &str) -> Value {
    json!({ "good-state": { "version": version } })
}

#[tokio::test]
async fn only_what_passed_its_verification_counts_and_only_for_its_target() {
    use CheckOutcome::{Fail, Pass};
    use RunOutcome::{Halted, Unchanged, Undone, Verified};
    for (outcome, checked, counts) in [
        (Some(Verified), Some(Pass), true),
        (Some(Unchanged), Some(Pass), true),
        // It was stopped at a gate: nobody has looked.
        (Some(Unchanged), None, false),
        (Some(Halted), Some(Fail), false),
        (Some(Undone), Some(Pass), false),
        (None, Some(Pass), false),
    ] {
        let mut bench = Bench::new();
        let mut events = step(1, "one", version("1")).to_vec();
        events.extend(checked.into_iter().flat_map(|checked| check(2, checked)));
        events.extend(outcome.into_iter().flat_map(ended));
        bench.run("a", "app", events).await;
        let expected = Vec::from_iter(counts.then(|| ("a".into(), "one".into(), json!({ "version": "1" }))));
        assert_eq!(bench.known("app").await, expected, "{outcome:?} {checked:?}");
        assert_eq!(bench.known("another").await, []);
    }
}

#[tokio::test]
async fn the_newest_comes_first_and_what_is_no_state_is_passed_over() {
    let mut bench = Bench::new();
    for (run, receipt) in [("a", version("1")), ("b", json!({ "good-state": "1.2" })), ("c", json!({ "x": 1 }))] {
        let mut events = step(1, "one", receipt).to_vec();
        events.extend(step(2, "two", json!({ "good-state": { "backup": run } })));
        events.extend(ended(RunOutcome::Verified));
        bench.run(run, "app", events).await;
    }
    let long = "x".repeat(STATE_BYTES_MAX);
    bench.run("d", "app", [step(1, "one", version(&long)).to_vec(), ended(RunOutcome::Verified)].concat()).await;
    let backup = |run: &str| (run.into(), "two".into(), json!({ "backup": run }));
    let first = ("a".into(), "one".into(), json!({ "version": "1" }));
    assert_eq!(bench.known("app").await, [backup("c"), backup("b"), backup("a"), first]);
}

#[tokio::test]
async fn an_undo_takes_a_state_back_and_later_notes_do_not() {
    let mut bench = Bench::new();
    let events = [step(1, "one", version("1")).to_vec(), ended(RunOutcome::Verified)].concat();
    let head = bench.run("a", "app", events).await;
    let noted = IncidentNoted { by: "ana".into(), symptoms: vec!["slow".into()], ..IncidentNoted::default() };
    let head = bench.goes_on("a", head, vec![Event::IncidentNoted(noted)]).await;
    assert_eq!(bench.known("app").await.len(), 1);
    let head = bench.goes_on("a", head, vec![Event::UndoRequested { by: "ana".into() }]).await;
    assert_eq!(bench.known("app").await, [], "it is being taken back");
    bench.goes_on("a", head, ended(RunOutcome::Undone)).await;
    assert_eq!(bench.known("app").await, []);
}

#[tokio::test]
async fn of_many_runs_the_newest_are_told_and_an_altered_one_proves_nothing() {
    let mut bench = Bench::new();
    for number in 0..ENTRIES_MAX + 5 {
        let events = [step(1, "one", version(&number.to_string())).to_vec(), ended(RunOutcome::Verified)].concat();
        bench.run(&format!("r{number}"), "app", events).await;
    }
    let raw = rusqlite::Connection::open(bench.folder.path().join("journal.sqlite")).unwrap();
    raw.execute("UPDATE events SET event = replace(event, '23', '99') WHERE run = 'r23' AND sequence = 3", []).unwrap();
    let known: Vec<_> = bench.known("app").await.into_iter().map(|(run, ..)| run).collect();
    let newest = (4..ENTRIES_MAX + 5).rev().filter(|number| *number != 23).map(|number| format!("r{number}"));
    assert_eq!(known, newest.collect::<Vec<_>>());
}
