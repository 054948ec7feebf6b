//! What the operator says of an engine: `[docker.NAME]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use globset::GlobMatcher;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::driver::LiveDriver;
use super::rule::{ExecRule, glob};
use super::{Call, Reply, doctor};
use crate::capability::{
    CapabilityCall, CapabilityConnection, Denial, Driver, Judgement, OpenError, Opening, Repeat, Rules,
};
use crate::doctor::Exam;
use crate::schema::{DurationText, texts};

/// How long the engine waits for a container that has not said how long: Docker's own ten seconds.
pub(super) const GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// The most that a plugin may have the engine wait, and that is waited for a container which wants more.
pub(super) const GRACE_MAX: Duration = Duration::from_secs(3600);
/// What takes longer hangs.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most that `output-limit` may be: two such outputs still fit into a guest's value.
const OUTPUT_BYTES_MAX: usize = 2 << 20;

/// Some containers of an engine.
///
/// ```toml
/// [docker.app]
/// containers = ["andrea-app", "andrea-worker-*"]
/// write      = ["stop", "start", "restart andrea-app"]
/// exec       = [{ container = "andrea-db", argv = ["pg_isready", "-U", "*"], effect = "read" }]
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Settings", into = "Settings")]
#[schemars(with = "Settings")]
pub struct Connection {
    pub(super) settings: Settings,
    names: Vec<GlobMatcher>,
}

/// The table as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "DockerConnection")]
pub(super) struct Settings {
    /// Where the engine listens: `unix:///PATH`, or `tcp://HOST:PORT` with `tls`.
    #[serde(default = "local")]
    pub(super) host: String,
    /// How the engine and ripcord know each other over `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls>,
    /// The containers that there are: names, as globs. With `project` or `labels` beside it, all have to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) containers: Vec<String>,
    /// The compose project whose containers there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<String>,
    /// The labels that the containers have, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
    /// What may be done: `stop CONTAINER`, `start CONTAINER`, `restart CONTAINER`, each also without a container,
    /// for all that there are. A container is named as plugins name it: by its name, or its service's. Reads
    /// are always allowed.
    #[serde(default, deserialize_with = "known_operations", skip_serializing_if = "Rules::is_empty")]
    #[schemars(schema_with = "rules_schema")]
    pub(super) write: Rules,
    /// The programs that may be run in containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) exec: Vec<ExecRule>,
    /// The longest that a call may take, the time that containers have to stop not counted; at most a day.
    #[serde(default = "one_minute", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub(super) timeout: Duration,
    /// How many bytes of a log, and of the stdout and the stderr of a program, are kept.
    #[serde(default = "output_limit")]
    #[schemars(range(max = OUTPUT_BYTES_MAX))]
    pub(super) output_limit: usize,
}

