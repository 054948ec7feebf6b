//! The plan's parts as they stand in the file, before anything is checked. They are also what the
//! file's JSON Schema is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Gate, Param, Pattern, Retry};
use crate::journal::{Occasion, OnFailure, Then};
use crate::language::Language;
use crate::schema::{DurationText, Id};

/// A plan of ripcord's: what a rollback consists of.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "ripcord plan", rename = "Plan", extend("required" = ["name", "target", "step"]))]
#[expect(dead_code, reason = "the parts are known here, and read one by one")]
pub(crate) struct Head {
    /// What it is called.
    #[schemars(pattern(r"\S"))]
    pub(super) name: String,
    /// What it is for.
    #[serde(default)]
    pub(super) description: Option<String>,
    /// What it rolls back: a template that may use `params`. No two runs work on one target at a time.
    #[schemars(pattern(r"\S"))]
    pub(super) target: String,
    /// How long a run may take, gates not counted. 1 hour if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) timeout: Option<Duration>,
    /// What happens when a step and its fallbacks have failed, unless the step says otherwise.
    #[serde(default)]
    pub(super) on_failure: OnFailure,
    /// The kind of incident that it answers to, in the words of the people who decide: the report and the
    /// notices name it.
    #[serde(default)]
    #[schemars(pattern(r"\S"))]
    pub(super) scenario: Option<String>,
    /// The language of its reports: `en` (the default) or `es`.
    #[serde(default)]
    pub(super) language: Language,
    /// What a run has to be told: `-p NAME=VALUE`.
    #[serde(default)]
    #[schemars(schema_with = "params_schema")]
    pub(super) params: IgnoredAny,
    /// Who does what, by role.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) people: IgnoredAny,
    /// What is done, in this order.
    #[serde(default)]
    #[schemars(with = "Vec<RawStep>")]
    pub(super) step: IgnoredAny,
    /// What has to hold afterwards.
    #[serde(default)]
    #[schemars(with = "Vec<RawCheck>")]
    pub(super) verify: IgnoredAny,
    /// What stays to be done afterwards, by people or by `ripcord follow-up`.
    #[serde(default)]
    #[schemars(with = "Vec<RawFollowUp>")]
    pub(super) follow_up: IgnoredAny,
    /// How `ripcord watch RUN` looks whether what was verified stays so.
    #[serde(default)]
    pub(super) drift: Option<RawDrift>,
    /// Who is told of the rollback, and when.
    #[serde(default)]
    #[schemars(with = "Vec<RawNotice>")]
    pub(super) notice: IgnoredAny,
    /// How the triggers are watched.
    #[serde(default)]
    pub(super) watch: Option<RawWatch>,
    /// What `ripcord watch` watches after a deploy, to find out whether there is something to roll back.
    #[serde(default)]
    #[schemars(with = "Vec<AnyTrigger>")]
    pub(super) trigger: IgnoredAny,
}

/// A step: one use of a plugin that does something.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Step")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawStep {
    /// Its name, unique among steps, checks and triggers.
    #[schemars(with = "Id")]
    pub(super) id: String,
    /// The plugin: a bundled one's name, or `PATH.wasm@sha256:…`.
    #[schemars(schema_with = "use_schema")]
    pub(super) r#use: String,
    /// The step that it stands in for: it runs only if that one ended without success.
    #[serde(default)]
    pub(super) fallback: Option<String>,
    /// The connection behind each role of the plugin.
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    /// The plugin's configuration. Texts in it may be templates.
    #[serde(default)]
    #[schemars(schema_with = "with_schema")]
    pub(super) with: IgnoredAny,
    /// The question that a person has to answer with yes before it.
    #[serde(default)]
    pub(super) gate: Option<Gate>,
    /// How long it may take; as long as the plan if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) timeout: Option<Duration>,
    /// How often the host tries a call that certainly did not happen, or may be repeated.
    #[serde(default)]
    pub(super) retry: Retry,
    /// What happens when it and its fallbacks have failed; as the plan says if not said.
    #[serde(default)]
    pub(super) on_failure: Option<OnFailure>,
}

