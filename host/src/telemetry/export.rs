//! The traces of runs, sent to an OpenTelemetry collector: OTLP over HTTP, set up by the usual environment
//! variables. It never holds a run up, and never fails one.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter as Otlp, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SamplingDecision, SpanData, SpanExporter, SpanProcessor as _,
};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

use super::spans::{Servers, Spans, trace_id};
use crate::capability::http::tls;
use crate::id::RunId;
use crate::journal::Recorded;

/// How long a collector may take for one batch. Spans wait in the queue meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest answer of a collector that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why nothing is exported although it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no trace of this run is exported: {0}")]
pub struct ExportError(String);

/// The export of one run's trace. What it is told goes to a queue with a limit, and from there to the
/// collector in threads of its own.
pub struct Export {
    spans: Mutex<Spans>,
    processor: BatchSpanProcessor,
    troubles: Arc<Troubles>,
    /// Where the requests to the collector are made.
    _background: Background,
}

impl Export {
    /// An export as the environment asks for it; none if it names no collector
    /// (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), or says that there is to be
    /// none (`OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER`, `OTEL_TRACES_SAMPLER`).
    ///
    /// # Errors
    /// If what the environment says can't be carried out. The run goes on without an export.
    pub fn from_env(run: &RunId, servers: Servers) -> Result<Option<Self>, ExportError> {
        let Some(endpoint) = endpoint() else { return Ok(None) };
        if !is_sampled(run) {
            return Ok(None);
        }
        let failed = |problem: &dyn fmt::Display| ExportError(problem.to_string());
        let (background, handle) = Background::start().map_err(|error| failed(&error))?;
        let client = Client::new(handle, endpoint.starts_with("https:"))?;
        let exporter = Otlp::builder().with_http().with_http_client(client).build().map_err(|error| failed(&error))?;
        let troubles = Arc::new(Troubles { endpoint: origin(&endpoint), told: AtomicBool::new(false) });
        let mut processor = BatchSpanProcessor::builder(Watched { exporter, troubles: Arc::clone(&troubles) }).build();
        processor.set_resource(&resource());
        Ok(Some(Self {
            spans: Mutex::new(Spans::new(run.clone(), servers)),
            processor,
            troubles,
            _background: background,
        }))
    }

    /// Takes in what has happened in other processes, without exporting it again.
    pub fn catch_up(&self, events: &[Recorded]) {
        events.iter().for_each(|recorded| drop(self.completed(recorded)));
    }

    /// One more event of the run.
    pub fn event(&self, recorded: &Recorded) {
        self.completed(recorded).into_iter().for_each(|span| self.processor.on_end(span));
    }

    fn completed(&self, recorded: &Recorded) -> Vec<SpanData> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).event(recorded.at, &recorded.event)
    }

    /// Sends what is left, and waits no longer than this for it.
    pub fn finish(&self, within: Duration) {
        if self.processor.shutdown_with_timeout(within).is_err() {
            self.troubles.tell("it has not answered in time");
        }
    }
}

/// A runtime of its own: what goes on in it takes nothing from the run, and holds nobody up at the end.
struct Background(Option<Runtime>);

impl Background {
    fn start() -> std::io::Result<(Self, Handle)> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("otlp").enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok((Self(Some(runtime)), handle))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where the traces go, if anywhere.
fn endpoint() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let is = |name: &str, word: &str| set(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"))
}

/// A run is one trace, and sampled whole: `OTEL_TRACES_SAMPLER` is asked once.
fn is_sampled(run: &RunId) -> bool {
    let asked = Config::default().sampler.should_sample(None, trace_id(run), "run", &SpanKind::Internal, &[], &[]);
    asked.decision == SamplingDecision::RecordAndSample
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, or else this program.
fn resource() -> Resource {
    let is_named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|given| given.contains("service.name="));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if is_named { builder.build() } else { builder.with_service_name("ripcord").build() }
}

/// Where the collector is, without what may be a secret in its address.
fn origin(endpoint: &str) -> String {
    url::Url::parse(endpoint).map_or_else(|_| "(no URL)".to_owned(), |url| url.origin().ascii_serialization())
}

/// Says once that the collector can't be reached.
#[derive(Debug)]
struct Troubles {
    endpoint: String,
    told: AtomicBool,
}

impl Troubles {
    fn tell(&self, problem: &str) {
        if !self.told.swap(true, Ordering::SeqCst) {
            tracing::warn!(
                endpoint = self.endpoint,
                problem,
                "the OpenTelemetry collector does not take this run's trace, or not all of it; the run is not affected"
            );
        }
    }
}

/// An exporter whose first failure is told.
#[derive(Debug)]
struct Watched {
    exporter: Otlp,
    troubles: Arc<Troubles>,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported {
            self.troubles.tell(&error.to_string());
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The processor's thread has no runtime, and the client needs one.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    fn new(runtime: Handle, is_encrypted: bool) -> Result<Self, ExportError> {
        let ca_file = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]
            .into_iter()
            .find_map(std::env::var_os)
            .map(PathBuf::from);
        let tls =
            tls::client_config(ca_file.as_deref(), is_encrypted).map_err(|error| ExportError(error.to_string()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_WITHIN)
            .user_agent(concat!("ripcord/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ExportError(error.to_string()))?;
        Ok(Self { client, runtime })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (answer, answered) = oneshot::channel();
        let client = self.client.clone();
        self.runtime.spawn(async move {
            // Nobody waits for it any more when the run has ended.
            let _ = answer.send(send(&client, request).await);
        });
        answered.await?
    }
}

async fn send(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut response = client.execute(request.try_into()?).await?;
    let mut answer = Response::builder().status(response.status());
    if let Some(headers) = answer.headers_mut() {
        headers.clone_from(response.headers());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(format!("the collector's answer is longer than {ANSWER_BYTES_MAX} bytes").into());
        }
    }
    Ok(answer.body(body.into())?)
}
