//! A run's events as the spans of a trace: the run, its executions below it, their calls below those.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::trace::{Event as Moment, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::capability::{Call, Capability, Reply};
use crate::failure::Failure;
use crate::id::{CallId, Digest, ExecutionId, RunId};
use crate::journal::{
    CheckOutcome, DriftOutcome, End, Event, FollowUpOutcome, Level, Outcome, Purpose, Request, RunOutcome, Settler,
    Verdict,
};
use crate::machine::{State, describe};
use crate::process::Ending;

/// As many as OpenTelemetry allows a span unless told otherwise.
const MOMENTS_MAX: usize = 128;

/// The server behind each connection (`http.coolify`), with its port.
pub type Servers = BTreeMap<String, (String, u16)>;

/// The trace of a run, in all processes that carry it: the first 16 bytes of
/// `SHA-256("ripcord trace RUN")`.
pub fn trace_id(run: &RunId) -> TraceId {
    let [first, ..] = halves(&format!("ripcord trace {run}"));
    TraceId::from_bytes(first)
}

/// Folds a run's events to spans. A span is complete, and handed out, when what it tells of has ended;
/// its name is the same whichever process has seen it begin.
pub struct Spans {
    run: RunId,
    servers: Servers,
    scope: InstrumentationScope,
    state: State,
    /// How often the run has been taken up after an end: to undo it, to verify it again, for a follow-up.
    round: u32,
    root: Option<Open>,
    executions: BTreeMap<ExecutionId, Open>,
    /// A check that has ended, and has not been judged yet.
    unjudged: Option<(ExecutionId, Timestamp)>,
    calls: BTreeMap<CallId, Open>,
}

/// A span that has not ended.
struct Open {
    id: SpanId,
    parent: SpanId,
    kind: SpanKind,
    name: String,
    began: Timestamp,
    attributes: Vec<KeyValue>,
    moments: Vec<Moment>,
}

impl Spans {
    /// For a run of which all events will come by, from the first one on.
    pub fn new(run: RunId, servers: Servers) -> Self {
        Self {
            run,
            servers,
            scope: InstrumentationScope::builder("ripcord").with_version(env!("CARGO_PKG_VERSION")).build(),
            state: State::default(),
            round: 0,
            root: None,
            executions: BTreeMap::new(),
            unjudged: None,
            calls: BTreeMap::new(),
        }
    }

    /// The spans that one more event completes.
    pub fn event(&mut self, at: Timestamp, event: &Event) -> Vec<SpanData> {
        let had_ended = self.state.ended.is_some();
        // People's events may come by before others that were written first. What the state makes of them
        // only says to what a span belongs.
        let _ = self.state.apply(at, event);
        if had_ended && self.state.ended.is_none() {
            self.round += 1;
            let again = self.open_root(at);
            self.root = Some(again);
        }
        let mut done = Vec::new();
        if let Some((id, ended)) = self.unjudged.take() {
            match event {
                Event::Judged { execution, outcome, summary } if *execution == id => {
                    done.extend(self.judged(id, ended, *outcome, summary));
                    return done;
                }
                _ => done.extend(self.close_execution(id, ended, Status::Unset)),
            }
        }
        self.take_in(at, event, &mut done);
        done
    }

