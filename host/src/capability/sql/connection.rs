//! What the operator says of a database: `[sql.NAME]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::{DatabaseUrl, Host, TlsMode};
use super::backup::{ToolsSetting, check_dump, check_name};
use super::driver::SqlDriver;
use super::{Call, Reply, doctor};
use crate::capability::{CapabilityCall, CapabilityConnection, Denial, Driver, Judgement, OpenError, Opening, Repeat};
use crate::doctor::Exam;
use crate::schema::DurationText;
use crate::secret::SecretRef;

/// What takes longer hangs.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most that `bytes-max` may be: what a guest's value can hold, and a journal should.
const BYTES_MAX: u64 = 4 << 20;
/// The server ends a statement by itself at `timeout`, and this much later nobody waits for it any more.
const MARGIN: Duration = Duration::from_secs(5);
/// How long it may take to swap two databases: most of it is the waiting for sessions that do not end.
const SWAP_WITHIN: Duration = Duration::from_secs(60);

/// A PostgreSQL database (13 or newer), and what may be done with it at most.
///
/// ```toml
/// [sql.app]
/// url      = "postgres://ripcord@127.0.0.1/app"
/// password = "secret:app-db"
/// access   = "write"
/// write    = ["UPDATE calls SET state = 'open' WHERE id = $1"]
/// read-as  = { user = "ripcord_read", password = "secret:app-db-read" }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "SqlConnection")]
pub struct Connection {
    /// Where it is, and who logs in. `sslmode` is `verify-full` unless said, and `disable` on this
    /// machine itself.
    pub url: DatabaseUrl,
    /// The login's password, if the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// The most that may be done: `read` < `write` < `restore`.
    #[serde(default)]
    pub access: Access,
    /// Who logs in for queries, where the URL's own login may write: a user who can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<Login>,
    /// The statements that may be queried, letter by letter. Left out, any one: the server lets none of
    /// them change anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Statements>,
    /// The statements that may be executed, letter by letter, parameters as `$1`; `"*"` is any one.
    #[serde(default, skip_serializing_if = "Statements::is_empty")]
    pub write: Statements,
    /// How long one statement may take. The server ends it then. At most a day.
    #[serde(default = "default_timeout", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
    /// How many rows one statement may give.
    #[serde(default = "default_rows_max")]
    #[schemars(range(min = 1))]
    pub rows_max: u64,
    /// How many bytes the values of these rows may have.
    #[serde(default = "default_bytes_max")]
    #[schemars(range(min = 1, max = BYTES_MAX))]
    pub bytes_max: u64,
    /// Certificates, in PEM form, that are trusted besides the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The folder of its backups: what a plugin may see of them, restore, and add to. Only files directly
    /// in it count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<PathBuf>,
    /// Other databases whose backups may be restored into this one: it was renamed, or is a copy. A backup that says it
    /// is of any other is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups_of: Vec<String>,
    /// Extensions that the server lets the login create although PostgreSQL keeps them for superusers, as those who run
    /// servers for others may have arranged it. A backup that needs another such one is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub creates_extensions: Vec<String>,
    /// Where `pg_dump` and `pg_restore` of the server's major version are: a folder, or the database's
    /// container. Left out: where this machine keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolsSetting>,
    /// How long a dump or a restore may take. At most a day.
    #[serde(default = "default_backup_timeout", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub backup_timeout: Duration,
}

/// The most that may be done with a database, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SqlAccess")]
pub enum Access {
    /// Queries.
    #[default]
    Read,
    /// And what `write` lists.
    Write,
    /// And restoring it from a backup.
    Restore,
}

/// A user of the database.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SqlLogin")]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The user's password, if the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

/// Statements that are allowed, each as a whole: a pattern could not tell `UPDATE a` from `UPDATE a …
/// FROM (…)`. White space around them and one `;` behind do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "SqlStatements")]
pub struct Statements(Vec<String>);

