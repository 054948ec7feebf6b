//! A run as it could have been: a connector is switched off, a reply is lost, a gate is answered, a
//! check fails, and somebody takes it all back. Servers and plugins say nasty things on the way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Style;
use crate::capability::{Call, Payload, Repeat, Reply, command, git, http, notify};
use crate::id::{CallId, Digest, ExecutionId, RunId};
use crate::journal::*;
use crate::language::Language;
use crate::machine::State;
use crate::process::Ending;

pub(crate) const EVIL: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK";

pub(crate) fn style() -> Style {
    Style { colour: false, width: 100, zone: TimeZone::UTC }
}

pub(crate) fn run_id() -> RunId {
    "20261122-180312-k7qm".to_owned().into()
}

pub(crate) fn call(execution: u32, ordinal: u32) -> CallId {
    CallId { execution: ExecutionId(execution), ordinal }
}

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    "2026-11-22T18:03:12Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(milliseconds)
}

pub(crate) fn http(method: &str, path: &str) -> Request {
    let call = http::Call { method: method.into(), path: path.into(), headers: vec![], body: None };
    Request { role: "admin".into(), connection: "http.genia-admin".into(), call: Call::Http(call) }
}

pub(crate) fn git(call: git::Call) -> Request {
    Request { role: "code".into(), connection: "git.genia".into(), call: Call::Git(call) }
}

pub(crate) fn program(name: &str) -> Request {
    let call = Call::Command(command::Call { arguments: vec![] });
    Request { role: name.into(), connection: format!("command.genia-{name}"), call }
}

pub(crate) fn notice(channel: &str) -> Request {
    let call = notify::Call {
        subject: "Conector facebook desactivado temporalmente".into(),
        text: "Hemos detectado un problema con el conector facebook.\n\nEstamos investigando la causa.\n".into(),
        ..notify::Call::default()
    };
    Request { role: channel.into(), connection: format!("notify.genia-{channel}"), call: Call::Notify(call) }
}

pub(crate) fn status(status: u16, body: &str) -> Outcome {
    Ok(Reply::Http(http::Reply { status, headers: vec![], body: body.into(), ..http::Reply::default() }))
}

pub(crate) fn restore() -> Request {
    git(git::Call::Restore { revision: "9c1f0d2".into(), paths: vec!["src/lib/connectors/facebook.ts".into()] })
}

fn moved() -> Outcome {
    let changed = vec!["src/lib/connectors/facebook.ts".into()];
    Ok(Reply::Git(git::Reply::Moved(git::Moved { head: "77aa001".into(), previous: "77aa001".into(), changed })))
}

fn exit(code: i32, stderr: &str) -> Outcome {
    let reply = command::Reply {
        ending: Ending::Exited(code),
        stdout: Payload::default(),
        stderr: stderr.into(),
        truncated: false,
    };
    Ok(Reply::Command(reply))
}

/// Events in the making, each some time after the one before.
#[derive(Default)]
struct Tape {
    events: Vec<Recorded>,
    now: i64,
}

impl Tape {
    fn after(&mut self, milliseconds: i64, event: Event) {
        self.now += milliseconds;
        let sequence = self.events.len() as u64 + 1;
        self.events.push(Recorded { sequence, at: at(self.now), event });
    }

    fn began(&mut self, execution: u32, purpose: Purpose) {
        self.after(5, Event::ExecutionBegan { execution: ExecutionId(execution), purpose, config: json!({}) });
    }

    fn read(&mut self, call: CallId, request: Request, outcome: Outcome) {
        self.after(13, Event::Called { call, request, outcome, took_us: 12_600 });
    }

    fn intended(&mut self, call: CallId, request: Request, assume: Option<Reply>) {
        self.after(2, Event::Intended { call, request, repeat: Repeat::Once, marker: None, assume });
    }

    fn mutation(&mut self, call: CallId, request: Request, outcome: Outcome, took_ms: i64) {
        self.intended(call, request, None);
        self.after(took_ms, Event::Answered { call, outcome, took_us: took_ms as u64 * 1_000 });
    }

