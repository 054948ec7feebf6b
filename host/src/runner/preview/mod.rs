//! The preview of a plan: the real plugins with live reads, and every mutation listed instead of
//! made.

mod checks;
mod follow_up;
mod notices;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use super::job::seed;
use super::{Job, RunError, Seams, Unit};
use crate::component::{Components, Effect, Ended, Export, Returned};
use crate::id::{ExecutionId, RunId};
use crate::journal::{Purpose, StepShape};
use crate::machine::Made;
use crate::pipeline::{Caller, Depth, Mode, Mutation, Pipeline, Preview, Previewed, Stop};
use crate::plan::{Scope, check_config, render};
use crate::secret::Scrub;

pub use follow_up::preview_follow_up;
pub use report::{
    BoundRole, Branch, BranchEnd, Finding, Outlook, PreviewReport, PreviewedCheck, PreviewedFollowUp, PreviewedGate,
    PreviewedNotice, PreviewedPlugin, PreviewedProbe, PreviewedSending, PreviewedStep, When,
};

/// Previews a job. Nothing is recorded and nothing is changed.
pub async fn preview(
    components: &Components,
    job: &Job,
    seams: &Arc<dyn Seams>,
    depth: Depth,
) -> Result<PreviewReport, RunError> {
    // A guest never learns that it is previewed; this name is like any other run's.
    let run = RunId::new(Timestamp::now());
    let mut seen = Preview::new(depth);
    seen.guesses(run.as_str(), "run id");
    let mut previewer =
        Previewer { components, job, seams, run, receipts: BTreeMap::new(), seen, branches: Vec::new() };
    let mut outlook = Outlook::Taken;
    for step in job.shape.steps.iter().filter(|step| step.fallback.is_none()) {
        if !previewer.step(&step.id, When::Always, outlook).await? {
            outlook = Outlook::NotReached;
        }
    }
    let checks = previewer.checks(depth).await?;
    let steps = job.shape.steps.iter().map(|step| previewer.described(step)).collect::<Result<_, _>>()?;
    let probing_triggers = previewer.probing_triggers().await?;
    let notices = previewer.notices().await?;
    let mut report = PreviewReport {
        plan: job.plan_name.clone(),
        follow_up: None,
        plan_path: job.plan_path.display().to_string(),
        params: job.params.clone(),
        operator_path: job.operator_path.display().to_string(),
        target: job.target.clone(),
        good_states: job.good_states.clone(),
        holds: job.holds(),
        secrets: secrets(job),
        binding: job.binding(),
        steps,
        branches: previewer.branches,
        probing_triggers,
        checks,
        notices,
    };
    report.take_back_if_it_fails();
    Ok(report)
}

/// The names of the secrets that its open connections use.
fn secrets(job: &Job) -> Vec<String> {
    let mut secrets: Vec<_> = job.units.values().flat_map(connections).flat_map(|open| open.secrets()).collect();
    secrets.sort();
    secrets.dedup();
    secrets
}

/// The connections that a step or a check is bound to.
fn connections(unit: &Unit) -> impl Iterator<Item = &crate::capability::Connection> {
    let bound = unit.roles.values().filter_map(|grant| grant.bound.as_ref());
    bound.filter_map(|bound| bound.open.as_ref()).map(|open| open.connection.as_ref())
}

/// Where an execution begins that is previewed.
struct From {
    execution: ExecutionId,
    began: Timestamp,
    /// What it has done before.
    known: Vec<Made>,
}

impl Default for From {
    fn default() -> Self {
        Self { execution: ExecutionId(1), began: Timestamp::now(), known: Vec::new() }
    }
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

impl<'a> Previewer<'a> {
    /// A step, then its way back, then what stands in for it; whether a run gets past it, as far as can
    /// be seen.
    async fn step(&mut self, id: &str, when: When, outlook: Outlook) -> Result<bool, RunError> {
        let before = self.seen.clone();
        let unit = self.unit(id)?;
        let scope = self.job.scope_with(&self.run, self.receipts.clone());
        let config = render(&unit.with, &scope).map_err(|error| error.to_string());
        let config = config.and_then(|config| check_config(&unit.manifest, &config).map(|()| config));
        let config = match config {
            Ok(config) => config,
            Err(why) => {
                let end = BranchEnd::Open(format!("its configuration can't be made yet: {why}"));
                self.branch(id, when, outlook, Vec::new(), end);
                self.stand_in(id, before, only_if(outlook)).await?;
                return Ok(true);
            }
        };
        let context = self.job.context(&self.run, id, unit);
        let apply = Export::Apply { context: context.clone(), config: config.clone() };
        let (calls, seen, returned) = self.execute(id, Purpose::Apply(id.to_owned()), &apply, &config).await?;
        let effects = effects(&calls);
        let (end, receipt) = match returned {
            Ok(Returned::Receipt(Ok(receipt))) => (BranchEnd::Whole, Some(receipt)),
            Ok(Returned::Receipt(Err(failure))) => (BranchEnd::Fails(failure.to_string()), None),
            Ok(_) => (BranchEnd::Fails("it returned no receipt".to_owned()), None),
            Err(end) => (end, None),
        };
        let fails = matches!(end, BranchEnd::Fails(_));
        self.seen = seen;
        self.branch(id, when, outlook, calls, end);
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
            self.branch(id, When::Undone, only_if(outlook), calls, end);
        }
        let instead = if fails { outlook } else { only_if(outlook) };
        let stands_in = self.stand_in(id, before, instead).await?;
        Ok(!fails || stands_in)
    }

