//! What a plugin says of itself, independent of the contract's version.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Does and undoes.
    Action,
    /// Observes.
    Check,
}

/// A plugin's description of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it exports.
    pub kind: Kind,
    /// Lower-case words with hyphens.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// A few words.
    pub title: String,
    /// What it does, in the order in which it does it.
    pub description: String,
    /// The JSON Schema of its configuration.
    pub parameters: Value,
    /// What it asks for.
    pub roles: Vec<Role>,
    /// Whether `undo` takes back what `apply` did.
    pub can_undo: bool,
    /// The capabilities that the component imports: whatever its roles say, it can't reach another.
    pub imports: Vec<String>,
}

/// The name under which a plugin asks for a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Lower-case words with hyphens.
    pub name: String,
    /// `http`, `git`, …
    pub capability: String,
    /// The most that the plugin will do with it.
    pub access: Access,
    /// Why it is needed.
    pub reason: String,
    /// Whether a plan has to bind it.
    pub required: bool,
}

/// The most that is done with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reads only.
    Read,
    /// Reads and mutations.
    Write,
}