    fn take_in(&mut self, at: Timestamp, event: &Event, done: &mut Vec<SpanData>) {
        match event {
            Event::RunStarted(start) => {
                let mut root = self.open_root(at);
                root.name = format!("run {}", start.plan_name);
                root.attributes.push(text("ripcord.plan", &start.plan_name));
                root.attributes.push(text("ripcord.target", &start.target));
                self.root = Some(root);
            }
            Event::HostAttached(host) => {
                let host = [KeyValue::new("process.pid", i64::from(host.pid)), text("host.name", &host.machine)];
                self.tell_root(at, "host attached", host);
            }
            Event::GateOpened(opened) => {
                self.tell_root(at, "gate opened", [text("ripcord.gate", &opened.gate.to_string())]);
            }
            Event::GateAnswered { gate, answer, by } => {
                let answer = crate::present::words::answer(*answer, by);
                self.tell_root(
                    at,
                    "gate answered",
                    [text("ripcord.gate", &gate.to_string()), text("ripcord.answer", &answer)],
                );
            }
            Event::AlertsReceived(received) => {
                let said = crate::present::words::alerts(received);
                self.tell_root(at, "alerts received", [text("ripcord.alerts", &said)]);
            }
            Event::Tripped { trigger, .. } => {
                self.tell_root(at, "trigger tripped", [text("ripcord.trigger", trigger)]);
            }
            Event::Halted { .. } => self.tell_root(at, "waits for a person", []),
            Event::AbortRequested { by } => self.tell_root(at, "abort requested", [text("ripcord.by", by)]),
            Event::UndoRequested { by } => self.tell_root(at, "undo requested", [text("ripcord.by", by)]),
            Event::VerificationRequested { by } => {
                self.tell_root(at, "verification requested", [text("ripcord.by", by)]);
            }
            Event::IncidentNoted(noted) => self.tell_root(at, "incident noted", [text("ripcord.by", &noted.by)]),
            Event::ExecutionBegan { execution, .. } => {
                self.execution(*execution, at);
            }
            Event::Logged { execution, level, message } => {
                let line = [text("ripcord.log.level", level_name(*level)), text("ripcord.log.message", message)];
                self.execution(*execution, at).tell(at, "log", line);
            }
            Event::ExecutionEnded { execution, end } => self.ended(*execution, at, end, done),
            // Without the execution's end before it there is nothing to judge.
            Event::Judged { .. } | Event::ClockRead { .. } | Event::SleepBegan { .. } => {}
            Event::Called { call, request, outcome, took_us } => {
                let began = at.checked_sub(Duration::from_micros(*took_us)).unwrap_or(at);
                let open = self.open_call(*call, request, began, false);
                done.push(self.close_call(open, at, outcome));
            }
            Event::Intended { call, request, .. } => {
                if !self.calls.contains_key(call) {
                    let open = self.open_call(*call, request, at, true);
                    self.calls.insert(*call, open);
                }
            }
            Event::Answered { call, outcome, .. } => {
                if let Some(open) = self.calls.remove(call) {
                    done.push(self.close_call(open, at, outcome));
                }
            }
            Event::Doubted { call, seen } => self.tell_call(*call, at, "in doubt", [text("ripcord.seen", seen)]),
            Event::Unsettled { call, seen } => self.tell_call(*call, at, "not settled", [text("ripcord.seen", seen)]),
            Event::Settled { call, by, verdict } => self.settled(*call, at, by, verdict, done),
            Event::FollowUpRequested(request) => {
                let mut again = self.taken_up(at);
                again.name = format!("follow-up {}", request.item);
                again.attributes.push(text("ripcord.by", &request.approval.by));
                self.root = Some(again);
            }
            Event::FollowUpEnded { outcome, why, .. } => {
                self.end_root(at, *outcome == FollowUpOutcome::Done, why, done)
            }
            Event::FollowUpNoted(noted) => self.tell_root(at, "follow-up noted", [text("ripcord.by", &noted.by)]),
            Event::DriftBegan(wanted) => {
                let mut again = self.taken_up(at);
                again.name = "drift".to_owned();
                again.attributes.push(text("ripcord.by", &wanted.by));
                self.root = Some(again);
            }
            Event::DriftEnded { found, why } => self.end_root(at, *found == DriftOutcome::Held, why, done),
            Event::RunEnded { outcome, why } => {
                let status = match outcome {
                    RunOutcome::Verified | RunOutcome::Unchanged => Status::Ok,
                    // Somebody asked for it after the end.
                    RunOutcome::Undone if self.round > 0 => Status::Ok,
                    RunOutcome::Undone | RunOutcome::Halted => Status::error(why.clone()),
                };
                if let Some(mut root) = self.root.take() {
                    root.attributes.push(text("ripcord.outcome", &outcome.to_string()));
                    done.push(self.close(root, at, status));
                }
            }
        }
    }

    /// What is done with a run that stays ended has a span of its own, below the run's.
    fn taken_up(&mut self, at: Timestamp) -> Open {
        self.round += 1;
        self.open_root(at)
    }

    fn end_root(&mut self, at: Timestamp, is_good: bool, why: &str, done: &mut Vec<SpanData>) {
        let status = if is_good { Status::Ok } else { Status::error(why.to_owned()) };
        done.extend(self.root.take().map(|root| self.close(root, at, status)));
    }

    /// The span of the run's first round is the trace's root; further rounds stand below it.
    fn open_root(&self, at: Timestamp) -> Open {
        let (parent, name) = match self.round {
            0 => (SpanId::INVALID, "run"),
            _ => (self.span_id("run 0"), "run taken up again"),
        };
        let id = self.span_id(&format!("run {}", self.round));
        Open::new(id, parent, SpanKind::Internal, name, at, vec![text("ripcord.run", self.run.as_str())])
    }