impl Statements {
    /// Whether one of them is this statement, or all are allowed.
    pub fn allow(&self, statement: &str) -> bool {
        self.0.iter().any(|allowed| allowed == "*" || trimmed(allowed) == trimmed(statement))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The line of a file that would allow this statement too.
    fn line_with(&self, key: &str, statement: &str) -> String {
        let listed = self.0.iter().map(String::as_str).chain([trimmed(statement)]);
        let listed: Vec<String> = listed.map(|text| toml::Value::from(text).to_string()).collect();
        format!("{key} = [{}]", listed.join(", "))
    }
}

fn trimmed(statement: &str) -> &str {
    let statement = statement.trim();
    statement.strip_suffix(';').unwrap_or(statement).trim_end()
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_backup_timeout() -> Duration {
    Duration::from_secs(60 * 60)
}

fn default_rows_max() -> u64 {
    1000
}

fn default_bytes_max() -> u64 {
    1 << 20
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
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return Err("timeout has to be more than nothing and at most 24h".to_owned());
        }
        if self.backup_timeout.is_zero() || self.backup_timeout > TIMEOUT_MAX {
            return Err("backup-timeout has to be more than nothing and at most 24h".to_owned());
        }
        if self.access == Access::Restore && self.backups.is_none() {
            return Err(
                "access = \"restore\" needs the folder of the backups: add  backups = \"/srv/backups\"".to_owned()
            );
        }
        if self.tools.is_some() && self.backups.is_none() {
            return Err("tools has no use without backups: add  backups = \"/srv/backups\", or leave it out".to_owned());
        }
        if !self.backups_of.is_empty() && self.backups.is_none() {
            return Err(
                "backups-of has no use without backups: add  backups = \"/srv/backups\", or leave it out".to_owned()
            );
        }
        if !self.creates_extensions.is_empty() && self.access != Access::Restore {
            return Err("creates-extensions is for restoring: add  access = \"restore\", or leave it out".to_owned());
        }
        if self.rows_max == 0 || !(1..=BYTES_MAX).contains(&self.bytes_max) {
            return Err(format!("rows-max has to be at least 1, bytes-max at least 1 and at most {BYTES_MAX}"));
        }
        if self.ca_file.is_some() && self.url.tls != TlsMode::VerifyFull {
            return Err("ca-file has no use unless the server's certificate is looked at: add ?sslmode=verify-full \
                        to the url, or leave it out"
                .to_owned());
        }
        if self.access == Access::Read && self.read_as.is_some() {
            return Err("read-as is for connections that may do more than read: with access = \"read\" write that \
                        user into the url"
                .to_owned());
        }
        if self.access == Access::Read && !self.write.is_empty() {
            return Err(
                "write has no use with access = \"read\": write  access = \"write\", or leave it out".to_owned()
            );
        }
        for text in self.read.iter().flat_map(|read| &read.0).chain(&self.write.0) {
            if trimmed(text).is_empty() {
                return Err("an empty text is no statement".to_owned());
            }
            if text != "*" && text.trim_end().ends_with(" *") {
                return Err(format!("`{text}` would never match: a statement is written as a whole, or `*` for any"));
            }
        }
        Ok(())
    }

    fn denial(&self, name: &str, call: &Call) -> Option<Denial> {
        let Some((statement, _)) = call.statement() else { return self.denial_of_backups(name, call) };
        if trimmed(statement).is_empty() || statement.contains('\0') {
            return Some(Denial {
                reason: "the statement is empty or has a NUL in it".to_owned(),
                remedy: String::new(),
            });
        }
        let line = call_line(call);
        match call {
            Call::Query { .. } => {
                let read = self.read.as_ref().filter(|read| !read.allow(statement))?;
                let remedy = format!("[{name}]  {}", read.line_with("read", statement));
                Some(Denial { reason: format!("no `read` rule allows {line}"), remedy })
            }
            Call::Execute { .. } if self.access < Access::Write => {
                let remedy = format!("[{name}]  access = \"write\"  {}", self.write.line_with("write", statement));
                Some(Denial { reason: format!("its access is \"read\", and {line} may change something"), remedy })
            }
            Call::Execute { .. } => (!self.write.allow(statement)).then(|| Denial {
                reason: format!("no `write` rule allows {line}"),
                remedy: format!("[{name}]  {}", self.write.line_with("write", statement)),
            }),
            _ => None,
        }
    }

