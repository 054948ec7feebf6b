//! The capabilities: what the host can do for a plugin.
//!
//! Each one is a module with its call types, what tells a read from a mutation, its driver, how a
//! doubt is settled and what `ripcord doctor` looks at. A new one is its module, its WIT file, and its
//! line in [`capabilities!`].

mod any;
pub(crate) mod cause;
mod detail;
mod payload;
mod rule;

pub mod command;
pub mod docker;
pub mod git;
pub mod http;
pub mod notify;
pub mod sql;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::doctor::Exam;
use crate::failure::Failure;
use crate::id::{ExecutionId, RunId};
use crate::process::Supervisors;
use crate::secret::{SecretError, Secrets};

pub use any::{AnyDriver, Call, Capability, Connection, Connections, Reply};
pub use detail::{Capped, Changed, Detail, Exactly, Part, Version};
pub use payload::Payload;
pub use rule::{Rule, RuleError, Rules};

/// A request of one capability.
pub trait CapabilityCall: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync {
    /// What is done, in the word that the operator's rules use: `POST`, `restore`, `run`.
    fn operation(&self) -> &str;

    /// What it is done to, in the form that the operator's rules use: a path, `BRANCH`, … .
    /// Together with the operation it is what an approval binds.
    fn target(&self) -> String;

    /// The things that it is done to, where one call does the same to several: who agrees to each agrees to all.
    fn targets(&self) -> &[String] {
        &[]
    }

    /// The whole call in one line, for people: "POST /connectors/facebook/disable".
    fn summary(&self) -> String;

    /// Whether it only tells people something. A notice is no effect on the target: it leaves a run
    /// `unchanged`, and nothing undoes it.
    fn is_notice(&self) -> bool {
        false
    }
}

/// A configured target of the operator's: one table of `ripcord.toml`.
#[async_trait]
pub trait CapabilityConnection: Debug + Clone + Serialize + DeserializeOwned + Send + Sync {
    /// The calls that it takes.
    type Call: CapabilityCall;
    /// What it answers.
    type Reply;

    /// Whether the operator's rules let the call through, and as what. `name` is the table's name
    /// in the file (`http.coolify`), for the line that a denial prints.
    fn judge(&self, name: &str, call: &Self::Call) -> Judgement;

    /// What the host may do with the call when its fate can't be found out: the plugin's claim,
    /// lowered to what the operator allows.
    fn repeat(&self, call: &Self::Call, claim: Repeat) -> Repeat;

    /// The longest that one attempt of the call may take, as far as it is known without a look at the target.
    fn deadline(&self, call: &Self::Call) -> Duration;

    /// How long after its intent a lost call may still take effect at the target. Before that, "it
    /// did not happen" is not believed.
    fn settles_within(&self) -> Duration {
        Duration::ZERO
    }

    /// The server behind it, by name or address, with its port; none if what it reaches is here, or is
    /// not the host's to know.
    fn server(&self) -> Option<(String, u16)> {
        None
    }

    /// What a run holds besides its target while it is bound to this connection: a working copy,
    /// a database. Two connections to one thing give one name. `base` is the folder of the operator's
    /// file: relative paths in it start there.
    fn resources(&self, _base: &Path) -> Vec<String> {
        Vec::new()
    }

    /// Opens the driver. It resolves the secrets and reaches no network.
    async fn open(
        &self,
        opening: &Opening,
    ) -> Result<Arc<dyn Driver<Call = Self::Call, Reply = Self::Reply>>, OpenError>;

    /// Tries the connection out for `ripcord doctor`: reachable, let in, allowed, new enough. What it
    /// finds, it reports to `exam` as it goes. It changes nothing at the target: of what the target can
    /// be asked, only what the operator's rules call a read.
    ///
    /// It may be dropped at any point, when its deadline passes; what blocks belongs on a thread of its
    /// own. The connection's secrets have been tried before.
    async fn examine(&self, exam: &Exam<'_>);
}

/// What carries the calls of one connection out: live or in a simulated world.
///
/// A driver knows nothing of policy, journal, deadlines or replay.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The calls that it takes.
    type Call: Sync;
    /// What it answers.
    type Reply;

    /// Where the connection really leads, for people: a URL, a folder, a command line, whom it tells.
    /// Holds no secret.
    fn place(&self) -> String;

    /// What a mutation sends, letter by letter, for people. It reaches nothing.
    fn exactly(&self, call: &Self::Call) -> Exactly;

