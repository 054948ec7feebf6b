//! A real PostgreSQL, for the tests of the program and for those of the host alike: one server for all
//! tests of a process, a database for each of them, and nothing of the distribution's own clusters.

#![allow(dead_code, reason = "each of the test binaries uses what it needs")]

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The passwords of the server's users.
pub(crate) const SUPERUSER_PASSWORD: &str = "pw-superuser-Kx81";
pub(crate) const OWNER_PASSWORD: &str = "pw-owner-Wq37";
pub(crate) const READER_PASSWORD: &str = "pw-reader-Tz54";

const INSTALL: &str = "PostgreSQL's server is not there; run:  apt-get install -y --no-install-recommends postgresql";

/// A server that ends with the test's process however that ends.
///
/// - `postgres` is its superuser; whoever comes through the socket needs no password, over TCP all do.
/// - `owner` owns each test's database.
/// - `reader` can read all and write nothing.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
    /// Of the authority that has signed the certificate for `localhost`.
    pub(crate) ca_file: PathBuf,
    bin: PathBuf,
    _watcher: Child,
}

pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let name = format!("ripcord-postgres-{}", std::process::id());
        let server = Server::start(&std::env::temp_dir().join(name));
        server.psql(
            "postgres",
            &format!(
                "CREATE ROLE owner LOGIN PASSWORD '{OWNER_PASSWORD}'; \
                 CREATE ROLE reader LOGIN PASSWORD '{READER_PASSWORD}'; GRANT pg_read_all_data TO reader"
            ),
        );
        server
    })
}

impl Server {
    /// A server of its own, in a folder that is not there yet and goes away with it.
    pub(crate) fn start(folder: &Path) -> Self {
        let bin = newest_bin();
        fs::create_dir_all(folder).unwrap();
        let runs_as = runs_as();
        if let Some((uid, gid)) = runs_as {
            chown(folder, Some(uid), Some(gid)).unwrap();
        }
        let own = |path: &Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = runs_as {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        };
        let (data, password) = (folder.join("data"), folder.join("password"));
        fs::write(&password, SUPERUSER_PASSWORD).unwrap();
        own(&password);
        let initdb = command(&bin.join("initdb"))
            .args(["-U", "postgres", "-A", "trust", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(&data)
            .arg(format!("--pwfile={}", password.display()))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));

        let ca_file = folder.join("ca.pem");
        let (authority, certificate, key) = certificates();
        fs::write(&ca_file, authority).unwrap();
        for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
            fs::write(folder.join(name), pem).unwrap();
            own(&folder.join(name));
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        // A test kills ripcord, never the power.
        let text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{0}'\nfsync = off\n\
             full_page_writes = off\nsynchronous_commit = off\nmax_connections = 100\nshared_buffers = '32MB'\n\
             autovacuum = off\nssl = on\nssl_cert_file = '{0}/server.crt'\nssl_key_file = '{0}/server.key'\n",
            folder.display()
        );
        settings.write_all(text.as_bytes()).unwrap();

        // A shell watches over it, and ends it when its own standard input ends: the kernel sees to that
        // even if the test is killed.
        const SCRIPT: &str = r#"folder=$1; shift; "$@" </dev/null >"$folder/log" 2>&1 & server=$!
            read -r _; kill -QUIT $server; wait $server; rm -rf "$folder""#;
        let postgres = command(&bin.join("postgres"));
        let watcher = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder)
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .arg("-D")
            .arg(&data)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { folder: folder.to_owned(), port, ca_file, bin, _watcher: watcher };
        let until = Instant::now() + Duration::from_secs(30);
        while !server.accepts() {
            assert!(
                Instant::now() < until,
                "the server does not start:\n{}",
                fs::read_to_string(folder.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn accepts(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.try_psql("postgres", "SELECT 1").is_ok()
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of PostgreSQL's own programs, of this server's version.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// What statements print as the superuser, a row a line, values with `|` between them.
    pub(crate) fn psql(&self, database: &str, statements: &str) -> String {
        self.try_psql(database, statements).unwrap_or_else(|said| panic!("{statements}: {said}"))
    }

    fn try_psql(&self, database: &str, statements: &str) -> Result<String, String> {
        let ran = Command::new(self.program("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", statements])
            .arg("-h")
            .arg(&self.folder)
            .arg("-p")
            .arg(self.port.to_string())
            .output()
            .expect(INSTALL);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if ran.status.success() { Ok(said(&ran.stdout)) } else { Err(said(&ran.stderr)) }
    }
}

/// A database of one test's. It goes away with the server.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) server: &'static Server,
}

impl Database {
    /// An empty one, owned by `owner`.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = server();
        server.psql("postgres", &format!("CREATE DATABASE {name} OWNER owner"));
        Self { name, server }
    }

    /// What statements print as the superuser.
    pub(crate) fn psql(&self, statements: &str) -> String {
        self.server.psql(&self.name, statements)
    }

    /// Statements as the database's owner, so that what they make is the owner's.
    pub(crate) fn as_owner(&self, statements: &str) -> String {
        self.psql(&format!("SET ROLE owner; {statements}"))
    }

    /// Its URL for a user, over TCP without encryption.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}", self.server.port, self.name)
    }
}

/// Debian's newest, else what is in `PATH`.
fn newest_bin() -> PathBuf {
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut versions: Vec<PathBuf> = versions.filter(|path| path.join("bin/initdb").is_file()).collect();
    versions.sort_by_key(version);
    let in_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    };
    versions.pop().map(|path| path.join("bin")).or_else(in_path).expect(INSTALL)
}

/// PostgreSQL refuses to run as root: it gets the user that its package made.
fn runs_as() -> Option<(u32, u32)> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let user = passwd.lines().find_map(|line| line.strip_prefix("postgres:")).expect(INSTALL);
    let mut fields = user.split(':').skip(1);
    let mut id = || fields.next().and_then(|id| id.parse().ok()).expect("a user has a number");
    Some((id(), id()))
}

/// A command that the server's user carries out.
fn command(program: &Path) -> Command {
    if runs_as().is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
    command
}

/// An authority's certificate, and a certificate of its for `localhost` with its key.
fn certificates() -> (String, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    (authority.pem(), server.pem(), server_key.serialize_pem())
}
