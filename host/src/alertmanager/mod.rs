//! Receives the webhooks of an Alertmanager and of Grafana: `POST /alerts`, with a bearer token.
//!
//! Nothing that comes over this door can harm the run behind it: who has no token is sent away before anything
//! of a body is read, a body has a limit, and a connection has a time in which it has to be done with all.

mod brief;
mod payload;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use payload::first_of;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::id::Digest;
use crate::journal::Alert;

/// The longest body, in bytes. An alert has about one KiB.
const BODY_BYTES_MAX: usize = 4 << 20;

/// How long a connection may take: it has one request, and Alertmanager itself gives up after some seconds.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(15);

/// How many connections are served at once; others wait.
const CONNECTIONS_MAX: usize = 64;

/// How many notifications wait for the journal at most.
const WAITING_MAX: usize = 256;

/// A notification that was understood.
#[derive(Debug)]
pub struct Notification {
    /// Its alerts; none of them has a trigger yet.
    pub alerts: Vec<Alert>,
    /// How many more its sender has left out.
    pub left_out: u64,
    /// Told whether all of it is durable: only then its sender may forget it.
    pub kept: oneshot::Sender<bool>,
}

/// Where notifications come.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    token: SecretString,
}

impl Listening {
    /// Takes the address; port 0 is any free one. From now on senders can connect, and wait.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn at(address: SocketAddr, token: SecretString) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, token })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The notifications that come as long as the future behind them is driven.
    pub fn serve(self) -> (mpsc::Receiver<Notification>, impl Future<Output = ()> + Send) {
        let (sender, notifications) = mpsc::channel(WAITING_MAX);
        let door = Arc::new(Door { token: Digest::of(self.token.expose_secret().as_bytes()), sender });
        let router = Router::new()
            .route("/alerts", post(receive))
            .fallback(async || answer(StatusCode::NOT_FOUND, "alerts are received at POST /alerts"))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(door);
        let listener = brief::BriefListener::new(self.listener, CONNECTION_TIME_MAX, CONNECTIONS_MAX);
        let serving = async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "alerts can't be received any more");
            }
        };
        (notifications, serving)
    }
}

struct Door {
    /// Of the token: comparing digests takes as long wherever two differ.
    token: Digest,
    sender: mpsc::Sender<Notification>,
}

async fn receive(State(door): State<Arc<Door>>, request: Request) -> Response {
    if bearer(request.headers()).is_none_or(|token| Digest::of(token) != door.token) {
        let mut refusal = answer(StatusCode::UNAUTHORIZED, "this needs the bearer token of [alertmanager]");
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return refusal;
    }
    // Who says so beforehand is not waited for.
    if announced(request.headers()).is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        tracing::warn!("a notification of alerts was refused: it is too long");
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    }
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => {
            tracing::warn!(problem = %rejection.body_text(), "a notification of alerts was refused");
            return answer(rejection.status(), "the body could not be read, or is too long");
        }
    };
    let (alerts, left_out) = match payload::read(&body) {
        Ok(read) => read,
        Err(problem) => {
            tracing::warn!(%problem, "a notification of alerts was refused");
            return answer(StatusCode::BAD_REQUEST, &problem);
        }
    };
    let (kept, is_kept) = oneshot::channel();
    let handed_on = door.sender.send(Notification { alerts, left_out, kept }).await.is_ok();
    match is_kept.await {
        Ok(true) if handed_on => answer(StatusCode::OK, "noted"),
        _ => answer(StatusCode::SERVICE_UNAVAILABLE, "it could not be noted; send it again"),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// How long the body will be, if its sender says so.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An answer that ends its connection: each has its time, and one request.
fn answer(status: StatusCode, words: &str) -> Response {
    (status, [(header::CONNECTION, "close")], format!("{words}\n")).into_response()
}