    fn ended(&mut self, execution: u32, end: End) {
        self.after(1, Event::ExecutionEnded { execution: ExecutionId(execution), end });
    }

    /// The disabling of the connector, up to the lost reply.
    fn until_the_doubt(&mut self) {
        self.after(0, Event::RunStarted(Box::new(started())));
        self.after(1, Event::HostAttached(host(4242, None)));
        self.began(1, Purpose::Apply("disable".into()));
        self.after(1, Event::ClockRead { call: call(1, 0), now: at(7) });
        let show = git::Call::Show { revision: "v1.4.2".into(), path: "src/lib/connectors/facebook.ts".into() };
        self.read(call(1, 1), git(show), Ok(Reply::Git(git::Reply::Content("export …".into()))));
        self.read(call(1, 2), http("GET", "/connectors/facebook"), status(200, r#"{"enabled":true}"#));
        let (execution, message) = (ExecutionId(1), format!("disabling connector facebook {EVIL}"));
        self.after(1, Event::Logged { execution, level: Level::Info, message });
        let assume = Reply::Http(http::Reply { status: 200, ..http::Reply::default() });
        self.intended(call(1, 3), http("POST", "/connectors/facebook/disable"), Some(assume));
        let seen = "the connection was cut after 1.2 s, before a complete answer".to_owned();
        self.after(1_200, Event::Doubted { call: call(1, 3), seen });
        self.began(2, Purpose::Reconcile(call(1, 3)));
        self.read(call(2, 0), http("GET", "/connectors/facebook"), status(503, EVIL));
    }
}

/// The run halts: nobody but a person can say whether the connector was disabled.
pub(crate) fn halted() -> Vec<Recorded> {
    let mut tape = Tape::default();
    tape.until_the_doubt();
    tape.ended(2, End::Returned(json!({ "unknown": "503" })));
    let seen = format!("the connection was cut; the service answers 503 {EVIL}");
    tape.after(1, Event::Unsettled { call: call(1, 3), seen: seen.clone() });
    tape.after(1, Event::Halted { question: Question::DidItHappen { call: call(1, 3), seen } });
    tape.events
}

/// The whole run, taken back in the end.
pub(crate) fn undone() -> Vec<Recorded> {
    let mut tape = Tape::default();
    tape.until_the_doubt();
    let happened = Verdict::Happened(Reply::Http(http::Reply { status: 200, ..http::Reply::default() }));
    tape.ended(2, End::Returned(json!({ "happened": null })));
    tape.after(1, Event::Settled { call: call(1, 3), by: Settler::Plugin, verdict: happened });
    tape.mutation(call(1, 4), restore(), moved(), 4);
    tape.mutation(call(1, 5), program("build"), exit(0, ""), 61_000);
    tape.ended(1, End::Returned(json!({ "connector": "facebook" })));
    let opened = gate();
    tape.after(2, Event::GateOpened(opened.clone()));
    tape.after(20_000, Event::GateAnswered { gate: opened.gate, answer: Answer::Yes, by: "Andrea".into() });
    tape.began(3, Purpose::Apply("tell".into()));
    tape.mutation(call(3, 0), notice("users"), Ok(Reply::Notify(notify::Reply::Sent)), 310);
    let not_sent = notify::Reply::NotSent("mail.example.org: 550 no such user".into());
    tape.mutation(call(3, 1), notice("administrators"), Ok(Reply::Notify(not_sent)), 95);
    tape.ended(3, End::Returned(json!({})));
    for execution in [4, 5] {
        tape.after(
            5_000,
            Event::ExecutionBegan {
                execution: ExecutionId(execution),
                purpose: Purpose::Check("staging-works".into()),
                config: json!({}),
            },
        );
        tape.read(call(execution, 0), program("smoke"), exit(1, &format!("1 of 9 failed: {EVIL}")));
        tape.ended(execution, End::Returned(json!({ "outcome": "fail" })));
        let (execution, summary) = (ExecutionId(execution), format!("it exited with 1 instead of 0: {EVIL}"));
        tape.after(0, Event::Judged { execution, outcome: CheckOutcome::Fail, summary });
    }
    let why = "verification staging-works: it exited with 1 instead of 0".to_owned();
    tape.after(1, Event::RunEnded { outcome: RunOutcome::Halted, why });
    tape.after(90_000, Event::UndoRequested { by: "Andrea".into() });
    tape.after(100, Event::HostAttached(host(4301, Some(4242))));
    tape.began(6, Purpose::Undo(ExecutionId(1)));
    let back =
        git(git::Call::Restore { revision: "HEAD".into(), paths: vec!["src/lib/connectors/facebook.ts".into()] });
    tape.mutation(call(6, 0), back, moved(), 4);
    tape.mutation(call(6, 1), http("POST", "/connectors/facebook/enable"), status(200, ""), 34);
    tape.ended(6, End::Returned(json!(null)));
    let why = "what had been done was taken back".to_owned();
    tape.after(1, Event::RunEnded { outcome: RunOutcome::Undone, why });
    tape.events
}

/// What a browser must not take for its own.
pub(crate) const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(2)> \"' & @iris";

/// Somebody knows what failed, and says more of it later; the run is verified at the second try.
pub(crate) fn verified() -> Vec<Recorded> {
    let mut tape = Tape::default();
    tape.after(0, Event::RunStarted(Box::new(started())));
    let said = IncidentNoted {
        by: "Iris".into(),
        symptoms: vec!["Publishing to Facebook fails".into(), format!("users see {SCRIPT}")],
        severity: Some("SEV 2".into()),
        since: Some(at(-18 * 60_000)),
        ..IncidentNoted::default()
    };
    tape.after(0, Event::IncidentNoted(said));
    tape.after(1, Event::HostAttached(host(4242, None)));
    tape.began(1, Purpose::Apply("disable".into()));
    tape.read(call(1, 0), http("GET", "/connectors/facebook"), status(503, SCRIPT));
    let (execution, message) = (ExecutionId(1), format!("the administration does not say how it is: {SCRIPT}"));
    tape.after(1, Event::Logged { execution, level: Level::Warn, message });
    tape.mutation(call(1, 1), http("POST", "/connectors/facebook/disable"), status(200, ""), 34);
    tape.mutation(call(1, 2), restore(), moved(), 4);
    tape.mutation(call(1, 3), program("build"), exit(0, ""), 61_000);
    tape.after(1, Event::SleepBegan { call: call(1, 4), until: at(tape.now + 2_000) });
    tape.after(2_000, Event::ExecutionEnded { execution: ExecutionId(1), end: End::Returned(json!({})) });
    let opened = gate();
    tape.after(2, Event::GateOpened(opened.clone()));
    tape.after(20_000, Event::GateAnswered { gate: opened.gate, answer: Answer::Yes, by: "Andrea".into() });
    tape.began(2, Purpose::Apply("tell".into()));
    tape.mutation(call(2, 0), notice("users"), Ok(Reply::Notify(notify::Reply::Sent)), 310);
    let perhaps = notify::Reply::PerhapsSent("the connection was cut after DATA".into());
    tape.mutation(call(2, 1), notice("administrators"), Ok(Reply::Notify(perhaps)), 95);
    tape.ended(2, End::Returned(json!({})));
    for (execution, code, outcome) in [(3, 1, CheckOutcome::Fail), (4, 0, CheckOutcome::Pass)] {
        tape.began(execution, Purpose::Check("staging-works".into()));
        let output =
            if code == 0 { String::new() } else { format!("FAIL feed.test.ts\n  expected 200, got 500\n{SCRIPT}") };
        tape.read(call(execution, 0), program("smoke"), exit(code, &output));
        let evidence = json!({ "command": { "exit": code, "stderr": output, "stdout": "" } });
        tape.ended(execution, End::Returned(json!({ "outcome": "pass", "evidence": evidence })));
        let (execution, summary) = (ExecutionId(execution), format!("the command exited with {code}"));
        tape.after(4_000, Event::Judged { execution, outcome, summary });
    }
    let why = "all steps and checks have passed".to_owned();
    tape.after(1, Event::RunEnded { outcome: RunOutcome::Verified, why });
    let said = IncidentNoted {
        by: "Luis".into(),
        symptoms: vec!["Scheduled posts pile up".into()],
        severity: Some("SEV 1".into()),
        scope: Some("everybody who publishes to Facebook".into()),
        coordinator: Some("Marta Vidal".into()),
        ..IncidentNoted::default()
    };
    tape.after(3_600_000, Event::IncidentNoted(said));
    tape.events
}

/// A step is done, and somebody says no to the next.
pub(crate) fn refused() -> Vec<Recorded> {
    let mut tape = Tape::default();
    tape.after(0, Event::RunStarted(Box::new(RunStarted { language: Language::Es, ..started() })));
    tape.after(1, Event::HostAttached(host(4242, None)));
    tape.began(1, Purpose::Apply("disable".into()));
    tape.mutation(call(1, 0), http("POST", "/connectors/facebook/disable"), status(200, ""), 34);
    tape.mutation(call(1, 1), restore(), moved(), 4);
    tape.ended(1, End::Returned(json!({})));
    let opened = gate();
    tape.after(2, Event::GateOpened(opened.clone()));
    tape.after(20_000, Event::GateAnswered { gate: opened.gate, answer: Answer::No, by: "Andrea".into() });
    let why = "the gate before step tell was refused by Andrea".to_owned();
    tape.after(1, Event::RunEnded { outcome: RunOutcome::Halted, why });
    tape.events
}

/// A deploy is watched; one trigger can't be measured, the other one trips, and somebody says yes.
pub(crate) fn watched() -> Vec<Recorded> {
    let trigger = |id: &str, title: &str, severity: Option<&str>| TriggerShape {
        id: id.into(),
        title: title.into(),
        severity: severity.map(str::to_owned),
        interval_ms: 30_000,
        initial_delay_ms: 0,
        count: None,
        failure_limit: 1,
        inconclusive_limit: 0,
        consecutive_error_limit: 1,
    };
    let triggers = vec![
        trigger("errors", "Fallo masivo de publicación", Some("SEV 1")),
        trigger("latency", "Latencia inaceptable", None),
    ];
    let watch = WatchShape {
        window_ms: 1_800_000,
        then: Then::Ask,
        expires_ms: Some(600_000),
        triggers,
        alerts: vec![],
        listen: None,
    };
    let mut start = RunStarted { language: Language::Es, ..started() };
    start.shape = Shape { watch: Some(watch), steps: vec![start.shape.steps.remove(0)], ..Shape::default() };
    let mut tape = Tape::default();
    tape.after(0, Event::RunStarted(Box::new(start)));
    tape.after(1, Event::HostAttached(host(4242, None)));
    let mut number = 0;
    let mut measure = |tape: &mut Tape, wait: i64, trigger: &str, outcome: Result<CheckOutcome, &str>| {
        number += 1;
        tape.after(
            wait,
            Event::ExecutionBegan {
                execution: ExecutionId(number),
                purpose: Purpose::Check(trigger.into()),
                config: json!({}),
            },
        );
        tape.read(call(number, 0), http("GET", "/health"), status(200, EVIL));
        let (end, outcome, summary) = match outcome {
            Ok(outcome) => {
                let evidence = json!({ "response": { "status": 200, "body": EVIL } });
                let end = End::Returned(json!({ "outcome": "pass", "evidence": evidence }));
                (end, outcome, format!("GET /health answered {EVIL}"))
            }
            Err(why) => (End::TimedOut(why.into()), CheckOutcome::Inconclusive, why.to_owned()),
        };
        tape.ended(number, end);
        tape.after(0, Event::Judged { execution: ExecutionId(number), outcome, summary });
    };
    let slow = Err("its time-out of 1m is over");
    measure(&mut tape, 5, "errors", Ok(CheckOutcome::Pass));
    measure(&mut tape, 5, "latency", slow);
    measure(&mut tape, 30_000, "errors", Ok(CheckOutcome::Fail));
    measure(&mut tape, 5, "latency", slow);
    measure(&mut tape, 30_000, "errors", Ok(CheckOutcome::Fail));
    tape.after(1, Event::Tripped { trigger: "errors".into(), cause: Cause::Measurement(ExecutionId(5)) });
    let since = Some(at(30_060));
    let symptoms = vec![format!("Fallo masivo de publicación: GET /health answered {EVIL}")];
    let severity = Some("SEV 1".into());
    let noted = IncidentNoted { by: "ripcord".into(), symptoms, severity, since, ..IncidentNoted::default() };
    tape.after(0, Event::IncidentNoted(noted));
    tape.after(
        1,
        Event::GateOpened(GateOpened {
            gate: GateId::watch(),
            before: Behind::Watch { trigger: Some("errors".into()) },
            ask: "Fallo masivo de publicación: 2 of 3 measurements failed. Roll back genia/connectors/facebook?".into(),
            expires: Some(at(tape.now + 600_000)),
        }),
    );
    tape.after(20_000, Event::GateAnswered { gate: GateId::watch(), answer: Answer::Yes, by: "Andrea".into() });
    tape.began(6, Purpose::Apply("disable".into()));
    tape.mutation(call(6, 0), http("POST", "/connectors/facebook/disable"), status(200, ""), 34);
    tape.ended(6, End::Returned(json!({})));
    let why = "all steps and checks have passed".to_owned();
    tape.after(1, Event::RunEnded { outcome: RunOutcome::Verified, why });
    tape.events
}

/// The same run up to the check that failed.
pub(crate) fn failed_check() -> Vec<Recorded> {
    let mut events = undone();
    let ended = events.iter().position(|recorded| matches!(recorded.event, Event::RunEnded { .. })).unwrap();
    events.truncate(ended + 1);
    events
}

pub(crate) fn gate() -> GateOpened {
    GateOpened {
        gate: GateId("tell".into()),
        before: Behind::Step("tell".into()),
        ask: "Tell all users that facebook is off?".into(),
        expires: Some(at(600_000)),
    }
}

/// The state after these events. They all have to fit: a fixture that could not happen shows nothing.
pub(crate) fn fold(events: &[Recorded]) -> State {
    let mut state = State::default();
    for recorded in events {
        state.apply(recorded.at, &recorded.event).expect("the fixture could have happened");
    }
    state
}

pub(crate) fn head(events: &[Recorded]) -> Head {
    Head { sequence: events.len() as u64, hash: Digest::of(b"head") }
}

fn host(pid: u32, taken_over_from: Option<u32>) -> HostAttached {
    HostAttached { pid, machine: "genia-ops".into(), ripcord: "0.1.0".into(), taken_over_from }
}

fn started() -> RunStarted {
    let step = |id: &str, fallback: Option<&str>, gate| StepShape {
        id: id.into(),
        fallback: fallback.map(str::to_owned),
        gate,
        on_failure: OnFailure::Halt,
        can_undo: id == "disable",
    };
    let check = CheckShape { id: "staging-works".into(), within_ms: 5_000, every_ms: 5_000 };
    RunStarted {
        run: run_id(),
        ripcord: "0.1.0".into(),
        plan_name: "genia-connector".into(),
        plan_path: "plans/genia-connector.toml".into(),
        plan: Digest::of(b"plan"),
        params: BTreeMap::from([("connector".into(), "facebook".into()), ("version".into(), "v1.4.2".into())]),
        people: BTreeMap::from([("coordinator".into(), "Ana Ferrer".into()), ("analysis".into(), "".into())]),
        language: Language::En,
        scenario: None,
        target: "genia/connectors/facebook".into(),
        operator_path: "/etc/ripcord.toml".into(),
        plugins: BTreeMap::new(),
        shape: Shape {
            steps: vec![step("disable", None, false), step("by-hand", Some("disable"), true), step("tell", None, true)],
            verify: vec![check],
            ..Shape::default()
        },
        limits: Limits::default(),
        approval: Approval { by: "Andrea".into(), binding: Digest::of(b"preview").to_string(), listed: vec![] },
        good_states: Vec::new(),
    }
}
