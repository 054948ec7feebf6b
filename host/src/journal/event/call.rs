//! A call: what was asked for, what came back, and what is known if nothing did.

use serde::{Deserialize, Serialize};

use crate::capability::{Call, Capability, Reply};
use crate::failure::Failure;

/// A call with its way to the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// The plugin's name for it.
    pub role: String,
    /// The operator's name for it, `http.coolify`; empty if the role is not bound.
    pub connection: String,
    /// What was asked for.
    #[serde(flatten)]
    pub call: Call,
}

impl Request {
    /// The capability that it goes through.
    pub fn capability(&self) -> Capability {
        self.call.capability()
    }
}

/// What came back from a call.
pub type Outcome = Result<Reply, Failure>;

/// `{"reply": …}` or `{"failure": …}`, instead of Rust's own words.
pub(super) mod outcome {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Failure, Outcome, Reply};

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Written<'a> {
        Reply(&'a Reply),
        Failure(&'a Failure),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Read {
        Reply(Reply),
        Failure(Failure),
    }

    pub(in crate::journal::event) fn serialize<S: Serializer>(
        outcome: &Outcome,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match outcome {
            Ok(reply) => Written::Reply(reply).serialize(serializer),
            Err(failure) => Written::Failure(failure).serialize(serializer),
        }
    }

    pub(in crate::journal::event) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Outcome, D::Error> {
        Ok(match Read::deserialize(deserializer)? {
            Read::Reply(reply) => Ok(reply),
            Read::Failure(failure) => Err(failure),
        })
    }
}

/// Who settled a doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settler {
    /// The capability's driver, by looking at the target.
    Driver,
    /// The call's repeat policy.
    Policy,
    /// The plugin's `reconcile`.
    Plugin,
    /// A person, by name.
    Person(String),
}

/// The answer to a doubt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It happened, with this reply.
    Happened(Reply),
    /// It did not happen; it is sent (again).
    DidNotHappen,
    /// It may have happened, and may be sent again.
    Repeat,
    /// It can't be found out; the plugin is told so.
    Unknowable,
}
