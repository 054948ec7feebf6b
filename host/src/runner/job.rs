//! A plan made ready: every file read, every plugin loaded, every connection opened. What can go
//! wrong before anything is touched goes wrong here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Unopened;
use crate::component::{Component, Context};
use crate::id::{Digest, ExecutionId, RunId};
use crate::journal::{Approval, Blob, GoodState, IncidentNoted, Limits, Purpose, RunStarted, Shape};
use crate::language::Language;
use crate::machine::State;
use crate::manifest::Manifest;
use crate::pipeline::{Grant, Open, Policy, Retry, Setting};
use crate::plan::{Condition, Gate, RunFacts, Scope, StepFacts};
use crate::secret::Scrubber;
use crate::telemetry::Servers;

/// A plan with its parameters, its plugins and its connections.
pub struct Job {
    /// The plan's name.
    pub plan_name: String,
    /// Where it was read.
    pub plan_path: PathBuf,
    /// Its text.
    pub plan_text: Arc<str>,
    /// The values of its parameters.
    pub params: BTreeMap<String, String>,
    /// The people it names.
    pub people: BTreeMap<String, String>,
    /// The kind of incident that it answers to, as the plan says.
    pub scenario: Option<String>,
    /// The language of its report.
    pub language: Language,
    /// What it rolls back.
    pub target: String,
    /// How long a host may hold the run, gates not counted.
    pub timeout: Duration,
    /// Its skeleton.
    pub shape: Shape,
    /// Its steps, checks, follow-ups and notices, by name; its triggers too, if they are watched.
    pub units: BTreeMap<String, Unit>,
    /// Where the operator's file was read.
    pub operator_path: PathBuf,
    /// The operator's rules.
    pub rules: Digest,
    /// What the guests may use.
    pub limits: Limits,
    /// What is held besides the target.
    pub resources: Vec<String>,
    /// What takes the operator's secrets out of texts.
    pub scrubber: Scrubber,
    /// The good states of the target that are known when it begins, newest first.
    pub good_states: Vec<GoodState>,
    /// What is said of the incident when it begins.
    pub said: IncidentNoted,
    /// The connections of its notices that could not be opened: nobody is told by these.
    pub unopened: Vec<Unopened>,
}

/// A step, a check, a follow-up or a notice.
pub struct Unit {
    /// The plugin's name, as the plan uses it.
    pub plugin: String,
    /// The plugin's bytes.
    pub bytes: Blob,
    /// The plugin, ready to run.
    pub component: Component,
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    /// Its roles, bound.
    pub roles: BTreeMap<String, Grant>,
    /// Its configuration, with templates.
    pub with: Value,
    /// What a check's evidence has to fulfil.
    pub expect: Option<Condition>,
    /// It is a check that may change something.
    pub probe: bool,
    /// How its calls are retried.
    pub retry: Retry,
    /// How long one execution may take while a host holds the run, gates not counted.
    pub timeout: Duration,
    /// What a person has to agree to first.
    pub gate: Option<Gate>,
}

impl Unit {
    /// The roles that are bound, in the manifest's order.
    pub fn bound_roles(&self) -> Vec<String> {
        let bound = |name: &&String| self.roles.get(*name).is_some_and(|grant| grant.bound.is_some());
        self.manifest.roles.iter().map(|role| &role.name).filter(bound).cloned().collect()
    }
}

/// What an approval is bound to, besides the calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bound {
    /// The plan's text.
    pub plan: Digest,
    /// The values of its parameters.
    pub params: BTreeMap<String, String>,
    /// The plugin of each step and check.
    pub plugins: BTreeMap<String, Digest>,
    /// The operator's rules.
    pub rules: Digest,
}

impl Job {
    /// What an approval is bound to, besides the calls.
    pub fn binding(&self) -> Digest {
        let Bound { plan, params, plugins, rules } = self.bound();
        let bound = json!({ "plan": plan, "params": params, "plugins": plugins, "rules": rules });
        Digest::of(bound.to_string().as_bytes())
    }

    /// What an agreement to one of its follow-ups is bound to, besides the calls: it counts for this run
    /// and this follow-up alone.
    pub fn binding_of(&self, run: &RunId, item: &str) -> Digest {
        let Bound { plan, params, rules, .. } = self.bound();
        let plugin = self.units.get(item).map(|unit| unit.component.digest);
        let bound =
            json!({ "run": run, "follow-up": item, "plan": plan, "params": params, "plugin": plugin, "rules": rules });
        Digest::of(bound.to_string().as_bytes())
    }

