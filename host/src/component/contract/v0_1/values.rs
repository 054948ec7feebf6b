//! Manifests, verdicts, failures and what else is no capability's own.

use serde_json::Value;

use super::{wit, wit_action, wit_check, wit_plugin};
use crate::capability::Repeat;
use crate::component::guest::{Effect, NoManifest, Pending};
use crate::failure::{Failure, Problem};
use crate::journal::{CheckOutcome, GoodState};
use crate::manifest::{Access, Kind, Manifest, Role};

/// An event that holds a guest's value has to read back, and the journal's JSON goes 128 deep.
const DEPTH_MAX: usize = 64;

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

pub(super) fn parse_returned(what: &str, text: &str) -> Result<Value, Failure> {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) if depth(&value) <= DEPTH_MAX => Ok(value),
        Ok(Value::Object(_)) => {
            Err(Failure::permanent(format!("the plugin returned a {what} that is nested more than {DEPTH_MAX} deep")))
        }
        Ok(_) => Err(Failure::permanent(format!("the plugin returned a {what} that is no JSON object"))),
        Err(error) => Err(Failure::permanent(format!("the plugin returned a {what} that is no JSON: {error}"))),
    }
}

impl wit_plugin::Manifest {
    pub(super) fn into_host(self, kind: Kind) -> wasmtime::Result<Manifest> {
        let Self { name, version, title, description, parameters, roles, can_undo } = self;
        let parameters = serde_json::from_str(&parameters)
            .map_err(|error| NoManifest(format!("the parameters in its manifest are no JSON: {error}")))?;
        let roles = roles.into_iter().map(Role::from).collect();
        Ok(Manifest { kind, name, version, title, description, parameters, roles, can_undo, imports: Vec::new() })
    }
}

impl From<wit_plugin::Role> for Role {
    fn from(role: wit_plugin::Role) -> Self {
        let wit_plugin::Role { name, capability, access, reason, required } = role;
        let access = match access {
            wit_plugin::Access::Read => Access::Read,
            wit_plugin::Access::Write => Access::Write,
        };
        Self { name, capability, access, reason, required }
    }
}

impl wit_check::Verdict {
    /// As JSON: `{"outcome", "summary", "evidence", "measurements"}`.
    pub(super) fn into_host(self) -> Result<Value, Failure> {
        let Self { outcome, summary, evidence, measurements } = self;
        let outcome = match outcome {
            wit_check::Outcome::Pass => CheckOutcome::Pass,
            wit_check::Outcome::Fail => CheckOutcome::Fail,
            wit_check::Outcome::Inconclusive => CheckOutcome::Inconclusive,
        };
        let evidence = parse_returned("check's evidence", &evidence)?;
        let measurements: Vec<Value> = measurements
            .into_iter()
            .map(|measurement| serde_json::json!({ "name": measurement.name, "value": measurement.value, "unit": measurement.unit }))
            .collect();
        Ok(
            serde_json::json!({ "outcome": outcome, "summary": summary, "evidence": evidence, "measurements": measurements }),
        )
    }
}

impl From<&crate::component::guest::Context> for wit_plugin::Context {
    fn from(context: &crate::component::guest::Context) -> Self {
        Self {
            run: context.run.clone(),
            step: context.step.clone(),
            target: context.target.clone(),
            roles: context.roles.clone(),
            good_states: context.good_states.iter().map(wit_plugin::GoodState::from).collect(),
        }
    }
}

impl From<&GoodState> for wit_plugin::GoodState {
    fn from(good: &GoodState) -> Self {
        Self {
            run: good.run.to_string(),
            step: good.step.clone(),
            at: good.at.as_second(),
            state: to_json(&good.state),
        }
    }
}

impl From<&Effect> for wit_action::Effect {
    fn from(effect: &Effect) -> Self {
        Self {
            ordinal: effect.ordinal,
            role: effect.role.clone(),
            call: to_json(&effect.call),
            reply: effect.reply.as_ref().map(to_json),
        }
    }
}

impl From<&Pending> for wit_action::Pending {
    fn from(pending: &Pending) -> Self {
        Self { role: pending.role.clone(), call: to_json(&pending.call) }
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        let problem = |problem: wit::Problem| Problem {
            message: problem.message,
            // Evidence that is none, or too deep to be kept, is left out; the message says what matters.
            evidence: serde_json::from_str(&problem.evidence)
                .ok()
                .filter(|value| depth(value) <= DEPTH_MAX)
                .unwrap_or_default(),
        };
        match failure {
            wit::Failure::Denied(what) => Self::Denied(problem(what)),
            wit::Failure::Transient(what) => Self::Transient(problem(what)),
            wit::Failure::Permanent(what) => Self::Permanent(problem(what)),
            wit::Failure::Unknown(what) => Self::Unknown(problem(what)),
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        let problem = |problem: Problem| wit::Problem {
            message: problem.message,
            evidence: if problem.evidence.is_null() { "{}".to_owned() } else { problem.evidence.to_string() },
        };
        match failure {
            Failure::Denied(what) => Self::Denied(problem(what)),
            Failure::Transient(what) => Self::Transient(problem(what)),
            Failure::Permanent(what) => Self::Permanent(problem(what)),
            Failure::Unknown(what) => Self::Unknown(problem(what)),
        }
    }
}

impl From<wit::Repeat> for Repeat {
    fn from(repeat: wit::Repeat) -> Self {
        match repeat {
            wit::Repeat::Once => Self::Once,
            wit::Repeat::Idempotent => Self::Idempotent,
            wit::Repeat::Keyed(key) => Self::Keyed(key),
        }
    }
}
