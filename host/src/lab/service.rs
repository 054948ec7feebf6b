//! GENIA's service: the administration's interface, and the deployed application.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Request as Incoming, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::CONNECTOR;

/// While there is a file of this name in the lab's folder, what is changed is changed, and not
/// answered: the request whose outcome nobody learns.
pub(super) const HOLD: &str = "hold";

const HOLD_LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// How the deployed application is, as `GET /health` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether none of its connectors is failing. If not, the status is 503.
    pub healthy: bool,
    /// The version of the code that is deployed.
    pub version: String,
    /// Each connector.
    pub connectors: BTreeMap<String, Condition>,
}

/// How a connector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It works.
    Ok,
    /// Users get errors.
    Failing,
    /// It is switched off, and users are told so.
    Disabled,
}

/// A request that the administration let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// `POST`
    pub method: String,
    /// `/admin/connectors/facebook/disable`
    pub path: String,
}

impl Request {
    /// Whether it asked for a change.
    pub fn is_change(&self) -> bool {
        self.method != "GET"
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// The running service. It stops when it is dropped.
pub(super) struct Service {
    address: SocketAddr,
    genia: Arc<Genia>,
    server: AbortHandle,
}

struct Genia {
    folder: PathBuf,
    token: String,
    books: Mutex<Books>,
}

struct Books {
    enabled: bool,
    ledger: Vec<Request>,
}

impl Service {
    /// Starts it on a free port of the loopback interface. What is deployed is read from `folder`.
    pub(super) async fn start(folder: PathBuf, token: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let books = Mutex::new(Books { enabled: true, ledger: Vec::new() });
        let genia = Arc::new(Genia { folder, token, books });
        let server = axum::serve(listener, router(Arc::clone(&genia)));
        let server = tokio::spawn(async move { server.await }).abort_handle();
        Ok(Self { address, genia, server })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the administration let in so far, in order.
    pub(super) fn ledger(&self) -> Vec<Request> {
        self.genia.books().ledger.clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(genia: Arc<Genia>) -> Router {
    Router::new()
        .route("/admin/connectors/{name}", get(look))
        .route("/admin/connectors/{name}/disable", post(disable))
        .route("/admin/connectors/{name}/enable", post(enable))
        // Of the routes above only.
        .route_layer(from_fn_with_state(Arc::clone(&genia), admit))
        .route("/health", get(health))
        .route("/ledger", get(ledger))
        .with_state(genia)
}

/// Lets in who has the token, and writes down what for.
async fn admit(State(genia): State<Arc<Genia>>, request: Incoming, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")) != Some(&genia.token) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "the administration's token is needed" })))
            .into_response();
    }
    let entry = Request { method: request.method().to_string(), path: request.uri().path().to_owned() };
    genia.books().ledger.push(entry);
    next.run(request).await
}

async fn look(State(genia): State<Arc<Genia>>, Path(name): Path<String>) -> Response {
    genia.describe(&name)
}

async fn disable(State(genia): State<Arc<Genia>>, Path(name): Path<String>) -> Response {
    genia.switch(&name, false).await
}

async fn enable(State(genia): State<Arc<Genia>>, Path(name): Path<String>) -> Response {
    genia.switch(&name, true).await
}

async fn health(State(genia): State<Arc<Genia>>) -> Response {
    // What is just being copied has no version yet.
    let code =
        std::fs::read_to_string(genia.folder.join("deployed").join(format!("{CONNECTOR}.ts"))).unwrap_or_default();
    let version = code.lines().find_map(|line| line.strip_prefix("export const VERSION = \"")?.strip_suffix("\";"));
    let condition = match genia.books().enabled {
        false => Condition::Disabled,
        // Facebook turns a request away that has no `access_token`.
        true if code.contains("access_token") => Condition::Ok,
        true => Condition::Failing,
    };
    let health = Health {
        healthy: condition != Condition::Failing,
        version: version.unwrap_or_default().to_owned(),
        connectors: BTreeMap::from([(CONNECTOR.to_owned(), condition)]),
    };
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn ledger(State(genia): State<Arc<Genia>>) -> Json<Vec<Request>> {
    Json(genia.books().ledger.clone())
}

impl Genia {
    async fn switch(&self, name: &str, enabled: bool) -> Response {
        if name == CONNECTOR {
            self.books().enabled = enabled;
        }
        while self.folder.join(HOLD).exists() {
            tokio::time::sleep(HOLD_LOOKED_AT_EVERY).await;
        }
        self.describe(name)
    }

    fn describe(&self, name: &str) -> Response {
        if name != CONNECTOR {
            let error = format!("there is no connector {name}; there is {CONNECTOR}");
            return (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response();
        }
        Json(json!({ "name": name, "enabled": self.books().enabled })).into_response()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