    /// The span of an execution. One that goes on after an end (an undo that is tried again) has another.
    fn execution(&mut self, id: ExecutionId, at: Timestamp) -> &mut Open {
        let open = self.open_execution(id, at);
        self.executions.entry(id).or_insert(open)
    }

    fn open_execution(&self, id: ExecutionId, at: Timestamp) -> Open {
        let purpose = self.state.executions.get(&id).map(|execution| &execution.purpose);
        let unit = crate::present::narrate::unit_of(&self.state, id).unwrap_or_default();
        let export = purpose.map_or("execution", Purpose::export);
        let is_check = matches!(purpose, Some(Purpose::Check(_) | Purpose::Drift(_)));
        let kind = if is_check { "ripcord.check" } else { "ripcord.step" };
        let parent = match purpose {
            Some(Purpose::Reconcile(call)) => self.execution_id(call.execution),
            _ => self.root_id(),
        };
        let attributes = vec![
            text("ripcord.run", self.run.as_str()),
            KeyValue::new("ripcord.execution", i64::from(id.0)),
            text("ripcord.export", export),
            text(kind, unit),
        ];
        Open::new(self.execution_id(id), parent, SpanKind::Internal, &format!("{export} {unit}"), at, attributes)
    }

    fn ended(&mut self, id: ExecutionId, at: Timestamp, end: &End, done: &mut Vec<SpanData>) {
        let left: Vec<_> = self.calls.keys().filter(|call| call.execution == id).copied().collect();
        for open in left.iter().filter_map(|call| self.calls.remove(call)).collect::<Vec<_>>() {
            done.push(self.close(open, at, Status::error("it is not known whether it happened")));
        }
        let purpose = self.state.executions.get(&id).map(|execution| &execution.purpose);
        match (purpose, end) {
            (Some(Purpose::Check(_) | Purpose::Drift(_)), _) => self.unjudged = Some((id, at)),
            (_, End::Returned(_)) => done.extend(self.close_execution(id, at, Status::Ok)),
            (_, end) => done.extend(self.close_execution(id, at, Status::error(describe(end)))),
        }
    }

    fn judged(&mut self, id: ExecutionId, at: Timestamp, outcome: CheckOutcome, summary: &str) -> Option<SpanData> {
        let (word, status) = match outcome {
            CheckOutcome::Pass => ("pass", Status::Ok),
            CheckOutcome::Fail => ("fail", Status::error(summary.to_owned())),
            CheckOutcome::Inconclusive => ("inconclusive", Status::error(summary.to_owned())),
        };
        self.execution(id, at).attributes.push(text("ripcord.check.outcome", word));
        self.close_execution(id, at, status)
    }

    fn close_execution(&mut self, id: ExecutionId, at: Timestamp, status: Status) -> Option<SpanData> {
        let open = self.executions.remove(&id)?;
        Some(self.close(open, at, status))
    }

    fn open_call(&mut self, id: CallId, request: &Request, began: Timestamp, is_mutation: bool) -> Open {
        let parent = self.execution(id.execution, began).id;
        let (connection, operation) = (&request.connection, request.call.operation());
        let mut attributes = vec![
            text("ripcord.run", self.run.as_str()),
            text("ripcord.call", &id.to_string()),
            text("ripcord.role", &request.role),
            text("ripcord.connection", connection),
            text("ripcord.operation", operation),
            KeyValue::new("ripcord.mutation", is_mutation),
        ];
        if let Call::Http(call) = &request.call {
            attributes.push(text("http.request.method", &call.method));
            attributes.push(text("url.path", call.path.split('?').next().unwrap_or_default()));
        }
        if request.capability() == Capability::Sql {
            attributes.push(text("db.system.name", "postgresql"));
        }
        if let Some((address, port)) = self.servers.get(connection) {
            attributes.push(text("server.address", address));
            attributes.push(KeyValue::new("server.port", i64::from(*port)));
        }
        let kind = match request.capability() {
            Capability::Git | Capability::Command => SpanKind::Internal,
            _ => SpanKind::Client,
        };
        let id = self.span_id(&format!("call {id} {}", self.round));
        Open::new(id, parent, kind, format!("{operation} {connection}").trim_end(), began, attributes)
    }

