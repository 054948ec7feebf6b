//! What a plugin says of itself.

use serde::de::DeserializeOwned;

use crate::bindings::action::ripcord::plugin::plugin as wit;

pub use wit::Access;

/// A plugin's description of itself.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Lower-case words with hyphens; mostly `env!("CARGO_PKG_NAME")`.
    pub name: &'static str,
    /// Semantic version; mostly `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it does, in the order in which it does it.
    pub description: &'static str,
    /// The JSON Schema (2020-12) of its configuration: an object with
    /// `"additionalProperties": false`. Best a file of its own: `include_str!("parameters.json")`.
    pub parameters: &'static str,
    /// What it asks for.
    pub roles: Vec<Role>,
    /// Whether `undo` takes back what `apply` did. False for a check.
    pub can_undo: bool,
}

/// The name under which a plugin asks for a capability. The plan binds it to a connection.
#[derive(Debug, Clone)]
pub struct Role {
    name: &'static str,
    capability: &'static str,
    access: Access,
    reason: &'static str,
    required: bool,
}

impl Role {
    /// A role that observes. The reason is for the person who grants it.
    pub fn read(name: &'static str, capability: &'static str, reason: &'static str) -> Self {
        Self { name, capability, access: Access::Read, reason, required: true }
    }

    /// A role that observes and changes.
    pub fn write(name: &'static str, capability: &'static str, reason: &'static str) -> Self {
        Self { access: Access::Write, ..Self::read(name, capability, reason) }
    }

    /// A plan may leave it unbound: [`Context::is_bound`](crate::Context::is_bound) tells.
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

impl wit::Context {
    /// Whether the plan has bound an optional role. A call on one that is not bound is denied.
    pub fn is_bound(&self, role: &str) -> bool {
        self.roles.iter().any(|bound| bound == role)
    }

    /// The target's known good states, newest first, as far as they read as `T`: other plugins write their
    /// own.
    pub fn good_states_as<T: DeserializeOwned>(&self) -> impl Iterator<Item = GoodState<T>> {
        self.good_states.iter().filter_map(|good| {
            let state = serde_json::from_str(&good.state).ok()?;
            Some(GoodState { run: good.run.clone(), step: good.step.clone(), at: good.at, state })
        })
    }
}

/// A state of the target that was found good: a run has left it there, and its verification passed. A
/// receipt says it by its key `good-state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodState<T> {
    /// The run.
    pub run: String,
    /// The step whose receipt said it.
    pub step: String,
    /// When the run ended, in seconds since 1970-01-01 UTC.
    pub at: i64,
    /// What the receipt said.
    pub state: T,
}

impl From<Manifest> for wit::Manifest {
    fn from(manifest: Manifest) -> Self {
        let role = |role: Role| wit::Role {
            name: role.name.to_owned(),
            capability: role.capability.to_owned(),
            access: role.access,
            reason: role.reason.to_owned(),
            required: role.required,
        };
        Self {
            name: manifest.name.to_owned(),
            version: manifest.version.to_owned(),
            title: manifest.title.to_owned(),
            description: manifest.description.to_owned(),
            parameters: manifest.parameters.to_owned(),
            roles: manifest.roles.into_iter().map(role).collect(),
            can_undo: manifest.can_undo,
        }
    }
}
