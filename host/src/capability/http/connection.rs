//! What the operator says of a connection: `[http.NAME]` in `ripcord.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::{self, AddressRange};
use super::base::BaseUrl;
use super::driver::HttpDriver;
use super::header::{self, FieldName};
use super::{Call, Reply, doctor, login, path};
use crate::capability::{CapabilityConnection, Denial, Driver, Judgement, OpenError, Opening, Repeat, Rules};
use crate::doctor::Exam;
use crate::schema::{DurationText, texts};
use crate::secret::SecretRef;

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// An HTTP service, and what may be done with it at most.
// The derived functions become inherent (`remote`), and the implementations below add the checks
// that take more than one key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "HttpConnection")]
pub struct Connection {
    /// Where it is; a plugin's paths are appended.
    pub url: BaseUrl,
    /// How ripcord logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The requests that change nothing: `GET /applications/**`. The query is not looked at.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    #[schemars(schema_with = "rules_schema")]
    pub read: Rules,
    /// The requests that change something. Counts if a request is in both lists.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    #[schemars(schema_with = "rules_schema")]
    pub write: Rules,
    /// How long one attempt may take, its redirects and its body included.
    #[serde(default = "default_timeout", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
    /// The longest body of a response, in bytes, decompressed.
    #[serde(default = "default_body_limit")]
    #[schemars(range(min = 1))]
    pub body_limit: u64,
    /// The most that a plugin may claim about repeating a mutation. Without it, what it claims; a
    /// key counts only where `idempotency-header` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatLimit>,
    /// The header in which the service takes a key that makes repeating safe (`Idempotency-Key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<FieldName>,
    /// How long the service may still work on a request whose connection is gone.
    #[serde(default = "default_settles_within", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub settles_within: Duration,
    /// Addresses that are reached although they are refused otherwise: link-local ones, multicast,
    /// the metadata services of clouds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_addresses: Vec<AddressRange>,
    /// Certificates, in PEM form, that are trusted besides the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Headers that every request has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<FieldName, String>,
}

/// How ripcord logs in to a service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer(SecretRef),
    /// `Authorization: Basic …`
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: SecretRef,
    },
    /// A header of the service's own.
    Header {
        /// Its name.
        name: FieldName,
        /// Its whole value.
        value: SecretRef,
    },
    /// `X-Twilio-Signature`, as Twilio signs the webhooks that it calls.
    Twilio {
        /// The auth token that the application checks signatures with.
        token: SecretRef,
        /// The URL by which Twilio calls the application, if that is not `url`: it is signed in its
        /// place, with a plugin's paths appended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_url: Option<BaseUrl>,
    },
    /// `telnyx-signature-ed25519` and `telnyx-timestamp`, as Telnyx signs the webhooks that it calls,
    /// but with a key of one's own: nobody but Telnyx has Telnyx' private key.
    Telnyx {
        /// The private key, in PEM form, whose public key the application trusts.
        private_key: SecretRef,
    },
}

/// The most that a plugin may claim about repeating a mutation, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatLimit {
    /// Nothing is ever sent again.
    Once,
    /// What the plugin calls idempotent may be sent again.
    Idempotent,
    /// What the service recognises by a key as well.
    Keyed,
}

/// As [`check_rule`] has it.
fn rules_schema(_: &mut SchemaGenerator) -> Schema {
    texts(&format!(r"^({})( +(/|\*\*).*)?$", METHODS.join("|")))
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_body_limit() -> u64 {
    4 << 20
}

fn default_settles_within() -> Duration {
    Duration::from_secs(10)
}

impl<'de> Deserialize<'de> for Connection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let connection = Self::deserialize(deserializer)?;
        connection.check().map_err(serde::de::Error::custom)?;
        Ok(connection)
    }
}

impl Serialize for Connection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl Connection {
    /// What no single key can know of itself.
    fn check(&self) -> Result<(), String> {
        if self.timeout.is_zero() || self.body_limit == 0 {
            return Err("timeout and body-limit have to be more than nothing".to_owned());
        }
        if self.ca_file.is_some() && !self.url.is_encrypted() {
            return Err("ca-file has no use with an http:// URL: write https://, or leave it out".to_owned());
        }
        if self.repeat == Some(RepeatLimit::Keyed) && self.idempotency_header.is_none() {
            return Err("repeat = \"keyed\" needs the header that takes the key: \
                        add  idempotency-header = \"Idempotency-Key\"  if the service documents one"
                .to_owned());
        }
        address::check_url(self.url.url(), &self.allow_addresses).map_err(|refusal| format!("url: {refusal}"))?;
        self.check_headers()?;
        let mut rules = self.read.0.iter().chain(&self.write.0);
        rules.try_for_each(|rule| check_rule(rule.operation(), &String::from(rule.clone())))
    }

    fn check_headers(&self) -> Result<(), String> {
        if let Some(Auth::Basic { user, .. }) = &self.auth
            && user.contains([':', '\r', '\n'])
        {
            return Err("auth.basic.user can't have a `:` or a line break in it (RFC 7617)".to_owned());
        }
        let auth_sets = |name: &str| self.auth.as_ref().is_some_and(|auth| auth.sets(name));
        let idempotency = self.idempotency_header.as_ref().map(|name| name.name().as_str());
        if idempotency.is_some_and(auth_sets) {
            return Err("auth and idempotency-header name the same header".to_owned());
        }
        for (name, value) in &self.headers {
            let name = name.name().as_str();
            if header::is_credential(name) || value.starts_with("secret:") {
                return Err(format!(
                    "headers.{name} is for no secret: write  auth = {{ header = {{ name = \"{name}\", value = \"secret:…\" }} }}"
                ));
            }
            if auth_sets(name) || Some(name) == idempotency {
                return Err(format!("headers.{name} is set by auth or idempotency-header already"));
            }
            if HeaderValue::from_str(value).is_err() {
                return Err(format!("headers.{name} has a line break or a control character in it"));
            }
        }
        Ok(())
    }