    /// The parts of [`Job::binding`].
    pub(super) fn bound(&self) -> Bound {
        Bound {
            plan: Digest::of(self.plan_text.as_bytes()),
            params: self.params.clone(),
            // What is watched changes nothing: one approval does for `run` and for `watch`.
            plugins: self.units_of_the_run().map(|(id, unit)| (id.clone(), unit.component.digest)).collect(),
            rules: self.rules,
        }
    }

    /// Its steps, the checks of its verification and its notices, without its triggers.
    fn units_of_the_run(&self) -> impl Iterator<Item = (&String, &Unit)> {
        let Shape { steps, verify, notices, .. } = &self.shape;
        let is_one = |id: &str| {
            steps.iter().any(|step| step.id == id)
                || verify.iter().any(|check| check.id == id)
                || notices.iter().any(|notice| notice.id == id)
        };
        self.units.iter().filter(move |(id, _)| is_one(id))
    }

    /// The first event of a run of this plan.
    pub fn started(&self, run: &RunId, approval: Approval) -> RunStarted {
        RunStarted {
            run: run.clone(),
            ripcord: env!("CARGO_PKG_VERSION").to_owned(),
            plan_name: self.plan_name.clone(),
            plan_path: self.plan_path.display().to_string(),
            plan: Digest::of(self.plan_text.as_bytes()),
            params: self.params.clone(),
            people: self.people.clone(),
            scenario: self.scenario.clone(),
            language: self.language,
            target: self.target.clone(),
            operator_path: self.operator_path.display().to_string(),
            plugins: self.units.iter().map(|(id, unit)| (id.clone(), unit.component.digest)).collect(),
            shape: self.shape.clone(),
            limits: self.limits.clone(),
            approval,
            good_states: self.good_states.clone(),
        }
    }

    /// What a run of this plan holds until it ends.
    pub fn holds(&self) -> Vec<String> {
        let target = format!("target:{}", self.target);
        std::iter::once(target).chain(self.resources.iter().cloned()).collect()
    }

    /// Its connections that are open; one that several roles are bound to comes as often.
    pub(super) fn open_connections(&self) -> impl Iterator<Item = &Open> {
        let bound = self.units.values().flat_map(|unit| unit.roles.values()).filter_map(|grant| grant.bound.as_ref());
        bound.filter_map(|bound| bound.open.as_ref())
    }

    /// The server behind each of its connections, where there is one.
    pub fn servers(&self) -> Servers {
        let bound = self.units.values().flat_map(|unit| unit.roles.values()).filter_map(|grant| grant.bound.as_ref());
        bound.filter_map(|bound| Some((bound.name.clone(), bound.open.as_ref()?.connection.server()?))).collect()
    }

    /// What an export of a step or a check is told of where it runs.
    pub(super) fn context(&self, run: &RunId, id: &str, unit: &Unit) -> Context {
        Context {
            run: run.to_string(),
            step: id.to_owned(),
            target: self.target.clone(),
            roles: unit.bound_roles(),
            good_states: self.good_states.clone(),
        }
    }

    /// What does not change during an execution of one of its units.
    pub(super) fn setting(
        &self,
        run: &RunId,
        execution: ExecutionId,
        began: Timestamp,
        purpose: &Purpose,
        unit: &Unit,
        interrupt: watch::Receiver<bool>,
    ) -> Setting {
        let imports = unit.component.imports.iter().cloned().collect();
        Setting {
            run: run.clone(),
            execution,
            began,
            policy: Policy::for_purpose(purpose, imports, unit.roles.clone(), unit.probe),
            retry: unit.retry,
            limits: self.limits.clone(),
            scrubber: self.scrubber.clone(),
            interrupt,
        }
    }

    /// What the templates of a step or a check may speak of.
    pub fn scope(&self, run: &RunId, state: &State) -> Scope {
        let receipts =
            self.shape.steps.iter().filter_map(|step| Some((step.id.clone(), state.receipt(&step.id)?.clone())));
        self.scope_with(run, receipts.collect())
    }

    /// As [`Job::scope`], with these receipts.
    pub fn scope_with(&self, run: &RunId, receipts: BTreeMap<String, Value>) -> Scope {
        Scope {
            params: self.params.clone(),
            people: self.people.clone(),
            steps: receipts.into_iter().map(|(id, receipt)| (id, StepFacts { receipt })).collect(),
            run: Some(RunFacts { id: run.to_string(), target: self.target.clone(), ..RunFacts::default() }),
            incident: None,
        }
    }
}

/// The beginning of a guest's randomness: another one for each execution, and always the same.
pub(super) fn seed(run: &RunId, execution: ExecutionId, began: Timestamp) -> [u8; 32] {
    Digest::of(format!("ripcord seed {run} {execution} {began}").as_bytes()).0
}
