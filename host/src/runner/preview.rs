//! The preview of a plan: the real plugins with live reads, and every mutation listed instead of
//! made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use super::job::seed;
use super::{Job, RunError, Seams};
use crate::capability::Reply;
use crate::component::{Components, Context, Effect, Ended, Export, Returned};
use crate::id::{Digest, ExecutionId, RunId};
use crate::journal::{Approval, Listed, Purpose};
use crate::pipeline::{Caller, Mode, Pipeline, Preview, Previewed, Stop};
use crate::plan::{check_config, render};

/// What a run would do.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewReport {
    /// The plan's name.
    pub plan: String,
    /// What it rolls back.
    pub target: String,
    /// Plan, parameters, plugins and rules in one digest.
    pub binding: Digest,
    /// The steps, and what happens if they fail.
    pub branches: Vec<Branch>,
}

/// One export that a run would, or might, call.
#[derive(Debug, Clone, Serialize)]
pub struct Branch {
    /// The step.
    pub step: String,
    /// The plugin's title.
    pub title: String,
    /// When it is called.
    pub when: When,
    /// What a person is asked first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Its calls, in order.
    pub calls: Vec<Previewed>,
    /// How the preview of it ended.
    pub end: BranchEnd,
}

/// When a branch is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// In any case.
    Always,
    /// If this step ends without success.
    InsteadOf(String),
    /// If the step is taken back.
    Undone,
}

/// How far a preview could see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchEnd {
    /// To the end.
    Whole,
    /// To a point behind which everything depends on what really happens.
    Open(String),
    /// The plugin fails, as things are now.
    Fails(String),
}

impl PreviewReport {
    /// The mutations that an approval binds, sorted, each once.
    pub fn listed(&self) -> Vec<Listed> {
        let calls = self.branches.iter().flat_map(|branch| &branch.calls);
        calls.filter_map(Previewed::listed).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The name of exactly this preview: what `run --approved` takes. Another plan, parameter, plugin,
    /// rule or list has another one.
    pub fn digest(&self) -> Digest {
        Digest::of(json!({ "binding": self.binding, "listed": self.listed() }).to_string().as_bytes())
    }

    /// The agreement to it.
    pub fn approval(&self, by: String) -> Approval {
        Approval { by, binding: self.digest().to_string(), listed: self.listed() }
    }

    /// The first step that fails as things are now, and why.
    pub fn failure(&self) -> Option<(&str, &str)> {
        self.branches.iter().filter(|branch| branch.when == When::Always).find_map(|branch| match &branch.end {
            BranchEnd::Fails(why) => Some((branch.step.as_str(), why.as_str())),
            BranchEnd::Whole | BranchEnd::Open(_) => None,
        })
    }
}

/// Previews a job. Nothing is recorded and nothing is changed.
pub async fn preview(components: &Components, job: &Job, seams: &Arc<dyn Seams>) -> Result<PreviewReport, RunError> {
    // A guest never learns that it is previewed; this name is like any other run's.
    let run = RunId::new(Timestamp::now());
    let mut previewer = Previewer {
        components,
        job,
        seams,
        run,
        receipts: BTreeMap::new(),
        seen: Preview::default(),
        branches: Vec::new(),
    };
    for step in job.shape.steps.iter().filter(|step| step.fallback.is_none()) {
        previewer.step(&step.id, When::Always).await?;
    }
    Ok(PreviewReport {
        plan: job.plan_name.clone(),
        target: job.target.clone(),
        binding: job.binding(),
        branches: previewer.branches,
    })
}

struct Previewer<'a> {
    components: &'a Components,
    job: &'a Job,
    seams: &'a Arc<dyn Seams>,
    run: RunId,
    receipts: BTreeMap<String, Value>,
    /// What the steps before have assumed.
    seen: Preview,
    branches: Vec<Branch>,
}

