//! What a preview found: everything that somebody agrees to, and what it rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::id::{Digest, RunId};
use crate::journal::{Approval, CheckOutcome, GoodState, Listed, Occasion, OnFailure};
use crate::manifest::Access;
use crate::pipeline::Previewed;

/// What a run would do.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PreviewReport {
    /// The plan's name.
    pub plan: String,
    /// The follow-up that this is a preview of, if it is not of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<PreviewedFollowUp>,
    /// Where it was read.
    pub plan_path: String,
    /// The values of its parameters.
    pub params: BTreeMap<String, String>,
    /// Where the operator's file was read.
    pub operator_path: String,
    /// What it rolls back.
    pub target: String,
    /// The states of it that earlier runs have found good, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub good_states: Vec<GoodState>,
    /// What a run holds until it ends: `target:…`, `git:…`.
    pub holds: Vec<String>,
    /// The names of the secrets that the connections use, sorted.
    pub secrets: Vec<String>,
    /// Plan, parameters, plugins and rules in one digest.
    pub binding: Digest,
    /// The steps, in file order.
    pub steps: Vec<PreviewedStep>,
    /// What the steps would do, and what happens if they fail.
    pub branches: Vec<Branch>,
    /// The triggers that do more than look, in file order, if they are to be watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probing_triggers: Vec<PreviewedCheck>,
    /// What has to hold afterwards, in file order.
    pub checks: Vec<PreviewedCheck>,
    /// Who is told, and when, in file order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<PreviewedNotice>,
}

/// What a preview is of that is not one of a run.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewedFollowUp {
    /// The run that it belongs to.
    pub run: RunId,
    /// Its name in the plan.
    pub item: String,
    /// What is to be done, in the people's words.
    pub what: String,
    /// What an attempt that got stuck has done already, and is not done again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
}

/// A step as the plan has it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PreviewedStep {
    /// Its name in the plan.
    pub id: String,
    /// Its plugin.
    #[serde(flatten)]
    pub plugin: PreviewedPlugin,
    /// The step that it stands in for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// What a person is asked first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<PreviewedGate>,
    /// What happens when it has failed and nothing stands in for it.
    pub on_failure: OnFailure,
    /// Whether its plugin can take back what it did.
    pub can_undo: bool,
    /// How often a call is tried that certainly did not happen.
    pub attempts: u32,
}

/// What a step or a check uses.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PreviewedPlugin {
    /// Name and version.
    pub plugin: String,
    /// In a few words.
    pub title: String,
    /// What it says that it does.
    pub description: String,
    /// Its roles that are bound, in the manifest's order.
    pub binds: Vec<BoundRole>,
    /// How long it may take.
    #[serde(rename = "timeout-ms", serialize_with = "milliseconds")]
    pub timeout: Duration,
}

/// A role, and where it leads.
#[derive(Debug, Clone, Serialize)]
pub struct BoundRole {
    /// The plugin's name for it.
    pub role: String,
    /// `http.coolify`
    pub connection: String,
    /// Where that really is.
    pub place: String,
    /// The most that the plugin asks for.
    pub access: Access,
    /// What the plugin says that it needs it for.
    pub reason: String,
}

/// A gate that a run would open.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewedGate {
    /// The question.
    pub ask: String,
    /// After how long no answer counts as no; never if not said.
    #[serde(rename = "expires-ms", serialize_with = "milliseconds_if_any", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Duration>,
}

/// One export that a run would, or might, call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Branch {
    /// The step.
    pub step: String,
    /// When it is called.
    pub when: When,
    /// Whether it would be called as things are now.
    pub outlook: Outlook,
    /// What it does, in order.
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

/// Whether a branch is taken as things are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// Yes.
    Taken,
    /// Only if something goes another way than it looks now.
    OnlyIf,
    /// No: a step before it fails. It belongs to the approval all the same, because the target may be
    /// well again when the run gets there.
    NotReached,
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

