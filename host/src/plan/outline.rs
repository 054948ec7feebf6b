//! Who knows whom in a plan.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::references::Known;

/// What the parts of a plan have to know of one another, taken from the file as it is: a step with a
/// mistake in it is still a step.
pub(super) struct Outline {
    pub(super) params: BTreeSet<String>,
    pub(super) people: BTreeSet<String>,
    pub(super) steps: Vec<OutlinedStep>,
    pub(super) checks: Vec<Option<String>>,
    /// Whether it has checks at all: `[verify]` is none that anybody can read.
    pub(super) verifies: bool,
    pub(super) triggers: Vec<Option<String>>,
    pub(super) follow_ups: Vec<Option<String>>,
    pub(super) notices: Vec<Option<String>>,
}

pub(super) struct OutlinedStep {
    pub(super) id: Option<String>,
    pub(super) fallback: Option<String>,
}

impl Outline {
    pub(super) fn of(table: &DeTable<'_>) -> Self {
        let keys = |name| table.get(name).and_then(|value| value.get_ref().as_table());
        let keys = |name| keys(name).into_iter().flat_map(|keys| keys.keys().map(|key| key.get_ref().to_string()));
        let items = |name| table.get(name).and_then(|value| value.get_ref().as_array()).into_iter().flatten();
        let text = |item: &Spanned<DeValue<'_>>, key| {
            item.get_ref().get(key).and_then(|value| value.get_ref().as_str().map(str::to_owned))
        };
        Self {
            params: keys("params").collect(),
            people: keys("people").collect(),
            steps: items("step")
                .map(|item| OutlinedStep { id: text(item, "id"), fallback: text(item, "fallback") })
                .collect(),
            checks: items("verify").map(|item| text(item, "id")).collect(),
            verifies: table.contains_key("verify"),
            triggers: items("trigger").map(|item| text(item, "id")).collect(),
            follow_ups: items("follow-up").map(|item| text(item, "id")).collect(),
            notices: items("notice").map(|item| text(item, "id")).collect(),
        }
    }

    /// What may be spoken of before there is a run.
    pub(super) fn known_before(&self) -> Known<'_> {
        Known {
            params: self.params.iter().map(String::as_str).collect(),
            people: self.people.iter().map(String::as_str).collect(),
            ..Known::default()
        }
    }

    /// What may be spoken of in a trigger: there is a run, and no step has begun.
    pub(super) fn known_before_the_steps(&self) -> Known<'_> {
        self.known_without_steps("a trigger is measured before any step runs")
    }

    /// What may be spoken of in a notice: the incident, and how the run stands.
    pub(super) fn known_in_a_notice(&self) -> Known<'_> {
        let why = "a notice is sent wherever the run has got to; how it stands is `run.state`, and why `run.why`";
        Known { in_notice: true, ..self.known_without_steps(why) }
    }

    fn known_without_steps(&self, why: &str) -> Known<'_> {
        let ids = self.steps.iter().filter_map(|step| step.id.as_deref());
        let other_steps = ids.map(|id| (id, why.to_owned())).collect();
        Known { in_run: true, other_steps, ..self.known_before() }
    }

    /// What may be spoken of in a step, or in the verification and the follow-ups behind all steps.
    pub(super) fn known_in(&self, step: usize) -> Known<'_> {
        let mut known = Known { in_run: true, ..self.known_before() };
        let failed = self.steps.get(step).map_or_else(Vec::new, |step| self.stands_in_for(step));
        for (index, other) in self.steps.iter().enumerate() {
            let Some(id) = other.id.as_deref() else { continue };
            let why = if index == step {
                "it is this step".to_owned()
            } else if failed.contains(&id) {
                "this step runs only if that one ended without success".to_owned()
            } else if index > step {
                "it runs later; a step sees only what was done before it".to_owned()
            } else if let Some(replaced) = self.stands_in_for(other).last() {
                format!("it may not run: write `steps[\"{replaced}\"].receipt`, which is that of its stand-in then")
            } else {
                known.steps.insert(id);
                continue;
            };
            known.other_steps.push((id, why));
        }
        known
    }

    /// The steps that have failed when this one runs, up to the one that is no fallback itself.
    fn stands_in_for<'o>(&'o self, step: &'o OutlinedStep) -> Vec<&'o str> {
        let mut failed = Vec::new();
        let mut next = step.fallback.as_deref();
        // A fallback may be written in a circle; that is said elsewhere, and only has to end here.
        while let Some(id) = next.filter(|id| !failed.contains(id)) {
            failed.push(id);
            next = self.step(id).and_then(|step| step.fallback.as_deref());
        }
        failed
    }

    fn step(&self, id: &str) -> Option<&OutlinedStep> {
        self.steps.iter().find(|step| step.id.as_deref() == Some(id))
    }
}
