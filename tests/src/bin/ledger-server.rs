//! GENIA's administration, as ripcord's tests meet it: an HTTP service in a process of its own that
//! writes down each request it gets, durably, before it does anything about it.
//!
//! `ledger-server LEDGER [ADDRESS]` prints its port and serves until its standard input ends, on the
//! loopback address unless told otherwise. The token that it asks for is in `$LEDGER_TOKEN`: tests look
//! for it in all command lines. A line on standard input changes how it behaves, and is answered by `done`:
//!
//! - `down`, `up`: it does not listen, and cuts all connections; it listens again, on its old port.
//! - `behave BEHAVIOUR PATH`: [`Behaviour`], for requests to this path. Each path has one.
//! - `connector NAME on`, `connector NAME off`: sets what it tells.
//! - `switch-on-after READS`: `GET /switch` says `off` so many times, and `on` from then on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// More than any test's body, and less than would hurt.
const BODY_BYTES_MAX: usize = 256 << 20;

fn main() -> io::Result<()> {
    let (Some(ledger), Ok(token)) = (std::env::args().nth(1), std::env::var("LEDGER_TOKEN")) else {
        return Err(io::Error::other("usage: LEDGER_TOKEN=… ledger-server LEDGER"));
    };
    let service = Arc::new(Service::new(ledger.into(), token)?);
    let address = std::env::args().nth(2).unwrap_or_else(|| "127.0.0.1".to_owned());
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    let (mut runtime, address) = serve(&service, SocketAddr::from((address, 0)))?;
    say(&address.port().to_string())?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["down"] => {
                let serving = std::mem::replace(&mut runtime, Runtime::new()?);
                serving.shutdown_timeout(Duration::from_secs(5));
            }
            ["up"] => runtime = serve(&service, address)?.0,
            ["behave", behaviour, path] => {
                let behaviour = Behaviour::parse(behaviour).ok_or_else(|| unknown(&line))?;
                service.change(|world| world.behaviours.insert(path.to_owned(), behaviour));
            }
            ["connector", name, to] => {
                service.change(|world| world.connectors.insert(name.to_owned(), to == "on"));
            }
            ["switch-on-after", reads] => {
                let reads = reads.parse().map_err(|_| unknown(&line))?;
                service.change(|world| world.switch_on_after = reads);
            }
            _ => return Err(unknown(&line)),
        }
        say("done")?;
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

fn unknown(line: &str) -> io::Error {
    io::Error::other(format!("`{line}` is not known here"))
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Serves on a runtime of its own: to shut it down cuts every connection.
fn serve(service: &Arc<Service>, address: SocketAddr) -> io::Result<(Runtime, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let address = listener.local_addr()?;
    let app = axum::Router::new().fallback(answer).with_state(Arc::clone(service));
    runtime.spawn(async move { axum::serve(listener, app).await });
    Ok((runtime, address))
}

/// What becomes of a request that has been written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Behaviour {
    /// It is done and answered.
    #[default]
    Answer,
    /// It is done, and answered once the path has another behaviour.
    Hold,
    /// It is done, and an answer never comes.
    Hang,
    /// It is done, and the connection is closed without an answer.
    Cut,
    /// It is not done, and the connection is closed without an answer.
    CutUndone,
    /// It is not done, and answered with 503, once; the next one is answered.
    FailOnce,
    /// It is not done, and answered with this status.
    Refuse(StatusCode),
}

impl Behaviour {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "answer" => Self::Answer,
            "hold" => Self::Hold,
            "hang" => Self::Hang,
            "cut" => Self::Cut,
            "cut-undone" => Self::CutUndone,
            "fail-once" => Self::FailOnce,
            status => Self::Refuse(status.parse().ok()?),
        })
    }
}

struct Service {
    token: String,
    ledger: Mutex<File>,
    world: Mutex<World>,
}

#[derive(Default)]
struct World {
    behaviours: BTreeMap<String, Behaviour>,
    /// Those that are not here are on.
    connectors: BTreeMap<String, bool>,
    /// All connectors only read.
    is_readonly: bool,
    is_panel_closed: bool,
    /// How often `/switch` still says `off`.
    switch_on_after: u32,
}

impl Service {
    fn new(ledger: PathBuf, token: String) -> io::Result<Self> {
        let ledger = OpenOptions::new().create(true).append(true).open(ledger)?;
        Ok(Self { token, ledger: Mutex::new(ledger), world: Mutex::default() })
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn behaviour(&self, path: &str) -> Behaviour {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let behaviour = world.behaviours.get(path).copied().unwrap_or_default();
        if behaviour == Behaviour::FailOnce {
            world.behaviours.remove(path);
        }
        behaviour
    }

    fn write_down(&self, line: &Value) -> io::Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.write_all(format!("{line}\n").as_bytes())?;
        ledger.sync_data()
    }

