//! Restoring a large database against bare `pg_restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::fixture;
use crate::postgres;
use crate::process::{ripcord, whole};
use crate::sample::{Sample, Unit, by_turns};
use crate::table::Row;

const ROUNDS: usize = 3;
/// In the table and its index, as PostgreSQL tells the size of a database.
const BYTES: u64 = 1_000_000_000;
/// How much one row takes there, about.
const ROW_BYTES: u64 = 1_200;
const BACKUP: &str = "large.dump";

pub(crate) fn measure() -> Vec<Row> {
    let lab = Lab::new();
    // What the journal says of the one call that restores, beside the whole command.
    let mut calls = Sample::default();
    let plan = || {
        lab.clean_up();
        let took = whole(lab.ripcord().args(["run", "plan.toml", "--yes"]));
        calls.add(lab.restoring_took());
        took
    };
    let bare = || {
        lab.clean_up();
        let server = postgres::server();
        server.psql("postgres", "CREATE DATABASE large_bare OWNER large");
        let mut restore = Command::new(server.program("pg_restore"));
        restore.args(["--exit-on-error", "--single-transaction", "-d", "large_bare", "-U", "large", "-h", "127.0.0.1"]);
        restore.args(["-p", &server.port.to_string()]).env("PGPASSWORD", "pw-large-Rt61");
        whole(restore.arg(lab.path("backups").join(BACKUP)))
    };
    let [plan, bare] = by_turns("restoring 1 GB", ROUNDS, [&mut { plan }, &mut { bare }]);
    let row = |what: &str, side: &Sample| {
        let (ratio, aim) = (side.median().div_duration_f64(bare.median()), 1.05);
        Row {
            figure: format!("restoring a database of 1 GB: {what}"),
            ripcord: side.show(Unit::Milliseconds),
            beside: format!("`pg_restore --single-transaction`: {}", bare.show(Unit::Milliseconds)),
            result: format!("{ratio:.2}"),
            aim: format!("≤ {aim}"),
            met: ratio <= aim,
        }
    };
    vec![
        row("the call that restores", &calls),
        row("`run --yes` of `manual-restore`, which reads the backup to its end first, and swaps", &plan),
    ]
}

struct Lab {
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let (lab, server) = (Self { folder: fixture::folder() }, postgres::server());
        fs::set_permissions(lab.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        server.psql("postgres", "CREATE ROLE large SUPERUSER LOGIN PASSWORD 'pw-large-Rt61'");
        server.psql("postgres", "CREATE DATABASE large OWNER large");
        server.psql("large", "SET ROLE large; CREATE TABLE calls (id bigint PRIMARY KEY, transcript text NOT NULL)");
        // Text that compresses about as text does, and is not moved out of its row.
        let rows = format!(
            "ALTER TABLE calls ALTER transcript SET STORAGE PLAIN; INSERT INTO calls SELECT n, \
             (SELECT string_agg(md5((n * 16 + m)::text) || ' said nothing else ', '') FROM generate_series(1, 20) AS m) \
             FROM generate_series(1, {}) AS n",
            BYTES / ROW_BYTES
        );
        server.psql("large", &rows);
        let size: u64 = server.psql("large", "SELECT pg_database_size('large')").parse().unwrap();
        assert!(size.abs_diff(BYTES) < BYTES / 10, "the database has {size} bytes");
        fs::create_dir(lab.path("backups")).unwrap();
        let mut dump = Command::new(server.program("pg_dump"));
        dump.args(["-Fc", "-U", "postgres", "-d", "large", "-p", &server.port.to_string(), "-h"]);
        whole(dump.arg(server.folder()).arg("-f").arg(lab.path("backups").join(BACKUP)));
        let operator = format!(
            "[sql.large]\nurl = \"postgres://large@127.0.0.1:{}/large\"\npassword = \"secret:db\"\naccess = \"restore\"\n\
             backups = {:?}\ntools = {:?}\ntimeout = \"10m\"\n\n[secrets]\ndb = {{ env = \"DB_PASSWORD\" }}\n",
            server.port,
            lab.path("backups"),
            server.program("pg_restore").parent().unwrap(),
        );
        fs::write(lab.path("ripcord.toml"), operator).unwrap();
        fs::write(lab.path("plan.toml"), PLAN).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ripcord(&self) -> Command {
        let mut command = Command::new(ripcord());
        command.current_dir(self.folder.path()).env("RIPCORD_STATE", self.path("state"));
        command.env("DB_PASSWORD", "pw-large-Rt61");
        command
    }

    /// How long the last run's call took that restores.
    fn restoring_took(&self) -> Duration {
        let output = self.ripcord().args(["report", "last", "--format", "json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let took = found(&report, &|call| {
            let is_restore = call["access"] == "change"
                && call["request"].as_str().is_some_and(|request| request.contains("restore"));
            is_restore.then(|| call["took-us"].as_u64()).flatten()
        });
        Duration::from_micros(took.expect("the report has the call that restores"))
    }

    /// Only the live database is left, and what was written before is nobody's to wait for.
    fn clean_up(&self) {
        let server = postgres::server();
        for other in server.psql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'large_%'").lines() {
            server.psql("postgres", &format!("DROP DATABASE \"{other}\" WITH (FORCE)"));
        }
        server.psql("postgres", "CHECKPOINT");
        rustix::fs::sync();
    }
}

/// What is first found in a JSON value or below it.
fn found<T>(value: &Value, wanted: &dyn Fn(&Value) -> Option<T>) -> Option<T> {
    let below = || match value {
        Value::Array(items) => items.iter().find_map(|item| found(item, wanted)),
        Value::Object(fields) => fields.values().find_map(|field| found(field, wanted)),
        _ => None,
    };
    wanted(value).or_else(below)
}

const PLAN: &str = r#"
name    = "large"
target  = "large"
timeout = "1h"

[[step]]
id      = "restore"
use     = "manual-restore"
bind    = { database = "large" }
timeout = "30m"
"#;
