//! From files to a [`Job`]: everything that can go wrong before anything is touched goes wrong here.

mod plugin;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::plugin::{Plugin, load};
use super::{Job, Seams, Unit};
use crate::capability::{Capability, Connection, OpenError, Opening};
use crate::component::Components;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::id::Digest;
use crate::journal::{Blob, IncidentNoted, RunStarted};
use crate::manifest::Manifest;
use crate::operator::Operator;
use crate::pipeline::{Bound, Grant, Open, Retry};
use crate::plan::{self, Plan, Scope, Trigger};
use crate::process::Supervisors;
use crate::secret::Secrets;

/// Where a plan's parts come from.
pub struct Sources<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where it was read.
    pub plan_path: &'a Path,
    /// Its text.
    pub plan_text: &'a str,
    /// The values given for its parameters.
    pub params: &'a [(String, String)],
    /// The operator's file of today.
    pub operator: &'a Operator,
    /// Whether the plan's triggers are among its parts: a rollback must not fail because what was to be
    /// watched can't be reached.
    pub with_triggers: bool,
    /// What of them is opened.
    pub opens: Opens<'a>,
    /// The bytes of a run's plugins, by step and check: a run keeps those that it began with.
    pub kept: Option<&'a BTreeMap<String, Blob>>,
}

/// What of a plan is opened: nothing must fail because of what it does not need. All of it is read, and
/// has to be sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens<'a> {
    /// What a run needs: the steps, the checks and the notices, and the triggers if they are among its parts.
    Run,
    /// The same, and this follow-up, of which something is open still.
    RunAnd(&'a str),
    /// This follow-up alone.
    FollowUp(&'a str),
    /// The checks, and the notices that tell of them.
    Checks,
}

impl Opens<'_> {
    fn steps(self) -> bool {
        matches!(self, Self::Run | Self::RunAnd(_))
    }

    fn checks(self) -> bool {
        self.steps() || self == Self::Checks
    }

    /// People are told of whatever a run does, save for a follow-up.
    fn notices(self) -> bool {
        !matches!(self, Self::FollowUp(_))
    }

    fn follow_up(self, id: &str) -> bool {
        matches!(self, Self::RunAnd(item) | Self::FollowUp(item) if item == id)
    }
}

impl<'a> Sources<'a> {
    fn triggers(&self) -> &'a [Trigger] {
        if self.with_triggers { &self.plan.triggers } else { &[] }
    }
}

/// Why a plan can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The files are wrong.
    #[error(transparent)]
    Files(#[from] Diagnostics),
    /// Connections can't be opened: all of those that can't, so that nobody finds out one by one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Open(Vec<Unopened>),
}

/// A connection that can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("[{connection}]: {problem}")]
pub struct Unopened {
    /// `http.coolify`
    pub connection: String,
    /// Why.
    pub problem: OpenError,
}

/// A plan whose plugins are loaded and fit it, and nothing of it opened yet.
pub struct Checked<'a> {
    sources: Sources<'a>,
    plugins: BTreeMap<String, Plugin>,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Checks all that can be known without a network and without a secret.
pub async fn check<'a>(components: &Components, sources: Sources<'a>) -> Result<Checked<'a>, AssembleError> {
    let plan = sources.plan;
    let (mut plugins, mut wrong) = (BTreeMap::new(), Vec::new());
    let steps = plan.steps.iter().map(|step| (&step.id, &step.uses));
    let checks = plan.verify.iter().map(|check| (&check.id, &check.uses));
    let triggers = sources.triggers().iter().map(|trigger| (&trigger.id, &trigger.uses));
    let notices = plan.notices.iter().map(|notice| (&notice.id, &notice.uses));
    for (id, uses) in steps.chain(checks).chain(triggers).chain(plan.follow_up_plugins()).chain(notices) {
        let kept = sources.kept.and_then(|kept| kept.get(id)).cloned();
        match load(components, uses, kept).await {
            Ok(plugin) => _ = plugins.insert(id.clone(), plugin),
            Err(unusable) => wrong.push(unusable.at(plan.place_of_plugin(id))),
        }
    }
    let manifests = plugins.iter().map(|(id, plugin)| (id.clone(), plugin.manifest.clone())).collect();
    match plan::validate(plan, sources.operator, &manifests) {
        Ok(warnings) if wrong.is_empty() => Ok(Checked { sources, plugins, warnings }),
        Ok(found) | Err(Diagnostics(found)) => {
            // What is probably not meant can wait for what is certainly wrong.
            wrong.extend(found.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error));
            Err(Diagnostics::sorted(wrong).into())
        }
    }
}

