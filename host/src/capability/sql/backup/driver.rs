//! What the parts of this module share: where the server, the folder and the tools are, and which call
//! goes which way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value as Json;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::catalogue::{self, Entry};
use super::facts::Facts;
use super::folder::{self, Folder, Opened};
use super::known::{Known, Read, Stamp};
use super::source::{self, Extent};
use super::tools::{Program, Tools};
use super::{Backup, Contents, Database, ENTRIES_MAX, Format, detail, dump, obstacle, restore, swap};
use crate::capability::sql::address::{DatabaseUrl, Host, TlsMode};
use crate::capability::sql::connection::{Access, Connection};
use crate::capability::sql::session::{Session, Sessions};
use crate::capability::sql::{Call, Reply};
use crate::capability::{At, Detail, Driver, Exactly, OpenError, Opening, Prepared, Settlement};
use crate::failure::Failure;
use crate::id::Digest;
use crate::progress;

/// The databases that others are renamed from: every server has both, and nobody renames the one that they are in.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];
/// Has the server notice within [`catalogue::NOTICED_WITHIN`] that nobody is there any more, as far as its version can:
/// while it waits for something to be sent, while it waits for what it has sent to arrive, and while it works.
const WATCHED: &str = "SELECT pg_catalog.set_config(s.name, w.value, false) FROM pg_catalog.pg_settings s JOIN (VALUES \
                       ('tcp_keepalives_idle', '15'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'), \
                       ('tcp_user_timeout', '30s')) w (name, value) ON w.name = s.name";
/// The same while it works, where its system can: others refuse the setting.
const WATCHED_AT_WORK: &str = "SET client_connection_check_interval = '2s'";
/// How often somebody who waits is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Where machines keep the certificates that they trust, for the tools.
const CA_BUNDLES: &[&str] = &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The backups of one connection.
pub(in crate::capability::sql) struct Backups {
    url: DatabaseUrl,
    ca_file: Option<PathBuf>,
    password: Option<SecretString>,
    sessions: Arc<Sessions>,
    folder: Option<Folder>,
    /// Other databases whose backups may be restored into this one.
    also_of: Vec<String>,
    /// Extensions for superusers that the login may create all the same.
    pub(super) creates_extensions: Vec<String>,
    /// The most that may be done.
    pub(super) access: Access,
    pub(super) tools: Tools,
    /// How long a dump or a restore may take.
    pub(super) timeout: Duration,
    /// Held by whoever changes the folder, even when nobody waits for it any more.
    pub(super) busy: Arc<Mutex<()>>,
    known: Known,
}

impl Backups {
    pub(in crate::capability::sql) fn open(
        connection: &Connection,
        sessions: Arc<Sessions>,
        password: Option<SecretString>,
        opening: &Opening,
    ) -> Result<Arc<Self>, OpenError> {
        let folder = connection.backups.as_ref().map(|path| Folder::open(&opening.base.join(path))).transpose();
        Ok(Arc::new(Self {
            url: connection.url.clone(),
            ca_file: connection.ca_file.as_ref().map(|path| opening.base.join(path)),
            password,
            sessions,
            folder: folder.map_err(OpenError::Unusable)?,
            also_of: connection.backups_of.clone(),
            creates_extensions: connection.creates_extensions.clone(),
            access: connection.access,
            tools: Tools::new(connection.tools.clone(), &opening.base),
            timeout: connection.backup_timeout,
            busy: Arc::default(),
            known: Known::default(),
        }))
    }

    pub(super) fn folder(&self) -> Result<&Folder, Failure> {
        self.folder
            .as_ref()
            .ok_or_else(|| Failure::permanent("internal: a backup was asked for, and there is no folder"))
    }

    /// The live database's name.
    pub(super) fn database(&self) -> &str {
        &self.url.database
    }

    /// The other databases whose backups may be restored into this one.
    pub(super) fn also_of(&self) -> &[String] {
        &self.also_of
    }

    /// Whether a backup of a database may be restored into this one: of itself, also under a name that it was kept or
    /// made under, or of one that the operator has named.
    pub(super) fn takes_backups_of(&self, database: &str) -> bool {
        catalogue::is_name_of(self.database(), database) || self.also_of.iter().any(|name| name == database)
    }

