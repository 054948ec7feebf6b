//! The driver for webhooks: one request for a notice, in the format of its service.
//!
//! It has http's client: the same trust, the same checks of addresses, redirects not followed. The
//! webhook's address may itself be the secret, so that no message names more of it than its service.
//!
//! A service that has too many requests says so before it does anything. Its wish to wait is granted
//! here, within the connection's time-out, and not by the pipeline's retries: those are for calls that
//! fail, and a notice never does.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Host;

use super::Reply;
use super::channel::Deliver;
use super::connection::{Webhook, WebhookUrl};
use super::format::{Answer, Format, KeyPlace};
use super::incident::Incidents;
use super::notice::Notice;
use crate::capability::http::{self, Reach, Trouble};
use crate::capability::{Exactly, OpenError, Opening};
use crate::secret::{SECRET_BYTES_MIN, Scrub as _, Scrubber};

/// More of an answer is not read: a service says what is wrong in less.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The wait after "too many requests" where the service does not say how long.
const WAIT_DEFAULT: Duration = Duration::from_secs(1);

/// No service is asked more often, whatever it says.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// A part of a secret address that is at least so long is taken for the secret in it.
const SECRET_PART_BYTES_MIN: usize = 16;

/// The way to a service.
pub(super) struct WebhookDriver {
    /// For people: the service, and where it is as far as that is no secret.
    name: String,
    format: Format,
    url: Url,
    key: Option<SecretString>,
    page: String,
    client: Client,
    incidents: Incidents,
    /// What a service says is shortened, and no part of a secret may be left at the end.
    scrubber: Scrubber,
    timeout: Duration,
}

/// A request, ready to be sent.
struct Outgoing {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl WebhookDriver {
    pub(super) async fn open(webhook: &Webhook, timeout: Duration, opening: &Opening) -> Result<Self, OpenError> {
        let Webhook { url, format, key, page, ca_file, allow_addresses } = webhook.clone();
        let mut is_secret = key.is_some();
        let name;
        let url = match url {
            WebhookUrl::Open(url) => {
                name = format!("{} at {url}", format.service());
                url
            }
            WebhookUrl::Secret(reference) => {
                name = format!("{} at the address in secret {}", format.service(), reference.name());
                is_secret = true;
                let secret = opening.secrets.get(&reference).await?;
                let url = Url::parse(secret.expose_secret().trim()).map_err(|error| {
                    OpenError::Unusable(format!("the secret `{}` is no URL of a webhook: {error}", reference.name()))
                })?;
                super::connection::check_url(&url)
                    .map_err(|wrong| OpenError::Unusable(format!("the secret `{}`: {wrong}", reference.name())))?;
                hide(&url, opening.secrets.scrubber());
                url
            }
        };
        http::check_url(&url, &allow_addresses).map_err(|refused| OpenError::Unusable(refused.to_string()))?;
        if url.scheme() == "http" && is_secret && !is_this_machine(&url) {
            return Err(OpenError::Unusable(format!(
                "an http:// address would send {}'s secret in the clear: write https://",
                format.service()
            )));
        }
        let key = match key {
            Some(reference) => Some(opening.secrets.get(&reference).await?),
            None => None,
        };
        let ca_file = ca_file.map(|path| opening.base.join(path));
        let reach = Reach::new(ca_file.as_deref(), url.scheme() == "https", &allow_addresses, timeout)?;
        let incidents = Incidents::new(&opening.spool, &format!("{url} {page}"));
        let scrubber = opening.secrets.scrubber().clone();
        let driver = Self { name, format, url, key, page, client: reach.client(0)?, incidents, scrubber, timeout };
        driver.headers().map_err(OpenError::Unusable)?;
        Ok(driver)
    }

    /// Where it leads. It may be a secret.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        // Without its charset, Teams takes the body for something else than UTF-8.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let (Some(KeyPlace::Header(name, word)), Some(key)) = (self.format.key_place(), &self.key) {
            let value = HeaderValue::try_from(format!("{word}{}", key.expose_secret()));
            let mut value = value.map_err(|_| {
                "the secret for `key` has a line break or a control character in it: is it all of one line?".to_owned()
            })?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    fn outgoing(&self, request: super::format::Request) -> Result<Outgoing, String> {
        let super::format::Request { method, path, mut payload } = request;
        if let (Some(KeyPlace::Member(name)), Some(key)) = (self.format.key_place(), &self.key) {
            payload[name] = Value::from(key.expose_secret());
        }
        let mut url = self.url.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        }
        if let Some((name, value)) = self.format.query()
            && !url.query_pairs().any(|(known, _)| known == name)
        {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(Outgoing { method, url, headers: self.headers()?, body: Bytes::from(payload.to_string()) })
    }

