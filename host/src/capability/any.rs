//! All capabilities as one: a call, a reply, a connection and a driver of any of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    At, CapabilityCall, CapabilityConnection, Denial, Detail, Driver, Exactly, Judgement, OpenError, Opening, Prepared,
    Repeat, Settlement, command, docker, git, http, notify, sql,
};
use crate::doctor::Exam;
use crate::failure::Failure;
use crate::secret::{Scrub, Scrubber, SecretRef};

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