impl Checked<'_> {
    /// The manifest of the plugin of a step, a check, a trigger, a follow-up or a notice.
    pub fn manifest(&self, id: &str) -> Option<&Manifest> {
        self.plugins.get(id).map(|plugin| &*plugin.manifest)
    }

    /// The connections that the plan binds to its plugins' roles, by capability and name.
    pub fn connections(&self) -> BTreeSet<(Capability, String)> {
        let plan = self.sources.plan;
        let steps = plan.steps.iter().map(|step| (&step.id, &step.bind));
        let checks = plan.verify.iter().map(|check| (&check.id, &check.bind));
        let triggers = self.sources.triggers().iter().map(|trigger| (&trigger.id, &trigger.bind));
        let follow_ups = plan.follow_ups.iter().filter_map(|item| Some((&item.id, &item.step.as_ref()?.bind)));
        let notices = plan.notices.iter().map(|notice| (&notice.id, &notice.bind));
        let units = steps.chain(checks).chain(triggers).chain(follow_ups).chain(notices);
        let mut connections = BTreeSet::new();
        for (id, bind) in units {
            for role in self.manifest(id).map(|manifest| manifest.roles.as_slice()).unwrap_or_default() {
                let capability = Capability::ALL.iter().find(|known| known.name() == role.capability);
                connections.extend(capability.copied().zip(bind.get(&role.name).cloned()));
            }
        }
        connections
    }

    /// Opens all connections and fills in all that does not depend on the run.
    pub async fn open(self, opening: &Opening, seams: &Arc<dyn Seams>) -> Result<Job, AssembleError> {
        let Self { sources, mut plugins, .. } = self;
        let Sources { plan, operator, .. } = sources;
        let triggers = sources.triggers();
        let params = plan::resolve_params(plan, sources.params)?;
        let scope = Scope { params: params.clone(), people: plan.people.clone(), ..Scope::default() };
        let target = plan::render(&plan.target.clone().into(), &scope)
            .map_err(|error| Diagnostics(vec![Diagnostic::error(format!("the plan's target: {error}"))]))?;
        let target = target.as_str().map_or_else(|| target.to_string(), str::to_owned);

        let mut shape = plan.shape(|id| plugins.get(id).is_some_and(|plugin| plugin.manifest.can_undo));
        shape.follow_ups = plan.follow_up_shapes(&scope)?;
        let opens = sources.opens;
        let mut opener =
            Opener { operator, opening, seams, open: BTreeMap::new(), resources: Vec::new(), unopened: Vec::new() };
        let mut units = BTreeMap::new();
        for step in &plan.steps {
            let Some(plugin) = plugins.remove(&step.id) else { continue };
            let retry = Retry { attempts: step.retry.attempts, backoff: step.retry.backoff };
            let unit =
                opener.unit(plugin, &step.bind, &step.with, step.timeout.unwrap_or(plan.timeout), opens.steps()).await;
            units.insert(step.id.clone(), Unit { retry, gate: step.gate.clone(), ..unit });
        }
        for item in &plan.follow_ups {
            let (Some(step), Some(plugin)) = (&item.step, plugins.remove(&item.id)) else { continue };
            let retry = Retry { attempts: step.retry.attempts, backoff: step.retry.backoff };
            let timeout = step.timeout.unwrap_or(plan.timeout);
            let unit = opener.unit(plugin, &step.bind, &step.with, timeout, opens.follow_up(&item.id)).await;
            units.insert(item.id.clone(), Unit { retry, gate: step.gate.clone(), ..unit });
        }
        for check in &plan.verify {
            let Some(plugin) = plugins.remove(&check.id) else { continue };
            let timeout = check.timeout.unwrap_or(plan.timeout);
            let unit = opener.unit(plugin, &check.bind, &check.with, timeout, opens.checks()).await;
            units.insert(check.id.clone(), Unit { expect: check.expect.clone(), probe: check.probe, ..unit });
        }
        for trigger in triggers {
            let Some(plugin) = plugins.remove(&trigger.id) else { continue };
            let unit = opener.unit(plugin, &trigger.bind, &trigger.with, trigger.timeout, opens.steps()).await;
            units.insert(trigger.id.clone(), Unit { expect: trigger.expect.clone(), probe: trigger.probe, ..unit });
        }
        // A rollback must not fail because somebody can't be told of it.
        let needed = opener.unopened.len();
        for notice in &plan.notices {
            let Some(plugin) = plugins.remove(&notice.id) else { continue };
            let retry = Retry { attempts: notice.retry.attempts, backoff: notice.retry.backoff };
            let mut unit = opener.unit(plugin, &notice.bind, &notice.with, notice.timeout, opens.notices()).await;
            share_the_time(&mut unit);
            units.insert(notice.id.clone(), Unit { retry, ..unit });
        }
        let unopened = opener.unopened.split_off(needed);
        if !opener.unopened.is_empty() {
            return Err(AssembleError::Open(opener.unopened));
        }
        let mut resources = opener.resources;
        resources.sort();
        resources.dedup();
        Ok(Job {
            plan_name: plan.name.clone(),
            plan_path: sources.plan_path.to_owned(),
            plan_text: Arc::from(sources.plan_text),
            params,
            people: plan.people.clone(),
            scenario: plan.scenario.clone(),
            language: plan.language,
            target,
            timeout: plan.timeout,
            shape,
            units,
            operator_path: operator.path.clone(),
            rules: operator.rules_digest(),
            limits: operator.limits.clone(),
            resources,
            scrubber: opening.secrets.scrubber().clone(),
            good_states: Vec::new(),
            said: IncidentNoted::default(),
            unopened,
        })
    }
}