/// A check of the verification: one use of a plugin that observes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Check")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawCheck {
    /// Its name, unique among steps, checks and triggers.
    #[schemars(with = "Id")]
    pub(super) id: String,
    /// The plugin: a bundled one's name, or `PATH.wasm@sha256:…`.
    #[schemars(schema_with = "use_schema")]
    pub(super) r#use: String,
    /// The connection behind each role of the plugin.
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    /// The plugin's configuration. Texts in it may be templates.
    #[serde(default)]
    #[schemars(schema_with = "with_schema")]
    pub(super) with: IgnoredAny,
    /// What has to hold for the check's evidence, besides its own verdict: a condition in CEL.
    #[serde(default)]
    pub(super) expect: Option<String>,
    /// That it changes something, or sends something that does, is meant: a probe.
    #[serde(default)]
    pub(super) probe: bool,
    /// For how long it is tried again while it does not pass; once if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) within: Option<Duration>,
    /// How long to wait between two tries. 5 seconds if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) every: Option<Duration>,
    /// How long one try may take.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) timeout: Option<Duration>,
}

/// How `ripcord watch` watches the triggers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Watch")]
pub(super) struct RawWatch {
    /// For how long, from its beginning. 30 minutes if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) window: Option<Duration>,
    /// What happens when a trigger trips: `ask` a person (the default), or `run` the steps.
    #[serde(default)]
    pub(super) then: Then,
    /// After how long no answer counts as no; never if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) expires: Option<Duration>,
}

/// A trigger: a check that is made over and over after a deploy, and says that there is something to roll
/// back when it fails more often than it may.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Trigger")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawTrigger {
    /// Its name, unique among steps, checks and triggers.
    #[schemars(with = "Id")]
    pub(super) id: String,
    /// The condition that it stands for, in the words of the people who have to decide.
    #[schemars(pattern(r"\S"))]
    pub(super) title: String,
    /// How bad it is if it trips, in their words: the incident's severity, unless somebody says another.
    #[serde(default)]
    pub(super) severity: Option<String>,
    /// The plugin: a bundled one's name, or `PATH.wasm@sha256:…`.
    #[schemars(schema_with = "use_schema")]
    pub(super) r#use: String,
    /// The connection behind each role of the plugin.
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    /// The plugin's configuration. Texts in it may be templates.
    #[serde(default)]
    #[schemars(schema_with = "with_schema")]
    pub(super) with: IgnoredAny,
    /// What has to hold for the check's evidence, besides its own verdict: a condition in CEL.
    #[serde(default)]
    pub(super) expect: Option<String>,
    /// That it changes something, or sends something that does, is meant: a probe.
    #[serde(default)]
    pub(super) probe: bool,
    /// From the end of one measurement to the beginning of the next. 30 seconds if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) interval: Option<Duration>,
    /// From the beginning to the first measurement; none if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) initial_delay: Option<Duration>,
    /// How many measurements are enough; until the window is over if not said.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) count: Option<u32>,
    /// How many measurements may fail; with one more it trips. 0 if not said.
    #[serde(default)]
    pub(super) failure_limit: u32,
    /// How many measurements may be inconclusive; with one more it is given up. 0 if not said.
    #[serde(default)]
    pub(super) inconclusive_limit: u32,
    /// How many attempts in a row may end with an error; with one more it is given up. 4 if not said.
    #[serde(default)]
    pub(super) consecutive_error_limit: Option<u32>,
    /// How long one measurement may take. 1 minute if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) timeout: Option<Duration>,
}

/// A trigger that waits for an alert of an Alertmanager's or of Grafana's, which `ripcord watch --alertmanager`
/// receives.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "AlertTrigger")]
pub(super) struct RawAlertTrigger {
    /// Its name, unique among steps, checks and triggers.
    #[schemars(with = "Id")]
    pub(super) id: String,
    /// The condition that it stands for, in the words of the people who have to decide.
    #[schemars(pattern(r"\S"))]
    pub(super) title: String,
    /// How bad it is if it trips, in their words; as bad as the alert's label `severity` says if not said.
    #[serde(default)]
    pub(super) severity: Option<String>,
    /// The labels of the alert, each with a regular expression that its whole value has to match.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) alert: BTreeMap<String, Pattern>,
}

/// A trigger of either kind, for the file's JSON Schema.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "AnyTrigger")]
#[expect(dead_code, reason = "each kind is read as itself")]
pub(super) enum AnyTrigger {
    /// One that is measured.
    Measured(RawTrigger),
    /// One that waits for an alert.
    Alert(RawAlertTrigger),
}