/// A check of the verification.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PreviewedCheck {
    /// Its name in the plan.
    pub id: String,
    /// Its plugin.
    #[serde(flatten)]
    pub plugin: PreviewedPlugin,
    /// What has to hold for its evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// For how long it is tried again while it does not pass; not at all if zero.
    #[serde(rename = "within-ms", serialize_with = "milliseconds")]
    pub within: Duration,
    /// How long it waits between two tries.
    #[serde(rename = "every-ms", serialize_with = "milliseconds")]
    pub every: Duration,
    /// What it does besides looking, if it is a probe. It is never asked before, then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<PreviewedProbe>,
    /// What it says now, before anything is done; nothing if it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Finding>,
}

/// What a check does that is a probe.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewedProbe {
    /// What it does, in order.
    pub calls: Vec<Previewed>,
    /// How the preview of it ended.
    pub end: BranchEnd,
}

/// A notice as the plan has it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PreviewedNotice {
    /// Its name in the plan.
    pub id: String,
    /// Its plugin.
    #[serde(flatten)]
    pub plugin: PreviewedPlugin,
    /// What it tells, on each of its occasions.
    pub sendings: Vec<PreviewedSending>,
    /// That these people are told is agreed to, by each connection that the plan binds: whatever happens, and
    /// whether or not it can be opened just now.
    #[serde(skip)]
    pub(super) listed: Vec<Listed>,
}

/// A notice on one of its occasions.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewedSending {
    /// When.
    pub on: Occasion,
    /// What it sends, in order.
    pub calls: Vec<Previewed>,
    /// How the preview of it ended.
    pub end: BranchEnd,
}

/// What a check says before anything is done.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Whether it would count as passed.
    pub outcome: CheckOutcome,
    /// Why, in one sentence.
    pub summary: String,
}

impl PreviewReport {
    /// The mutations that an approval binds, sorted, each once.
    pub fn listed(&self) -> Vec<Listed> {
        let calls = self.branches.iter().flat_map(|branch| &branch.calls);
        let calls = calls.chain(self.probes().flat_map(|probe| &probe.calls));
        let told = self.notices.iter().flat_map(|notice| &notice.listed);
        let listed = calls.filter_map(Previewed::listed).chain(told).cloned();
        listed.collect::<BTreeSet<_>>().into_iter().collect()
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

    /// What its triggers and checks do besides looking.
    pub fn probes(&self) -> impl Iterator<Item = &PreviewedProbe> {
        self.probing_triggers.iter().chain(&self.checks).filter_map(|check| check.probe.as_ref())
    }

    /// What its notices tell, on all their occasions.
    pub fn sendings(&self) -> impl Iterator<Item = &PreviewedSending> {
        self.notices.iter().flat_map(|notice| &notice.sendings)
    }

    /// A step, by its id.
    pub fn step(&self, id: &str) -> Option<&PreviewedStep> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// A plan may say that a failure takes everything back: then that is what happens as things are.
    pub(super) fn take_back_if_it_fails(&mut self) {
        let failed = self.failure().and_then(|(id, _)| self.step(id));
        if failed.is_none_or(|step| step.on_failure != OnFailure::Undo) {
            return;
        }
        let is_taken = |branch: &&Branch| branch.outlook == Outlook::Taken;
        let taken: BTreeSet<_> = self.branches.iter().filter(is_taken).map(|branch| branch.step.clone()).collect();
        for branch in &mut self.branches {
            if branch.when == When::Undone && taken.contains(&branch.step) {
                branch.outlook = Outlook::Taken;
            }
        }
    }

    /// The first step at which a run would end as things are now, and why: it fails, and so does what
    /// stands in for it, if anything does.
    pub fn failure(&self) -> Option<(&str, &str)> {
        let stands_in = |id: &str| self.steps.iter().any(|step| step.fallback.as_deref() == Some(id));
        let taken = self.branches.iter().filter(|branch| branch.outlook == Outlook::Taken);
        taken.filter(|branch| branch.when != When::Undone).find_map(|branch| match &branch.end {
            BranchEnd::Fails(why) if !stands_in(&branch.step) => Some((branch.step.as_str(), why.as_str())),
            BranchEnd::Fails(_) | BranchEnd::Whole | BranchEnd::Open(_) => None,
        })
    }
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn milliseconds_if_any<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}
