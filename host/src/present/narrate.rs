//! A run as plain lines, one for each thing that a person wants to know of while it happens.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::capability::Call;
use crate::id::{CallId, ExecutionId, RunId};
use crate::journal::{Alert, End, Event, Level, Purpose, Question, Recorded, Shape};
use crate::machine::{Fate, Made, Mutation, State, describe};

use super::board::{stand, units};
use super::text::{clean, pad, width};
use super::time::{between, clock, date_time, duration};
use super::words;

/// Tells a run line by line. It folds the run's state as it goes, because an event alone does not
/// say which step it belongs to.
pub struct Narrator {
    state: State,
    run: Option<RunId>,
    hosts: usize,
    /// How wide the column of the steps' names is.
    names: usize,
    zone: TimeZone,
}

/// Names longer than this push their line to the right instead of all others.
const NAME_COLUMNS_MAX: usize = 20;

impl Narrator {
    /// One that knows nothing yet and tells times in this zone. All events of the run have to come by,
    /// from the first one on.
    pub fn new(zone: TimeZone) -> Self {
        Self { state: State::default(), run: None, hosts: 0, names: 3, zone }
    }

    /// Takes in what has happened before, without telling it.
    pub fn catch_up(&mut self, events: &[Recorded]) {
        for recorded in events {
            self.line(recorded.at, &recorded.event);
        }
    }

    /// The line for one more event, if it needs one. One line, without colour and without anything
    /// that a terminal would take for a command.
    pub fn line(&mut self, at: Timestamp, event: &Event) -> Option<String> {
        let again = matches!(event, Event::Intended { call, .. } if self.state.mutation(*call).is_some());
        // People's events may be told before others that were written first. What the state makes of
        // them only names things here.
        let _ = self.state.apply(at, event);
        if let Event::RunStarted(start) = event {
            self.run = Some(start.run.clone());
            self.names =
                names(&start.shape).map(width).filter(|&name| name <= NAME_COLUMNS_MAX).max().unwrap_or(0).max(3);
        }
        let (name, said) = match (self.measured(event), self.looked_again(event)) {
            (Some(trigger), _) => self.measurement(at, trigger, event)?,
            (None, Some(check)) => self.still(check, event)?,
            (None, None) => self.said(event, again)?,
        };
        let line = format!("{}  {}  {said}", clock(at, &self.zone), pad(&clean(&name), self.names));
        Some(clean(&line).into_owned())
    }

    /// The trigger that an event of a measurement belongs to.
    fn measured(&self, event: &Event) -> Option<&str> {
        let execution = match event {
            Event::ExecutionBegan { execution, .. } | Event::Judged { execution, .. } => *execution,
            Event::Called { call, .. } => call.execution,
            _ => return None,
        };
        unit_of(&self.state, execution).filter(|name| self.state.trigger(name).is_some())
    }

    /// The check that an event of a watch after the verification belongs to.
    fn looked_again(&self, event: &Event) -> Option<&str> {
        let execution = match event {
            Event::ExecutionBegan { execution, .. } | Event::Judged { execution, .. } => *execution,
            Event::Called { call, .. } => call.execution,
            _ => return None,
        };
        match &self.state.executions.get(&execution)?.purpose {
            Purpose::Drift(check) => Some(check),
            _ => None,
        }
    }

    /// What came of it.
    fn still(&self, check: &str, event: &Event) -> Option<(String, String)> {
        let Event::Judged { outcome, summary, .. } = event else { return None };
        Some((check.to_owned(), format!("{}: {summary}", words::check(*outcome))))
    }

    /// What came of a measurement, and how long there is still to be watched.
    fn measurement(&self, at: Timestamp, trigger: &str, event: &Event) -> Option<(String, String)> {
        let Event::Judged { .. } = event else { return None };
        let left = self.state.watches_until().map(|until| between(at, until)).unwrap_or_default();
        let left = if left.is_zero() { String::new() } else { format!("; {} left", duration(left)) };
        Some((trigger.to_owned(), format!("{}{left}", stand(&self.state, trigger).words())))
    }