    /// What is about backups needs their folder, and for what it changes enough access.
    fn denial_of_backups(&self, name: &str, call: &Call) -> Option<Denial> {
        let wrong = match call {
            Call::ReadBackup { name } | Call::DeleteBackup { name } | Call::Restore { backup: name, .. } => {
                check_name(name)
            }
            Call::Dump(options) => check_dump(options),
            Call::Swap { database } | Call::DropDatabase { database }
                if database.is_empty() || database.contains('\0') =>
            {
                Err(format!("{database:?} can't be the name of a database"))
            }
            _ => Ok(()),
        };
        if let Err(reason) = wrong {
            return Some(Denial { reason, remedy: String::new() });
        }
        let needed = match call {
            Call::Backups | Call::ReadBackup { .. } | Call::Databases => Access::Read,
            Call::Dump(_) | Call::DeleteBackup { .. } => Access::Write,
            _ => Access::Restore,
        };
        if self.backups.is_some() && self.access >= needed {
            return None;
        }
        let access = if self.access >= needed { String::new() } else { format!("\naccess = \"{}\"", needed.name()) };
        let folder = if self.backups.is_some() { "" } else { "\nbackups = \"/srv/backups\"" };
        let lacks = match (access.is_empty(), folder.is_empty()) {
            (true, _) => "it has no folder `backups`".to_owned(),
            (false, true) => format!("its access is \"{}\"", self.access.name()),
            (false, false) => format!("its access is \"{}\", and it has no folder `backups`", self.access.name()),
        };
        let what = call.summary();
        Some(Denial {
            reason: format!("{lacks}: `{what}` is not allowed"),
            remedy: format!("[{name}]{access}{folder}"),
        })
    }
}

impl Access {
    /// As it is written.
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Restore => "restore",
        }
    }
}

fn call_line(call: &Call) -> String {
    let (statement, _) = call.statement().unwrap_or_default();
    format!("`{}`", statement.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    fn judge(&self, name: &str, call: &Call) -> Judgement {
        match (self.denial(name, call), call) {
            (Some(denial), _) => Judgement::Denied(denial),
            (None, Call::Query { .. } | Call::Backups | Call::ReadBackup { .. } | Call::Databases) => Judgement::Read,
            (None, _) => Judgement::Mutation,
        }
    }

    /// A statement carries no key.
    fn repeat(&self, _call: &Call, claim: Repeat) -> Repeat {
        match claim {
            Repeat::Idempotent => Repeat::Idempotent,
            Repeat::Once | Repeat::Keyed(_) => Repeat::Once,
        }
    }

    fn deadline(&self, call: &Call) -> Duration {
        match call {
            Call::ReadBackup { .. } | Call::Dump(_) | Call::Restore { .. } => self.backup_timeout + MARGIN,
            Call::Swap { .. } => SWAP_WITHIN,
            _ => self.timeout + MARGIN,
        }
    }

    /// The server ends a transaction that nobody goes on with.
    fn settles_within(&self) -> Duration {
        self.timeout
    }

    fn server(&self) -> Option<(String, u16)> {
        match &self.url.host {
            Host::Tcp(host) => Some((host.clone(), self.url.port)),
            Host::Socket(_) => None,
        }
    }

    fn resources(&self, _base: &Path) -> Vec<String> {
        vec![self.url.resource()]
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        Ok(Arc::new(SqlDriver::open(self, opening).await?))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}
