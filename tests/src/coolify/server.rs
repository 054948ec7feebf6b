//! The server: requests in, answers and faults out, each written down; deployments that go on by themselves.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::api::{self, Answer, Asked, deployment};
use super::fault::{Behaviour, Fault};
use super::lies::{Told, Version};
use super::world::{Application, Deployment, World};

/// More than any request's body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Requests a minute.
const RATE_LIMIT: u32 = 200;

/// What a test can order, one JSON object a line: `{"lie": {"name": "queue-full", "on": true}}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Puts an application there, or another one in its place.
    Application(Box<Application>),
    /// Puts a deployment into the history.
    Deployment(Box<Deployment>),
    /// Has a lie told, or not.
    Lie {
        /// Its name.
        name: String,
        /// Whether it is told.
        on: bool,
    },
    /// Has something go wrong.
    Fault(Fault),
    /// Nothing goes wrong any more.
    NoFaults,
    /// Somebody pushes a commit to an application's branch, and Coolify hears of it.
    Push {
        /// The application.
        application: String,
        /// The commit.
        commit: String,
    },
    /// How long a deployment takes.
    DeployMs(u64),
    /// The program that deploys, with `$APPLICATION` and `$VERSION` (a commit or a tag).
    DeployCommand(Vec<String>),
    /// How many requests are let through in this minute.
    RequestsLeft(u32),
}

/// One Coolify.
pub struct Server {
    version: Version,
    tokens: BTreeMap<String, Vec<String>>,
    file: PathBuf,
    ledger: Mutex<File>,
    inner: Mutex<Inner>,
}

struct Inner {
    world: World,
    told: Told,
    faults: Vec<Fault>,
    deploy_ms: u64,
    deploy_command: Vec<String>,
    requests_left: u32,
    minute: Timestamp,
}

impl Server {
    /// A Coolify of this version, with its state and its ledger in a folder.
    ///
    /// # Errors
    /// If the folder can't be written or holds something else.
    pub fn open(version: Version, folder: &Path, tokens: BTreeMap<String, Vec<String>>) -> io::Result<Arc<Self>> {
        let file = folder.join("coolify.json");
        let world = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => World::default(),
            Err(error) => return Err(error),
        };
        let ledger = OpenOptions::new().create(true).append(true).open(folder.join("ledger.jsonl"))?;
        let inner = Inner {
            world,
            told: Told::default(),
            faults: Vec::new(),
            deploy_ms: 50,
            deploy_command: Vec::new(),
            requests_left: RATE_LIMIT,
            minute: Timestamp::now(),
        };
        Ok(Arc::new(Self { version, tokens, file, ledger: Mutex::new(ledger), inner: Mutex::new(inner) }))
    }

    /// Serves at an address until it is dropped; says at which.
    ///
    /// # Errors
    /// If nobody can listen there.
    pub async fn serve(self: &Arc<Self>, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        tokio::spawn(deploy(Arc::clone(self)));
        Ok(address)
    }

    /// Carries an order out.
    ///
    /// # Errors
    /// If it can't be meant.
    pub fn order(&self, order: Order) -> Result<(), String> {
        let mut inner = self.inner();
        match order {
            Order::Application(application) => {
                inner.world.applications.insert(application.uuid.clone(), *application);
            }
            Order::Deployment(deployment) => inner.world.deployments.push(*deployment),
            Order::Lie { name, on } => inner.told.set(&name, on)?,
            Order::Fault(fault) => inner.faults.push(fault),
            Order::NoFaults => inner.faults.clear(),
            Order::Push { application, commit } => {
                let Some(application) = inner.world.applications.get(&application).cloned() else {
                    return Err(format!("there is no application {application}"));
                };
                if application.is_auto_deploy_enabled {
                    let uuid = inner.world.fresh();
                    let overwrites = inner.told.tells(self.version, "head-overwrites-pin");
                    let commit = if overwrites { application.head() } else { commit };
                    let pushed = Deployment { is_webhook: true, ..deployment(&uuid, &application, commit) };
                    inner.world.queue(pushed);
                }
            }
            Order::DeployMs(ms) => inner.deploy_ms = ms,
            Order::DeployCommand(argv) => inner.deploy_command = argv,
            Order::RequestsLeft(left) => (inner.requests_left, inner.minute) = (left, Timestamp::now()),
        }
        self.keep(&inner.world).map_err(|error| error.to_string())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, world: &World) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(world)?)?;
        fs::rename(new, &self.file)
    }

    fn write_down(&self, entry: &Value) -> io::Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.write_all(format!("{entry}\n").as_bytes())?;
        ledger.sync_data()
    }
}