/// Opens each connection once, however many roles are bound to it.
struct Opener<'a> {
    operator: &'a Operator,
    opening: &'a Opening,
    seams: &'a Arc<dyn Seams>,
    open: BTreeMap<String, Bound>,
    resources: Vec<String>,
    unopened: Vec<Unopened>,
}

impl Opener<'_> {
    async fn unit(
        &mut self,
        plugin: Plugin,
        bind: &BTreeMap<String, String>,
        with: &serde_json::Value,
        timeout: Duration,
        is_open: bool,
    ) -> Unit {
        let mut roles = BTreeMap::new();
        for role in &plugin.manifest.roles {
            let bound = match bind.get(&role.name) {
                Some(connection) if is_open => self.open(&role.capability, connection).await,
                Some(name) => Some(Bound { name: format!("{}.{name}", role.capability), open: None }),
                None => None,
            };
            roles.insert(role.name.clone(), Grant { capability: role.capability.clone(), access: role.access, bound });
        }
        plugin.into_unit(roles, with, timeout, None)
    }

    async fn open(&mut self, capability: &str, name: &str) -> Option<Bound> {
        let full = format!("{capability}.{name}");
        if let Some(bound) = self.open.get(&full) {
            return Some(bound.clone());
        }
        let capability = Capability::ALL.iter().find(|known| known.name() == capability)?;
        let connection = self.operator.connections.get(*capability, name)?;
        let driver = match connection.open(self.opening).await {
            Ok(driver) => driver,
            Err(problem) => {
                if !self.unopened.iter().any(|unopened| unopened.connection == full) {
                    self.unopened.push(Unopened { connection: full.clone(), problem });
                }
                // To try it again, for another role or notice, could take as long again.
                let bound = Bound { name: full.clone(), open: None };
                self.open.insert(full, bound.clone());
                return Some(bound);
            }
        };
        self.resources.extend(connection.resources(&self.opening.base));
        let driver = self.seams.driver(&full, Arc::new(driver));
        let open = Open { connection: Arc::new(connection), driver };
        let bound = Bound { name: full.clone(), open: Some(open) };
        self.open.insert(full, bound.clone());
        Some(bound)
    }
}

