//! Notices: who is told of the run before it goes on, each once.

use super::next::Next;
use super::state::{Execution, Mutation, State};
use crate::id::{CallId, ExecutionId};
use crate::journal::{Behind, DriftOutcome, NoticeShape, Occasion, Purpose, RunOutcome, Sending};

/// What people are to be told of.
struct News {
    on: Occasion,
    call: Option<CallId>,
    /// What was sent from here on counts.
    from: ExecutionId,
}

impl State {
    /// A notice of the plan.
    pub fn notice(&self, id: &str) -> Option<&NoticeShape> {
        self.shape.notices.iter().find(|shape| shape.id == id)
    }

    /// Whether an execution is one of a notice.
    pub fn is_notice(&self, execution: ExecutionId) -> bool {
        self.executions.get(&execution).is_some_and(|known| matches!(known.purpose, Purpose::Notice(_)))
    }

    /// The same, but for what people have to be told of it first: a notice never decides where a run goes.
    pub(super) fn tell_first(&self, next: Next) -> Next {
        if self.shape.notices.is_empty() {
            return next;
        }
        let news = self.news(&next);
        if let Some((id, execution, sending)) = self.sends() {
            let is_timely = self.is_still_so(id, sending, &news);
            // Half of the people may have been told; the others are told what is true now.
            return if is_timely { self.go_on(id, execution, true) } else { self.cut_off(id, execution) };
        }
        let unsent = news.iter().find_map(|news| self.unsent(news));
        match (unsent, next) {
            (None, next) => next,
            // What is not so before then is told then.
            (Some(purpose), Next::EndAfter(at, ..)) => Next::BeginAfter(at, purpose),
            (Some(purpose), _) => Next::Begin(purpose),
        }
    }

    /// Why the run stands as it does when people are told of it, in one sentence.
    pub fn why_it_stands_so(&self) -> Option<String> {
        match self.next_but_for_notices() {
            Next::End(_, why) | Next::EndAfter(_, _, why) | Next::EndDrift { why, .. } => Some(why),
            Next::AwaitGate(gate) => Some(self.gate(&gate)?.opened.ask.clone()),
            Next::AwaitAnswer(call) => {
                let what = self.mutation(call)?.request.call.summary();
                let seen = self.seen(call).unwrap_or_default();
                Some(format!("somebody has to say whether this happened: {what} ({seen})"))
            }
            _ => None,
        }
    }

    /// Whether what a notice says is still to be told.
    pub(super) fn is_timely(&self, id: ExecutionId, sending: &Sending) -> bool {
        self.is_still_so(id, sending, &self.news(&self.next_but_for_notices()))
    }

    /// A host that takes the run over looks at its doubts once more before it asks; what people were being
    /// told of a question is so until it is answered.
    fn is_still_so(&self, id: ExecutionId, sending: &Sending, news: &[News]) -> bool {
        let is_open = |call: CallId| self.mutation(call).is_some_and(Mutation::is_in_doubt);
        news.iter().any(|news| news.is_of(id, sending)) || sending.call.is_some_and(is_open)
    }

    /// What people are told of before this is done.
    fn news(&self, next: &Next) -> Vec<News> {
        let once = |on| News { on, call: None, from: ExecutionId(0) };
        match next {
            Next::OpenGate(Behind::Watch { .. }) => vec![once(Occasion::Tripped)],
            // Where nobody is asked, the steps come at once, or the gate of the first.
            Next::OpenGate(Behind::Step(_)) if self.tripped.is_some() => vec![once(Occasion::Tripped)],
            Next::Begin(Purpose::Apply(_)) => {
                let tripped = self.tripped.is_some().then(|| once(Occasion::Tripped));
                tripped.into_iter().chain([once(Occasion::Begun)]).collect()
            }
            // The preview did not list a call, and the run is in the middle of what it was agreed to.
            Next::AwaitGate(gate) if self.after.is_none() => match self.gate(gate).map(|gate| &gate.opened.before) {
                Some(&Behind::Call(call)) => {
                    vec![News { call: Some(call), from: call.execution, ..once(Occasion::Halted) }]
                }
                _ => Vec::new(),
            },
            // A follow-up that asks halts no run.
            Next::AwaitAnswer(call) if self.after.is_none() => {
                // Sent again, and lost again, it is another question.
                let from = self.mutation(*call).map_or(ExecutionId(0), |mutation| mutation.intended_before);
                vec![News { call: Some(*call), from, ..once(Occasion::Halted) }]
            }
            Next::End(outcome, _) | Next::EndAfter(_, outcome, _) => {
                vec![News { from: self.sent_from, ..once(of_the_end(*outcome)) }]
            }
            Next::EndDrift { found: DriftOutcome::Drifted { .. }, .. } => {
                let from = self.drift.as_ref().map_or(ExecutionId(0), |drift| drift.from);
                vec![News { from, ..once(Occasion::Drifted) }]
            }
            _ => Vec::new(),
        }
    }

    /// The first notice of this that was not sent.
    fn unsent(&self, news: &News) -> Option<Purpose> {
        let mut wanted = self.shape.notices.iter().filter(|shape| shape.on.contains(&news.on));
        wanted.find_map(|shape| {
            let purpose = Purpose::Notice(Sending { notice: shape.id.clone(), on: news.on, call: news.call });
            let mut since = self.executions.range(news.from..).map(|(_, execution)| &execution.purpose);
            since.all(|sent| *sent != purpose).then_some(purpose)
        })
    }

    /// The notice that is being sent.
    fn sends(&self) -> Option<(ExecutionId, &Execution, &Sending)> {
        let (id, execution) = self.find_running(|purpose| matches!(purpose, Purpose::Notice(_)))?;
        match &execution.purpose {
            Purpose::Notice(sending) => Some((id, execution, sending)),
            _ => None,
        }
    }
}

impl News {
    fn is_of(&self, id: ExecutionId, sending: &Sending) -> bool {
        self.on == sending.on && self.call == sending.call && id >= self.from
    }
}

fn of_the_end(outcome: RunOutcome) -> Occasion {
    match outcome {
        RunOutcome::Verified => Occasion::Verified,
        RunOutcome::Unchanged => Occasion::Unchanged,
        RunOutcome::Undone => Occasion::Undone,
        RunOutcome::Halted => Occasion::Halted,
    }
}
