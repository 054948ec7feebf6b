//! From files to a [`Job`]: everything that can go wrong before anything is touched goes wrong here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Job, Seams, Unit};
use crate::capability::{Capability, OpenError, Opening};
use crate::component::{Component, Components, Ended, LoadError, bundled};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::id::Digest;
use crate::journal::RunStarted;
use crate::manifest::Manifest;
use crate::operator::Operator;
use crate::pipeline::{Bound, Grant, Open, Retry};
use crate::plan::{self, Condition, Plan, Scope, Uses};
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
    /// The bytes of a run's plugins, by step and check: a run keeps those that it began with.
    pub kept: Option<&'a BTreeMap<String, Arc<[u8]>>>,
}

/// Why a plan can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The files are wrong.
    #[error(transparent)]
    Files(#[from] Diagnostics),
    /// A connection can't be opened.
    #[error("[{connection}]: {problem}")]
    Open {
        /// `http.coolify`
        connection: String,
        /// Why.
        problem: OpenError,
    },
    /// A plugin can't be loaded, or says nothing sensible of itself.
    #[error("{used_by} uses {plugin}: {problem}")]
    Plugin {
        /// The step or check.
        used_by: String,
        /// As the plan names it.
        plugin: String,
        /// Why.
        problem: String,
    },
}

/// A plan whose plugins are loaded and fit it, and nothing of it opened yet.
pub struct Checked<'a> {
    sources: Sources<'a>,
    plugins: BTreeMap<String, Plugin>,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

struct Plugin {
    name: String,
    bytes: Arc<[u8]>,
    component: Component,
    manifest: Manifest,
}

/// Checks all that can be known without a network and without a secret.
pub async fn check<'a>(components: &Components, sources: Sources<'a>) -> Result<Checked<'a>, AssembleError> {
    let plan = sources.plan;
    let mut plugins = BTreeMap::new();
    let steps = plan.steps.iter().map(|step| (&step.id, &step.uses));
    for (id, uses) in steps.chain(plan.verify.iter().map(|check| (&check.id, &check.uses))) {
        let kept = sources.kept.and_then(|kept| kept.get(id)).cloned();
        plugins.insert(id.clone(), load(components, id, uses, kept).await?);
    }
    let manifests = plugins.iter().map(|(id, plugin)| (id.clone(), plugin.manifest.clone())).collect();
    let warnings = plan::validate(plan, sources.operator, &manifests)?;
    Ok(Checked { sources, plugins, warnings })
}

async fn load(
    components: &Components,
    id: &str,
    uses: &Uses,
    kept: Option<Arc<[u8]>>,
) -> Result<Plugin, AssembleError> {
    let name = match uses {
        Uses::Bundled(name) => name.clone(),
        Uses::File { path, .. } => path.display().to_string(),
    };
    let failed = |problem: String| AssembleError::Plugin { used_by: id.to_owned(), plugin: name.clone(), problem };
    let bytes = match (kept, uses) {
        (Some(kept), _) => kept,
        (None, Uses::Bundled(bundle)) => {
            let bytes = bundled(bundle).ok_or_else(|| {
                let names: Vec<_> = crate::component::bundled_names().collect();
                failed(format!("there is no bundled plugin of this name; there are {}", names.join(", ")))
            })?;
            Arc::from(bytes)
        }
        (None, Uses::File { path, digest }) => {
            let bytes = std::fs::read(path).map_err(|error| failed(format!("can't read it: {error}")))?;
            let found = Digest::of(&bytes);
            if found != *digest {
                return Err(failed(format!(
                    "its digest is {found}, and the plan says {digest}: it is not the file that the plan was written for"
                )));
            }
            Arc::from(bytes)
        }
    };
    let component = components.load(&bytes).map_err(|error: LoadError| failed(error.to_string()))?;
    let manifest = components
        .describe(&component)
        .await
        .map_err(|ended: Ended| failed(format!("it can't say what it is: {ended}")))?;
    Ok(Plugin { name, bytes, component, manifest })
}

