//! The fallback of the Andrea runbook against a script that does the same in the same order: real Docker, real
//! PostgreSQL, real git, an application in three containers.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::docker;
use crate::fixture;
use crate::image;
use crate::postgres;
use crate::process::{git, ripcord, whole};
use crate::sample::{Unit, by_turns};
use crate::table::Row;

const ROUNDS: usize = 9;
const SCRIPT: &str = include_str!("rollback_production.sh");
const SERVICES: [&str; 3] = ["app", "worker", "scheduler"];
/// In the database.
const CALLS: usize = 50_000;
const BACKUP: &str = "andrea.dump";

pub(crate) fn measure() -> Vec<Row> {
    let lab = Lab::new();
    let script = || {
        lab.break_again();
        let mut script = lab.at_home(&lab.path("rollback_production.sh"));
        script.arg(lab.path("code")).arg("v1.4.2").arg(lab.path("backups").join(BACKUP));
        let took = whole(script.arg(lab.health()));
        lab.assert_restored();
        took
    };
    let plan = || {
        lab.break_again();
        let took = whole(lab.at_home(&ripcord()).args(["run", "plan.toml", "--yes"]));
        lab.assert_restored();
        took
    };
    let [plan, script] = by_turns("manual restore", ROUNDS, [&mut { plan }, &mut { script }]);
    let (ratio, aim) = (plan.median().div_duration_f64(script.median()), 0.9);
    vec![Row {
        figure: format!("manual restore: code, {CALLS} rows, three containers (`run --yes`)"),
        ripcord: plan.show(Unit::Milliseconds),
        beside: format!(
            "the same by `git`, `docker`, `pg_restore`, `psql`, `curl`: {}",
            script.show(Unit::Milliseconds)
        ),
        result: format!("{ratio:.2}"),
        aim: format!("≤ {aim}"),
        met: ratio <= aim,
    }]
}

/// An application in three containers, its database, its code, and its backup.
struct Lab {
    folder: TempDir,
    ports: [u16; 3],
}

