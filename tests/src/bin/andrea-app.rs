//! "Asistente Andrea" as ripcord's tests meet it: the application of the runbook, in a container, with a
//! PostgreSQL of its own and its code mounted from a working copy.
//!
//! `andrea-app PORT CODE` serves on loopback until it is told to stop (`SIGTERM`). What it does says the file
//! `CODE/release.json` as it was at the start: `{"version": "1.4.2"}`, and what is wrong with the release:
//!
//! - `"fault": "crash"`: it ends at once, and the container's restart policy starts it again.
//! - `"fault": "webhook-500"`: the voice webhook answers 500.
//! - `"fault": "slow"`: the first byte of the audio takes `"slow-ms"`.
//! - `"fault": "empty-transcripts"`: calls are stored with an empty transcript and no extracted data.
//!
//! `$DATABASE` is a connection string of libpq's, `$TWILIO_TOKEN` what Twilio signs its webhooks with, and
//! `$PUBLIC_URL` the address that Twilio knows the application by.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::{Client, NoTls};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Release {
    version: String,
    #[serde(default)]
    fault: Option<String>,
    #[serde(default)]
    slow_ms: u64,
}

struct App {
    release: Release,
    database: String,
    token: String,
    public_url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(code)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: andrea-app PORT CODE"));
    };
    let release = std::fs::read(Path::new(&code).join("release.json"))?;
    let release: Release = serde_json::from_slice(&release)?;
    println!("andrea {} starts", release.version);
    if release.fault.as_deref() == Some("crash") {
        return Err(io::Error::other("TypeError: cannot read properties of undefined (reading 'transcript')"));
    }
    let variable = |name| std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")));
    let (database, token, public_url) = (variable("DATABASE")?, variable("TWILIO_TOKEN")?, variable("PUBLIC_URL")?);
    let app = Arc::new(App { release, database, token, public_url });
    let routes = Router::new()
        .route("/health", get(health))
        .route("/calls", get(calls))
        .route("/audio", get(audio))
        .route("/webhooks/voice", post(voice))
        .with_state(app);
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    // The first process of a container has no default for signals.
    let mut told = signal(SignalKind::terminate())?;
    axum::serve(listener, routes).with_graceful_shutdown(async move { _ = told.recv().await }).await
}

/// Why a request can't be answered: the database, mostly.
struct Failed(tokio_postgres::Error);

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        println!("ERROR database: {}", self.0);
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": self.0.to_string() }))).into_response()
    }
}

impl App {
    fn has(&self, fault: &str) -> bool {
        self.release.fault.as_deref() == Some(fault)
    }

    /// A connection of its own for each request: nothing is left open that a restored database would miss.
    async fn client(&self) -> Result<Client, Failed> {
        let (client, connection) = tokio_postgres::connect(&self.database, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

async fn health(State(app): State<Arc<App>>) -> Result<Response, Failed> {
    let row = app.client().await?.query_one("SELECT count(*) FROM calls", &[]).await?;
    Ok(Json(json!({ "version": app.release.version, "calls": row.get::<_, i64>(0) })).into_response())
}

async fn calls(State(app): State<Arc<App>>) -> Result<Response, Failed> {
    let rows = app.client().await?.query("SELECT sid, transcript FROM calls ORDER BY sid", &[]).await?;
    let calls = rows.iter().map(|row| json!({ "sid": row.get::<_, String>(0), "transcript": row.get::<_, String>(1) }));
    Ok(Json(calls.collect::<Vec<_>>()).into_response())
}

async fn audio(State(app): State<Arc<App>>) -> Response {
    if app.has("slow") {
        tokio::time::sleep(Duration::from_millis(app.release.slow_ms)).await;
    }
    ([(header::CONTENT_TYPE, "audio/basic")], vec![0xff_u8; 800]).into_response()
}

/// Twilio tells of a call, and is answered with what to do about it.
async fn voice(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Result<Response, Failed> {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    if !is_signed(&app, &uri, &headers, &form) {
        return Ok((StatusCode::FORBIDDEN, "not signed by Twilio").into_response());
    }
    if app.has("webhook-500") {
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, "boom").into_response());
    }
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (transcript, extracted) = match app.has("empty-transcripts") {
        true => (String::new(), None),
        false => (format!("call from {}", field("From")), Some(json!({ "intent": "appointment" }))),
    };
    let insert = "INSERT INTO calls (sid, status, transcript, extracted) VALUES ($1, $2, $3, $4)
                  ON CONFLICT (sid) DO UPDATE SET status = excluded.status";
    let client = app.client().await?;
    client.execute(insert, &[&field("CallSid"), &field("CallStatus"), &transcript, &extracted]).await?;
    let twiml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say language=\"es-ES\">Hola</Say></Response>";
    Ok(([(header::CONTENT_TYPE, "text/xml")], twiml).into_response())
}

/// As Twilio's documentation says: the address and the sorted parameters, with HMAC-SHA1.
fn is_signed(app: &App, uri: &Uri, headers: &HeaderMap, form: &BTreeMap<String, String>) -> bool {
    let given = headers.get("x-twilio-signature").and_then(|given| STANDARD.decode(given.as_bytes()).ok());
    let mut signed = format!("{}{uri}", app.public_url);
    form.iter().for_each(|(name, value)| signed.extend([name.as_str(), value.as_str()]));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, app.token.as_bytes());
    given.is_some_and(|given| hmac::verify(&key, signed.as_bytes(), &given).is_ok())
}
