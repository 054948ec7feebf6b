//! Sessions of others that stand in the way of a swap.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::postgres::Database;
use crate::{pid, wait_until};

/// A client that keeps one session open, and opens it again for as long as the test runs.
pub(super) struct Pool {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u32>>,
}

impl Pool {
    pub(super) fn new(database: &Database, size: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..size)
            .map(|_| {
                let (stop, name, server) = (stop.clone(), database.name.clone(), database.server);
                std::thread::spawn(move || {
                    let mut sessions = 0;
                    while !stop.load(Ordering::Relaxed) {
                        sessions += 1;
                        let ran = Command::new(server.program("psql"))
                            .args(["-XAtq", "-U", "owner", "-d", &name, "-c", "SELECT pg_sleep(5)", "-p"])
                            .arg(server.port.to_string())
                            .arg("-h")
                            .arg(server.folder())
                            .output();
                        drop(ran);
                    }
                    sessions
                })
            })
            .collect();
        Self { stop, threads }
    }

    pub(super) fn stop(self, database: &Database) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", database.name);
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            database.server.psql("postgres", &end);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

/// A session whose process is stopped, so that it hears nothing.
pub(super) struct Deaf {
    client: Child,
    pub(super) backend: rustix::process::Pid,
}

impl Deaf {
    pub(super) fn in_database(database: &Database) -> Self {
        Self::named(database, "deaf")
    }

    /// One that is known by this name.
    pub(super) fn named(database: &Database, application: &str) -> Self {
        let server = database.server;
        let client = Command::new(server.program("psql"))
            .args([
                "-XAtq",
                "-U",
                "postgres",
                "-d",
                &database.name,
                "-c",
                &format!("SET application_name = '{application}'; SELECT pg_sleep(60)"),
                "-p",
            ])
            .arg(server.port.to_string())
            .arg("-h")
            .arg(server.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let asked = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name = '{application}' AND state = 'active'",
            database.name
        );
        let backend = wait_until(|| Some(server.psql("postgres", &asked)).filter(|pid| !pid.is_empty()));
        let backend = pid(&backend);
        kill_process(backend, Signal::STOP).unwrap();
        Self { client, backend }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = kill_process(self.backend, Signal::CONT);
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