    /// Who logs in.
    pub(super) fn user(&self) -> &str {
        &self.url.user
    }

    /// A session in a database that nothing is done to.
    pub(super) async fn maintenance(&self, application: &str) -> Result<Session, Failure> {
        let [usual, other] = MAINTENANCE;
        self.session(if self.database() == usual { other } else { usual }, application).await
    }

    /// A session of its own.
    pub(super) async fn session(&self, database: &str, application: &str) -> Result<Session, Failure> {
        let session = self.sessions.log_in_to(database, application).await?;
        let watched = session.client.batch_execute(WATCHED).await;
        watched.map_err(|error| self.trouble("having the server watch the connection", &error))?;
        match session.client.batch_execute(WATCHED_AT_WORK).await {
            Err(error) if error.as_db_error().is_none() => {
                return Err(self.trouble("having the server watch the connection", &error));
            }
            _ => {}
        }
        Ok(session)
    }

    /// What an error of the server says.
    pub(super) fn trouble(&self, doing: &str, error: &tokio_postgres::Error) -> Failure {
        self.sessions.trouble(doing, error).failure
    }

    /// The live database.
    pub(super) async fn live(&self, client: &Client) -> Result<Entry, Failure> {
        let found = Entry::find(client, self.database()).await.map_err(|error| self.trouble("looking", &error))?;
        found.ok_or_else(|| Failure::permanent(format!("there is no database {} on the server", self.url)))
    }

    /// The server's major version.
    pub(super) async fn major(&self, client: &Client) -> Result<u32, Failure> {
        let number = "SELECT current_setting('server_version_num')::int / 10000";
        let major = client.query_one(number, &[]).await.and_then(|row| row.try_get::<_, i32>(0));
        let major = major.map_err(|error| self.trouble("asking for the server's version", &error))?;
        Ok(u32::try_from(major).unwrap_or_default())
    }