/// The files with which both sides prove who they are. A relative path starts at the operator's file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "DockerTls")]
pub(super) struct Tls {
    /// The certificate of the authority that has signed the engine's.
    pub(super) ca: PathBuf,
    /// ripcord's certificate.
    pub(super) cert: PathBuf,
    /// ripcord's key.
    pub(super) key: PathBuf,
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    fn judge(&self, name: &str, call: &Call) -> Judgement {
        let denied = |reason: String, remedy: String| Judgement::Denied(Denial { reason, remedy });
        if let Some(reason) = misnamed(call) {
            return denied(reason, String::new());
        }
        let outside: Vec<&str> =
            call.containers().iter().map(String::as_str).filter(|name| !self.may_be_there(name)).collect();
        if !outside.is_empty() {
            return denied(self.not_there(name, &outside), self.widened(name, &outside));
        }
        match call {
            Call::List | Call::Inspect { .. } | Call::Logs { .. } | Call::Stats { .. } => Judgement::Read,
            Call::Exec { container, argv } => match self.exec_rule(container, argv) {
                Some(rule) if rule.is_read() => Judgement::Read,
                Some(_) => Judgement::Mutation,
                None => {
                    let line = crate::shell::line(argv.iter().map(String::as_str));
                    let escaped = argv.iter().map(|argument| toml::Value::from(globset::escape(argument)).to_string());
                    let escaped = escaped.collect::<Vec<_>>().join(", ");
                    let container_text = toml::Value::from(globset::escape(container));
                    denied(
                        format!("no `exec` rule of {name} allows `{line}` in {container}"),
                        format!("[[{name}.exec]]\ncontainer = {container_text}\nargv = [{escaped}]"),
                    )
                }
            },
            Call::Stop { containers, .. } | Call::Start { containers } | Call::Restart { containers, .. } => {
                let operation = call.operation();
                let missing: Vec<String> = containers
                    .iter()
                    .filter(|container| !self.settings.write.allow(operation, container))
                    .map(|container| format!("{operation} {}", globset::escape(container)))
                    .collect();
                if missing.is_empty() {
                    return Judgement::Mutation;
                }
                let rules = self.settings.write.0.iter().map(|rule| String::from(rule.clone()));
                let rules = rules.chain(missing.iter().cloned()).map(|rule| toml::Value::from(rule).to_string());
                denied(
                    format!("no `write` rule of {name} allows `{}`", missing.join("`, `")),
                    format!("[{name}]\nwrite = [{}]", rules.collect::<Vec<_>>().join(", ")),
                )
            }
        }
    }

    /// A second stop, start or restart ends where the first did. Of a program the operator alone can say.
    fn repeat(&self, call: &Call, claim: Repeat) -> Repeat {
        match (call, claim) {
            (Call::Exec { container, argv }, _) => match self.exec_rule(container, argv) {
                Some(rule) if rule.is_idempotent() => Repeat::Idempotent,
                _ => Repeat::Once,
            },
            (_, Repeat::Idempotent) => Repeat::Idempotent,
            _ => Repeat::Once,
        }
    }

    fn deadline(&self, call: &Call) -> Duration {
        match call {
            Call::Stop { .. } | Call::Restart { .. } => self.settings.timeout + said(call).unwrap_or(GRACE_DEFAULT),
            _ => self.settings.timeout,
        }
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        Ok(Arc::new(LiveDriver::new(self.clone(), opening.base.clone())))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}

impl Connection {
    pub(super) fn exec_rule(&self, container: &str, argv: &[String]) -> Option<&ExecRule> {
        self.settings.exec.iter().find(|rule| rule.allows(container, argv))
    }

    /// Whether a container of this name is in scope, as far as names go.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|glob| glob.is_match(name))
    }

    /// Whether a plugin may ask for this at all. With a project, a name may be that of a service.
    fn may_be_there(&self, name: &str) -> bool {
        self.settings.project.is_some() || self.has_name(name)
    }

    /// The same words, whether the engine has such a container or not.
    pub(super) fn not_there(&self, name: &str, asked: &[&str]) -> String {
        format!("there is no container `{}` for {name}, which has {}", asked.join("`, `"), self.scope())
    }

    /// What would put these containers in scope, as far as a line of the file can.
    pub(super) fn widened(&self, name: &str, asked: &[&str]) -> String {
        let listed = self.settings.containers.iter().cloned().chain(asked.iter().map(|asked| globset::escape(asked)));
        let listed = listed.map(|text| toml::Value::from(text).to_string()).collect::<Vec<_>>().join(", ");
        format!("[{name}]\ncontainers = [{listed}]")
    }

    /// The keys besides `containers` that say which containers there are; empty if none does.
    pub(super) fn beyond_names(&self) -> &'static str {
        match (self.settings.project.is_some(), !self.settings.labels.is_empty()) {
            (true, true) => "`project` and `labels`",
            (true, false) => "`project`",
            (false, true) => "`labels`",
            (false, false) => "",
        }
    }

    /// Which containers there are, in words.
    pub(super) fn scope(&self) -> String {
        let settings = &self.settings;
        let mut parts = Vec::new();
        if !settings.containers.is_empty() {
            parts.push(format!("containers {}", settings.containers.join(", ")));
        }
        parts.extend(settings.project.iter().map(|project| format!("compose project {project}")));
        parts.extend(settings.labels.iter().map(|(name, value)| format!("label {name}={value}")));
        parts.join(" with ")
    }
}