    /// What the rules say of a request line, whether a plugin or a redirect wrote it.
    pub(super) fn classify(&self, method: &str, target: &str) -> Result<Kind, Refusal> {
        if !METHODS.contains(&method) {
            let methods = METHODS.join(", ");
            return Err(Refusal::Unfit(format!("`{}` is none of the methods {methods}", method.escape_debug())));
        }
        let path = path::check(target).map_err(Refusal::Unfit)?;
        if self.write.allow(method, path) {
            return Ok(Kind::Mutation);
        }
        // Many servers answer `/deploy/` as they answer `/deploy`; as a read it would slip past the
        // rule that calls it a mutation.
        if path.len() > 1
            && let Some(trimmed) = path.strip_suffix('/')
            && self.write.allow(method, trimmed)
        {
            return Err(Refusal::Unfit(format!("`{path}` may be the same as `{trimmed}`, which `write` speaks of")));
        }
        if self.read.allow(method, path) {
            return Ok(Kind::Read);
        }
        Err(Refusal::Unlisted { method: method.to_owned(), path: path.to_owned() })
    }

    fn classify_call(&self, call: &Call) -> Result<Kind, Refusal> {
        for (name, value) in &call.headers {
            header::check(name, value).map_err(Refusal::Unfit)?;
            let mut set_here = self.headers.keys().chain(&self.idempotency_header);
            let is_set_here = set_here.any(|field| *field.name() == **name);
            if is_set_here || self.auth.as_ref().is_some_and(|auth| auth.sets(name)) {
                return Err(Refusal::Unfit(format!("the header {name} belongs to the connection")));
            }
        }
        self.classify(&call.method, &call.path)
    }
}

/// Checks that a rule can ever match.
fn check_rule(operation: &str, text: &str) -> Result<(), String> {
    if !METHODS.contains(&operation) {
        return Err(format!("`{text}` is no rule for http: it has to begin with one of {}", METHODS.join(", ")));
    }
    match text.split_once(' ').map(|(_, pattern)| pattern.trim()) {
        Some(pattern) if !pattern.starts_with('/') && !pattern.starts_with("**") => {
            Err(format!("`{text}` would never match: a path begins with `/`"))
        }
        Some(pattern) if pattern.contains("://") => {
            Err(format!("`{text}` would never match: write the path below the connection's url only"))
        }
        _ => Ok(()),
    }
}

impl Auth {
    /// Whether it sets this header, in whatever case.
    fn sets(&self, header: &str) -> bool {
        match self {
            Self::Bearer(_) | Self::Basic { .. } => AUTHORIZATION == header,
            Self::Header { name, .. } => *name.name() == header,
            Self::Twilio { .. } => login::is_twilios(header),
            Self::Telnyx { .. } => login::is_telnyxs(header),
        }
    }
}

/// Which secret goes where; never the secret.
impl std::fmt::Display for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bearer(token) => write!(f, "bearer, secret {}", token.name()),
            Self::Basic { user, password } => write!(f, "user {user}, secret {}", password.name()),
            Self::Header { name, value } => write!(f, "header {}, secret {}", name.name(), value.name()),
            Self::Twilio { token, public_url: None } => write!(f, "signed as Twilio does, secret {}", token.name()),
            Self::Twilio { token, public_url: Some(url) } => {
                write!(f, "signed as Twilio does, for {}, secret {}", url.url(), token.name())
            }
            Self::Telnyx { private_key } => {
                write!(f, "signed as Telnyx does, with the key of secret {}", private_key.name())
            }
        }
    }
}

/// What an allowed request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Mutation,
}

/// Why a request is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No rule could allow it.
    Unfit(String),
    /// No rule does.
    Unlisted { method: String, path: String },
}

impl Refusal {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Unfit(reason) => reason.clone(),
            Self::Unlisted { method, path } => format!("no rule speaks of {method} {path}"),
        }
    }

    /// The line that would allow it.
    pub(super) fn remedy(&self) -> Option<String> {
        match self {
            Self::Unfit(_) => None,
            Self::Unlisted { method, path } => {
                let list = if matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS") { "read" } else { "write" };
                Some(format!("{list} = [\"{method} {}\"]", globset::escape(path)))
            }
        }
    }
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    fn judge(&self, name: &str, call: &Call) -> Judgement {
        match self.classify_call(call) {
            Ok(Kind::Read) => Judgement::Read,
            Ok(Kind::Mutation) => Judgement::Mutation,
            Err(refusal) => Judgement::Denied(Denial {
                reason: refusal.reason(),
                remedy: refusal.remedy().map(|line| format!("[{name}]  {line}")).unwrap_or_default(),
            }),
        }
    }

    fn repeat(&self, _call: &Call, claim: Repeat) -> Repeat {
        let limit = self.repeat.unwrap_or(RepeatLimit::Keyed);
        match claim {
            Repeat::Idempotent if limit >= RepeatLimit::Idempotent => claim,
            Repeat::Keyed(ref key)
                if limit >= RepeatLimit::Keyed && self.idempotency_header.is_some() && is_fit_for_a_header(key) =>
            {
                claim
            }
            _ => Repeat::Once,
        }
    }

    fn deadline(&self, _call: &Call) -> Duration {
        self.timeout
    }

    fn server(&self) -> Option<(String, u16)> {
        let url = self.url.url();
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    }

    fn settles_within(&self) -> Duration {
        self.settles_within
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        Ok(Arc::new(HttpDriver::open(self, opening).await?))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}

fn is_fit_for_a_header(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}
