//! What a test works on: one target with everything that belongs to it, and nothing of it shared
//! with another test but the servers that don't care.

mod browser;
mod coolify;
pub(crate) mod docker;
mod journal;
mod ledger;
mod mail;
pub(crate) mod postgres;
mod program;
pub(crate) mod prometheus;
pub(crate) mod repository;
mod served;
mod service;

use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use browser::{Browser, Measured, Scheme};
pub(crate) use coolify::{COOLIFY_TOKEN, Coolify, Exchange, READ_TOKEN};
pub(crate) use journal::Journal;
pub(crate) use ledger::{Entry, Ledger};
pub(crate) use program::{Ran, Ripcord, Running};
pub(crate) use prometheus::{ALERTS_TOKEN, Prometheus};
pub(crate) use repository::{CONNECTOR, Repository, copy, git};
pub(crate) use served::Told;
pub(crate) use service::{Manner, Service};

/// The bytes of GENIA's token: letters that stand nowhere else.
pub(crate) const TOKEN: &str = "tok-Zq7XvKJw93-do-not-show";

const GUESTS: [&str; 4] = ["breakout", "hostile", "hostile-describe", "steps"];

/// A guest's component.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    match name {
        "breakout" => include_bytes!(concat!(env!("OUT_DIR"), "/breakout.wasm")).to_vec(),
        "hostile" => include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm")).to_vec(),
        "hostile-describe" => include_bytes!(concat!(env!("OUT_DIR"), "/hostile-describe.wasm")).to_vec(),
        "steps" => include_bytes!(concat!(env!("OUT_DIR"), "/steps.wasm")).to_vec(),
        other => panic!("there is no guest {other}"),
    }
}

/// All components, compiled once by the program itself: that takes longer than most tests.
pub(crate) fn compiled() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let folder = served::servers().folder.join("compiled");
        fs::create_dir_all(&folder).unwrap();
        let mut plugins: Vec<String> = ripcord::component::bundled_names().map(str::to_owned).collect();
        for name in GUESTS {
            fs::write(folder.join(format!("{name}.wasm")), guest(name)).unwrap();
            plugins.push(format!("{name}.wasm"));
        }
        for plugin in plugins {
            // Not all of them can say what they are.
            Ripcord::new(&folder, &["plugin", "inspect", &plugin]).run();
        }
        folder.join("state/components")
    })
}

/// A folder that the program is at home in, with all components compiled.
pub(crate) fn home() -> TempDir {
    let folder = tempfile::Builder::new().prefix("ripcord-it-").tempdir().unwrap();
    let state = folder.path().join("state");
    fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    repository::copy(compiled(), &state.join("components"));
    folder
}

/// GENIA on this machine. It goes away with the value.
pub(crate) struct World {
    folder: TempDir,
    name: String,
    pub(crate) ledger: Ledger,
    pub(crate) repository: Repository,
    smtp: u16,
}

