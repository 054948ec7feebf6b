//! GENIA's administration in a process of its own: it answers at once and keeps nothing.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use axum::Json;
use serde_json::json;
use tokio::net::TcpListener;

/// A server that ends with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let this = std::env::current_exe().unwrap();
        let mut child = Command::new(this).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().unwrap(), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves until standard input ends.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = axum::Router::new().fallback(async || Json(json!({ "enabled": false })));
    runtime.spawn(async move { axum::serve(listener, app).await });
    println!("{port}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.shutdown_background();
}