    /// Whom it is about, and what is to be said.
    fn said(&mut self, event: &Event, again: bool) -> Option<(String, String)> {
        let of = |call: &CallId| self.name(call.execution);
        Some(match event {
            Event::RunStarted(start) => {
                let by = &start.approval.by;
                (run(), format!("{} begins: {} on {}, approved by {by}", start.run, start.plan_name, start.target))
            }
            Event::HostAttached(host) => {
                self.hosts += 1;
                match (host.taken_over_from, self.hosts) {
                    (_, 1) => return None,
                    (Some(gone), _) => {
                        let gone = format!("process {} on {} goes on; process {gone} is gone", host.pid, host.machine);
                        (run(), gone)
                    }
                    (None, _) => (run(), format!("process {} on {} goes on", host.pid, host.machine)),
                }
            }
            Event::GateOpened(opened) => {
                let expires = opened.expires.map(|at| format!(", before {}", clock(at, &self.zone)));
                let (run, gate) = (self.run(), &opened.gate);
                let answer = format!("answer with `ripcord approve {run} {gate}`{}", expires.unwrap_or_default());
                (gate.to_string(), format!("WAITS for a person: {} ({answer})", opened.ask))
            }
            Event::GateAnswered { gate, answer, by } => (gate.to_string(), words::answer(*answer, by)),
            Event::ExecutionBegan { execution, purpose, .. } => (self.name(*execution), self.began(purpose)),
            Event::ClockRead { .. } => return None,
            Event::SleepBegan { call, until } => (of(call), format!("waits until {}", clock(*until, &self.zone))),
            Event::Called { call, request, outcome, took_us } => {
                (of(call), words::entry(request, outcome, Some(*took_us)))
            }
            Event::Intended { call, request, .. } if again => {
                (of(call), format!("sends again: {}", words::request(request)))
            }
            // A program may run for minutes. All others show with their answer.
            Event::Intended { call, request, .. } if matches!(request.call, Call::Command(_)) => {
                (of(call), format!("{} …", words::request(request)))
            }
            Event::Intended { .. } => return None,
            Event::Answered { call, outcome, took_us } => {
                (of(call), format!("{} → {}", self.asked(call), words::result(outcome, Some(*took_us))))
            }
            Event::Doubted { call, seen } => {
                (of(call), format!("IN DOUBT whether it happened: {} ({seen})", self.asked(call)))
            }
            Event::Settled { call, by, verdict } => {
                let (verdict, by) = (words::verdict(verdict), words::settler(by));
                (of(call), format!("settled: {}: {verdict}; {by}", self.asked(call)))
            }
            Event::Unsettled { call, seen } => {
                (of(call), format!("nothing shows whether it happened: {} ({seen})", self.asked(call)))
            }
            Event::Logged { execution, level, message } => match level {
                Level::Debug => return None,
                Level::Info => (self.name(*execution), message.clone()),
                Level::Warn => (self.name(*execution), format!("warning: {message}")),
                Level::Error => (self.name(*execution), format!("error: {message}")),
            },
            Event::ExecutionEnded { execution, end } => (self.name(*execution), self.ended(*execution, end)?),
            Event::Judged { execution, outcome, summary } => {
                (self.name(*execution), format!("{}: {summary}", words::check(*outcome)))
            }
            Event::AlertsReceived(received) => (run(), format!("alerts: {}", words::alerts(received))),
            Event::Tripped { trigger, cause } => {
                let (title, severity) = self.state.condition(trigger)?;
                let alert = self.state.alert_of(*cause);
                let severity = severity.or(alert.and_then(Alert::severity));
                let severity = severity.map(|severity| format!(" (severity {severity})")).unwrap_or_default();
                let alert = alert.map(|alert| format!(": {}", alert.words())).unwrap_or_default();
                (trigger.clone(), format!("TRIPPED: {title}{severity}{alert}"))
            }
            Event::Halted { question: Question::DidItHappen { call, .. } } => {
                let asked = self.asked(call);
                let answer = format!("ripcord resolve {} {call}", self.run());
                (
                    run(),
                    format!(
                        "HALTED: did it happen? {asked} (answer with `{answer} --happened`, `--did-not-happen` or \
                         `--unknowable`)"
                    ),
                )
            }
            Event::AbortRequested { by } => (run(), format!("{by} asks to stop and to take back what was done")),
            Event::UndoRequested { by } => (run(), format!("{by} asks to take back what was done")),
            Event::VerificationRequested { by } => (run(), format!("{by} asks to verify again")),
            Event::IncidentNoted(noted) => (run(), words::noted(noted, &self.zone)),
            Event::FollowUpRequested(request) => {
                (request.item.clone(), format!("{} has ripcord carry it out", request.approval.by))
            }
            Event::FollowUpEnded { item, outcome, why } => (item.clone(), words::follow_up_ended(*outcome, why)),
            Event::FollowUpNoted(noted) => (noted.item.clone(), words::follow_up_noted(noted)),
            Event::DriftBegan(wanted) => {
                let until = date_time(wanted.until, &self.zone);
                (run(), format!("{} has it watched until {until}: {}", wanted.by, wanted.checks.join(", ")))
            }
            Event::DriftEnded { found, why } => (run(), words::drift_ended(found, why)),
            Event::RunEnded { outcome, why } => (run(), format!("{}: {why}", outcome.to_string().to_uppercase())),
        })
    }

