//! What can be done, as the configuration says it.

use ripcord_plugin::{Failure, Reply};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Call(Box<Named>),
    SleepMs(u64),
    Now,
    Log(String),
    Fail(Fail),
    Trap,
    If(Condition),
}

/// A call: its role, one capability's call in the journal's form, and what goes with it.
#[derive(Deserialize)]
#[serde(try_from = "Spelled")]
pub(crate) struct Named {
    pub(crate) role: String,
    /// `{"http": {…}}`, with `{N:POINTER}` not yet filled in.
    pub(crate) call: Value,
    pub(crate) repeat: Repeat,
    pub(crate) assume: Option<Reply>,
    pub(crate) catch: bool,
    pub(crate) undo: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    role: String,
    http: Option<Value>,
    git: Option<Value>,
    sql: Option<Value>,
    docker: Option<Value>,
    command: Option<Value>,
    notify: Option<Value>,
    #[serde(default)]
    repeat: Repeat,
    assume: Option<Reply>,
    #[serde(default)]
    catch: bool,
    #[serde(default)]
    undo: Vec<Operation>,
}

impl TryFrom<Spelled> for Named {
    type Error = String;

    fn try_from(spelled: Spelled) -> Result<Self, String> {
        let Spelled { role, http, git, sql, docker, command, notify, repeat, assume, catch, undo } = spelled;
        let calls =
            [("http", http), ("git", git), ("sql", sql), ("docker", docker), ("command", command), ("notify", notify)];
        let mut given = calls.into_iter().filter_map(|(capability, call)| Some((capability, call?)));
        let (Some((capability, call)), None) = (given.next(), given.next()) else {
            return Err("a call has exactly one of `http`, `git`, `sql`, `docker`, `command`, `notify`".to_owned());
        };
        Ok(Self { role, call: serde_json::json!({ capability: call }), repeat, assume, catch, undo })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Repeat {
    #[default]
    Once,
    Idempotent,
    Keyed(String),
}

impl From<&Repeat> for ripcord_plugin::Repeat {
    fn from(repeat: &Repeat) -> Self {
        match repeat {
            Repeat::Once => Self::Once,
            Repeat::Idempotent => Self::Idempotent,
            Repeat::Keyed(key) => Self::Keyed(key.clone()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fail {
    Denied(String),
    Transient(String),
    Permanent(String),
    Unknown(String),
}

impl From<&Fail> for Failure {
    fn from(fail: &Fail) -> Self {
        match fail {
            Fail::Denied(message) => Self::denied(message),
            Fail::Transient(message) => Self::transient(message),
            Fail::Permanent(message) => Self::permanent(message),
            Fail::Unknown(message) => Self::unknown(message),
        }
    }
}

/// Does `then` if `value`, filled in, is `is`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) value: String,
    pub(crate) is: String,
    pub(crate) then: Vec<Operation>,
}
