//! What the figures within one process share: a run, its pipeline, and a driver that answers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use ripcord::capability::{
    At, Call, Connection, Driver, Exactly, Invocation, Prepared, Repeat, Reply, Settlement, http,
};
use ripcord::failure::Failure;
use ripcord::id::{Digest, ExecutionId, RunId};
use ripcord::journal::{Approval, Beginning, Dated, Event, HostAttached, Journal, Limits, Listed, Purpose, RunStarted};
use ripcord::manifest::Access;
use ripcord::pipeline::{Bound, Caller, Grant, Mode, Open, Pipeline, Policy, Retry, Setting};
use ripcord::record::Record;
use ripcord::secret::Scrubber;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, watch};

/// The tests' guest that does what its configuration says.
pub(crate) const STEPS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/steps.wasm"));

/// A folder on the disk that the build is on: `/tmp` may be none.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Writes `plan.toml`: one step of [`STEPS`] whose role `service` is bound to `http.service`.
pub(crate) fn write_steps_plan(folder: &Path, with: &str) {
    std::fs::write(folder.join("steps.wasm"), STEPS).unwrap();
    let plan = format!(
        "name = \"bench\"\ntarget = \"bench/{{{{ params.n }}}}\"\n[params.n]\ndescription = \"which\"\ndefault = \"0\"\n\
         [[step]]\nid = \"step\"\nuse = \"steps.wasm@{}\"\nbind = {{ service = \"service\" }}\n[step.with]\n{with}\n",
        Digest::of(STEPS)
    );
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
}

/// Begins a run whose one execution, `apply` of step `a`, may make [`mutation`]s.
pub(crate) async fn begin(journal: Arc<dyn Journal>, name: &str) -> Arc<Mutex<Record>> {
    let run: RunId = name.to_owned().into();
    let mut started: RunStarted = serde_json::from_value(json!({
        "run": run, "ripcord": "0", "plan-name": "p", "plan-path": "p.toml", "plan": Digest::of(b""),
        "params": {}, "target": "t", "operator-path": "ripcord.toml", "plugins": {}, "limits": Limits::default(),
        "shape": { "steps": [{ "id": "a", "can-undo": true }], "verify": [] },
        "approval": { "by": "ada", "binding": "", "listed": [] },
    }))
    .unwrap();
    let Invocation { call, .. } = mutation();
    let listed =
        Listed { connection: "http.service".into(), operation: call.operation().to_owned(), target: call.target() };
    started.approval = Approval { listed: vec![listed], ..started.approval };
    let attached = HostAttached { pid: 1, machine: "bench".into(), ripcord: "0".into(), taken_over_from: None };
    let events = [Event::RunStarted(Box::new(started)), Event::HostAttached(attached)];
    let events = events.map(|event| Dated { at: Timestamp::now(), event }).to_vec();
    journal.begin(Beginning { run: run.clone(), events, holds: vec![], blobs: vec![] }).await.unwrap();
    let mut record = Record::open(journal, &run).await.unwrap();
    let (execution, purpose) = (ExecutionId(1), Purpose::Apply("a".into()));
    record.commit(Event::ExecutionBegan { execution, purpose, config: Value::Null }).await.unwrap();
    Arc::new(Mutex::new(record))
}

/// The way to the world of that execution. What it knows of already is replayed.
pub(crate) async fn pipeline(record: &Arc<Mutex<Record>>, live: bool) -> Pipeline {
    let (run, known) = {
        let record = record.lock().await;
        (record.run().clone(), record.state().executions[&ExecutionId(1)].calls.clone())
    };
    let connection: http::Connection = serde_json::from_value(json!({
        "url": "https://coolify.example.org/api/v1",
        "read": ["GET /applications/**", "GET /deployments/**", "GET /version"],
        "write": ["PATCH /applications/*", "POST /applications/*/rollback", "POST /deploy"],
    }))
    .unwrap();
    let open = Open { connection: Arc::new(Connection::Http(connection)), driver: Arc::new(AtOnce) };
    let bound = Some(Bound { name: "http.service".into(), open: Some(open) });
    let grant = Grant { capability: "http".into(), access: Access::Write, bound };
    let scrubber = Scrubber::default();
    scrubber.add("tok-5Dx8VfKJw93");
    let policy = Policy {
        imports: BTreeSet::from(["http".to_owned(), "git".to_owned()]),
        roles: BTreeMap::from([("service".to_owned(), grant)]),
        observes_only: None,
    };
    let setting = Setting {
        run,
        execution: ExecutionId(1),
        began: Timestamp::UNIX_EPOCH,
        policy,
        retry: Retry { attempts: 3, backoff: std::time::Duration::from_secs(1) },
        limits: Limits { calls_max: u32::MAX, ..Limits::default() },
        scrubber,
        interrupt: watch::Sender::new(false).subscribe(),
    };
    let mode = if live { Mode::Live(record.clone()) } else { Mode::Replay };
    Pipeline::new(setting, mode, if live { Vec::new() } else { known })
}

/// Makes a call that has to succeed.
pub(crate) async fn make(pipeline: &mut Pipeline, invocation: Invocation) {
    pipeline.call(invocation).await.unwrap().unwrap();
}

pub(crate) fn read() -> Invocation {
    invocation("GET", "/applications/og888os", None)
}

pub(crate) fn mutation() -> Invocation {
    invocation("POST", "/applications/og888os/rollback", Some(r#"{"deployment_uuid":"wcg4k4s","force":false}"#))
}

fn invocation(method: &str, path: &str, body: Option<&str>) -> Invocation {
    let call = http::Call {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.map(Into::into),
    };
    Invocation { role: "service".to_owned(), call: Call::Http(call), repeat: Repeat::Once, assume: None }
}

/// Answers everything with 200 and a small body.
struct AtOnce;

fn answer() -> Reply {
    Reply::Http(http::Reply {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: r#"{"uuid":"og888os","status":"running:healthy","git_commit_sha":"8fa5888995205990c222f7f90d887352"}"#
            .into(),
        ..http::Reply::default()
    })
}

#[async_trait]
impl Driver for AtOnce {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        "nowhere".to_owned()
    }

    fn exactly(&self, _: &Call) -> Exactly {
        Exactly::default()
    }

    async fn read(&self, _: &At, _: &Call) -> Result<Reply, Failure> {
        Ok(answer())
    }

    async fn prepare(&self, _: &At, _: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        Ok(Box::new(Self))
    }

    async fn settle(&self, _: &At, _: &Call, _: Option<&Value>) -> Settlement<Reply> {
        Settlement::DidNotHappen
    }
}

#[async_trait]
impl Prepared<Reply> for AtOnce {
    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        Ok(answer())
    }
}