    fn began(&self, purpose: &Purpose) -> String {
        match purpose {
            Purpose::Apply(_) | Purpose::FollowUp(_) => "begins".to_owned(),
            Purpose::Undo(_) => "is being taken back".to_owned(),
            Purpose::Reconcile(call) => format!("the plugin looks what became of {}", self.asked(call)),
            Purpose::Notice(sending) => format!("tells people: {}", sending.on),
            // That is told when it has been judged.
            Purpose::Drift(_) => String::new(),
            Purpose::Check(id) => {
                let is_this = |purpose: &Purpose| matches!(purpose, Purpose::Check(other) if other == id);
                let tries = self.state.executions.values().filter(|execution| is_this(&execution.purpose)).count();
                if tries < 2 { "is checked".to_owned() } else { format!("is checked again ({tries})") }
            }
        }
    }

    fn ended(&self, id: ExecutionId, end: &End) -> Option<String> {
        let execution = self.state.executions.get(&id)?;
        let took = duration(between(execution.began, execution.ended?));
        Some(match (&execution.purpose, end) {
            // What the host makes of it comes next.
            (Purpose::Check(_) | Purpose::Drift(_), _)
            | (Purpose::Reconcile(_) | Purpose::Notice(_), End::Returned(_)) => return None,
            (Purpose::Notice(_), end) => format!("NOT told: {}; the run goes on", describe(end)),
            (Purpose::Reconcile(_), end) => format!("the plugin could not find out: {}", describe(end)),
            (Purpose::Apply(_) | Purpose::FollowUp(_), End::Returned(_)) if execution.mutations().next().is_none() => {
                format!("done in {took}; there was nothing to change")
            }
            (Purpose::Apply(_) | Purpose::FollowUp(_), End::Returned(_)) => format!("done in {took}"),
            (Purpose::Undo(_), End::Returned(_)) => format!("taken back in {took}"),
            (Purpose::Apply(_) | Purpose::FollowUp(_), end) => format!("FAILED after {took}: {}", describe(end)),
            (Purpose::Undo(_), end) => format!("taking back FAILED after {took}: {}", describe(end)),
        })
    }

    /// The call behind an answer.
    fn asked(&self, call: &CallId) -> String {
        self.state.mutation(*call).map_or_else(|| format!("call {call}"), |known| words::request(&known.request))
    }

    fn name(&self, execution: ExecutionId) -> String {
        unit_of(&self.state, execution).unwrap_or("run").to_owned()
    }

    fn run(&self) -> String {
        self.run.as_ref().map_or_else(|| "RUN".to_owned(), RunId::to_string)
    }
}

/// All that has something told of it.
fn names(shape: &Shape) -> impl Iterator<Item = &str> {
    units(shape).chain(shape.notices.iter().map(|notice| notice.id.as_str()))
}

fn run() -> String {
    "run".to_owned()
}

/// The step, check, follow-up or notice that an execution belongs to.
pub(crate) fn unit_of(state: &State, execution: ExecutionId) -> Option<&str> {
    match &state.executions.get(&execution)?.purpose {
        Purpose::Apply(id) | Purpose::Check(id) | Purpose::FollowUp(id) | Purpose::Drift(id) => Some(id),
        Purpose::Notice(sending) => Some(&sending.notice),
        // Executions are numbered upwards, so what these speak of has a smaller number.
        Purpose::Undo(of) if *of < execution => unit_of(state, *of),
        Purpose::Reconcile(call) if call.execution < execution => unit_of(state, call.execution),
        Purpose::Undo(_) | Purpose::Reconcile(_) => None,
    }
}

/// A call that is known, in one line with what came of it.
pub(crate) fn made(made: &Made, took_us: Option<u64>, zone: &TimeZone) -> Option<String> {
    Some(match made {
        Made::Clock(_) => return None,
        Made::Sleep(until) => format!("waits until {}", clock(*until, zone)),
        Made::Read { request, outcome } => words::entry(request, outcome, took_us),
        Made::Mutation(mutation) => format!("{} → {}", words::request(&mutation.request), fate(mutation, took_us)),
    })
}

/// What became of a mutation.
fn fate(mutation: &Mutation, took_us: Option<u64>) -> String {
    match &mutation.fate {
        Fate::Open => "no answer is known (yet)".to_owned(),
        Fate::Cleared => "it did not happen".to_owned(),
        Fate::Repeating => "it may have happened; to be sent again".to_owned(),
        Fate::Unknowable => "it can't be found out whether it happened".to_owned(),
        Fate::Answered(outcome) if took_us.is_none() => format!("{} (found out later)", words::result(outcome, None)),
        Fate::Answered(outcome) => words::result(outcome, took_us),
    }
}