    fn close_call(&self, mut open: Open, at: Timestamp, outcome: &Outcome) -> SpanData {
        match outcome {
            Ok(Reply::Http(reply)) => {
                open.attributes.push(KeyValue::new("http.response.status_code", i64::from(reply.status)));
                if reply.reports_failure() {
                    open.attributes.push(text("error.type", &reply.status.to_string()));
                }
            }
            Ok(Reply::Command(reply)) => {
                if let Ending::Exited(code) = reply.ending {
                    open.attributes.push(KeyValue::new("process.exit.code", i64::from(code)));
                }
            }
            Ok(_) => {}
            Err(failure) => open.attributes.push(text("error.type", kind_of(failure))),
        }
        let status = match outcome {
            Ok(reply) if reply.reports_failure() => Status::error(crate::present::words::reply(reply)),
            Ok(_) => Status::Unset,
            Err(failure) => Status::error(failure.to_string()),
        };
        self.close(open, at, status)
    }

    fn settled(&mut self, call: CallId, at: Timestamp, by: &Settler, verdict: &Verdict, done: &mut Vec<SpanData>) {
        let (by, found) = (crate::present::words::settler(by), crate::present::words::verdict(verdict));
        self.tell_call(call, at, "settled", [text("ripcord.by", &by), text("ripcord.verdict", &found)]);
        let closed = match verdict {
            Verdict::Happened(reply) => {
                self.calls.remove(&call).map(|open| self.close_call(open, at, &Ok(reply.clone())))
            }
            Verdict::Unknowable => self.calls.remove(&call).map(|open| self.close(open, at, Status::error(found))),
            // It goes on when it is sent again, or ends with its execution.
            Verdict::DidNotHappen | Verdict::Repeat => None,
        };
        done.extend(closed);
    }

    fn tell_root(&mut self, at: Timestamp, name: &'static str, attributes: impl IntoIterator<Item = KeyValue>) {
        if let Some(root) = &mut self.root {
            root.tell(at, name, attributes);
        }
    }

    fn tell_call(&mut self, call: CallId, at: Timestamp, name: &'static str, of: impl IntoIterator<Item = KeyValue>) {
        if let Some(open) = self.calls.get_mut(&call) {
            open.tell(at, name, of);
        }
    }

    fn close(&self, open: Open, at: Timestamp, status: Status) -> SpanData {
        let Open { id, parent, kind, name, began, attributes, moments } = open;
        let mut events = SpanEvents::default();
        events.events = moments;
        SpanData {
            span_context: SpanContext::new(trace_id(&self.run), id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: kind,
            name: Cow::Owned(name),
            start_time: SystemTime::from(began),
            // A clock that was put back does not make a span end before it began.
            end_time: SystemTime::from(at.max(began)),
            attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }

    fn root_id(&self) -> SpanId {
        self.span_id(&format!("run {}", self.round))
    }

    fn execution_id(&self, execution: ExecutionId) -> SpanId {
        // One that is open keeps the round that it began in.
        let known = self.executions.get(&execution).map(|open| open.id);
        known.unwrap_or_else(|| self.span_id(&format!("execution {execution} {}", self.round)))
    }

    /// The same in every process that carries the run.
    fn span_id(&self, what: &str) -> SpanId {
        let [first, _] = halves(&format!("ripcord span {} {what}", self.run));
        SpanId::from_bytes([first[0], first[1], first[2], first[3], first[4], first[5], first[6], first[7]])
    }
}

impl Open {
    fn new(
        id: SpanId,
        parent: SpanId,
        kind: SpanKind,
        name: &str,
        began: Timestamp,
        attributes: Vec<KeyValue>,
    ) -> Self {
        Self { id, parent, kind, name: name.to_owned(), began, attributes, moments: Vec::new() }
    }

    fn tell(&mut self, at: Timestamp, name: &'static str, attributes: impl IntoIterator<Item = KeyValue>) {
        if self.moments.len() < MOMENTS_MAX {
            self.moments.push(Moment::new(name, SystemTime::from(at), attributes.into_iter().collect(), 0));
        }
    }
}

fn text(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, Value::String(StringValue::from(value.to_owned())))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn kind_of(failure: &Failure) -> &'static str {
    match failure {
        Failure::Denied(_) => "denied",
        Failure::Transient(_) => "transient",
        Failure::Permanent(_) => "permanent",
        Failure::Unknown(_) => "unknown",
    }
}

/// The two halves of a text's digest.
fn halves(text: &str) -> [[u8; 16]; 2] {
    let digest = Digest::of(text.as_bytes()).0;
    let (mut first, mut second) = ([0; 16], [0; 16]);
    first.copy_from_slice(&digest[..16]);
    second.copy_from_slice(&digest[16..]);
    [first, second]
}