impl Inner {
    /// Whether this minute has room for one more request; how long to wait if not.
    fn let_through(&mut self) -> Result<(), u32> {
        let passed = Timestamp::now().duration_since(self.minute).as_secs();
        if passed >= 60 {
            (self.requests_left, self.minute) = (RATE_LIMIT, Timestamp::now());
        }
        match self.requests_left.checked_sub(1) {
            Some(left) => {
                self.requests_left = left;
                Ok(())
            }
            None => Err(u32::try_from(60 - passed).unwrap_or(60).max(1)),
        }
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let method = parts.method.as_str();
    let Some(path) = parts.uri.path().strip_prefix("/api/v1") else { return running(&server, parts.uri.path()) };
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query: BTreeMap<_, _> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let token = text(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    let asked = Asked {
        method,
        path,
        query,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        abilities: server.tokens.get(token).map(Vec::as_slice).unwrap_or_default(),
        accepts_json: text(header::ACCEPT).contains("application/json"),
    };
    let (answer, behaviour) = {
        let mut inner = server.inner();
        let inner = &mut *inner;
        let line = format!("{method} {path}");
        let behaviour = inner.faults.iter_mut().find_map(|fault| fault.hits(&line).then_some(fault.behaviour));
        let answer = match inner.let_through() {
            Err(seconds) => Some(too_many(seconds)),
            Ok(()) if behaviour.is_none_or(Behaviour::is_done) => {
                Some(api::answer(&mut inner.world, &inner.told, server.version, &asked))
            }
            Ok(()) => None,
        };
        if let Err(error) = server.keep(&inner.world) {
            return plain(StatusCode::INSUFFICIENT_STORAGE, error.to_string());
        }
        (answer, behaviour)
    };
    let answer = match (behaviour, answer) {
        (Some(Behaviour::Error | Behaviour::DoneError), _) => {
            Some(Answer::new(500, json!({ "message": "Server Error" })))
        }
        (Some(Behaviour::TooMany), _) => Some(too_many(1)),
        (_, answer) => answer,
    };
    let entry = json!({
        "at": Timestamp::now(), "method": method, "path": path, "query": asked.query, "body": asked.body,
        "accepts-json": asked.accepts_json, "behaviour": behaviour,
        "status": answer.as_ref().map(|answer| answer.status), "answer": answer.as_ref().map(|answer| &answer.body),
    });
    if let Err(error) = server.write_down(&entry) {
        return plain(StatusCode::INSUFFICIENT_STORAGE, error.to_string());
    }
    match (behaviour, answer) {
        (Some(Behaviour::Hang | Behaviour::DoneHang), _) => std::future::pending().await,
        (Some(Behaviour::Cut | Behaviour::DoneCut), _) | (_, None) => cut(),
        (_, Some(answer)) => respond(&answer, asked.accepts_json),
    }
}

fn too_many(seconds: u32) -> Answer {
    Answer { retry_after: Some(seconds), ..Answer::new(429, json!({ "message": "Too Many Attempts." })) }
}

fn respond(answer: &Answer, accepts_json: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = Response::builder().status(status);
    if let Some(seconds) = answer.retry_after {
        builder = builder.header(header::RETRY_AFTER, seconds);
    }
    if let Some(location) = answer.location {
        builder = builder.header(header::LOCATION, location);
    }
    let is_page = !accepts_json && matches!(answer.status, 429 | 500);
    let (content, body) = match &answer.body {
        _ if is_page => ("text/html", format!("<!DOCTYPE html><title>{status}</title>")),
        Value::String(text) => ("text/html", text.clone()),
        body => ("application/json", body.to_string()),
    };
    builder.header(header::CONTENT_TYPE, content).body(Body::from(body)).unwrap_or_default()
}

/// The application itself, for tests that deploy nothing real: `/app/UUID/health`.
fn running(server: &Server, path: &str) -> Response {
    let inner = server.inner();
    let uuid = path.strip_prefix("/app/").and_then(|rest| rest.strip_suffix("/health"));
    match uuid.and_then(|uuid| inner.world.applications.get(uuid)) {
        Some(application) if !application.is_stopped => {
            respond(&Answer::new(200, json!({ "version": application.running })), true)
        }
        _ => plain(StatusCode::NOT_FOUND, "no such application runs".to_owned()),
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    Response::builder().status(status).body(Body::from(text)).unwrap_or_default()
}

/// A body that fails before its first byte makes the server close the connection.
fn cut() -> Response {
    let nothing = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::other("cut")) });
    Response::new(Body::from_stream(nothing))
}

/// Carries deployments out, one after the other.
async fn deploy(server: Arc<Server>) {
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let going = {
            let inner = server.inner();
            let going = inner.world.deployments.iter().find(|deployment| deployment.status == "in_progress");
            going.map(|going| (going.clone(), inner.deploy_ms, inner.deploy_command.clone()))
        };
        let Some((going, ms, argv)) = going else { continue };
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let deploys = going.clone();
        let went_well = tokio::task::spawn_blocking(move || run(&argv, &deploys)).await.unwrap_or(false);
        let mut inner = server.inner();
        let inner = &mut *inner;
        inner.world.end(&going.uuid, went_well, &inner.told, server.version);
        // A test that has gone by now has taken the folder with it.
        let _ = server.keep(&inner.world);
    }
}

fn run(argv: &[String], deployment: &Deployment) -> bool {
    let Some((program, arguments)) = argv.split_first() else { return true };
    let mut command = Command::new(program);
    command.args(arguments).env("APPLICATION", &deployment.application).env("VERSION", &deployment.deploys);
    command.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}
