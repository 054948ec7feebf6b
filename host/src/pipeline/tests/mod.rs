//! The pipeline's promises, against a journal in a file and a driver that does as it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod live;
mod preview;
mod replay;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex as StdMutex;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::capability::{Call, Connection, Driver, Exactly, Prepared, Reply, Settlement, http};
use crate::id::Digest;
use crate::journal::*;
use crate::machine::{Next, State};
use crate::manifest::Access;

const RULES: &str = r#"
    url = "http://127.0.0.1:9"
    timeout = "300ms"
    read = ["GET /**"]
    write = ["POST /**"]
"#;

/// What the driver does with the next call.
enum Told {
    Reply(Reply),
    Fail(Failure),
    /// It does not get ready.
    NotReady(Failure),
    /// It never answers.
    Hang,
}

/// Does as it is told, one call after the other; then answers all with 200. Remembers what reached it.
#[derive(Default)]
struct Fake {
    told: StdMutex<VecDeque<Told>>,
    reached: StdMutex<Vec<String>>,
}

impl Fake {
    async fn next(&self) -> Result<Reply, Failure> {
        let told = self.told.lock().unwrap().pop_front();
        match told {
            None => Ok(status(200, "")),
            Some(Told::Reply(reply)) => Ok(reply),
            Some(Told::Fail(failure) | Told::NotReady(failure)) => Err(failure),
            Some(Told::Hang) => std::future::pending().await,
        }
    }

    fn saw(&self, what: &str, call: &Call) {
        self.reached.lock().unwrap().push(format!("{what} {}", call.summary()));
    }
}

struct FakeDriver(Arc<Fake>);

#[async_trait]
impl Driver for FakeDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        "http://target".into()
    }

    fn exactly(&self, call: &Call) -> Exactly {
        Exactly::new(call.summary())
    }

    async fn read(&self, _at: &At, call: &Call) -> Result<Reply, Failure> {
        self.0.saw("read", call);
        self.0.next().await
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        self.0.saw("prepare", call);
        if matches!(self.0.told.lock().unwrap().front(), Some(Told::NotReady(_))) {
            return Err(self.0.next().await.unwrap_err());
        }
        Ok(Box::new(Ready { fake: self.0.clone(), call: call.clone(), marker: json!({ "of": at.key() }) }))
    }

    async fn settle(&self, _at: &At, _call: &Call, _marker: Option<&Value>) -> Settlement<Reply> {
        panic!("a pipeline settles nothing")
    }
}

struct Ready {
    fake: Arc<Fake>,
    call: Call,
    marker: Value,
}

#[async_trait]
impl Prepared<Reply> for Ready {
    fn marker(&self) -> Option<Value> {
        Some(self.marker.clone())
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        self.fake.saw("perform", &self.call);
        self.fake.next().await
    }
}

/// A run with one step, whose `apply` is execution 1.
struct Bench {
    folder: TempDir,
    run: RunId,
    record: Arc<Mutex<Record>>,
    fake: Arc<Fake>,
    rules: String,
    attempts: u32,
    limits: Limits,
    scrubber: Scrubber,
    interrupt: watch::Sender<bool>,
}