impl Lab {
    fn new() -> Self {
        let ports = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port());
        let lab = Self { folder: fixture::folder(), ports };
        // The database's user reads the backup, and the script's clients its socket.
        fs::set_permissions(lab.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        image::import(&docker::engine().host(), lab.folder.path());
        lab.make_database();
        lab.make_code();
        for (service, port) in SERVICES.iter().zip(lab.ports) {
            lab.start(service, port);
        }
        lab.write_files();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn health(&self) -> String {
        format!("http://127.0.0.1:{}/health", self.ports[0])
    }

    fn make_database(&self) {
        let server = postgres::server();
        server.psql("postgres", "CREATE ROLE andrea SUPERUSER LOGIN PASSWORD 'pw-andrea-Lm52'");
        server.psql("postgres", "CREATE DATABASE andrea OWNER andrea");
        let schema = "SET ROLE andrea; CREATE TABLE calls (sid text PRIMARY KEY, status text NOT NULL, \
                      transcript text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())";
        let rows = format!(
            "INSERT INTO calls SELECT 'CA' || n, 'completed', repeat('call number ' || n || ' ', 20), now() \
             FROM generate_series(1, {CALLS}) AS n"
        );
        server.psql("andrea", &format!("{schema}; {rows}"));
        fs::create_dir(self.path("backups")).unwrap();
        let mut dump = Command::new(server.program("pg_dump"));
        dump.args(["-Fc", "-U", "postgres", "-d", "andrea", "-p", &server.port.to_string(), "-h"]);
        whole(dump.arg(server.folder()).arg("-f").arg(self.path("backups").join(BACKUP)));
    }

    /// `v1.4.2` is good; what came behind it is not.
    fn make_code(&self) {
        let (code, remote) = (self.path("code"), self.path("remote.git"));
        git(self.folder.path(), &["init", "-q", "--bare", "-b", "main", remote.to_str().unwrap()]);
        git(self.folder.path(), &["init", "-q", "-b", "main", code.to_str().unwrap()]);
        for (key, value) in [("user.name", "Eva"), ("user.email", "eva@andrea.example")] {
            git(&code, &["config", key, value]);
        }
        git(&code, &["remote", "add", "origin", remote.to_str().unwrap()]);
        for (version, tag) in [("1.4.2", "v1.4.2"), ("1.5.0", "bad")] {
            fs::write(code.join("release.json"), format!("{{ \"version\": \"{version}\" }}")).unwrap();
            git(&code, &["add", "-A"]);
            git(&code, &["commit", "-q", "-m", version]);
            git(&code, &["tag", tag]);
        }
        git(&code, &["push", "-q", "-u", "origin", "main"]);
    }

    fn start(&self, service: &str, port: u16) {
        let database = format!(
            "host=127.0.0.1 port={} user=andrea password=pw-andrea-Lm52 dbname=andrea",
            postgres::server().port
        );
        let code = format!("{}:/code:ro", self.path("code").display());
        docker::engine().docker(&[
            "run",
            "--detach",
            "--network=host",
            "--name",
            service,
            "--volume",
            &code,
            "--env",
            &format!("DATABASE={database}"),
            "--env",
            "TWILIO_TOKEN=none",
            "--env",
            "PUBLIC_URL=http://127.0.0.1",
            image::IMAGE,
            "/bin/andrea-app",
            &port.to_string(),
            "/code",
        ]);
    }

    fn write_files(&self) {
        let server = postgres::server();
        let script = self.path("rollback_production.sh");
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let operator = format!(
            "[http.andrea]\nurl = \"http://127.0.0.1:{}\"\nread = [\"GET /health\"]\n\n\
             [git.andrea]\npath = {:?}\nauthor = {{ name = \"Eva\", email = \"eva@andrea.example\" }}\n\
             write = [\"restore **\", \"commit **\", \"push main\"]\n\n\
             [docker.andrea]\nhost = {:?}\ncontainers = {SERVICES:?}\nwrite = [\"stop\", \"start\"]\n\n\
             [sql.andrea]\nurl = \"postgres://andrea@127.0.0.1:{}/andrea\"\npassword = \"secret:db\"\n\
             access = \"restore\"\nbackups = {:?}\ntools = {:?}\n\n[secrets]\ndb = {{ env = \"DB_PASSWORD\" }}\n",
            self.ports[0],
            self.path("code"),
            docker::engine().host(),
            server.port,
            self.path("backups"),
            server.program("pg_restore").parent().unwrap(),
        );
        fs::write(self.path("ripcord.toml"), operator).unwrap();
        fs::write(self.path("plan.toml"), PLAN).unwrap();
    }

    /// Both sides with the same environment.
    fn at_home(&self, program: &std::path::Path) -> Command {
        let server = postgres::server();
        let bin = server.program("psql").parent().unwrap().display().to_string();
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
            .env("HOME", self.folder.path())
            .env("USER", "ada")
            .env("RIPCORD_STATE", self.path("state"))
            .env("DB_PASSWORD", "pw-andrea-Lm52")
            .env("PGPASSWORD", "pw-andrea-Lm52")
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", server.port.to_string())
            .env("PGUSER", "andrea")
            .env("DOCKER_HOST", docker::engine().host());
        command
    }

    /// The bad version runs, and its migration has destroyed the calls.
    fn break_again(&self) {
        let (server, code) = (postgres::server(), self.path("code"));
        git(&code, &["reset", "-q", "--hard", "bad"]);
        git(&code, &["push", "-q", "-f", "origin", "main"]);
        let _ = fs::remove_dir_all(code.join(".git/refs/ripcord"));
        docker::engine().docker(&[&["restart", "--time=2"], SERVICES.as_slice()].concat());
        for kept in server.psql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'andrea_%'").lines() {
            server.psql("postgres", &format!("DROP DATABASE \"{kept}\" WITH (FORCE)"));
        }
        server.psql("andrea", "UPDATE calls SET transcript = '' WHERE sid < 'CA2'");
        self.until_it_answers();
        rustix::fs::sync();
    }

    fn assert_restored(&self) {
        self.until_it_answers();
        let release = fs::read_to_string(self.path("code/release.json")).unwrap();
        assert!(release.contains("1.4.2"), "{release}");
        let lost = postgres::server().psql("andrea", "SELECT count(*) FROM calls WHERE transcript = ''");
        assert_eq!(lost, "0");
    }

    fn until_it_answers(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while !Command::new("curl").args(["-sf", "-o", "/dev/null", &self.health()]).status().unwrap().success() {
            assert!(Instant::now() < until, "the application does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const PLAN: &str = r#"
name   = "by-hand"
target = "andrea"

[[step]]
id   = "restore"
use  = "manual-restore"
bind = { code = "andrea", containers = "andrea", database = "andrea" }

[step.with]
stop = ["app", "worker", "scheduler"]

[step.with.code]
to   = "v1.4.2"
push = "main"

[[verify]]
id     = "answers"
use    = "http-check"
bind   = { service = "andrea" }
with   = { path = "/health" }
expect = "response.json.version == '1.4.2'"
within = "30s"
every  = "100ms"
"#;
