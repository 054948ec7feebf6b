//! What ripcord tells of itself: its log, and the traces of its runs at a real collector.

use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use ripcord_tests::fault::Window;

use crate::interrupt::terminal::assert_on_its_own_line;
use crate::interrupt::{RUN, answer, hold, posts, step, until_posted, world};
use crate::world::{TOKEN, World};

/// A collector of OTLP over HTTP.
struct Collector {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    endpoint: String,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let kept = Arc::clone(&got);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            kept.lock().unwrap().push((headers, body));
            StatusCode::OK
        };
        let app = axum::Router::new().route("/v1/traces", axum::routing::post(take));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { got, endpoint, _runtime: runtime }
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

fn text(span: &Span, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        other => format!("{other:?}"),
    })
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

fn calls() -> World {
    world(&step("a", "", &["POST /one", "GET /echo/it", "POST /two"]))
}

#[test]
fn a_collector_gets_run_step_and_calls_and_no_secret() {
    let collector = Collector::start();
    let world = calls();
    let ran = world
        .ripcord(RUN)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=genia")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
        .run();
    assert_eq!(ran.code(), Some(0), "{ran}");
    let spans = collector.spans();
    let (run, step) = (named(&spans, "run plan"), named(&spans, "apply a"));
    let get = named(&spans, "GET http.service");
    let post = spans.iter().find(|span| text(span, "url.path").as_deref() == Some("/one")).unwrap();
    assert!(run.parent_span_id.is_empty());
    assert_eq!((&step.parent_span_id, &post.parent_span_id), (&run.span_id, &step.span_id));
    assert!(spans.iter().all(|span| span.trace_id == run.trace_id));
    assert!(run.start_time_unix_nano <= step.start_time_unix_nano && step.end_time_unix_nano <= run.end_time_unix_nano);
    assert_eq!(run.status.as_ref().map(|status| status.code), Some(1), "ok");
    assert_eq!(text(run, "ripcord.outcome").as_deref(), Some("verified"));
    assert_eq!(text(post, "http.request.method").as_deref(), Some("POST"));
    assert_eq!(text(post, "url.path").as_deref(), Some("/one"));
    assert_eq!(text(get, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(text(get, "server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(text(get, "server.port"), Some(world.ledger.port().to_string()));

    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    let of_resource = Span { attributes: resource.attributes, ..Span::default() };
    assert_eq!(text(&of_resource, "service.name").as_deref(), Some("ripcord"));
    assert_eq!(text(&of_resource, "deployment.environment.name").as_deref(), Some("staging"));
    let got = collector.got.lock().unwrap();
    assert!(got.iter().all(|(headers, _)| headers["x-tenant"] == "genia"));
    assert!(!got.iter().any(|(_, body)| body.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes())));
    // What goes to the service is the same, whoever watches.
    assert!(world.ledger.entries().iter().all(|entry| !entry.has_traceparent));
}

/// The host dies, another one goes on: one trace, and each span once.
#[test]
fn a_resumed_run_goes_on_in_its_trace() {
    let collector = Collector::start();
    let world = calls();
    let endpoint = format!("{}/v1/traces", collector.endpoint);
    let name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    world.ripcord(RUN).env(name, &endpoint).killed(Window::AfterEffect, 2).expect_killed();
    let ran = world.ripcord(&["resume", "last"]).env(name, &endpoint).run();
    assert_eq!(ran.code(), Some(0), "{ran}");
    let spans = collector.spans();
    let (run, step) = (named(&spans, "run plan"), named(&spans, "apply a"));
    assert_eq!(step.parent_span_id, run.span_id);
    assert!(spans.iter().all(|span| span.trace_id == run.trace_id));
    let in_doubt = spans.iter().find(|span| text(span, "url.path").as_deref() == Some("/two")).unwrap();
    assert_eq!(in_doubt.parent_span_id, step.span_id);
    assert!(in_doubt.events.iter().any(|event| event.name == "settled"), "{:?}", in_doubt.events);
    let mut ids: Vec<_> = spans.iter().map(|span| &span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), spans.len());
}

#[test]
fn a_run_is_not_traced_where_nobody_wants_it() {
    let collector = Collector::start();
    for (name, value) in
        [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_TRACES_EXPORTER", "none")]
    {
        let world = calls();
        world.ripcord(RUN).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint).env(name, value).expect(0);
    }
    assert!(collector.got.lock().unwrap().is_empty());
}

/// A collector that takes connections and never answers, one that is not there, and one that is no URL: the
/// run ends as it would have, one line says so, and nobody waits for the collector to think better of it.
#[test]
fn a_collector_that_does_not_answer_changes_nothing_but_one_line() {
    let hanging = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = hanging.local_addr().unwrap().port();
    // It holds every connection until the run is long over.
    let (over, wait) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        hanging.set_nonblocking(true).unwrap();
        let mut held = Vec::new();
        while wait.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            held.extend(hanging.accept().map(|(stream, _)| stream));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut got = Vec::new();
        for mut stream in held {
            stream.set_nonblocking(true).unwrap();
            let _ = stream.read_to_end(&mut got);
        }
        got.len()
    });
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let endpoints = [format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{closed}"), "not a url".to_owned()];
    for endpoint in &endpoints {
        let world = calls();
        let ran = world.ripcord(RUN).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).run();
        assert_eq!(ran.code(), Some(0), "{endpoint}: {ran}");
        assert_eq!(posts(&world), ["one", "two"]);
        let warnings: Vec<_> = ran.stderr.lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(warnings.len(), 1, "{endpoint}: {ran}");
        assert!(warnings[0].contains("trace"), "{endpoint}: {ran}");
    }
    // The first run has ended although its collector still kept it waiting.
    over.send(()).unwrap();
    assert!(server.join().unwrap() > 0, "nothing was sent to the collector that hangs");
}