    /// What a mutation would come upon now, for people. It reads at most, changes nothing that anybody
    /// could ever see, and has nothing to say rather than an error.
    async fn detail(&self, at: &At, call: &Self::Call) -> Option<Detail> {
        let _ = (at, call);
        None
    }

    /// Carries out a call that changes nothing.
    async fn read(&self, at: &At, call: &Self::Call) -> Result<Self::Reply, Failure>;

    /// Gets ready for a mutation, up to its last point without any effect on the target. The marker
    /// of what it returns is durable before [`Prepared::perform`] begins. Dropping it takes back
    /// what was got ready; a host that dies leaves nothing that goes on by itself.
    async fn prepare(&self, at: &At, call: &Self::Call) -> Result<Box<dyn Prepared<Self::Reply>>, Failure>;

    /// How much longer than its connection's deadline an attempt of a mutation may take: what only a look at the
    /// target tells, and its marker has kept.
    fn overtime(&self, call: &Self::Call, marker: Option<&Value>) -> Duration {
        let _ = (call, marker);
        Duration::ZERO
    }

    /// A run goes on that may make calls here: what takes a while to start may be started now. Nothing
    /// may depend on it.
    fn expect_calls(&self) {}

    /// Finds out what became of a mutation whose reply was lost. It looks at the target and never
    /// changes it, and it waits as long as the first attempt may still run.
    async fn settle(&self, at: &At, call: &Self::Call, marker: Option<&Value>) -> Settlement<Self::Reply>;
}

/// A mutation that is ready to go.
#[async_trait]
pub trait Prepared<R>: Send {
    /// What [`Driver::settle`] needs to find out later what became of the call.
    fn marker(&self) -> Option<Value> {
        None
    }

    /// Lets it go. [`Failure::Transient`] and [`Failure::Permanent`] say that it certainly had no
    /// effect; whatever is less certain is [`Failure::Unknown`].
    async fn perform(self: Box<Self>) -> Result<R, Failure>;
}

/// What became of a mutation, as far as its target shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement<R> {
    /// It happened, and this is its reply.
    Happened(R),
    /// It did not happen and will not.
    DidNotHappen,
    /// The target does not show it; what was seen.
    Unknown(String),
}

/// Where a call stands: what a driver may know of its surroundings.
#[derive(Debug, Clone)]
pub struct At {
    /// The run.
    pub run: RunId,
    /// The execution in the run.
    pub execution: ExecutionId,
    /// The call's place in the execution.
    pub ordinal: u32,
    /// When the execution began, from the journal: the same however often the call is repeated.
    pub began: Timestamp,
    /// When the attempt is given up by the pipeline.
    pub deadline: Duration,
    /// By what the target recognises a repetition, where policy lets the call be repeated so
    /// ([`Repeat::Keyed`]).
    pub idempotency_key: Option<String>,
}

impl At {
    /// A name for this call that no other call of any run has, fit for a file name.
    pub fn key(&self) -> String {
        format!("{}-{}-{}", self.run, self.execution, self.ordinal)
    }
}

/// What a connection needs to open its driver.
#[derive(Clone)]
pub struct Opening {
    /// The operator's secrets.
    pub secrets: Arc<Secrets>,
    /// A folder of the state directory, for what a driver has to find again after a crash.
    pub spool: PathBuf,
    /// The folder of the operator's file: relative paths in it start here.
    pub base: PathBuf,
    /// What stays with the programs that are run.
    pub supervisors: Supervisors,
}

/// Why a connection can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A secret can't be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The connection's settings don't fit the machine: a folder that is not there, no such program.
    #[error("{0}")]
    Unusable(String),
}

/// What the operator's rules say of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It changes nothing.
    Read,
    /// It changes something, and is allowed to.
    Mutation,
    /// It is not allowed.
    Denied(Denial),
}

/// A call that the operator's rules turn away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why, in one sentence.
    pub reason: String,
    /// What to write in `ripcord.toml` to allow it, ready to paste; empty if nothing would.
    pub remedy: String,
}

/// What the host may do with a mutation whose fate it can't find out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// Never send it again.
    #[default]
    Once,
    /// Sending it twice has the effect of sending it once.
    Idempotent,
    /// The target recognises a second one by this key.
    Keyed(String),
}

/// One request of a guest, before policy has seen it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The name under which the plugin asks.
    pub role: String,
    /// What it asks for.
    pub call: Call,
    /// The plugin's claim about repeating it.
    pub repeat: Repeat,
    /// What a preview answers in its place.
    pub assume: Option<Reply>,
}
