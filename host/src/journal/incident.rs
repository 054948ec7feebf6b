//! What people say about the incident that a run answers to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a person has said about the incident, when the run began or at any time later. It says nothing
/// of the run itself. What is not said stays as it was; symptoms add up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IncidentNoted {
    /// Who says so.
    pub by: String,
    /// What was observed, each in its own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<String>,
    /// How bad it is, in the words of the people concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Who or what is affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When it began to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who coordinates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<String>,
    /// Who decided on the rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// What kind of incident it is, which decides the kind of rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
}

impl IncidentNoted {
    /// Takes in what was said later.
    pub fn add(&mut self, later: &Self) {
        self.symptoms.extend(later.symptoms.iter().cloned());
        self.severity = later.severity.clone().or(self.severity.take());
        self.scope = later.scope.clone().or(self.scope.take());
        self.since = later.since.or(self.since);
        self.coordinator = later.coordinator.clone().or(self.coordinator.take());
        self.decided_by = later.decided_by.clone().or(self.decided_by.take());
        self.scenario = later.scenario.clone().or(self.scenario.take());
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self { by: self.by.clone(), ..Self::default() }
    }
}
