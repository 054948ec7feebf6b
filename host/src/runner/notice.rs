//! What a notice may speak of: how the run stands at the moment at which it is sent.

use super::Job;
use super::watching::found;
use crate::id::RunId;
use crate::journal::{IncidentNoted, Occasion};
use crate::machine::State;
use crate::plan::{IncidentFacts, Scope};

impl Job {
    /// What the templates of a notice may speak of that is sent now, with what was said of the incident.
    pub(super) fn notice_scope(&self, run: &RunId, state: &State, on: Occasion, mut said: IncidentNoted) -> Scope {
        said.decided_by = said.decided_by.or_else(|| state.agreed_by().map(str::to_owned));
        let why = match on {
            Occasion::Tripped | Occasion::Begun => state.tripped.as_ref().map(|tripped| found(state, tripped)),
            _ => state.why_it_stands_so(),
        };
        self.scope_of_a_notice(run, on, why.unwrap_or_default(), said)
    }

    /// As [`Job::notice_scope`], where it is known how the run stands.
    pub(super) fn scope_of_a_notice(&self, run: &RunId, on: Occasion, mut why: String, said: IncidentNoted) -> Scope {
        crate::secret::Scrub::scrub(&mut why, &self.scrubber);
        // They go into subjects as well, which have one line.
        let why = in_one_line(&why);
        let mut scope = self.scope_with(run, Default::default());
        if let Some(run) = &mut scope.run {
            run.state = Some(on.name().to_owned());
            run.why = Some(why);
        }
        scope.incident = Some(IncidentFacts {
            scenario: said.scenario.or_else(|| self.scenario.clone()).unwrap_or_default(),
            symptoms: said.symptoms.iter().map(|symptom| in_one_line(symptom)).collect(),
            severity: said.severity.unwrap_or_default(),
            scope: said.scope.unwrap_or_default(),
            since: said.since.map(|since| since.to_string()).unwrap_or_default(),
            decided_by: said.decided_by.unwrap_or_default(),
            coordinator: said.coordinator.unwrap_or_default(),
        });
        scope
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