    /// The server's version: `15.8`.
    pub(super) async fn version(&self, client: &Client) -> Result<String, Failure> {
        let version = client.query_one("SELECT current_setting('server_version')", &[]).await;
        let version: String = version
            .and_then(|row| row.try_get(0))
            .map_err(|error| self.trouble("asking for the server's version", &error))?;
        Ok(version.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// How many bytes the server's disk has left, where that is this machine's and the login may know.
    pub(super) async fn free_on_server(&self, client: &Client) -> Option<u64> {
        if self.url.tls != TlsMode::Disable || self.tools.port_inside().is_some() {
            return None;
        }
        let folder: String =
            client.query_one("SELECT current_setting('data_directory')", &[]).await.ok()?.try_get(0).ok()?;
        free_in(Path::new(&folder))
    }

    /// What tells `pg_dump` where to log in. Its password goes this way, and no other.
    pub(super) fn environment(&self, application: &str) -> BTreeMap<String, String> {
        let (host, port, tls) = match (self.tools.port_inside(), &self.url.host) {
            (Some(port), _) => ("127.0.0.1".to_owned(), port, "prefer"),
            (None, Host::Tcp(host)) => (host.clone(), self.url.port, mode(self.url.tls)),
            (None, Host::Socket(folder)) => (folder.display().to_string(), self.url.port, "disable"),
        };
        let mut environment = BTreeMap::from([
            ("PGHOST".to_owned(), host),
            ("PGPORT".to_owned(), port.to_string()),
            ("PGUSER".to_owned(), self.url.user.clone()),
            ("PGDATABASE".to_owned(), self.url.database.clone()),
            ("PGAPPNAME".to_owned(), application.to_owned()),
            ("PGSSLMODE".to_owned(), tls.to_owned()),
            ("PGCONNECT_TIMEOUT".to_owned(), "10".to_owned()),
        ]);
        if let Some(password) = &self.password {
            environment.insert("PGPASSWORD".to_owned(), password.expose_secret().to_owned());
        }
        if tls == "verify-full" {
            let bundle = CA_BUNDLES.iter().map(PathBuf::from).find(|bundle| bundle.is_file());
            if let Some(file) = self.ca_file.clone().or(bundle) {
                environment.insert("PGSSLROOTCERT".to_owned(), file.display().to_string());
            }
        }
        environment
    }

    /// All backups, the newest first.
    pub(super) async fn list(&self) -> Result<Vec<Backup>, Failure> {
        let folder = self.folder()?.clone();
        let failed = format!("can't read {}", folder.path().display());
        let listed = tokio::task::spawn_blocking(move || folder.list()).await;
        let listed = listed.map_err(std::io::Error::other).flatten();
        listed.map_err(|error| Failure::transient(format!("{failed}: {error}")))
    }

    /// What a backup holds, read from one end to the other.
    async fn contents(&self, at: &At, name: &str) -> Result<Contents, Failure> {
        let mut opened = self.folder()?.backup(name)?;
        let server = self.maintenance(&at.key()).await?;
        let program = self.reader(&server.client, opened.backup.format).await?;
        self.identify(&mut opened, program.as_ref()).await;
        let failed = |error: std::io::Error| Failure::transient(format!("can't read {name}: {error}"));
        let stamp = Stamp::of(&opened.file).map_err(failed)?;
        let (read, sum) = match self.known.get(&stamp) {
            Some(Read { sha256, facts }) => (Ok(facts), sha256),
            None => {
                let read = self.read_whole(at, &opened, program.as_ref()).await?;
                let sum = self.checksum(&opened).await?;
                if let Ok(facts) = &read {
                    self.known.keep(stamp, Read { sha256: sum, facts: facts.clone() });
                }
                (read, sum)
            }
        };
        let mut backup = opened.backup;
        let problem = match (&read, backup.sha256) {
            (_, Some(made)) if made != sum => Some(format!("it is not as it was made: it has {sum}, and had {made}")),
            (Err(problem), _) => Some(problem.clone()),
            (Ok(facts), _) => obstacle::of_restore(self, &server.client, facts, &backup).await?,
        };
        backup.sha256 = Some(sum);
        let Facts { mut entries, tables, .. } = read.unwrap_or_default();
        entries.truncate(ENTRIES_MAX);
        Ok(Contents { backup, entries, tables, problem })
    }

    /// Reads all of a backup: what it says of itself, or why it can't be read.
    async fn read_whole(
        &self,
        at: &At,
        opened: &Opened,
        program: Option<&Program>,
    ) -> Result<Result<Facts, String>, Failure> {
        let backup = &opened.backup;
        let mut reading = source::read(&opened.file, backup.format, program, Extent::Whole, self.timeout)?;
        let mut tell = Tell::new(at, format!("read {}", backup.name), Some(backup.bytes));
        while reading.next().await.is_some() {
            tell.progress(|| reading.position());
        }
        Ok(reading.finish().await)
    }

    /// The checksum of a backup as it is now.
    pub(super) async fn checksum(&self, opened: &Opened) -> Result<Digest, Failure> {
        let failed = |error: std::io::Error| Failure::transient(format!("can't read {}: {error}", opened.backup.name));
        if let Some(read) = self.known.get(&Stamp::of(&opened.file).map_err(failed)?) {
            return Ok(read.sha256);
        }
        let mut file = opened.file.try_clone().map_err(failed)?;
        let sum = tokio::task::spawn_blocking(move || folder::checksum(&mut file)).await;
        sum.map_err(std::io::Error::other).flatten().map_err(failed)
    }

    /// The `pg_restore` that reads a format, if it needs one.
    pub(super) async fn reader(&self, client: &Client, format: Format) -> Result<Option<Program>, Failure> {
        Ok(match format {
            Format::Custom => Some(self.tools.find("pg_restore", self.major(client).await?).await?),
            Format::Plain | Format::PlainGzip => None,
        })
    }

    /// Has an archive that no record tells of say itself where it is from. A plain dump does not know.
    pub(super) async fn identify(&self, opened: &mut Opened, program: Option<&Program>) {
        if let (None, Some(program)) = (&opened.backup.database, program) {
            let origin = source::origin(&opened.file, program, self.timeout).await;
            opened.backup.database = origin.database;
            opened.backup.server_version = origin.server_version;
        }
    }

    async fn databases(&self) -> Result<Vec<Database>, Failure> {
        let server = self.maintenance("ripcord").await?;
        let marked = Entry::marked(&server.client).await.map_err(|error| self.trouble("listing databases", &error))?;
        let own = marked.into_iter().filter(|(_, mark)| mark.of == self.database());
        let mut databases: Vec<Database> = own
            .map(|(entry, mark)| Database {
                name: entry.name,
                state: mark.state,
                at: mark.at,
                run: mark.run,
                bytes: entry.bytes,
            })
            .collect();
        databases.sort_by_key(|made| std::cmp::Reverse(made.at));
        Ok(databases)
    }
}

/// How many bytes a folder's disk has left.
pub(super) fn free_in(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

fn mode(tls: TlsMode) -> &'static str {
    match tls {
        TlsMode::Disable => "disable",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyFull => "verify-full",
    }
}

/// For calls of this module only; `sql`'s driver sends no other here.
#[async_trait]
impl Driver for Arc<Backups> {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        self.url.to_string()
    }

    fn exactly(&self, call: &Call) -> Exactly {
        detail::exactly(self, call)
    }

    async fn detail(&self, at: &At, call: &Call) -> Option<Detail> {
        detail::detail(self, at, call).await
    }

    async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
        match call {
            Call::Backups => self.list().await.map(Reply::Backups),
            Call::ReadBackup { name } => {
                self.contents(at, name).await.map(|contents| Reply::Contents(Box::new(contents)))
            }
            Call::Databases => self.databases().await.map(Reply::Databases),
            _ => Err(misled(call)),
        }
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        match call {
            Call::Dump(options) => dump::prepare(self, at, options).await,
            Call::Restore { backup, sha256 } => restore::prepare(self, at, backup, *sha256).await,
            Call::Swap { database } => swap::prepare(self, at, database).await,
            Call::DropDatabase { database } => swap::prepare_drop(self, at, database).await,
            Call::DeleteBackup { name } => dump::prepare_delete(self, name).await,
            _ => Err(misled(call)),
        }
    }