/// How long the engine is to wait for the containers of a call, if the call says so.
pub(super) fn said(call: &Call) -> Option<Duration> {
    call.grace().map(|seconds| Duration::from_secs(seconds.into()))
}

/// Names that no container has, and times that nobody means.
fn misnamed(call: &Call) -> Option<String> {
    let mut seen = Vec::new();
    for name in call.containers() {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(fits) {
            return Some(format!("`{name}` can't be the name of a container"));
        }
        if seen.contains(&name) {
            return Some(format!("container `{name}` is named twice"));
        }
        seen.push(name);
    }
    match call {
        Call::Stop { containers, .. } | Call::Start { containers } | Call::Restart { containers, .. }
            if containers.is_empty() =>
        {
            Some(format!("`{}` names no container", call.operation()))
        }
        Call::Exec { argv, .. } if argv.is_empty() => Some("`exec` names no program".to_owned()),
        _ if said(call).is_some_and(|grace| grace > GRACE_MAX) => {
            Some(format!("a container may be waited for at most {} seconds", GRACE_MAX.as_secs()))
        }
        _ => None,
    }
}

impl TryFrom<Settings> for Connection {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        if settings.containers.is_empty() && settings.project.is_none() && settings.labels.is_empty() {
            return Err(
                "which containers? Write `containers = [\"NAME\"]`, `project = \"NAME\"` (compose) or `labels = \
                 { \"KEY\" = \"VALUE\" }`"
                    .to_owned(),
            );
        }
        let (scheme, rest) = settings.host.split_once("://").unwrap_or_default();
        match (scheme, &settings.tls) {
            ("unix", None) if rest.starts_with('/') => {}
            ("unix", None) => return Err("`host` has to be a whole path: unix:///var/run/docker.sock".to_owned()),
            ("unix", Some(_)) => return Err("`tls` says nothing of a socket: take it out".to_owned()),
            ("tcp", Some(_)) => {}
            ("tcp", None) => {
                return Err(
                    "over tcp the engine needs `tls = { ca = …, cert = …, key = … }`: whoever reaches it without is \
                     root there"
                        .to_owned(),
                );
            }
            _ => {
                return Err(format!(
                    "`host = {:?}` is neither unix:///PATH nor tcp://HOST:PORT; an engine behind ssh is reached by \
                     `ssh -L ./docker.sock:/var/run/docker.sock HOST` and its socket here",
                    settings.host
                ));
            }
        }
        if settings.timeout.is_zero() || settings.timeout > TIMEOUT_MAX {
            return Err("`timeout` may be up to a day, and not zero".to_owned());
        }
        if settings.output_limit > OUTPUT_BYTES_MAX {
            return Err(format!("`output-limit` may be at most {OUTPUT_BYTES_MAX} bytes"));
        }
        let names = settings.containers.iter().map(|text| glob(text)).collect::<Result<_, _>>()?;
        Ok(Self { names, settings })
    }
}

impl From<Connection> for Settings {
    fn from(connection: Connection) -> Self {
        connection.settings
    }
}

fn local() -> String {
    "unix:///var/run/docker.sock".to_owned()
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn output_limit() -> usize {
    256 << 10
}

/// As [`known_operations`] has it.
fn rules_schema(_: &mut SchemaGenerator) -> Schema {
    texts(r"^(stop|start|restart)( .*\S.*)?$")
}

fn known_operations<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    let rules = Rules::deserialize(deserializer)?;
    match rules.0.iter().find(|rule| !["stop", "start", "restart"].contains(&rule.operation())) {
        None => Ok(rules),
        Some(rule) => Err(serde::de::Error::custom(format!(
            "`{}` is nothing that containers can be told: write `stop CONTAINER`, `start CONTAINER` or `restart CONTAINER`; \
             programs stand in `exec`",
            String::from(rule.clone())
        ))),
    }
}