#[test]
fn the_log_goes_to_stderr_in_lines_without_secrets() {
    let world = calls();
    let ran = world
        .ripcord(&["--log-format", "json", "--json", "run", "plan.toml", "--yes"])
        .env("RIPCORD_LOG", "trace")
        .run();
    assert_eq!(ran.code(), Some(0), "{ran}");
    // Every line of stdout is an event of the run.
    assert_eq!(ran.json().last().unwrap()["event"], "run-ended");
    let logged: Vec<serde_json::Value> =
        ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let in_a_call = logged.iter().find(|line| line["span"]["http.request.method"] == "POST");
    assert!(in_a_call.is_some(), "{ran}");
    assert!(!ran.said().contains(TOKEN), "{ran}");
}

#[test]
fn without_a_wish_nothing_but_warnings_is_logged_and_a_wrong_wish_is_said() {
    let world = calls();
    let ran = world.ripcord(RUN).expect(0);
    assert!(!ran.stderr.contains("INFO") && !ran.stderr.contains("WARN"), "{ran}");
    for wrong in ["verbose", "ripcord=loud", "a[b"] {
        let ran = world.ripcord(RUN).env("RIPCORD_LOG", wrong).expect(2);
        ran.says("RIPCORD_LOG").says(wrong).says("warn,ripcord::pipeline=debug");
    }
    world.ripcord(&["--log-format", "xml", "runs"]).expect(2).says("json");
    assert_eq!(posts(&world), ["one", "two"]);
}

/// A line of the log on a terminal stands above the list of steps.
#[test]
fn the_log_does_not_break_the_list_of_steps() {
    let world = calls();
    hold(&world, "one");
    hold(&world, "two");
    // A collector that is not there shows while the run goes on.
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let terminal = world
        .ripcord(RUN)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{closed}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .on_a_terminal();
    until_posted(&world, "one");
    answer(&world, "one");
    until_posted(&world, "two");
    terminal.until_shows("WARN");
    answer(&world, "two");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert_on_its_own_line(&shown, "WARN");
}
