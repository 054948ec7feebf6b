//! The plugin that observes.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::action::ripcord::plugin::plugin as wit_plugin;
use crate::bindings::check::exports::ripcord::plugin::check as wit;
use crate::failure::parse_config;
use crate::{Context, Manifest, Result};

pub use wit::{Measurement, Outcome};

/// A plugin that observes. Its mutations are denied, unless it is a probe: it has a role with write
/// access, and the plan says `probe = true`.
pub trait Check {
    /// What the plan's `with` holds, as [`Manifest::parameters`] describes it.
    type Config: DeserializeOwned;

    /// What the plugin is. No call is allowed here.
    fn manifest() -> Manifest;

    /// Observes.
    fn check(context: &Context, config: Self::Config) -> Result<Verdict>;
}

/// What a check has seen.
#[derive(Debug, Clone)]
pub struct Verdict {
    outcome: Outcome,
    summary: String,
    evidence: Value,
    measurements: Vec<Measurement>,
}

impl Verdict {
    /// What was seen is what was expected. The summary is one sentence that says both.
    pub fn pass(summary: impl Into<String>) -> Self {
        Self::new(Outcome::Pass, summary)
    }

    /// What was seen is something else.
    pub fn fail(summary: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, summary)
    }

    /// It could not be observed, or what was observed says nothing.
    pub fn inconclusive(summary: impl Into<String>) -> Self {
        Self::new(Outcome::Inconclusive, summary)
    }

    /// Any of the three.
    pub fn new(outcome: Outcome, summary: impl Into<String>) -> Self {
        Self { outcome, summary: summary.into(), evidence: Value::Object(Default::default()), measurements: Vec::new() }
    }

    /// With what was seen: a JSON object, which the plan's `expect` reads.
    pub fn evidence(self, evidence: Value) -> Self {
        Self { evidence, ..self }
    }

    /// With a number that was measured. The unit is `ms`, `%`, … ; empty for a bare number.
    pub fn measurement(mut self, name: &str, value: f64, unit: &str) -> Self {
        self.measurements.push(Measurement { name: name.to_owned(), value, unit: unit.to_owned() });
        self
    }
}

/// What [`export_check!`](crate::export_check) exports.
#[doc(hidden)]
#[derive(Debug)]
pub struct ExportedCheck<C>(PhantomData<C>);

impl<C: Check> wit::Guest for ExportedCheck<C> {
    fn describe() -> wit_plugin::Manifest {
        C::manifest().into()
    }

    fn check(context: Context, config: String) -> Result<wit::Verdict> {
        let Verdict { outcome, summary, evidence, measurements } = C::check(&context, parse_config(&config)?)?;
        Ok(wit::Verdict { outcome, summary, evidence: evidence.to_string(), measurements })
    }
}