    /// The step that stands in begins where this one began. Whether there is one, and a run gets past it.
    async fn stand_in(&mut self, id: &str, before: Preview, outlook: Outlook) -> Result<bool, RunError> {
        let Some(stand_in) = self.job.shape.steps.iter().find(|step| step.fallback.as_deref() == Some(id)) else {
            return Ok(false);
        };
        let after = std::mem::replace(&mut self.seen, before);
        let receipts = self.receipts.clone();
        let passes = Box::pin(self.step(&stand_in.id, When::InsteadOf(id.to_owned()), outlook)).await?;
        self.seen = after;
        self.receipts = receipts;
        Ok(passes)
    }

    fn branch(&mut self, id: &str, when: When, outlook: Outlook, calls: Vec<Previewed>, end: BranchEnd) {
        let end = match end {
            BranchEnd::Whole => BranchEnd::Whole,
            BranchEnd::Open(why) => BranchEnd::Open(self.seen.show(why)),
            BranchEnd::Fails(why) => BranchEnd::Fails(self.seen.show(why)),
        };
        self.branches.push(Branch { step: id.to_owned(), when, outlook, calls, end });
    }

    fn unit(&self, id: &str) -> Result<&'a Unit, RunError> {
        self.job.units.get(id).ok_or_else(|| RunError::NoSuchUnit(id.to_owned()))
    }

    fn described(&self, step: &StepShape) -> Result<PreviewedStep, RunError> {
        self.described_in(step, &self.job.scope_with(&self.run, self.receipts.clone()))
    }

    fn described_in(&self, step: &StepShape, scope: &Scope) -> Result<PreviewedStep, RunError> {
        let unit = self.unit(&step.id)?;
        let gate = unit
            .gate
            .as_ref()
            .map(|gate| PreviewedGate { ask: self.seen.show(gate.question(scope)), expires: gate.expires });
        Ok(PreviewedStep {
            id: step.id.clone(),
            plugin: self.plugin(unit),
            fallback: step.fallback.clone(),
            gate,
            on_failure: step.on_failure,
            can_undo: step.can_undo,
            attempts: unit.retry.attempts,
        })
    }

    fn plugin(&self, unit: &Unit) -> PreviewedPlugin {
        let manifest = &unit.manifest;
        let binds = manifest.roles.iter().filter_map(|role| {
            let bound = unit.roles.get(&role.name)?.bound.as_ref()?;
            let mut place = bound.open.as_ref()?.driver.place();
            place.scrub(&self.job.scrubber);
            Some(BoundRole {
                role: role.name.clone(),
                connection: bound.name.clone(),
                place,
                access: role.access,
                reason: role.reason.clone(),
            })
        });
        PreviewedPlugin {
            plugin: format!("{} {}", manifest.name, manifest.version),
            title: manifest.title.clone(),
            description: manifest.description.clone(),
            binds: binds.collect(),
            timeout: unit.timeout,
        }
    }

    async fn execute(
        &self,
        id: &str,
        purpose: Purpose,
        export: &Export,
        config: &Value,
    ) -> Result<(Vec<Previewed>, Preview, Result<Returned, BranchEnd>), RunError> {
        let unit = self.unit(id)?;
        let mut preview = Preview::after(&self.seen);
        preview.knows(config);
        self.execute_after(preview, unit, purpose, export, unit.timeout).await
    }

    /// Calls an export that goes on from what this preview has seen.
    async fn execute_after(
        &self,
        preview: Preview,
        unit: &Unit,
        purpose: Purpose,
        export: &Export,
        timeout: Duration,
    ) -> Result<(Vec<Previewed>, Preview, Result<Returned, BranchEnd>), RunError> {
        self.execute_from(From::default(), preview, unit, purpose, export, timeout).await
    }

    /// The same, of an execution that goes on.
    async fn execute_from(
        &self,
        from: From,
        preview: Preview,
        unit: &Unit,
        purpose: Purpose,
        export: &Export,
        timeout: Duration,
    ) -> Result<(Vec<Previewed>, Preview, Result<Returned, BranchEnd>), RunError> {
        let From { execution, began, known } = from;
        let preview = Arc::new(Mutex::new(preview));
        let never = watch::Sender::new(false).subscribe();
        let setting = self.job.setting(&self.run, execution, began, &purpose, unit, never);
        let pipeline = Pipeline::new(setting, Mode::Preview(preview.clone()), known);
        let caller = self.seams.caller(Box::new(pipeline) as Box<dyn Caller>);
        let seed = seed(&self.run, execution, began);
        let executed = self.components.execute(&unit.component, export, caller, &self.job.limits, began, seed);
        let returned = match tokio::time::timeout(timeout, executed).await {
            Ok(Ok(returned)) => Ok(returned),
            Ok(Err(Ended::Stopped(Stop::PreviewEnds(why)))) => Err(BranchEnd::Open(why)),
            Ok(Err(ended)) => Err(BranchEnd::Fails(ended.to_string())),
            Err(_) => Err(BranchEnd::Fails(format!("it took longer than {}", humantime::format_duration(timeout)))),
        };
        let mut seen = preview.lock().await.clone();
        let calls = std::mem::take(&mut seen.calls);
        Ok((calls, seen, returned))
    }
}

/// What depends on a branch that may or may not be taken.
fn only_if(outlook: Outlook) -> Outlook {
    match outlook {
        Outlook::Taken | Outlook::OnlyIf => Outlook::OnlyIf,
        Outlook::NotReached => Outlook::NotReached,
    }
}

fn effects(calls: &[Previewed]) -> Vec<Effect> {
    let effect = |(ordinal, mutation): (u32, &Mutation)| Effect {
        ordinal,
        role: mutation.asked.request.role.clone(),
        call: mutation.asked.request.call.clone(),
        reply: mutation.assumed.as_ref().map(|assumed| assumed.reply.clone()),
    };
    (0..).zip(calls.iter().filter_map(Previewed::mutation)).map(effect).collect()
}