    async fn settle(&self, at: &At, call: &Call, marker: Option<&Json>) -> Settlement<Reply> {
        let settled = match (call, marker) {
            (Call::DeleteBackup { name }, _) => dump::settle_delete(self, name).await,
            // The intent, with its marker, is durable before anything is done.
            (_, None) => return Settlement::DidNotHappen,
            (Call::Dump(_), Some(marker)) => dump::settle(self, at, marker).await,
            (Call::Restore { .. }, Some(marker)) => restore::settle(self, at, marker).await,
            (Call::Swap { .. }, Some(marker)) => swap::settle(self, at, marker).await,
            (Call::DropDatabase { database }, Some(marker)) => swap::settle_drop(self, at, database, marker).await,
            _ => Err(misled(call)),
        };
        settled.unwrap_or_else(|failure| Settlement::Unknown(failure.problem().message.clone()))
    }
}

fn misled(call: &Call) -> Failure {
    Failure::permanent(format!("internal: {call:?} reached the driver of backups"))
}

/// Says how far something is that takes long.
pub(super) struct Tell {
    at: At,
    what: String,
    total: Option<u64>,
    last: Instant,
}

impl Tell {
    pub(super) fn new(at: &At, what: String, total: Option<u64>) -> Self {
        Self { at: at.clone(), what, total, last: Instant::now() }
    }

    /// So many bytes are done.
    pub(super) fn progress(&mut self, done: impl FnOnce() -> u64) {
        if self.last.elapsed() < TELL_EVERY {
            return;
        }
        self.last = Instant::now();
        let done = done();
        let Self { at, what, .. } = self;
        let text = match self.total.filter(|total| *total > 0) {
            Some(total) => {
                let percent = (u128::from(done.min(total)) * 100) / u128::from(total);
                format!("{what}: {percent} % of {}", indicatif::BinaryBytes(total))
            }
            None => format!("{what}: {}", indicatif::BinaryBytes(done)),
        };
        progress::tell(&at.run, at.execution, &text);
    }
}
