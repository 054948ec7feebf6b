//! The driver: sends a request, and says honestly what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url};
use serde_json::Value;

use super::client::Reach;
use super::connection::Connection;
use super::login::Login;
use super::redirect::{self, REDIRECTS_MAX};
use super::response::{self, BodyError};
use super::{Call, Reply, Timing, trouble};
use crate::capability::{At, Driver, Exactly, OpenError, Opening, Prepared, Settlement};
use crate::failure::{Failure, Problem};

/// The open connection to a service.
pub(super) struct HttpDriver {
    connection: Connection,
    login: Option<Arc<Login>>,
    reads: Client,
    mutations: Client,
}

/// A request as it goes out, save for what shows who sends it.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl HttpDriver {
    pub(super) async fn open(connection: &Connection, opening: &Opening) -> Result<Self, OpenError> {
        let login = Login::open(connection, opening).await?.map(Arc::new);
        let ca_file = connection.ca_file.as_ref().map(|path| opening.base.join(path));
        let encrypted = connection.url.is_encrypted();
        let reach = Reach::new(ca_file.as_deref(), encrypted, &connection.allow_addresses, connection.timeout)?;
        Ok(Self { connection: connection.clone(), login, reads: reach.client(4)?, mutations: reach.client(0)? })
    }

    /// The response to one read, redirects included as they are; the body is left alone. `known` says
    /// whether the credentials go along.
    pub(super) async fn look(&self, method: &str, path: &str, known: bool) -> Result<Response, Failure> {
        let call = Call { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None };
        let outgoing = self.outgoing(None, &call)?;
        let login = self.login.as_deref().filter(|_| known);
        outgoing.send(&self.reads, login).await.map_err(|error| trouble::before_answer(&outgoing, &error, false))
    }

    fn outgoing(&self, key: Option<&str>, call: &Call) -> Result<Outgoing, Failure> {
        let unfit = |problem: String| Failure::permanent(format!("{} {}: {problem}", call.method, call.path));
        let method = Method::from_bytes(call.method.as_bytes()).map_err(|error| unfit(error.to_string()))?;
        let url = self.connection.url.join(&call.path).map_err(unfit)?;
        let mut headers = HeaderMap::new();
        let fixed = self.connection.headers.iter().map(|(name, value)| (name.name().as_str(), value.as_str()));
        let asked = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let key = self.connection.idempotency_header.as_ref().zip(key).map(|(name, key)| (name.name().as_str(), key));
        for (name, value) in fixed.chain(asked).chain(key) {
            let field = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value).ok());
            let (name, value) =
                field.ok_or_else(|| unfit(format!("the header `{}` can't be sent", name.escape_debug())))?;
            headers.append(name, value);
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let body = call.body.as_ref().map(|body| Bytes::copy_from_slice(&body.0)).unwrap_or_default();
        Ok(Outgoing { method, url, headers, body })
    }
}

#[async_trait]
impl Driver for HttpDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        self.connection.url.url().to_string()
    }

    fn exactly(&self, call: &Call) -> Exactly {
        // What is not allowed to leave as it is never gets this far; the path alone says enough of it.
        let url = self.connection.url.join(&call.path).map_or_else(|_| call.path.clone(), String::from);
        let mut exactly = Exactly::new(format!("{} {url}", call.method));
        if let Some(auth) = &self.connection.auth {
            exactly = exactly.with("login", auth.to_string());
        }
        for (name, value) in &call.headers {
            exactly = exactly.with("header", format!("{name}: {value}"));
        }
        match call.body.as_ref().filter(|body| !body.0.is_empty()) {
            Some(body) => exactly.with("body", body.in_words()),
            None => exactly,
        }
    }

    async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
        let mut outgoing = self.outgoing(at.idempotency_key.as_deref(), call)?;
        let began = Instant::now();
        for _ in 0..=REDIRECTS_MAX {
            let response = outgoing.send(&self.reads, self.login.as_deref()).await;
            let response = response.map_err(|error| trouble::before_answer(&outgoing, &error, false))?;
            if let Some(next) = redirect::follow(&self.connection, &outgoing, &response)? {
                outgoing = next;
                continue;
            }
            let first_byte = began.elapsed();
            let answer = response::read(response, self.connection.body_limit).await;
            return answer.map(|reply| reply.timed(first_byte, began.elapsed())).map_err(|problem| {
                match problem.error {
                    BodyError::TooLong { .. } => Failure::Permanent(problem.of(&outgoing)),
                    BodyError::Broken(_) => Failure::Transient(problem.of(&outgoing)),
                }
            });
        }
        Err(Failure::permanent(format!("{call}: redirected more than {REDIRECTS_MAX} times", call = outgoing.line())))
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        let outgoing = self.outgoing(at.idempotency_key.as_deref(), call)?;
        let body_limit = self.connection.body_limit;
        Ok(Box::new(Mutation { outgoing, client: self.mutations.clone(), login: self.login.clone(), body_limit }))
    }

    async fn settle(&self, _at: &At, call: &Call, _marker: Option<&Value>) -> Settlement<Reply> {
        let Call { method, path, .. } = call;
        Settlement::Unknown(format!("HTTP has no way to ask what became of {method} {path}"))
    }
}

/// A mutation, up to its first byte.
struct Mutation {
    outgoing: Outgoing,
    client: Client,
    login: Option<Arc<Login>>,
    body_limit: u64,
}

#[async_trait]
impl Prepared<Reply> for Mutation {
    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { outgoing, client, login, body_limit } = *self;
        let began = Instant::now();
        let response = outgoing.send(&client, login.as_deref()).await;
        let response = response.map_err(|error| trouble::before_answer(&outgoing, &error, true))?;
        let first_byte = began.elapsed();
        // A status has come, but what the service said of its effect is missing: the plugin gets
        // the whole answer or none.
        let answer = response::read(response, body_limit).await;
        answer
            .map(|reply| reply.timed(first_byte, began.elapsed()))
            .map_err(|problem| Failure::Unknown(problem.of(&outgoing)))
    }
}

impl Outgoing {
    async fn send(&self, client: &Client, login: Option<&Login>) -> Result<Response, reqwest::Error> {
        let (mut url, mut headers) = (self.url.clone(), self.headers.clone());
        if let Some(login) = login {
            login.add_to(&mut url, &mut headers, &self.body);
        }
        let request = client.request(self.method.clone(), url).headers(headers);
        // An empty body is none: `content-length: 0` on a GET is what some proxies turn away.
        let request = if self.body.is_empty() { request } else { request.body(self.body.clone()) };
        request.send().await
    }

    /// The request in one line, for messages. Credentials are in headers only, never in a URL.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

impl Reply {
    fn timed(self, first_byte: Duration, total: Duration) -> Self {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self { timing: Timing { first_byte_us: micros(first_byte), total_us: micros(total) }, ..self }
    }
}

impl response::Incomplete {
    fn of(self, outgoing: &Outgoing) -> Problem {
        let evidence = serde_json::json!({ "status": self.status, "received-bytes": self.received });
        Problem { message: format!("{}: status {}, but {}", outgoing.line(), self.status, self.error), evidence }
    }
}