impl Previewer<'_> {
    /// A step, then its way back, then what stands in for it.
    async fn step(&mut self, id: &str, when: When) -> Result<(), RunError> {
        let before = self.seen.clone();
        let unit = self.job.units.get(id).ok_or_else(|| RunError::NoSuchUnit(id.to_owned()))?;
        let scope = self.job.scope_with(&self.run, self.receipts.clone());
        let config = render(&unit.with, &scope).map_err(|error| error.to_string());
        let config = config.and_then(|config| check_config(&unit.manifest, &config).map(|()| config));
        let config = match config {
            Ok(config) => config,
            Err(why) => {
                let end = BranchEnd::Open(format!("its configuration can't be made yet: {why}"));
                self.branch(id, when, Vec::new(), end)?;
                return self.stand_in(id, before).await;
            }
        };
        let context = Context {
            run: self.run.to_string(),
            step: id.to_owned(),
            target: self.job.target.clone(),
            roles: unit.bound_roles(),
        };
        let apply = Export::Apply { context: context.clone(), config: config.clone() };
        let (calls, seen, returned) = self.execute(id, Purpose::Apply(id.to_owned()), &apply, &config).await?;
        let effects = effects(&calls);
        let (end, receipt) = match returned {
            Ok(Returned::Receipt(Ok(receipt))) => (BranchEnd::Whole, Some(receipt)),
            Ok(Returned::Receipt(Err(failure))) => (BranchEnd::Fails(failure.to_string()), None),
            Ok(_) => (BranchEnd::Fails("it returned no receipt".to_owned()), None),
            Err(end) => (end, None),
        };
        self.branch(id, when, calls, end)?;
        self.seen = seen;
        if let Some(receipt) = &receipt {
            self.receipts.insert(id.to_owned(), receipt.clone());
        }
        if unit.manifest.can_undo && effects.iter().any(|effect| !effect.call.is_notice()) {
            let undo = Export::Undo { context, config: config.clone(), effects, receipt };
            let (calls, _, returned) = self.execute(id, Purpose::Undo(ExecutionId(1)), &undo, &config).await?;
            let end = match returned {
                Ok(Returned::Receipt(Ok(_))) => BranchEnd::Whole,
                Ok(Returned::Receipt(Err(failure))) => {
                    BranchEnd::Open(format!("the rest depends on what has happened by then ({failure})"))
                }
                Ok(_) => BranchEnd::Fails("it returned something unexpected".to_owned()),
                Err(end) => end,
            };
            self.branch(id, When::Undone, calls, end)?;
        }
        self.stand_in(id, before).await
    }

    /// The step that stands in begins where this one began.
    async fn stand_in(&mut self, id: &str, before: Preview) -> Result<(), RunError> {
        let Some(stand_in) = self.job.shape.steps.iter().find(|step| step.fallback.as_deref() == Some(id)) else {
            return Ok(());
        };
        let after = std::mem::replace(&mut self.seen, before);
        let receipts = self.receipts.clone();
        Box::pin(self.step(&stand_in.id, When::InsteadOf(id.to_owned()))).await?;
        self.seen = after;
        self.receipts = receipts;
        Ok(())
    }

    fn branch(&mut self, id: &str, when: When, calls: Vec<Previewed>, end: BranchEnd) -> Result<(), RunError> {
        let unit = self.job.units.get(id).ok_or_else(|| RunError::NoSuchUnit(id.to_owned()))?;
        let gate = unit.gate.as_ref().filter(|_| when != When::Undone).map(|gate| gate.ask.clone());
        self.branches.push(Branch { step: id.to_owned(), title: unit.manifest.title.clone(), when, gate, calls, end });
        Ok(())
    }

    async fn execute(
        &self,
        id: &str,
        purpose: Purpose,
        export: &Export,
        config: &Value,
    ) -> Result<(Vec<Previewed>, Preview, Result<Returned, BranchEnd>), RunError> {
        let unit = self.job.units.get(id).ok_or_else(|| RunError::NoSuchUnit(id.to_owned()))?;
        let began = Timestamp::now();
        let mut preview = Preview::after(&self.seen);
        preview.knows(config);
        preview.guesses(self.run.as_str());
        let preview = Arc::new(Mutex::new(preview));
        let never = watch::Sender::new(false).subscribe();
        let setting = self.job.setting(&self.run, ExecutionId(1), began, &purpose, unit, never);
        let pipeline = Pipeline::new(setting, Mode::Preview(preview.clone()), Vec::new());
        let caller = self.seams.caller(Box::new(pipeline) as Box<dyn Caller>);
        let seed = seed(&self.run, ExecutionId(1), began);
        let executed = self.components.execute(&unit.component, export, caller, &self.job.limits, began, seed);
        let returned = match tokio::time::timeout(unit.timeout, executed).await {
            Ok(Ok(returned)) => Ok(returned),
            Ok(Err(Ended::Stopped(Stop::PreviewEnds(why)))) => Err(BranchEnd::Open(why)),
            Ok(Err(ended)) => Err(BranchEnd::Fails(ended.to_string())),
            Err(_) => {
                Err(BranchEnd::Fails(format!("it took longer than {}", humantime::format_duration(unit.timeout))))
            }
        };
        let mut seen = preview.lock().await.clone();
        let calls = std::mem::take(&mut seen.calls);
        Ok((calls, seen, returned))
    }
}

fn effects(calls: &[Previewed]) -> Vec<Effect> {
    let mutations = calls.iter().filter_map(|call| match call {
        Previewed::Mutation { request, assumed, .. } => Some((request, assumed)),
        Previewed::Read { .. } | Previewed::Denied { .. } => None,
    });
    let effect = |(ordinal, (request, assumed)): (u32, (&crate::journal::Request, &Option<Reply>))| Effect {
        ordinal,
        role: request.role.clone(),
        call: request.call.clone(),
        reply: assumed.clone(),
    };
    (0..).zip(mutations).map(effect).collect()
}