/// Cases side by side: most of their time is spent waiting for other processes. All are tried, and
/// those that failed are named.
pub(crate) fn in_parallel<T: Send + Debug + Clone>(cases: Vec<T>, case: impl Fn(T) + Sync) {
    let (queue, failed) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(next) = next else { break };
                    if catch_unwind(AssertUnwindSafe(|| case(next.clone()))).is_err() {
                        failed.lock().unwrap().push(next);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these failed, for the reasons above: {failed:#?}");
}

/// All that a rollback could have touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Method and path of each request that is no `GET`, in order.
    pub(crate) requests: Vec<String>,
    pub(crate) repository: repository::Content,
    /// What the npm scripts wrote down.
    pub(crate) commands: Vec<String>,
    /// Channel and subject of each mail, sorted.
    pub(crate) mails: Vec<String>,
    /// What is deployed to staging.
    pub(crate) staging: Option<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("w{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = home();
        let servers = served::servers();
        let world = Self {
            ledger: Ledger::start(&folder.path().join("ledger.jsonl"), TOKEN),
            repository: Repository::new(&folder.path().join("genia"), servers, &name),
            smtp: servers.smtp,
            name,
            folder,
        };
        world.write("ripcord.toml", &world.operator());
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The program, at home in this world.
    pub(crate) fn ripcord(&self, arguments: &[&str]) -> Ripcord {
        Ripcord::new(self.folder.path(), arguments)
    }

    /// The program as a user has it, at home in this world.
    pub(crate) fn shipped(&self, arguments: &[&str]) -> Ripcord {
        Ripcord::shipped(self.folder.path(), arguments)
    }

    /// The journal that the program writes here.
    pub(crate) fn journal(&self) -> Journal {
        Journal::open(&self.path("state/journal.sqlite"))
    }

    /// The operator's file: everything that GENIA has, each with the narrowest rules that let the
    /// connector's rollback through.
    pub(crate) fn operator(&self) -> String {
        let url = format!("http://127.0.0.1:{}/admin", self.ledger.port());
        let record = self.path("commands.log");
        let staging = self.path("staging.js");
        let command = |name: &str, argv: &str, rest: &str| {
            format!(
                "[command.{name}]\nargv = {argv}\ncwd = \"genia\"\ntimeout = \"30s\"\n\
                 env = {{ RECORD = {record:?}, STAGING = {staging:?} }}\n{rest}\n"
            )
        };
        let notify = |name: &str| {
            format!(
                "[notify.{name}]\nsmtp = {{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}\n\
                 from = \"ripcord@genia.example\"\nto = [\"{name}-{}@genia.example\"]\ntimeout = \"10s\"\n",
                self.smtp, self.name
            )
        };
        [
            format!(
                "[http.genia-admin]\nurl = {url:?}\nauth = {{ bearer = \"secret:genia\" }}\n\
                 read = [\"GET /connectors/*\"]\n\
                 write = [\"POST /connectors/*/disable\", \"POST /connectors/*/enable\"]\n\
                 timeout = \"2s\"\nsettles-within = \"200ms\"\n"
            ),
            "[git.genia]\npath = \"genia\"\n\
             author = { name = \"Rollback\", email = \"ops@genia.example\" }\n\
             write = [\"restore src/**\", \"commit src/**\", \"push main\"]\ntimeout = \"30s\"\n"
                .to_owned(),
            command("genia-build", r#"["npm", "run", "--silent", "build"]"#, ""),
            command("genia-deploy-staging", r#"["npm", "run", "--silent", "deploy:staging"]"#, ""),
            command("genia-smoke", &format!(r#"["grep", "-q", "facebook", {staging:?}]"#), "effect = \"read\"\n"),
            notify("genia-users"),
            notify("genia-dashboard"),
            notify("genia-administrators"),
            notify("genia-status"),
            "[secrets]\ngenia = { env = \"GENIA_TOKEN\" }\n".to_owned(),
        ]
        .join("\n")
    }

    /// The plan for GENIA's connectors as it is in `plans/`, with the push that it leaves to its user,
    /// and in less of a hurry to wait.
    pub(crate) fn connector_plan(&self) -> PathBuf {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/genia-connector.toml");
        let mut text = fs::read_to_string(shipped).unwrap();
        for (from, to) in [
            ("# push    = \"main\"", "push = \"main\""),
            ("every  = \"10s\"", "every = \"100ms\""),
            ("every   = \"30s\"", "every = \"100ms\""),
            ("within = \"2m\"", "within = \"5s\""),
            ("within  = \"5m\"", "within = \"5s\""),
        ] {
            assert!(text.contains(from), "the shipped plan has no `{from}` any more");
            text = text.replace(from, to);
        }
        self.write("connector.toml", &text)
    }

    /// A plan with these steps and checks; `GUEST` in `use = "GUEST"` becomes the guest's file and
    /// digest.
    pub(crate) fn plan(&self, name: &str, body: &str) -> PathBuf {
        let mut text = format!("name = \"{name}\"\ntarget = \"{}/{name}\"\n{body}", self.name);
        for guest_name in GUESTS {
            let bytes = guest(guest_name);
            let digest = ripcord::id::Digest::of(&bytes);
            let file = self.path(&format!("{guest_name}.wasm"));
            if !file.exists() {
                fs::write(&file, &bytes).unwrap();
            }
            text = text.replace(
                &format!("use = \"{guest_name}\""),
                &format!("use = \"{}@{digest}\"", file.file_name().unwrap().display()),
            );
        }
        self.write(&format!("{name}.toml"), &text)
    }

    /// Adds to the operator's file.
    pub(crate) fn allow(&self, text: &str) {
        self.write("ripcord.toml", &format!("{}\n{text}", self.operator()));
    }

    /// A connection to the whole of the service, for the guests.
    pub(crate) fn service(&self, read: &str, write: &str) -> String {
        format!(
            "[http.service]\nurl = \"http://127.0.0.1:{}/admin\"\nauth = {{ bearer = \"secret:genia\" }}\n\
             read = {read}\nwrite = {write}\ntimeout = \"2s\"\nsettles-within = \"200ms\"\n",
            self.ledger.port()
        )
    }

    /// Channel and subject of each mail that has come.
    pub(crate) fn mails(&self) -> Vec<String> {
        mail::mails(&served::servers().mailbox, &self.name)
    }

    /// Waits until something holds that another process sees to.
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < until, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn touched(&self) -> Touched {
        let lines = |path: &Path| -> Vec<String> {
            fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
        };
        Touched {
            requests: self.ledger.mutations(),
            repository: self.repository.content(),
            commands: lines(&self.path("commands.log")),
            mails: self.mails(),
            staging: fs::read_to_string(self.path("staging.js")).ok(),
        }
    }
}
