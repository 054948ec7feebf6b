//! The plan: what a rollback consists of, as its author writes it.
//!
//! [`Plan::parse`] finds what can be found in the text alone, [`validate`] what needs the operator's
//! file and the plugins' manifests, [`resolve_params`] what is wrong with the arguments of a run.

mod condition;
mod config;
mod follow_up;
mod notice;
mod outline;
mod params;
mod parse;
mod raw;
mod references;
mod template;
#[cfg(test)]
mod tests;
mod validate;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::diagnostic::Place;
use crate::document::{Document, segments};
use crate::id::Digest;
use crate::journal::{CheckShape, OnFailure, Shape, StepShape};
use crate::language::Language;
use crate::schema::DurationText;

pub use condition::{Condition, ConditionError};
pub use config::check_config;
pub use follow_up::{Drift, DriftError, FollowUp, FollowUpAction};
pub use notice::Notice;
pub use params::resolve_params;
pub(crate) use raw::Head as PlanFile;
pub use template::{IncidentFacts, RenderError, RunFacts, Scope, StepFacts, render};
pub use validate::validate;
use watch::WINDOW;
pub use watch::{AlertTrigger, Trigger, Watch, WindowError};

/// Makes ready what every plan is read with, which takes some milliseconds once. Who needs it in the
/// meantime waits for it; nobody has to have called this.
pub fn get_ready() {
    std::thread::scope(|scope| {
        scope.spawn(config::compile);
        template::compile();
        references::compile();
    });
}

/// A plan, parsed and sound in itself.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it rolls back: a template that may use `params`. No two runs work on one target at a
    /// time.
    pub target: String,
    /// How long a run may take, gates not counted. 1 hour if not said.
    pub timeout: Duration,
    /// The kind of incident that it answers to, in the people's words.
    pub scenario: Option<String>,
    /// The language of its report. English if not said.
    pub language: Language,
    /// What a run has to be told.
    pub params: BTreeMap<String, Param>,
    /// Who does what, by role.
    pub people: BTreeMap<String, String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// What has to hold afterwards.
    pub verify: Vec<Check>,
    /// How its triggers are watched.
    pub watch: Watch,
    /// What is watched after a deploy, to find out whether there is something to roll back.
    pub triggers: Vec<Trigger>,
    /// What is waited for after a deploy, because somebody else measures it.
    pub alerts: Vec<AlertTrigger>,
    /// What stays to be done afterwards.
    pub follow_ups: Vec<FollowUp>,
    /// Who is told, and when.
    pub notices: Vec<Notice>,
    /// How it is watched whether what was verified stays so, if the plan says.
    pub drift: Option<Drift>,
    document: Document,
}

/// A parameter of a plan.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Param {
    /// What to give, for people.
    #[serde(default)]
    pub description: String,
    /// What counts if nothing is given; without it something has to be given.
    #[serde(default)]
    pub default: Option<String>,
    /// What the whole value has to match.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub pattern: Option<Pattern>,
}

/// A regular expression that a whole value has to match.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    /// Whether all of the value matches.
    pub fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Compiled alone first: `a)(b` is only an expression once it is wrapped.
        Regex::new(&text)
            .and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")))
            .map(|whole| Self { text, whole })
            .map_err(|error| format!("this is no regular expression: {}", last_line(&error.to_string())))
    }
}

/// A step: one use of an action.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, unique among steps, checks and triggers.
    pub id: String,
    /// The plugin.
    pub uses: Uses,
    /// The step that it stands in for: it runs only if that one ended without success.
    pub fallback: Option<String>,
    /// The connection behind each role of the plugin.
    pub bind: BTreeMap<String, String>,
    /// The plugin's configuration: a JSON object whose strings may be templates.
    pub with: Value,
    /// The question that a person has to answer with yes before it.
    pub gate: Option<Gate>,
    /// How long it may take; as long as the plan if not said.
    pub timeout: Option<Duration>,
    /// How often the host tries a call that certainly did not happen, or may be repeated.
    pub retry: Retry,
    /// What happens when it and its fallbacks have failed.
    pub on_failure: OnFailure,
}