/// What the connections of an operator's file need to open.
pub fn opening(operator: &Operator, spool: &Path, program: &Path) -> Opening {
    Opening {
        secrets: Arc::new(Secrets::new(operator.secrets.clone(), operator.base.clone())),
        spool: spool.to_owned(),
        base: operator.base.clone(),
        supervisors: Supervisors::new(program),
    }
}

/// A run's plan and plugins as they were kept, with nothing opened: for a replay.
pub async fn offline(
    components: &Components,
    plan: &Plan,
    plan_text: &str,
    started: &RunStarted,
    kept: &BTreeMap<String, Blob>,
) -> Result<Job, AssembleError> {
    let steps = plan.steps.iter().map(|step| (&step.id, &step.uses, &step.bind, &step.with, None));
    let checks =
        plan.verify.iter().map(|check| (&check.id, &check.uses, &check.bind, &check.with, check.expect.clone()));
    let follow_ups = plan.follow_ups.iter().filter_map(|item| Some((&item.id, item.step.as_ref()?)));
    let follow_ups = follow_ups.map(|(id, step)| (id, &step.uses, &step.bind, &step.with, None));
    let watched = if started.shape.watch.is_some() { plan.triggers.as_slice() } else { &[] };
    let triggers = watched.iter().map(|it| (&it.id, &it.uses, &it.bind, &it.with, it.expect.clone()));
    let notices = plan.notices.iter().map(|it| (&it.id, &it.uses, &it.bind, &it.with, None));
    let mut units = BTreeMap::new();
    for (id, uses, bind, with, expect) in steps.chain(checks).chain(triggers).chain(follow_ups).chain(notices) {
        let plugin = load(components, uses, kept.get(id).cloned()).await.map_err(Diagnostics::from)?;
        let role = |role: &crate::manifest::Role| {
            let bound =
                bind.get(&role.name).map(|name| Bound { name: format!("{}.{name}", role.capability), open: None });
            (role.name.clone(), Grant { capability: role.capability.clone(), access: role.access, bound })
        };
        let roles = plugin.manifest.roles.iter().map(role).collect();
        units.insert(id.clone(), plugin.into_unit(roles, with, plan.timeout, expect));
    }
    Ok(Job {
        plan_name: plan.name.clone(),
        plan_path: started.plan_path.clone().into(),
        plan_text: Arc::from(plan_text),
        params: started.params.clone(),
        people: plan.people.clone(),
        scenario: started.scenario.clone(),
        language: started.language,
        target: started.target.clone(),
        timeout: plan.timeout,
        shape: started.shape.clone(),
        units,
        operator_path: started.operator_path.clone().into(),
        rules: Digest::of(b""),
        limits: started.limits.clone(),
        resources: Vec::new(),
        scrubber: Default::default(),
        good_states: started.good_states.clone(),
        said: IncidentNoted::default(),
        unopened: Vec::new(),
    })
}

/// No channel of a notice has more than its share of the time, or one that hangs would keep the others from being
/// told. One share is for the plugin itself.
fn share_the_time(notice: &mut Unit) {
    let channels = notice.roles.values_mut().filter_map(|grant| grant.bound.as_mut()?.open.as_mut());
    let channels: Vec<_> = channels.collect();
    let share = notice.timeout / u32::try_from(channels.len() + 1).unwrap_or(u32::MAX);
    for open in channels {
        if let Connection::Notify(channel) = &*open.connection {
            open.connection = Arc::new(Connection::Notify(channel.within(share)));
        }
    }
}
