//! The capabilities: what the host can do for a plugin.
//!
//! Each one is a module with its call types, what tells a read from a mutation, its driver, how a
//! doubt is settled and what `ripcord doctor` looks at. A new one is its module, its WIT file, and its
//! line in [`capabilities!`].

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
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::doctor::Exam;
use crate::failure::Failure;
use crate::id::{ExecutionId, RunId};
use crate::process::Supervisors;
use crate::secret::{Scrub, Scrubber, SecretError, SecretRef, Secrets};

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

/// Registers the capabilities: everything that has to know all of them is generated here.
macro_rules! capabilities {
    ($($(#[$doc:meta])* $module:ident => $Variant:ident),+ $(,)?) => {
        /// The capabilities that need a connection.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Capability { $($(#[$doc])* $Variant),+ }

        impl Capability {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$Variant),+];

            /// Its name, in WIT, in the operator's file and in messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$Variant => stringify!($module)),+ }
            }
        }

        /// One request through a capability.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Call { $($(#[$doc])* $Variant($module::Call)),+ }

        /// The answer to a call.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Reply { $($(#[$doc])* $Variant($module::Reply)),+ }

        impl Reply {
            /// The capability that it came through.
            pub fn capability(&self) -> Capability {
                match self { $(Self::$Variant(_) => Capability::$Variant),+ }
            }

            /// Whether the target itself says that it has not done what it was asked for: a status that
            /// is an error, a program that ended badly. What to make of it is the plugin's to decide.
            pub fn reports_failure(&self) -> bool {
                match self { $(Self::$Variant(reply) => reply.reports_failure()),+ }
            }
        }

        impl Call {
            /// The capability that it goes through.
            pub fn capability(&self) -> Capability {
                match self { $(Self::$Variant(_) => Capability::$Variant),+ }
            }

            /// See [`CapabilityCall::operation`].
            pub fn operation(&self) -> &str {
                match self { $(Self::$Variant(call) => call.operation()),+ }
            }

            /// See [`CapabilityCall::target`].
            pub fn target(&self) -> String {
                match self { $(Self::$Variant(call) => call.target()),+ }
            }

            /// See [`CapabilityCall::targets`].
            pub fn targets(&self) -> &[String] {
                match self { $(Self::$Variant(call) => call.targets()),+ }
            }

            /// See [`CapabilityCall::summary`].
            pub fn summary(&self) -> String {
                match self { $(Self::$Variant(call) => call.summary()),+ }
            }

            /// See [`CapabilityCall::is_notice`].
            pub fn is_notice(&self) -> bool {
                match self { $(Self::$Variant(call) => call.is_notice()),+ }
            }
        }

        impl Scrub for Reply {
            fn scrub(&mut self, scrubber: &Scrubber) {
                match self { $(Self::$Variant(reply) => reply.scrub(scrubber)),+ }
            }
        }

        /// The connections of the operator's file, by capability and name.
        #[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Connections {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
                pub $module: std::collections::BTreeMap<String, $module::Connection>,
            )+
        }

        impl Connections {
            /// The names of a capability's connections.
            pub fn names(&self, capability: Capability) -> Vec<&str> {
                match capability {
                    $(Capability::$Variant => self.$module.keys().map(String::as_str).collect()),+
                }
            }

            /// One connection.
            pub fn get(&self, capability: Capability, name: &str) -> Option<Connection> {
                match capability {
                    $(Capability::$Variant => self.$module.get(name).cloned().map(Connection::$Variant)),+
                }
            }
        }

        /// A connection of any capability.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Connection { $($(#[$doc])* $Variant($module::Connection)),+ }

        impl Connection {
            /// See [`CapabilityConnection::judge`].
            pub fn judge(&self, name: &str, call: &Call) -> Judgement {
                match (self, call) {
                    $((Self::$Variant(connection), Call::$Variant(call)) => connection.judge(name, call),)+
                    (_, call) => Judgement::Denied(Denial {
                        reason: format!("{name} is no {} connection", call.capability().name()),
                        remedy: String::new(),
                    }),
                }
            }

            /// See [`CapabilityConnection::repeat`].
            pub fn repeat(&self, call: &Call, claim: Repeat) -> Repeat {
                match (self, call) {
                    $((Self::$Variant(connection), Call::$Variant(call)) => connection.repeat(call, claim),)+
                    _ => Repeat::Once,
                }
            }

            /// See [`CapabilityConnection::deadline`].
            pub fn deadline(&self, call: &Call) -> Duration {
                match (self, call) {
                    $((Self::$Variant(connection), Call::$Variant(call)) => connection.deadline(call),)+
                    _ => Duration::ZERO,
                }
            }

            /// See [`CapabilityConnection::settles_within`].
            pub fn settles_within(&self) -> Duration {
                match self { $(Self::$Variant(connection) => connection.settles_within()),+ }
            }

            /// See [`CapabilityConnection::server`].
            pub fn server(&self) -> Option<(String, u16)> {
                match self { $(Self::$Variant(connection) => connection.server()),+ }
            }

            /// See [`CapabilityConnection::resources`].
            pub fn resources(&self, base: &Path) -> Vec<String> {
                match self { $(Self::$Variant(connection) => connection.resources(base)),+ }
            }

            /// The names of the secrets that it uses.
            pub fn secrets(&self) -> Vec<String> {
                let mut names = Vec::new();
                secret_names(&serde_json::to_value(self).unwrap_or_default(), &mut names);
                names
            }

            /// See [`CapabilityConnection::open`].
            pub async fn open(&self, opening: &Opening) -> Result<AnyDriver, OpenError> {
                match self { $(Self::$Variant(connection) => connection.open(opening).await.map(AnyDriver::$Variant)),+ }
            }

            /// See [`CapabilityConnection::examine`].
            pub async fn examine(&self, exam: &Exam<'_>) {
                match self { $(Self::$Variant(connection) => connection.examine(exam).await),+ }
            }
        }

        /// An open driver of any capability.
        #[derive(Clone)]
        pub enum AnyDriver {
            $($(#[$doc])* $Variant(Arc<dyn Driver<Call = $module::Call, Reply = $module::Reply>>)),+
        }

        #[async_trait]
        impl Driver for AnyDriver {
            type Call = Call;
            type Reply = Reply;

            fn place(&self) -> String {
                match self { $(Self::$Variant(driver) => driver.place()),+ }
            }

            fn exactly(&self, call: &Call) -> Exactly {
                match (self, call) {
                    $((Self::$Variant(driver), Call::$Variant(call)) => driver.exactly(call),)+
                    _ => Exactly::new(call.summary()),
                }
            }

            fn overtime(&self, call: &Call, marker: Option<&Value>) -> Duration {
                match (self, call) {
                    $((Self::$Variant(driver), Call::$Variant(call)) => driver.overtime(call, marker),)+
                    _ => Duration::ZERO,
                }
            }

            fn expect_calls(&self) {
                match self { $(Self::$Variant(driver) => driver.expect_calls()),+ }
            }

            async fn detail(&self, at: &At, call: &Call) -> Option<Detail> {
                match (self, call) {
                    $((Self::$Variant(driver), Call::$Variant(call)) => driver.detail(at, call).await,)+
                    _ => None,
                }
            }

            async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
                match (self, call) {
                    $((Self::$Variant(driver), Call::$Variant(call)) => driver.read(at, call).await.map(Reply::$Variant),)+
                    _ => Err(mismatch(call)),
                }
            }

            async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
                match (self, call) {
                    $((Self::$Variant(driver), Call::$Variant(call)) => {
                        let prepared = driver.prepare(at, call).await?;
                        Ok(Box::new(Lifted { prepared, lift: Reply::$Variant }))
                    })+
                    _ => Err(mismatch(call)),
                }
            }

            async fn settle(&self, at: &At, call: &Call, marker: Option<&Value>) -> Settlement<Reply> {
                match (self, call) {
                    $((Self::$Variant(driver), Call::$Variant(call)) => match driver.settle(at, call, marker).await {
                        Settlement::Happened(reply) => Settlement::Happened(Reply::$Variant(reply)),
                        Settlement::DidNotHappen => Settlement::DidNotHappen,
                        Settlement::Unknown(seen) => Settlement::Unknown(seen),
                    },)+
                    _ => Settlement::Unknown(mismatch(call).problem().message.clone()),
                }
            }
        }
    };
}