/// The plugin that a step or a check uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uses {
    /// One that is part of ripcord.
    Bundled(String),
    /// A component in a file.
    File {
        /// Where it is; a relative path was completed from the plan's folder.
        path: PathBuf,
        /// What its bytes have to be.
        digest: Digest,
    },
}

/// A point where a person must say yes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gate {
    /// The question: a template.
    pub ask: String,
    /// After how long no answer counts as no; never if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub expires: Option<Duration>,
}

impl Gate {
    /// The question in words. One whose template can't be filled in is asked as it stands in the plan.
    pub fn question(&self, scope: &Scope) -> String {
        match render(&self.ask.clone().into(), scope) {
            Ok(Value::String(ask)) => ask,
            Ok(_) | Err(_) => self.ask.clone(),
        }
    }
}

/// How often the host tries one call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retry {
    /// All attempts together, the first among them: 1 to 10.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// How long to wait before the second attempt; doubled each time.
    #[serde(with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_secs(1) }
    }
}

/// A check of the verification: one use of a check.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name, unique among steps, checks and triggers.
    pub id: String,
    /// The plugin.
    pub uses: Uses,
    /// The connection behind each role of the plugin.
    pub bind: BTreeMap<String, String>,
    /// The plugin's configuration: a JSON object whose strings may be templates.
    pub with: Value,
    /// What has to hold for the check's evidence, besides its own verdict.
    pub expect: Option<Condition>,
    /// Whether it may change something: a check with a role that is bound with write access is a probe,
    /// and only one that the plan calls so is used.
    pub probe: bool,
    /// For how long it is tried again while it does not pass; once if not said.
    pub within: Option<Duration>,
    /// How long to wait between two tries. 5 seconds if not said.
    pub every: Duration,
    /// How long one try may take.
    pub timeout: Option<Duration>,
}

impl Plan {
    /// What the state machine needs to know, without what is watched before and what stays to be done
    /// afterwards. `can_undo` tells of a step, by its id, whether its plugin can take back what it did.
    pub fn shape(&self, can_undo: impl Fn(&str) -> bool) -> Shape {
        let step = |step: &Step| StepShape {
            id: step.id.clone(),
            fallback: step.fallback.clone(),
            gate: step.gate.is_some(),
            on_failure: step.on_failure,
            can_undo: can_undo(&step.id),
        };
        let check = |check: &Check| CheckShape {
            id: check.id.clone(),
            within_ms: check.within.map_or(0, milliseconds),
            every_ms: milliseconds(check.every),
        };
        let timeouts = self.steps.iter().map(|step| (&step.id, step.timeout));
        let timeouts = timeouts.chain(self.verify.iter().map(|check| (&check.id, check.timeout)));
        let timeouts = timeouts.map(|(id, timeout)| (id.clone(), milliseconds(timeout.unwrap_or(self.timeout))));
        Shape {
            steps: self.steps.iter().map(step).collect(),
            verify: self.verify.iter().map(check).collect(),
            timeouts_ms: timeouts.collect(),
            notices: self.notice_shapes(),
            ..Shape::default()
        }
    }

    /// The step with this id.
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Where it names the plugin of a step, a check, a trigger, a follow-up or a notice.
    pub(crate) fn place_of_plugin(&self, id: &str) -> Place {
        let step = || Some(("step", self.steps.iter().position(|step| step.id == id)?));
        let trigger = || Some(("trigger", self.triggers.iter().find(|trigger| trigger.id == id)?.index));
        let check = || ("verify", self.verify.iter().position(|check| check.id == id).unwrap_or_default());
        let item = || Some(("follow-up", self.follow_ups.iter().position(|item| item.id == id)?));
        let notice = || Some(("notice", self.notices.iter().position(|notice| notice.id == id)?));
        let (list, index) = step().or_else(trigger).or_else(item).or_else(notice).unwrap_or_else(check);
        self.document.value(&segments![list, index, "use"])
    }

    /// The check with this id.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.verify.iter().find(|check| check.id == id)
    }
}

/// Every duration of a plan is at most some days.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a multi-line error comes down to.
fn last_line(text: &str) -> &str {
    let line = text.trim_end().rsplit('\n').next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line)
}