    /// One attempt. The error is of a request without an answer.
    async fn exchange(&self, outgoing: &Outgoing) -> Result<(http::Reply, Option<Duration>), Reply> {
        let request = self.client.request(outgoing.method.clone(), outgoing.url.clone());
        let request = request.headers(outgoing.headers.clone()).body(outgoing.body.clone());
        let response = request.send().await.map_err(|error| self.unanswered(Trouble::of(&error)))?;
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| wait(value.to_str().ok()?));
        let status = response.status().as_u16();
        match http::read_response(response, ANSWER_BYTES_MAX).await {
            Ok(mut reply) => {
                reply.scrub(&self.scrubber);
                Ok((reply, wait))
            }
            // A refusal is one however it goes on.
            Err(_) if (300..500).contains(&status) => Ok((http::Reply { status, ..http::Reply::default() }, wait)),
            Err(incomplete) => Err(Reply::PerhapsSent(format!(
                "{} answered {status}, but {}",
                self.format.service(),
                incomplete.error
            ))),
        }
    }

    fn unanswered(&self, trouble: Trouble) -> Reply {
        let service = self.format.service();
        match trouble {
            Trouble::Refused(why) => Reply::NotSent(format!("{service}: {why}")),
            Trouble::Unfit(why) => Reply::NotSent(format!("{service}: the request can't be written: {why}")),
            Trouble::Untrusted(why, remedy) => Reply::NotSent(format!(
                "{service}: nothing was sent, because the server's certificate is not trusted: {why}; {remedy}"
            )),
            Trouble::NoConnection(why) => Reply::NotSent(format!("{service}: no connection, nothing was sent: {why}")),
            Trouble::Lost(why) => {
                Reply::PerhapsSent(format!("{service}: the connection was lost before the answer came: {why}"))
            }
        }
    }

    async fn send(&self, notice: &Notice, until: Instant) -> Reply {
        let service = self.format.service();
        let before = self.format.keeps_incidents().then(|| self.incidents.of(&notice.run)).flatten();
        let outgoing = self.format.request(notice, &self.page, before.as_ref());
        let outgoing = match outgoing.and_then(|request| self.outgoing(request)) {
            Ok(outgoing) => outgoing,
            Err(why) => return Reply::NotSent(why),
        };
        let mut wait_next = WAIT_DEFAULT;
        loop {
            let (reply, wait) = match tokio::time::timeout_at(until.into(), self.exchange(&outgoing)).await {
                Ok(Ok(answered)) => answered,
                Ok(Err(unanswered)) => return unanswered,
                // A connection that does not come about is given up long before.
                Err(_) => {
                    let timeout = humantime::format_duration(self.timeout);
                    return Reply::PerhapsSent(format!("{service} did not answer within {timeout}"));
                }
            };
            if self.format.is_rate_limit(reply.status) {
                let wait = wait.unwrap_or(wait_next).max(WAIT_MIN);
                if wait >= until.saturating_duration_since(Instant::now()) {
                    return Reply::NotSent(format!(
                        "{service} gets too many requests and wants {} to pass first; timeout = \"{}\" is shorter",
                        humantime::format_duration(whole_seconds(wait)),
                        humantime::format_duration(self.timeout)
                    ));
                }
                tracing::debug!(service, ?wait, "too many requests");
                tokio::time::sleep(wait).await;
                wait_next *= 2;
                continue;
            }
            return match self.format.answer(&reply) {
                Answer::Taken => {
                    if self.format.keeps_incidents()
                        && let Some(incident) = self.format.incident(notice, before.as_ref(), &reply)
                    {
                        self.incidents.keep(&notice.run, &incident);
                    }
                    Reply::Sent
                }
                Answer::Refused(why) => Reply::NotSent(why),
                Answer::Unclear(why) => Reply::PerhapsSent(why),
            };
        }
    }
}

#[async_trait]
impl Deliver for WebhookDriver {
    fn place(&self) -> String {
        self.name.clone()
    }

    fn exactly(&self, notice: &Notice) -> Exactly {
        notice.exactly(self.name.clone())
    }

    async fn deliver(&self, notice: &Notice) -> Reply {
        self.send(notice, Instant::now() + self.timeout).await
    }
}

/// `Retry-After`: seconds, with a fraction at Discord's, or a date (RFC 9110, 10.2.3).
fn wait(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default())
}

fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs_f64().ceil() as u64)
}

/// Lets the scrubber know a secret address in the forms in which it may come back: as the client writes
/// it, its path, and the parts of it that are long enough to be what is secret in it.
fn hide(url: &Url, scrubber: &Scrubber) {
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path.push_str(&format!("?{query}"));
    }
    for form in [url.as_str(), &path, url.path()] {
        if form.len() >= SECRET_BYTES_MIN {
            scrubber.add(form);
        }
    }
    let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    for part in segments.chain(values).filter(|part| part.len() >= SECRET_PART_BYTES_MIN) {
        scrubber.add(&part);
    }
}

pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
