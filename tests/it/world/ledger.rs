//! GENIA's administration: `ledger-server`, seen from a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde::Deserialize;

use super::served::Told;

pub(crate) struct Ledger {
    path: PathBuf,
    port: u16,
    server: Mutex<Told>,
}

/// A request, as the service wrote it down.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Entry {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) authorized: bool,
    pub(crate) has_traceparent: bool,
    pub(crate) body: String,
}

impl Ledger {
    pub(crate) fn start(path: &Path, token: &str) -> Self {
        let mut server =
            Told::start(Command::new(env!("CARGO_BIN_EXE_ledger-server")).arg(path).env("LEDGER_TOKEN", token));
        let port = server.hear().parse().unwrap();
        Self { path: path.to_owned(), port, server: Mutex::new(server) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// See `ledger-server` for what can be told.
    pub(crate) fn tell(&self, line: &str) {
        self.server.lock().unwrap().tell(line);
    }

    /// All requests that have come, in order.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(&self.path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Method and path of all requests that are no `GET`.
    pub(crate) fn mutations(&self) -> Vec<String> {
        let entries = self.entries().into_iter();
        entries.filter(|entry| entry.method != "GET").map(|entry| format!("{} {}", entry.method, entry.path)).collect()
    }
}