impl Bench {
    /// With these targets of `POST` on the approved list.
    async fn new(listed: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "r".to_owned().into();
        let started: RunStarted = serde_json::from_value(json!({
            "run": run, "ripcord": "0", "plan-name": "p", "plan-path": "p.toml", "plan": Digest::of(b""),
            "params": {}, "target": "t", "operator-path": "ripcord.toml", "plugins": {}, "limits": Limits::default(),
            "shape": { "steps": [{ "id": "a", "can-undo": true }], "verify": [] },
            "approval": { "by": "ada", "binding": "", "listed": listed.iter().map(|target| json!({
                "connection": "http.target", "operation": "POST", "target": target,
            })).collect::<Vec<_>>() },
        }))
        .unwrap();
        let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(folder.path().join("journal")).unwrap());
        let events = [Event::RunStarted(Box::new(started)), attached()];
        let events = events.map(|event| Dated { at: Timestamp::now(), event }).to_vec();
        journal.begin(Beginning { run: run.clone(), events, holds: vec![], blobs: vec![] }).await.unwrap();
        let mut record = Record::open(journal, &run).await.unwrap();
        let (execution, purpose) = (ExecutionId(1), Purpose::Apply("a".into()));
        record.commit(Event::ExecutionBegan { execution, purpose, config: Value::Null }).await.unwrap();
        Self {
            folder,
            run,
            record: Arc::new(Mutex::new(record)),
            fake: Arc::default(),
            rules: RULES.to_owned(),
            attempts: 1,
            limits: Limits::default(),
            scrubber: Scrubber::default(),
            interrupt: watch::Sender::new(false),
        }
    }

    fn told(self, told: impl IntoIterator<Item = Told>) -> Self {
        self.fake.told.lock().unwrap().extend(told);
        self
    }

    fn reached(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.reached.lock().unwrap())
    }

    /// What is on the disk, in words.
    async fn journaled(&self) -> Vec<String> {
        self.events().await.iter().skip(3).map(word).collect()
    }

    async fn events(&self) -> Vec<Event> {
        let (_, events, _) = crate::record::look(&self.another(), &self.run).await.unwrap();
        events.into_iter().map(|recorded| recorded.event).collect()
    }

    async fn state(&self) -> State {
        self.record.lock().await.state().clone()
    }

    /// The same file in another process's hands.
    fn another(&self) -> SqliteJournal {
        SqliteJournal::open(self.folder.path().join("journal")).unwrap()
    }

    /// Another host takes the run from what is on the disk.
    async fn crash(&mut self) {
        let mut record = Record::open(Arc::new(self.another()), &self.run).await.unwrap();
        record.commit(attached()).await.unwrap();
        self.record = Arc::new(Mutex::new(record));
    }

    async fn commit(&self, event: Event) {
        self.record.lock().await.commit(event).await.unwrap();
    }

    fn setting(&self) -> Setting {
        let connection: http::Connection = toml::from_str(&self.rules).unwrap();
        let driver: DynDriver = Arc::new(FakeDriver(self.fake.clone()));
        let open = Some(Open { connection: Arc::new(Connection::Http(connection)), driver });
        let bound = Some(Bound { name: "http.target".into(), open });
        let grant = Grant { capability: "http".into(), access: Access::Write, bound };
        Setting {
            run: self.run.clone(),
            execution: ExecutionId(1),
            began: Timestamp::UNIX_EPOCH,
            policy: Policy {
                imports: BTreeSet::from(["http".to_owned()]),
                roles: BTreeMap::from([("target".to_owned(), grant)]),
                observes_only: None,
            },
            retry: Retry { attempts: self.attempts, backoff: Duration::from_millis(1) },
            limits: self.limits.clone(),
            scrubber: self.scrubber.clone(),
            interrupt: self.interrupt.subscribe(),
        }
    }

    /// The execution from its beginning, with all that is known of it.
    async fn live(&self) -> Pipeline {
        let known = self.state().await.executions[&ExecutionId(1)].calls.clone();
        Pipeline::new(self.setting(), Mode::Live(self.record.clone()), known)
    }
}

fn attached() -> Event {
    Event::HostAttached(HostAttached { pid: 1, machine: "m".into(), ripcord: "0".into(), taken_over_from: None })
}

fn status(status: u16, body: &str) -> Reply {
    Reply::Http(http::Reply { status, headers: vec![], body: body.into(), ..http::Reply::default() })
}

fn get(path: &str) -> Invocation {
    ask("GET", path, None)
}

fn post(path: &str) -> Invocation {
    ask("POST", path, None)
}

fn ask(method: &str, path: &str, body: Option<&str>) -> Invocation {
    let body = body.map(Into::into);
    let call = Call::Http(http::Call { method: method.into(), path: path.into(), headers: vec![], body });
    Invocation { role: "target".into(), call, repeat: Repeat::Once, assume: None }
}

fn address(ordinal: u32) -> CallId {
    CallId { execution: ExecutionId(1), ordinal }
}

fn word(event: &Event) -> String {
    let outcome = |outcome: &Outcome| match outcome {
        Ok(_) => "ok",
        Err(Failure::Denied(_)) => "denied",
        Err(Failure::Transient(_)) => "transient",
        Err(Failure::Permanent(_)) => "permanent",
        Err(Failure::Unknown(_)) => "unknown",
    };
    match event {
        Event::HostAttached(_) => "attached".into(),
        Event::GateOpened(opened) => format!("gate {}", opened.gate),
        Event::GateAnswered { answer, .. } => format!("gate: {answer:?}"),
        Event::ClockRead { .. } => "clock".into(),
        Event::SleepBegan { .. } => "sleep".into(),
        Event::Called { request, outcome: came, .. } => format!("{}: {}", request.call.summary(), outcome(came)),
        Event::Intended { request, .. } => format!("intended {}", request.call.summary()),
        Event::Answered { outcome: came, .. } => format!("answered: {}", outcome(came)),
        Event::Doubted { .. } => "doubted".into(),
        Event::Settled { by, verdict, .. } => format!("settled by {by:?}: {verdict:?}"),
        Event::Unsettled { .. } => "unsettled".into(),
        Event::Logged { message, .. } => format!("log {message}"),
        other => format!("{other:?}"),
    }
}