impl Checked<'_> {
    /// The manifest of a step's or check's plugin.
    pub fn manifest(&self, id: &str) -> Option<&Manifest> {
        self.plugins.get(id).map(|plugin| &plugin.manifest)
    }

    /// The connections that the plan binds to its plugins' roles, by capability and name.
    pub fn connections(&self) -> BTreeSet<(Capability, String)> {
        let plan = self.sources.plan;
        let steps = plan.steps.iter().map(|step| (&step.id, &step.bind));
        let units = steps.chain(plan.verify.iter().map(|check| (&check.id, &check.bind)));
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
        let params = plan::resolve_params(plan, sources.params)?;
        let scope = Scope { params: params.clone(), people: plan.people.clone(), ..Scope::default() };
        let target = plan::render(&plan.target.clone().into(), &scope)
            .map_err(|error| Diagnostics(vec![Diagnostic::error(format!("the plan's target: {error}"))]))?;
        let target = target.as_str().map_or_else(|| target.to_string(), str::to_owned);

        let shape = plan.shape(|id| plugins.get(id).is_some_and(|plugin| plugin.manifest.can_undo));
        let mut opener = Opener { operator, opening, seams, open: BTreeMap::new(), resources: Vec::new() };
        let mut units = BTreeMap::new();
        for step in &plan.steps {
            let Some(plugin) = plugins.remove(&step.id) else { continue };
            let retry = Retry { attempts: step.retry.attempts, backoff: step.retry.backoff };
            let unit = opener.unit(plugin, &step.bind, &step.with, step.timeout.unwrap_or(plan.timeout)).await?;
            units.insert(step.id.clone(), Unit { retry, gate: step.gate.clone(), ..unit });
        }
        for check in &plan.verify {
            let Some(plugin) = plugins.remove(&check.id) else { continue };
            let unit = opener.unit(plugin, &check.bind, &check.with, check.timeout.unwrap_or(plan.timeout)).await?;
            units.insert(check.id.clone(), Unit { expect: check.expect.clone(), ..unit });
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
            target,
            timeout: plan.timeout,
            shape,
            units,
            operator_path: operator.path.clone(),
            rules: operator.rules_digest(),
            limits: operator.limits.clone(),
            resources,
            scrubber: opening.secrets.scrubber().clone(),
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
}

impl Opener<'_> {
    async fn unit(
        &mut self,
        plugin: Plugin,
        bind: &BTreeMap<String, String>,
        with: &serde_json::Value,
        timeout: Duration,
    ) -> Result<Unit, AssembleError> {
        let mut roles = BTreeMap::new();
        for role in &plugin.manifest.roles {
            let bound = match bind.get(&role.name) {
                Some(connection) => self.open(&role.capability, connection).await?,
                None => None,
            };
            roles.insert(role.name.clone(), Grant { capability: role.capability.clone(), access: role.access, bound });
        }
        Ok(plugin.into_unit(roles, with, timeout, None))
    }

    async fn open(&mut self, capability: &str, name: &str) -> Result<Option<Bound>, AssembleError> {
        let full = format!("{capability}.{name}");
        if let Some(bound) = self.open.get(&full) {
            return Ok(Some(bound.clone()));
        }
        let capability = Capability::ALL.iter().find(|known| known.name() == capability);
        let Some(connection) = capability.and_then(|&capability| self.operator.connections.get(capability, name))
        else {
            return Ok(None);
        };
        let driver = connection
            .open(self.opening)
            .await
            .map_err(|problem| AssembleError::Open { connection: full.clone(), problem })?;
        self.resources.extend(connection.resources(&self.opening.base));
        let driver = self.seams.driver(&full, Arc::new(driver));
        let bound = Bound { name: full.clone(), open: Some(Open { connection, driver }) };
        self.open.insert(full, bound.clone());
        Ok(Some(bound))
    }
}

/// What the connections of an operator's file need to open.
pub fn opening(operator: &Operator, spool: &Path, program: &Path) -> Opening {
    Opening {
        secrets: Arc::new(Secrets::new(operator.secrets.clone(), operator.base.clone())),
        spool: spool.to_owned(),
        base: operator.base.clone(),
        program: program.to_owned(),
    }
}

/// A run's plan and plugins as they were kept, with nothing opened: for a replay.
pub async fn offline(
    components: &Components,
    plan: &Plan,
    plan_text: &str,
    started: &RunStarted,
    kept: &BTreeMap<String, Arc<[u8]>>,
) -> Result<Job, AssembleError> {
    let steps = plan.steps.iter().map(|step| (&step.id, &step.uses, &step.bind, &step.with, None));
    let checks =
        plan.verify.iter().map(|check| (&check.id, &check.uses, &check.bind, &check.with, check.expect.clone()));
    let mut units = BTreeMap::new();
    for (id, uses, bind, with, expect) in steps.chain(checks) {
        let plugin = load(components, id, uses, kept.get(id).cloned()).await?;
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
        target: started.target.clone(),
        timeout: plan.timeout,
        shape: started.shape.clone(),
        units,
        operator_path: started.operator_path.clone().into(),
        rules: Digest::of(b""),
        limits: started.limits.clone(),
        resources: Vec::new(),
        scrubber: Default::default(),
    })
}

impl Plugin {
    fn into_unit(
        self,
        roles: BTreeMap<String, Grant>,
        with: &serde_json::Value,
        timeout: Duration,
        expect: Option<Condition>,
    ) -> Unit {
        Unit {
            plugin: self.name,
            bytes: self.bytes,
            component: self.component,
            manifest: self.manifest,
            roles,
            with: with.clone(),
            expect,
            retry: Retry { attempts: 3, backoff: Duration::from_secs(1) },
            timeout,
            gate: None,
        }
    }
}
