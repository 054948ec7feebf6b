//! A Coolify: `coolify-server`, seen from a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use ripcord_tests::coolify::World as Kept;
use serde::Deserialize;
use serde_json::{Value, json};

use super::served::Told;

/// The token that may do everything a rollback needs, in letters that stand nowhere else.
pub(crate) const COOLIFY_TOKEN: &str = "7|cooLifyTok3n-do-not-show-9f";
/// One that may only read.
pub(crate) const READ_TOKEN: &str = "8|cooLifyReadTok3n-only";

pub(crate) struct Coolify {
    folder: PathBuf,
    port: u16,
    server: Mutex<Told>,
}

/// A request and its answer, as Coolify wrote them down.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: serde_json::Map<String, Value>,
    pub(crate) body: Value,
    pub(crate) accepts_json: bool,
    /// What went wrong with it, if anything did.
    pub(crate) behaviour: Option<String>,
    /// None if no answer came.
    pub(crate) status: Option<u16>,
    pub(crate) answer: Option<Value>,
}

impl Coolify {
    pub(crate) fn start(version: &str, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let tokens = json!({ COOLIFY_TOKEN: ["read", "write", "deploy"], READ_TOKEN: ["read"] });
        let mut server = Command::new(env!("CARGO_BIN_EXE_coolify-server"));
        let mut server = Told::start(server.arg(version).arg(folder).env("COOLIFY_TOKENS", tokens.to_string()));
        let port = server.hear().parse().unwrap();
        Self { folder: folder.to_owned(), port, server: Mutex::new(server) }
    }

    /// Its API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1", self.port)
    }

    /// Where the application answers that Coolify itself pretends to run: `{"version": …}` at `/health`.
    pub(crate) fn application_url(&self, uuid: &str) -> String {
        format!("http://127.0.0.1:{}/app/{uuid}", self.port)
    }

    /// See `ripcord_tests::coolify::Order`.
    pub(crate) fn order(&self, order: &Value) {
        self.server.lock().unwrap().tell(&order.to_string());
    }

    /// It does not listen any more, and cuts all connections.
    pub(crate) fn down(&self) {
        self.server.lock().unwrap().tell("down");
    }

    /// Has a lie told, or not.
    pub(crate) fn lie(&self, name: &str, on: bool) {
        self.order(&json!({ "lie": { "name": name, "on": on } }));
    }

    /// Has something go wrong with an endpoint's requests.
    pub(crate) fn fault(&self, endpoint: &str, behaviour: &str) {
        self.order(&json!({ "fault": { "endpoint": endpoint, "behaviour": behaviour } }));
    }

    /// All that it has now.
    pub(crate) fn kept(&self) -> Kept {
        serde_json::from_slice(&fs::read(self.folder.join("coolify.json")).unwrap()).unwrap()
    }

    /// All requests that have come, in order.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let text = fs::read_to_string(self.folder.join("ledger.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Method and path, with body or query, of all requests that are no `GET`.
    pub(crate) fn mutations(&self) -> Vec<String> {
        let changing = self.exchanges().into_iter().filter(|exchange| exchange.method != "GET");
        let line = |exchange: Exchange| {
            let query = serde_json::Value::Object(exchange.query);
            let said = [query, exchange.body].into_iter().filter(|said| !said.is_null() && *said != json!({}));
            let said: Vec<_> = said.map(|said| said.to_string()).collect();
            format!("{} {} {}", exchange.method, exchange.path, said.join(" ")).trim_end().to_owned()
        };
        changing.map(line).collect()
    }
}