    fn respond(&self, method: &str, path: &str, headers: &HeaderMap) -> (StatusCode, Option<String>, Value) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let authorization = header(headers, "authorization");
        if authorization != format!("Bearer {}", self.token) {
            return (StatusCode::UNAUTHORIZED, None, json!({ "error": "who are you?" }));
        }
        let parts: Vec<&str> = path.trim_start_matches("/admin/").split('/').collect();
        match (method, &parts[..]) {
            ("GET", ["connectors", name]) => {
                let enabled = world.connectors.get(*name).copied().unwrap_or(true);
                (StatusCode::OK, None, json!({ "connector": name, "enabled": enabled }))
            }
            ("POST", ["connectors", name, deed @ ("enable" | "disable")]) => {
                let enabled = *deed == "enable";
                world.connectors.insert((*name).to_owned(), enabled);
                (StatusCode::OK, None, json!({ "connector": name, "enabled": enabled }))
            }
            ("GET", ["connectors"]) => (StatusCode::OK, None, json!({ "readonly": world.is_readonly })),
            ("POST", ["connectors", mode @ ("readonly" | "readwrite")]) => {
                world.is_readonly = *mode == "readonly";
                (StatusCode::OK, None, json!({ "readonly": world.is_readonly }))
            }
            ("GET", ["panel"]) => (StatusCode::OK, None, json!({ "enabled": !world.is_panel_closed })),
            ("POST", ["panel", deed @ ("enable" | "disable")]) => {
                world.is_panel_closed = *deed == "disable";
                (StatusCode::OK, None, json!({ "enabled": !world.is_panel_closed }))
            }
            ("GET", ["switch"]) => {
                let is_on = world.switch_on_after == 0;
                world.switch_on_after = world.switch_on_after.saturating_sub(1);
                (StatusCode::OK, None, json!(if is_on { "on" } else { "off" }))
            }
            // Some services repeat what they were sent; this one does so in everything it says.
            (_, ["echo", ..]) => {
                (StatusCode::OK, None, json!({ "you-sent": authorization, "token": self.token, "path": path }))
            }
            (_, ["redirect-to-secret"]) => (StatusCode::FOUND, Some("/admin/secret".to_owned()), Value::Null),
            (_, ["redirect-elsewhere"]) => {
                let port = header(headers, "host");
                let port = port.rsplit_once(':').map_or("80", |(_, port)| port);
                let elsewhere = format!("http://localhost:{port}/admin/allowed");
                (StatusCode::FOUND, Some(elsewhere), Value::Null)
            }
            _ => (StatusCode::OK, None, json!({ "path": path })),
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let line = json!({
        "at": Timestamp::now(),
        "method": method,
        "path": path,
        "query": parts.uri.query(),
        "host": header(&parts.headers, "host"),
        "authorized": header(&parts.headers, "authorization") == format!("Bearer {}", service.token),
        "has-traceparent": parts.headers.contains_key("traceparent"),
        "idempotency-key": header(&parts.headers, "idempotency-key"),
        "body": String::from_utf8_lossy(&body[..body.len().min(4096)]),
    });
    // Before it is written down: whoever has read the line may want the next request treated otherwise.
    let behaviour = service.behaviour(path);
    if let Err(error) = service.write_down(&line) {
        return response(
            StatusCode::INSUFFICIENT_STORAGE,
            None,
            &json!({ "error": error.to_string() }),
            &parts.headers,
        );
    }
    if behaviour == Behaviour::FailOnce {
        return response(StatusCode::SERVICE_UNAVAILABLE, None, &json!({ "error": "not now" }), &parts.headers);
    }
    if let Behaviour::Refuse(status) = behaviour {
        let reason = status.canonical_reason().unwrap_or_default().to_lowercase();
        return response(status, None, &json!({ "error": reason }), &parts.headers);
    }
    if behaviour == Behaviour::CutUndone {
        return cut();
    }
    let (status, location, body) = service.respond(method, path, &parts.headers);
    match behaviour {
        Behaviour::Hold => {
            while service.behaviour(path) == Behaviour::Hold {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            response(status, location, &body, &parts.headers)
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Cut => cut(),
        _ => response(status, location, &body, &parts.headers),
    }
}

fn response(status: StatusCode, location: Option<String>, body: &Value, request: &HeaderMap) -> Response {
    // A bare text is told as such.
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    let mut builder = Response::builder().status(status).header("content-type", "application/json");
    if let Some(location) = location {
        builder = builder.header("location", location);
    }
    if body.contains("you-sent") {
        builder = builder.header("x-you-sent", header(request, "authorization"));
    }
    builder.body(Body::from(body)).unwrap_or_default()
}

/// A body that fails before its first byte makes the server close the connection.
fn cut() -> Response {
    let nothing = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::other("cut")) });
    Response::new(Body::from_stream(nothing))
}
