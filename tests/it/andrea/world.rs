//! One Asistente Andrea: an application and its PostgreSQL in containers, its code in a working copy with a remote, a
//! Coolify that deploys it, and the files with which ripcord rolls it back.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::image::{self, IMAGE};
use crate::world::{COOLIFY_TOKEN, Coolify, Journal, Ripcord, compiled, docker, git, repository};

/// The application's UUID in Coolify.
pub(crate) const UUID: &str = "andrea-uuid-1";
const TWILIO_TOKEN: &str = "tw1lio-t0ken-do-not-show-77";
/// The calls in the database before the deploy.
pub(crate) const CALLS: usize = 5;

pub(crate) struct Andrea {
    pub(crate) coolify: Coolify,
    folder: TempDir,
    name: String,
    app_port: u16,
    db_port: u16,
}

impl Andrea {
    /// Version 1.4.2 runs, deployed by a Coolify of this version, and nothing is backed up yet.
    pub(crate) fn new(coolify: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("andrea-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("ripcord-andrea-").tempdir().unwrap();
        imported();
        let coolify = Coolify::start(coolify, &folder.path().join("coolify"));
        let [app_port, db_port] = [(); 2].map(|()| free_port());
        let andrea = Self { coolify, folder, name, app_port, db_port };
        andrea.start_database();
        andrea.make_code();
        andrea.start_application();
        andrea.tell_coolify();
        andrea.write_files();
        andrea
    }

    fn start_database(&self) {
        let data = self.path("data");
        repository::copy(&cluster().join("data"), &data);
        let (user, group) = image::postgres_ids();
        let postgres = image::postgres_bin().join("postgres");
        let volume = format!("{}:/data", data.display());
        self.run_container(
            "db",
            &[
                "--user",
                &format!("{user}:{group}"),
                "--volume",
                &volume,
                IMAGE,
                postgres.to_str().unwrap(),
                "-D",
                "/data",
                "-k",
                "/tmp",
                "-p",
                &self.db_port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
            ],
        );
        self.until("the database", || self.try_psql("SELECT 1").is_some());
    }

    /// `v1.4.2` is good, and the working copy is at it.
    fn make_code(&self) {
        let (remote, code) = (self.path("remote.git"), self.code());
        git(self.folder.path(), &["init", "-q", "--bare", "-b", "main", remote.to_str().unwrap()]);
        git(self.folder.path(), &["init", "-q", "-b", "main", code.to_str().unwrap()]);
        fs::write(code.join("release.json"), json!({ "version": "1.4.2" }).to_string()).unwrap();
        self.commit("Version 1.4.2");
        git(&code, &["tag", "v1.4.2"]);
        git(&code, &["remote", "add", "origin", remote.to_str().unwrap()]);
        git(&code, &["push", "-q", "origin", "main"]);
    }

    fn commit(&self, message: &str) {
        let code = self.code();
        git(&code, &["add", "-A"]);
        git(&code, &["-c", "user.name=Dev", "-c", "user.email=dev@andrea.example", "commit", "-q", "-m", message]);
    }

    fn start_application(&self) {
        let volume = format!("{}:/code:ro", self.code().display());
        let database = format!("host=127.0.0.1 port={} user=andrea dbname=andrea", self.db_port);
        self.run_container(
            "app",
            &[
                "--restart",
                "always",
                "--volume",
                &volume,
                "--env",
                &format!("DATABASE={database}"),
                "--env",
                &format!("TWILIO_TOKEN={TWILIO_TOKEN}"),
                "--env",
                &format!("PUBLIC_URL={}", self.url()),
                IMAGE,
                "/bin/andrea-app",
                &self.app_port.to_string(),
                "/code",
            ],
        );
        self.until("the application", || self.health().is_some());
    }

    fn run_container(&self, what: &str, arguments: &[&str]) {
        let name = self.container(what);
        let fixed = ["run", "--detach", "--name", &name, "--network", "host", "--stop-timeout", "2"];
        docker::engine().docker(&[&fixed, arguments].concat());
    }

    /// Coolify knows the application, has deployed 1.4.2 once, and deploys by a script.
    fn tell_coolify(&self) {
        let good = self.head();
        self.coolify.order(&json!({ "application": {
            "uuid": UUID, "build_pack": "nixpacks", "git_repository": self.path("remote.git"), "git_branch": "main",
            "git_commit_sha": "HEAD", "is_auto_deploy_enabled": true, "running": good, "kept": [good],
        } }));
        self.coolify.order(&json!({ "deployment": {
            "uuid": "d0good", "application": UUID, "commit": good, "deploys": good, "status": "finished",
            "created_at": "2026-11-20T10:00:00Z",
        } }));
        let script = format!(
            "#!/bin/sh -e\ncd {code}\ngit fetch -q origin\ngit reset -q --hard \"$VERSION\"\n\
             if [ -f migration.sql ]; then\n  docker --host {host} exec -i {db} {psql} -q -v ON_ERROR_STOP=1 -h 127.0.0.1 \
             -p {port} -U andrea andrea < migration.sql\nfi\n\
             docker --host {host} restart -t 2 {app} >/dev/null\n",
            code = self.code().display(),
            host = docker::engine().host(),
            db = self.container("db"),
            app = self.container("app"),
            psql = image::postgres_bin().join("psql").display(),
            port = self.db_port,
        );
        let path = self.path("deploy.sh");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.coolify.order(&json!({ "deploy-command": [path] }));
    }

    fn write_files(&self) {
        let state = self.path("state");
        fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
        repository::copy(compiled(), &state.join("components"));
        fs::create_dir(self.path("backups")).unwrap();
        let shipped = |name: &str| {
            fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../plans")).join(name)).unwrap()
        };
        let replaced = |text: String, replacements: &[(&str, String)]| {
            replacements.iter().fold(text, |text, (from, to)| {
                assert!(text.contains(from), "there is no `{from}` any more in:\n{text}");
                text.replace(from, to)
            })
        };
        // The tools of the database's own container, as Coolify's users have them.
        let tools = format!(
            "tools    = {{ container = {:?}, docker = {:?}, port = {} }}",
            self.container("db"),
            docker::engine().host(),
            self.db_port
        );
        let operator = replaced(
            shipped("operator/asistente-andrea.toml"),
            &[
                ("https://coolify.example.org/api/v1", self.coolify.url()),
                ("https://andrea.example.org", self.url()),
                ("path   = \"/srv/andrea\"", format!("path   = {:?}", self.code())),
                ("[docker.andrea]", format!("[docker.andrea]\nhost = {:?}", docker::engine().host())),
                ("containers = [\"andrea-app\"]", format!("containers = [{:?}]", self.container("app"))),
                ("db.example.org:5432", format!("127.0.0.1:{}", self.db_port)),
                ("/srv/backups/andrea", self.path("backups").display().to_string()),
                ("access   = \"restore\"", format!("access   = \"restore\"\n{tools}")),
                ("timeout = \"20s\"", "timeout = \"3s\"\nsettles-within = \"100ms\"".to_owned()),
            ],
        );
        fs::write(self.path("ripcord.toml"), operator).unwrap();
        let app = format!("{:?}", self.container("app"));
        let plan = replaced(
            shipped("asistente-andrea.toml"),
            &[
                ("\"andrea-app\"", app.clone()),
                (
                    "expect = \"{version}\"",
                    "expect = \"{version}\"\npoll = \"50ms\"\nsettles-within = \"20s\"".to_owned(),
                ),
                ("within = \"2m\"\nevery  = \"5s\"", "within = \"20s\"\nevery  = \"200ms\"".to_owned()),
            ],
        );
        fs::write(self.path("asistente-andrea.toml"), plan).unwrap();
        fs::write(self.path("asistente-andrea-backup.toml"), shipped("asistente-andrea-backup.toml")).unwrap();
        let database = replaced(shipped("asistente-andrea-database.toml"), &[("\"andrea-app\"", app)]);
        fs::write(self.path("asistente-andrea-database.toml"), database).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn code(&self) -> PathBuf {
        self.path("code")
    }

    pub(crate) fn container(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The application.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.app_port)
    }

    /// The working copy's commit.
    pub(crate) fn head(&self) -> String {
        git(&self.code(), &["rev-parse", "HEAD"])
    }

    /// What the application says of itself; none if it does not answer, or not with 200.
    pub(crate) fn health(&self) -> Option<Value> {
        let url = format!("{}/health", self.url());
        let output = Command::new("curl").args(["-sf", "--max-time", "5", &url]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// What a container does.
    pub(crate) fn state(&self, what: &str) -> String {
        docker::engine().docker(&["inspect", "--format", "{{.State.Status}}", &self.container(what)])
    }

    /// When it last began.
    pub(crate) fn began(&self, what: &str) -> String {
        docker::engine().docker(&["inspect", "--format", "{{.State.StartedAt}}", &self.container(what)])
    }

    /// A session that nobody but a superuser may end.
    pub(crate) fn superuser_session(&self) -> Child {
        let session = Command::new(image::postgres_bin().join("psql"))
            .args(["-XAtq", "-h", "127.0.0.1", "-p", &self.db_port.to_string(), "-U", "postgres", "-d", "andrea"])
            .args(["-c", "SELECT pg_sleep(600)"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        self.until("the session", || self.psql(sleeps) == "1");
        session
    }

    /// A plain dump of what is there now, as somebody else would make it.
    pub(crate) fn dumped_by_hand(&self) -> String {
        let output = Command::new(image::postgres_bin().join("pg_dump"))
            .args(["-h", "127.0.0.1", "-p", &self.db_port.to_string(), "-U", "postgres", "-d", "andrea"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn psql(&self, statements: &str) -> String {
        self.try_psql(statements).unwrap_or_else(|| panic!("{statements}"))
    }

    fn try_psql(&self, statements: &str) -> Option<String> {
        let output = Command::new(image::postgres_bin().join("psql"))
            .args(["-XAtq", "-h", "127.0.0.1", "-p", &self.db_port.to_string(), "-U", "postgres", "-d", "andrea", "-c"])
            .arg(statements)
            .stderr(Stdio::null())
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    pub(crate) fn ripcord(&self, arguments: &[&str]) -> Ripcord {
        Ripcord::new(self.folder.path(), arguments)
            .env("COOLIFY_TOKEN", COOLIFY_TOKEN)
            .env("TWILIO_AUTH_TOKEN", TWILIO_TOKEN)
            .env("ANDREA_DB_PASSWORD", "pw-ripcord-Aa1")
            .env("ANDREA_DB_READ_PASSWORD", "pw-reader-Bb2")
    }

    /// Rolls back, without asking; where that is done by hand, the database too.
    pub(crate) fn roll_back(&self) -> Ripcord {
        let application = format!("application={UUID}");
        self.ripcord(&["run", "asistente-andrea.toml", "-p", &application, "-p", "database=restore", "--yes"])
    }

    /// The same without a word of the database.
    pub(crate) fn roll_back_code(&self) -> Ripcord {
        self.ripcord(&["run", "asistente-andrea.toml", "-p", &format!("application={UUID}"), "--yes"])
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::open(&self.path("state/journal.sqlite"))
    }

    pub(crate) fn back_up(&self) {
        self.ripcord(&["run", "asistente-andrea-backup.toml", "--yes"]).expect(0);
    }

    /// Somebody pushes version 1.5.0, and Coolify deploys it. Its migration destroys what there is.
    pub(crate) fn deploy_badly(&self, release: &Value, migration: &str) {
        fs::write(self.code().join("release.json"), release.to_string()).unwrap();
        fs::write(self.code().join("migration.sql"), migration).unwrap();
        self.commit("Version 1.5.0");
        git(&self.code(), &["push", "-q", "origin", "main"]);
        let bad = self.head();
        self.coolify.order(&json!({ "push": { "application": UUID, "commit": bad } }));
        self.until("the bad deployment", || {
            self.coolify
                .kept()
                .deployments
                .iter()
                .any(|deployment| deployment.commit == bad && deployment.status == "finished")
        });
    }

    /// Coolify answers 500 to whoever wants something deployed.
    pub(crate) fn coolify_fails(&self) {
        ["POST /applications/*", "POST /deploy*"].iter().for_each(|endpoint| self.coolify.fault(endpoint, "error"));
    }

    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < until, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Andrea {
    fn drop(&mut self) {
        // A container that was never started is none to remove.
        let (host, names) = (docker::engine().host(), [self.container("app"), self.container("db")]);
        let _ = Command::new("docker").args(["--host", &host, "rm", "--force"]).args(names).output();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn imported() {
    static IMPORTED: OnceLock<()> = OnceLock::new();
    IMPORTED.get_or_init(|| {
        let scratch = tempfile::tempdir().unwrap();
        image::import(&docker::engine().host(), scratch.path());
    });
}

/// A cluster with Andrea's database, made once and copied for each test.
fn cluster() -> &'static Path {
    static CLUSTER: OnceLock<PathBuf> = OnceLock::new();
    CLUSTER.get_or_init(make_cluster)
}

fn make_cluster() -> PathBuf {
    let folder = docker::engine().folder().join("cluster");
    fs::create_dir(&folder).unwrap();
    let (user, group) = image::postgres_ids();
    chown(&folder, Some(user), Some(group)).unwrap();
    let data = folder.join("data");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new("setpriv")
            .args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"])
            .arg(image::postgres_bin().join(program))
            .args(arguments)
            .env("TZ", "UTC")
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let (data_text, socket) = (data.to_str().unwrap(), folder.to_str().unwrap());
    run("initdb", &["-D", data_text, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]);
    let settings = "\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_buffers = '16MB'\n";
    let file = data.join("postgresql.conf");
    fs::write(&file, fs::read_to_string(&file).unwrap() + settings).unwrap();
    let options = format!("-k {socket} -c listen_addresses=''");
    run("pg_ctl", &["-D", data_text, "-w", "-l", "log", "-o", &options, "start"]);
    let psql = |database: &str, statements: &str| {
        run(
            "psql",
            &["-Xq", "-v", "ON_ERROR_STOP=1", "-h", socket, "-U", "postgres", "-d", database, "-c", statements],
        );
    };
    psql("postgres", "CREATE ROLE andrea LOGIN");
    psql(
        "postgres",
        "CREATE ROLE ripcord LOGIN CREATEDB PASSWORD 'pw-ripcord-Aa1'; GRANT pg_signal_backend TO ripcord",
    );
    psql("postgres", "CREATE ROLE ripcord_read LOGIN PASSWORD 'pw-reader-Bb2'; GRANT pg_read_all_data TO ripcord_read");
    psql("postgres", "GRANT andrea TO ripcord");
    psql("postgres", "CREATE DATABASE andrea OWNER andrea");
    psql(
        "postgres",
        "ALTER DATABASE andrea SET statement_timeout TO '30s'; GRANT CONNECT ON DATABASE andrea TO ripcord_read",
    );
    psql(
        "andrea",
        &format!(
            "SET ROLE andrea; CREATE TABLE calls (sid text PRIMARY KEY, status text NOT NULL, transcript text NOT NULL, \
         extracted jsonb, created_at timestamptz NOT NULL DEFAULT now()); \
         INSERT INTO calls SELECT 'CA' || n, 'completed', 'call number ' || n, '{{}}' FROM generate_series(1, {CALLS}) AS n"
        ),
    );
    run("pg_ctl", &["-D", data_text, "-w", "-m", "fast", "stop"]);
    folder
}