/// Something that stays to be done after a rollback: by people, or with `use` by ripcord.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "FollowUp")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawFollowUp {
    /// Its name, unique among steps, checks, triggers and follow-ups.
    #[schemars(with = "Id")]
    pub(super) id: String,
    /// What is to be done, in the words of the people who do it: a template that may use `params` and
    /// `people`. One with `use` may leave it out.
    #[serde(default)]
    pub(super) what: Option<String>,
    /// Who sees to it: a role of `[people]`, or a name that stands there.
    #[serde(default)]
    pub(super) owner: Option<String>,
    /// How long after the run's end it is due: `"3 days"`. Never if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) due: Option<Duration>,
    /// The plugin with which ripcord does it: a bundled one's name, or `PATH.wasm@sha256:…`.
    #[serde(default)]
    #[schemars(schema_with = "use_schema")]
    pub(super) r#use: Option<String>,
    /// The connection behind each role of the plugin.
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    /// The plugin's configuration. Texts in it may be templates.
    #[serde(default)]
    #[schemars(schema_with = "with_schema")]
    pub(super) with: IgnoredAny,
    /// The question that a person has to answer with yes before it.
    #[serde(default)]
    pub(super) gate: Option<Gate>,
    /// How long it may take; as long as the plan if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) timeout: Option<Duration>,
    /// How often the host tries a call that certainly did not happen, or may be repeated.
    #[serde(default)]
    pub(super) retry: Option<Retry>,
    /// The checks of `[[verify]]` that need not hold any more once it is done: `ripcord watch RUN` leaves
    /// them out from then on.
    #[serde(default)]
    pub(super) ends: Vec<String>,
}

/// How `ripcord watch RUN` looks whether what was verified stays so.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Drift")]
pub(super) struct RawDrift {
    /// For how long, from the moment at which somebody begins to watch.
    #[serde(with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub(super) r#for: Duration,
    /// From the end of one measurement of a check to the next. 5 minutes if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) interval: Option<Duration>,
    /// How many measurements of a check may fail in a row; with one more it does not hold any more. 0 if
    /// not said.
    #[serde(default)]
    pub(super) failure_limit: u32,
    /// Whether checks that are probes are made too, each time anew. They are left out if not said.
    #[serde(default)]
    pub(super) probe: bool,
}

/// A notice: who is told of the rollback, when, and what. One that can't be sent is noted, and the
/// rollback goes on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Notice")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawNotice {
    /// Its name, unique among all parts of the plan.
    #[schemars(with = "Id")]
    pub(super) id: String,
    /// When it is sent: on each of these, once.
    #[schemars(length(min = 1))]
    pub(super) on: Vec<Occasion>,
    /// The plugin, all of whose roles are of `notify`: a bundled one's name, or `PATH.wasm@sha256:…`.
    #[schemars(schema_with = "use_schema")]
    pub(super) r#use: String,
    /// The connection behind each role of the plugin.
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    /// The plugin's configuration. Texts in it may be templates.
    #[serde(default)]
    #[schemars(schema_with = "with_schema")]
    pub(super) with: IgnoredAny,
    /// How long it may hold the rollback up. 1 minute if not said.
    #[serde(default, with = "crate::duration::option")]
    #[schemars(with = "Option<DurationText>")]
    pub(super) timeout: Option<Duration>,
    /// How often the host tries a call that certainly did not happen. Once if not said.
    #[serde(default)]
    pub(super) retry: Option<Retry>,
}

fn params_schema(generator: &mut SchemaGenerator) -> Schema {
    let param = generator.subschema_for::<Param>();
    json_schema!({
        "type": "object",
        "additionalProperties": param,
        "propertyNames": { "pattern": "^[a-z][a-z0-9_]*$" },
    })
}

fn use_schema(_: &mut SchemaGenerator) -> Schema {
    let bundled: Vec<&str> = crate::component::bundled_names().collect();
    json_schema!({
        "type": "string",
        "pattern": "^[a-z][a-z0-9-]*$|@sha256:[0-9A-Fa-f]{64}$",
        "examples": bundled,
    })
}

/// What may stand in it, the plugin says; `ripcord check` compares the two.
fn with_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}
