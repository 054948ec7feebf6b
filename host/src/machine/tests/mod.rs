//! The machine's promises: of every run (`properties`, carried by `world`), and by name (`semantics`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod drift;
mod follow_up;
mod notice;
mod properties;
mod semantics;
mod watch;
mod world;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::capability::{Call, Repeat, Reply, http};
use crate::failure::Failure;
use crate::id::{CallId, Digest, ExecutionId};
use crate::journal::*;

fn started(shape: Shape) -> Event {
    Event::RunStarted(Box::new(RunStarted {
        run: "r".to_owned().into(),
        ripcord: "0".into(),
        plan_name: "p".into(),
        plan_path: "p.toml".into(),
        plan: Digest::of(b""),
        params: BTreeMap::new(),
        people: BTreeMap::new(),
        language: Default::default(),
        scenario: None,
        target: "t".into(),
        operator_path: "ripcord.toml".into(),
        plugins: BTreeMap::new(),
        shape,
        limits: Limits::default(),
        approval: Approval::default(),
        good_states: Vec::new(),
    }))
}

fn attached() -> Event {
    Event::HostAttached(HostAttached { pid: 1, machine: "m".into(), ripcord: "0".into(), taken_over_from: None })
}

fn step(id: impl Into<String>) -> StepShape {
    StepShape { id: id.into(), fallback: None, gate: false, on_failure: OnFailure::Halt, can_undo: true }
}

fn call(execution: u32, ordinal: u32) -> CallId {
    CallId { execution: ExecutionId(execution), ordinal }
}

fn request() -> Request {
    let post = http::Call { method: "POST".into(), path: "/deploy".into(), headers: vec![], body: None };
    Request { role: "target".into(), connection: "http.target".into(), call: Call::Http(post) }
}

fn reply() -> Reply {
    Reply::Http(http::Reply { status: 200, ..http::Reply::default() })
}

fn began(execution: u32, purpose: Purpose) -> Event {
    Event::ExecutionBegan { execution: ExecutionId(execution), purpose, config: Value::Null }
}

fn apply(step: &str) -> Purpose {
    Purpose::Apply(step.to_owned())
}

fn ended(execution: u32, end: End) -> Event {
    Event::ExecutionEnded { execution: ExecutionId(execution), end }
}

fn returned() -> End {
    End::Returned(Value::Null)
}

fn failed() -> End {
    End::Failed(Failure::permanent("no"))
}

fn intended(call: CallId) -> Event {
    Event::Intended { call, request: request(), repeat: Repeat::Once, marker: None, assume: None }
}

fn answered(call: CallId) -> Event {
    Event::Answered { call, outcome: Ok(reply()), took_us: 1 }
}

fn settled(call: CallId, by: Settler, verdict: Verdict) -> Event {
    Event::Settled { call, by, verdict }
}

fn person() -> Settler {
    Settler::Person("ada".into())
}

fn unsettled(call: CallId) -> Event {
    Event::Unsettled { call, seen: "nothing".into() }
}

fn halted(call: CallId) -> Event {
    Event::Halted { question: Question::DidItHappen { call, seen: "nothing".into() } }
}

fn gate_of_call(call: CallId) -> Event {
    opened(&format!("call-{call}"), Behind::Call(call), None)
}

fn gate_of_step(step: &str) -> Event {
    opened(step, Behind::Step(step.to_owned()), None)
}

fn opened(gate: &str, before: Behind, expires: Option<Timestamp>) -> Event {
    Event::GateOpened(GateOpened { gate: GateId(gate.to_owned()), before, ask: "?".into(), expires })
}

fn gate_answered(gate: &str, answer: Answer) -> Event {
    Event::GateAnswered { gate: GateId(gate.to_owned()), answer, by: "ada".into() }
}

fn aborted() -> Event {
    Event::AbortRequested { by: "ada".into() }
}