capabilities! {
    /// Requests to an HTTP service.
    http => Http,
    /// A working copy and its remote.
    git => Git,
    /// Containers of a Docker engine.
    docker => Docker,
    /// A PostgreSQL database.
    sql => Sql,
    /// Programs that the operator has named.
    command => Command,
    /// Messages to people.
    notify => Notify,
}

impl Call {
    /// Whether it goes on by itself when the host is gone, and what it did is found again.
    pub fn outlives_its_host(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Git(git::Call::Push { .. }))
    }

    /// The request, if it goes through `http`.
    pub(crate) fn http(&self) -> Option<&http::Call> {
        match self {
            Self::Http(call) => Some(call),
            _ => None,
        }
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Each `secret:NAME` below a value: a connection holds its secrets as [`SecretRef`]s only.
fn secret_names(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => names.extend(SecretRef::try_from(text.clone()).map(|secret| secret.name().to_owned())),
        Value::Array(items) => items.iter().for_each(|item| secret_names(item, names)),
        Value::Object(map) => map.values().for_each(|item| secret_names(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A capability's prepared mutation as one of any capability.
struct Lifted<R> {
    prepared: Box<dyn Prepared<R>>,
    lift: fn(R) -> Reply,
}

#[async_trait]
impl<R: Send + 'static> Prepared<Reply> for Lifted<R> {
    fn marker(&self) -> Option<Value> {
        self.prepared.marker()
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        self.prepared.perform().await.map(self.lift)
    }
}

/// Policy has already compared the role's capability with the connection's, so this is a broken
/// invariant; it fails the call rather than the host.
fn mismatch(call: &Call) -> Failure {
    Failure::permanent(format!("internal: a {} call reached the driver of another capability", call.capability()))
}
