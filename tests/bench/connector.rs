//! The connector's rollback in a cold process, against the runbook's own script.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::fixture;
use crate::process::{git, ripcord, whole};
use crate::sample::{Unit, by_turns};
use crate::server::Server;
use crate::table::Row;

const ROUNDS_STUBBED: usize = 60;
const ROUNDS_NPM: usize = 15;

/// Files of the repository, besides the connectors' few.
const FILES: usize = 3_000;

const SCRIPT: &str = include_str!("rollback_connector.sh");
const CONNECTOR: &str = "src/lib/connectors/facebook.ts";

pub(crate) fn measure() -> Vec<Row> {
    let lab = Lab::new();
    let stubs = lab.path("stubs");
    fs::create_dir(&stubs).unwrap();
    symlink("/bin/true", stubs.join("npm")).unwrap();
    vec![
        lab.row("connector rollback, npm stubbed by `true`", Some(&stubs), ROUNDS_STUBBED, 0.5),
        lab.row("connector rollback, real npm", None, ROUNDS_NPM, 1.0),
    ]
}

/// GENIA's code, its administration, the script and the plan.
struct Lab {
    folder: TempDir,
    _server: Server,
}

impl Lab {
    fn new() -> Self {
        let server = Server::start();
        let lab = Self { folder: fixture::folder(), _server: server };
        let admin = format!("http://127.0.0.1:{}/admin", lab._server.port);
        repository(&lab.path("genia"));

        let script = lab.path("rollback_connector.sh");
        fs::write(&script, SCRIPT.replace("https://api.genia.ai/admin", &admin)).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(lab.path("ripcord.toml"), OPERATOR.replace("\"ADMIN\"", &format!("\"{admin}\""))).unwrap();
        fs::write(lab.path("plan.toml"), PLAN).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Both sides with the same environment; `first` comes first in its PATH.
    fn row(&self, figure: &str, first: Option<&Path>, rounds: usize, aim: f64) -> Row {
        let system = std::env::var("PATH").unwrap();
        let path = first.map_or_else(|| system.clone(), |first| format!("{}:{system}", first.display()));
        let at_home = |program: &Path, folder: &str| {
            let mut command = Command::new(program);
            command.current_dir(self.path(folder)).env_clear().env("PATH", &path).env("HOME", self.folder.path());
            command.env("USER", "ada").env("ADMIN_TOKEN", "tok-5Dx8VfKJw93").env("RIPCORD_STATE", self.path("state"));
            command
        };
        let script = || {
            self.break_again();
            let mut script = at_home(&self.path("rollback_connector.sh"), "genia");
            let took = whole(script.args(["facebook", "v1.4.2"]));
            self.assert_restored();
            took
        };
        let plan = || {
            self.break_again();
            let mut run = at_home(&ripcord(), ".");
            run.args(["run", "plan.toml", "-p", "connector=facebook", "-p", "version=v1.4.2", "--yes"]);
            let took = whole(&mut run);
            self.assert_restored();
            took
        };
        let [plan, script] = by_turns(figure, rounds, [&mut { plan }, &mut { script }]);
        let ratio = plan.median().div_duration_f64(script.median());
        Row {
            figure: format!("{figure} (`run --yes`)"),
            ripcord: plan.show(Unit::Milliseconds),
            beside: format!("the runbook's script: {}", script.show(Unit::Milliseconds)),
            result: format!("{ratio:.2}"),
            aim: format!("≤ {aim}"),
            met: ratio <= aim,
        }
    }

    /// The bad deploy, as it was before any rollback.
    fn break_again(&self) {
        let genia = self.path("genia");
        git(&genia, &["reset", "-q", "--hard", "HEAD"]);
        let _ = fs::remove_dir_all(genia.join(".git/refs/ripcord"));
        assert!(self.connector().contains("broken"));
        // What the last side wrote is not for this one to wait for.
        rustix::fs::sync();
        std::thread::sleep(Duration::from_millis(5));
    }

    fn assert_restored(&self) {
        assert!(self.connector().contains("good"), "the connector was not rolled back");
    }

    fn connector(&self) -> String {
        fs::read_to_string(self.path("genia").join(CONNECTOR)).unwrap()
    }
}

const OPERATOR: &str = r#"
[http.genia-admin]
url   = "ADMIN"
auth  = { bearer = "secret:admin" }
read  = ["GET /connectors/*"]
write = ["POST /connectors/*/disable", "POST /connectors/*/enable"]

[git.genia]
path  = "genia"
write = ["restore src/lib/connectors/*"]

[command.build]
argv = ["npm", "run", "build"]
cwd  = "genia"

[command.deploy]
argv = ["npm", "run", "deploy:staging"]
cwd  = "genia"

[secrets]
admin = { env = "ADMIN_TOKEN" }
"#;

const PLAN: &str = r#"
name   = "one-connector"
target = "genia/{{ params.connector }}"

[params.connector]
description = "The connector to roll back"

[params.version]
description = "The last good version"

[[step]]
id   = "disable"
use  = "connector-disable"
bind = { admin = "genia-admin", code = "genia", build = "build", deploy = "deploy" }
with = { connector = "{{ params.connector }}", version = "{{ params.version }}", commit = false }
"#;

/// A repository of some size and age, packed as a clone is. `v1.4.2` is good.
fn repository(path: &Path) {
    let write = |name: &str, text: &str| {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let body = |number: usize, age: usize| format!("export const n{number} = {age}\n").repeat(100);
    for number in 0..FILES {
        write(&format!("src/part{}/module{number}.ts", number % 60), &body(number, 0));
    }
    write("package.json", r#"{ "name": "genia", "scripts": { "build": "true", "deploy:staging": "true" } }"#);
    write(CONNECTOR, "export const facebook = 'good'\n");
    git_commit(path, "First version", true);
    git(path, &["tag", "v1.4.2"]);
    for age in 1..=30 {
        (0..5).for_each(|n| write(&format!("src/part{n}/module{}.ts", n + 60 * age), &body(n, age)));
        git_commit(path, "Improve some modules", false);
    }
    write(CONNECTOR, "export const facebook = 'broken'\n");
    git_commit(path, "Improve the facebook connector", false);
    git(path, &["gc", "-q"]);
}

fn git_commit(path: &Path, message: &str, first: bool) {
    if first {
        git(path, &["init", "-q", "-b", "main"]);
    }
    git(path, &["add", "-A"]);
    git(path, &["-c", "user.name=Eva", "-c", "user.email=eva@genia.example", "commit", "-q", "-m", message]);
}
