//! What a run's events say beyond its state: who, when, for how long, and what was looked up.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::{CallId, ExecutionId, RunId};
use crate::journal::{Event, HostAttached, Level, Recorded, RunStarted, Settler, Verdict};

/// The facts of a run that only its events have.
pub(crate) struct Story<'a> {
    /// Its beginning, and when that was.
    pub(crate) started: Option<(Timestamp, &'a RunStarted)>,
    /// Its last event that says something of the run.
    pub(crate) last: Option<Timestamp>,
    /// When it last got into a known state.
    pub(crate) ended: Option<Timestamp>,
    /// The processes that have carried it, in this order.
    pub(crate) hosts: Vec<(Timestamp, &'a HostAttached)>,
    /// When a call was recorded with its reply, and how long all its attempts took.
    pub(crate) replies: BTreeMap<CallId, (Timestamp, u64)>,
    /// All doubts, in the order in which they came up.
    pub(crate) doubts: Vec<Doubt<'a>>,
    /// What the plugins logged.
    pub(crate) log: Vec<(Timestamp, ExecutionId, Level, &'a str)>,
}

/// A doubt and how it ended.
pub(crate) struct Doubt<'a> {
    /// The mutation.
    pub(crate) call: CallId,
    /// When it came up; without an event of its own (a crash) when it was settled.
    pub(crate) at: Timestamp,
    /// What was seen.
    pub(crate) seen: &'a str,
    /// Who found out what.
    pub(crate) settled: Option<(Timestamp, &'a Settler, &'a Verdict)>,
}

impl<'a> Story<'a> {
    pub(crate) fn of(events: &'a [Recorded]) -> Self {
        let mut story = Self {
            started: None,
            last: None,
            ended: None,
            hosts: Vec::new(),
            replies: BTreeMap::new(),
            doubts: Vec::new(),
            log: Vec::new(),
        };
        for Recorded { at, event, .. } in events {
            if !matches!(event, Event::IncidentNoted(_) | Event::FollowUpNoted(_)) {
                story.last = Some(*at);
            }
            story.add(*at, event);
        }
        story
    }

    fn add(&mut self, at: Timestamp, event: &'a Event) {
        match event {
            Event::RunStarted(start) => self.started = Some((at, start)),
            Event::HostAttached(host) => self.hosts.push((at, host)),
            Event::Called { call, took_us, .. } | Event::Answered { call, took_us, .. } => {
                self.replies.insert(*call, (at, *took_us));
            }
            Event::Doubted { call, seen } | Event::Unsettled { call, seen } => match self.open_doubt(*call) {
                Some(doubt) => doubt.seen = seen,
                None => self.doubts.push(Doubt { call: *call, at, seen, settled: None }),
            },
            Event::Settled { call, by, verdict } => {
                let settled = Some((at, by, verdict));
                // Of two answers the first one counted.
                let is_settled = self.doubts.iter().any(|doubt| doubt.call == *call && doubt.settled.is_some());
                match self.open_doubt(*call) {
                    Some(doubt) => doubt.settled = settled,
                    None if is_settled && matches!(by, Settler::Person(_)) => {}
                    None => {
                        let seen = "the host was gone before a reply came";
                        self.doubts.push(Doubt { call: *call, at, seen, settled });
                    }
                }
            }
            Event::Logged { execution, level, message } => self.log.push((at, *execution, *level, message)),
            Event::RunEnded { .. } => self.ended = Some(at),
            Event::UndoRequested { .. } | Event::VerificationRequested { .. } => self.ended = None,
            Event::GateOpened(_)
            | Event::GateAnswered { .. }
            | Event::ExecutionBegan { .. }
            | Event::ClockRead { .. }
            | Event::SleepBegan { .. }
            | Event::Intended { .. }
            | Event::ExecutionEnded { .. }
            | Event::Judged { .. }
            | Event::AlertsReceived(_)
            | Event::Tripped { .. }
            | Event::Halted { .. }
            | Event::AbortRequested { .. }
            | Event::FollowUpRequested(_)
            | Event::FollowUpEnded { .. }
            | Event::FollowUpNoted(_)
            | Event::DriftBegan(_)
            | Event::DriftEnded { .. }
            | Event::IncidentNoted(_) => {}
        }
    }

    fn open_doubt(&mut self, call: CallId) -> Option<&mut Doubt<'a>> {
        self.doubts.iter_mut().find(|doubt| doubt.call == call && doubt.settled.is_none())
    }

    /// The run's name, for commands.
    pub(crate) fn run(&self) -> RunId {
        self.started.map_or_else(|| RunId::from("RUN".to_owned()), |(_, start)| start.run.clone())
    }

    /// How long a call took.
    pub(crate) fn took_us(&self, call: CallId) -> Option<u64> {
        self.replies.get(&call).map(|(_, took_us)| *took_us)
    }
}
