//! The journal, read as the program reads it.

use std::path::Path;

use ripcord::id::RunId;
use ripcord::journal::{Event, Journal as _, Outcome, Recorded, RunOutcome, Settler, SqliteJournal};
use ripcord::machine::State;
use tokio::runtime::Runtime;

pub(crate) struct Journal {
    journal: SqliteJournal,
    runtime: Runtime,
}

impl Journal {
    pub(crate) fn open(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { journal: SqliteJournal::open(path).unwrap(), runtime }
    }

    /// Newest first.
    pub(crate) fn runs(&self) -> Vec<RunId> {
        self.runtime.block_on(self.journal.runs()).unwrap()
    }

    /// The newest.
    pub(crate) fn last(&self) -> RunId {
        self.runs().remove(0)
    }

    pub(crate) fn events(&self, run: &RunId) -> Vec<Recorded> {
        self.runtime.block_on(self.journal.read(run, None)).unwrap().0
    }

    pub(crate) fn state(&self, run: &RunId) -> State {
        let mut state = State::default();
        for recorded in self.events(run) {
            state.apply(recorded.at, &recorded.event).unwrap();
        }
        state
    }

    pub(crate) fn outcome(&self, run: &RunId) -> Option<(RunOutcome, String)> {
        self.state(run).ended
    }

    /// Who settled the doubts of a run, oldest first.
    pub(crate) fn settlers(&self, run: &RunId) -> Vec<Settler> {
        let settled = |recorded: Recorded| match recorded.event {
            Event::Settled { by, .. } => Some(by),
            _ => None,
        };
        self.events(run).into_iter().filter_map(settled).collect()
    }

    /// Summary and outcome of each mutation that was answered, oldest first.
    pub(crate) fn mutations(&self, run: &RunId) -> Vec<(String, Outcome)> {
        let state = self.state(run);
        let executions = state.executions.values();
        let mutations = executions.flat_map(|execution| execution.mutations().map(|(_, mutation)| mutation.clone()));
        mutations
            .filter_map(|mutation| match mutation.fate {
                ripcord::machine::Fate::Answered(outcome) => Some((mutation.request.call.summary(), outcome)),
                _ => None,
            })
            .collect()
    }
}
