//! Webhooks against real HTTP: what a service answers, and what that says of the notice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::service::{Behaviour, Service, answer};
use super::{at, connection, notice, opening_in};
use crate::capability::notify::{Call, Connection, Format, Reply, State};
use crate::capability::{At, CapabilityConnection, Opening, Settlement};
use crate::id::RunId;
use crate::secret::Scrub;

/// In a URL, and beside one. Letters that stand nowhere else.
const TOKEN: &str = "Zq7XvKJw93doNotShowThisToken";

/// A format; what its service answers to a notice that it takes; and what to one that it does not, with
/// the words of it that have to be shown.
fn services() -> Vec<(Format, Behaviour, Behaviour, &'static str)> {
    vec![
        (Format::Slack, answer("200 OK", "ok"), answer("400 Bad Request", "invalid_payload"), "400 invalid_payload"),
        (
            Format::Discord,
            answer("200 OK", r#"{"id":"1","type":0}"#),
            answer(
                "400 Bad Request",
                r#"{"message":"Invalid Form Body","code":50035,"errors":{"content":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"Must be 2000 or fewer in length."}]}}}"#,
            ),
            "400 Must be 2000 or fewer in length.: Invalid Form Body",
        ),
        (
            Format::Teams,
            answer("202 Accepted", ""),
            answer(
                "400 Bad Request",
                r#"{"error":{"code":"TriggerInputSchemaMismatch","message":"The input body did not match its schema."}}"#,
            ),
            "400 The input body did not match its schema.",
        ),
        (
            Format::Pagerduty,
            answer("202 Accepted", r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#),
            answer(
                "400 Bad Request",
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["'routing_key' is missing or blank"]}"#,
            ),
            "'routing_key' is missing or blank: Event object is invalid",
        ),
        (
            Format::Statuspage,
            answer("201 Created", r#"{"id":"p31zjtct2jer","status":"investigating"}"#),
            answer("422 Unprocessable Entity", r#"{"error":["Name can't be blank"]}"#),
            "422 Name can't be blank",
        ),
        (
            Format::Cachet,
            answer("201 Created", r#"{"data":{"id":"7","type":"incidents"}}"#),
            answer(
                "422 Unprocessable Content",
                r#"{"message":"The name field is required.","errors":{"name":["The name field is required."]}}"#,
            ),
            "422 The name field is required.",
        ),
        (
            Format::Cachet2,
            answer("200 OK", r#"{"data":{"id":7}}"#),
            answer(
                "401 Unauthorized",
                r#"{"errors":[{"id":"x","status":401,"title":"Unauthorized","detail":"You are not authorized to view this content."}]}"#,
            ),
            "401",
        ),
        (Format::Json, answer("204 No Content", ""), answer("403 Forbidden", r#"{"error":"no"}"#), "403 no"),
    ]
}

fn table(format: Format) -> Value {
    let word = serde_json::to_value(format).unwrap();
    let mut table = json!({ "format": word, "webhook": "secret:url", "timeout": "20s" });
    if format.key_place().is_some() {
        table["key"] = "secret:key".into();
    }
    if format == Format::Statuspage {
        table["page"] = "kctbh9vrtdwd".into();
    }
    table
}

struct Place {
    folder: tempfile::TempDir,
    opening: Opening,
}

impl Place {
    fn new(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("http://{address}/services/{TOKEN}");
        let opening = opening_in(folder.path(), &[("url", &url), ("key", "routing-key-of-32-characters-0123")]);
        Self { folder, opening }
    }

    async fn send(&self, table: &Value, at: &At, call: &Call) -> Reply {
        let driver = connection(table).open(&self.opening).await.unwrap();
        let reply = driver.prepare(at, call).await.unwrap().perform().await.expect("a notice is never a failure");
        for shown in [format!("{reply:?}"), driver.place(), format!("{:?}", driver.exactly(call))] {
            assert!(!shown.contains(TOKEN) && !shown.contains("routing-key"), "{shown}");
        }
        reply
    }
}

#[tokio::test]
async fn what_a_service_calls_success_is_success_and_what_it_refuses_is_shown_in_its_words() {
    for (format, taken, refused, words) in services() {
        let service = Service::start(vec![taken.clone()]).await;
        let place = Place::new(service.address);
        assert_eq!(place.send(&table(format), &at(), &notice()).await, Reply::Sent, "{format:?}");
        let received = service.received();
        assert_eq!(received.len(), 1);
        assert!(received[0].line.contains(&format!("/services/{TOKEN}")), "{format:?}: {}", received[0].line);
        assert_eq!(received[0].header("content-type"), "application/json; charset=utf-8");
        let key = "routing-key-of-32-characters-0123";
        match format {
            Format::Pagerduty => assert_eq!(received[0].body["routing_key"], key),
            Format::Statuspage => assert_eq!(received[0].header("authorization"), format!("OAuth {key}")),
            Format::Cachet | Format::Json => assert_eq!(received[0].header("authorization"), format!("Bearer {key}")),
            Format::Cachet2 => assert_eq!(received[0].header("x-cachet-token"), key),
            Format::Slack | Format::Teams => {}
            Format::Discord => assert!(received[0].line.ends_with("?wait=true"), "{}", received[0].line),
        }

        let service = Service::start(vec![refused]).await;
        let place = Place::new(service.address);
        let reply = place.send(&table(format), &at(), &notice()).await;
        assert!(matches!(&reply, Reply::NotSent(why) if why.contains(words)), "{format:?}: {reply:?}");
    }
}

#[tokio::test]
async fn whatever_else_comes_is_no_success_and_nothing_is_sent_twice() {
    let elsewhere = Service::start(vec![answer("200 OK", "ok")]).await;
    let there = vec![("location", format!("http://{}/{TOKEN}", elsewhere.address))];
    for (format, taken, ..) in services() {
        let cases = [
            ("an error of the service's own", answer("500 Internal Server Error", "oops"), "perhaps-sent", "500 oops"),
            ("a proxy's error", answer("502 Bad Gateway", "<html>bad gateway</html>"), "perhaps-sent", "502"),
            ("cut before the answer", Behaviour::Cut(0), "perhaps-sent", "the connection was lost"),
            ("cut in the answer's head", Behaviour::Cut(20), "perhaps-sent", "the connection was lost"),
            ("cut in the answer's body", Behaviour::Cut(39), "perhaps-sent", "answered 200, but"),
            ("a redirect", Behaviour::Answer("307 Temporary Redirect", there.clone(), ""), "not-sent", "redirect"),
            ("hangs", Behaviour::Hang, "perhaps-sent", "did not answer within 1s"),
        ];
        for (case, behaviour, outcome, why) in cases {
            let service = Service::start(vec![behaviour.clone(), taken.clone()]).await;
            let place = Place::new(service.address);
            let mut table = table(format);
            if matches!(behaviour, Behaviour::Hang) {
                table["timeout"] = "1s".into();
            }
            let reply = place.send(&table, &at(), &notice()).await;
            let written = serde_json::to_string(&reply).unwrap();
            assert!(written.starts_with(&format!("{{\"{outcome}\"")), "{format:?}, {case}: {written}");
            assert!(written.contains(why), "{format:?}, {case}: {written}");
            assert_eq!(service.received().len(), 1, "{format:?}, {case}");
        }
    }
    assert!(elsewhere.received().is_empty());

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let reply = Place::new(nobody).send(&table(Format::Slack), &at(), &notice()).await;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("nothing was sent")), "{reply:?}");
    // A page that is not Slack's says nothing of Slack.
    let portal = Service::start(vec![answer("200 OK", "<html>Welcome to the hotel</html>")]).await;
    let reply = Place::new(portal.address).send(&table(Format::Slack), &at(), &notice()).await;
    assert!(matches!(&reply, Reply::PerhapsSent(why) if why.contains("Welcome to the hotel")), "{reply:?}");
    // What an old connector of Teams says with a 200.
    let failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413";
    let connector = Service::start(vec![answer("200 OK", failed)]).await;
    let reply = Place::new(connector.address).send(&table(Format::Teams), &at(), &notice()).await;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("413")), "{reply:?}");
}

#[tokio::test]
async fn a_service_that_has_too_much_to_do_is_waited_for_as_long_as_the_time_out_lets() {
    for (format, taken, ..) in services() {
        let wait = |seconds: &str| {
            Behaviour::Answer("429 Too Many Requests", vec![("retry-after", seconds.to_owned())], "slow down")
        };
        let service = Service::start(vec![wait("0.3"), wait("0"), taken.clone()]).await;
        let place = Place::new(service.address);
        let began = Instant::now();
        assert_eq!(place.send(&table(format), &at(), &notice()).await, Reply::Sent, "{format:?}");
        assert!(began.elapsed() >= Duration::from_millis(400), "{format:?}: {:?}", began.elapsed());
        assert_eq!(service.received().len(), 3, "{format:?}");

        let service = Service::start(vec![wait("3600"), taken]).await;
        let place = Place::new(service.address);
        let began = Instant::now();
        let reply = place.send(&table(format), &at(), &notice()).await;
        assert!(matches!(&reply, Reply::NotSent(why) if why.contains("wants 1h to pass")), "{format:?}: {reply:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(service.received().len(), 1, "{format:?}");
    }
}

#[tokio::test]
async fn the_notices_of_a_run_are_one_incident_on_a_status_page() {
    let created = |format: Format| services().into_iter().find(|service| service.0 == format).unwrap().1;
    for (format, lines, states) in [
        (
            Format::Statuspage,
            [
                "POST /pages/kctbh9vrtdwd/incidents",
                "PATCH /pages/kctbh9vrtdwd/incidents/p31zjtct2jer",
                "PATCH /pages/kctbh9vrtdwd/incidents/p31zjtct2jer",
                "POST /pages/kctbh9vrtdwd/incidents",
            ],
            [json!("investigating"), json!("investigating"), json!("resolved"), json!("investigating")],
        ),
        (
            Format::Cachet,
            [
                "POST /api/incidents",
                "POST /api/incidents/7/updates",
                "POST /api/incidents/7/updates",
                "POST /api/incidents",
            ],
            [json!(1), json!(1), json!(4), json!(1)],
        ),
        (
            Format::Cachet2,
            [
                "POST /api/v1/incidents",
                "POST /api/v1/incidents/7/updates",
                "POST /api/v1/incidents/7/updates",
                "POST /api/v1/incidents",
            ],
            [json!(1), json!(1), json!(4), json!(1)],
        ),
    ] {
        let service = Service::start(vec![created(format)]).await;
        let place = Place::new(service.address);
        let table = table(format);
        let other = At { run: RunId::from("20261123-090000-xxxx".to_owned()), ..at() };
        let resolved = Call { state: Some(State::Resolved), ..notice() };
        for (at, call) in [(at(), notice()), (at(), notice()), (at(), resolved), (other, notice())] {
            assert_eq!(place.send(&table, &at, &call).await, Reply::Sent);
        }
        let received = service.received();
        let prefix = format!("/services/{TOKEN}");
        let seen: Vec<_> = received.iter().map(|request| request.line.replace(&prefix, "")).collect();
        assert_eq!(seen, lines, "{format:?}");
        let member = |body: &Value| match format {
            Format::Statuspage => body["incident"]["status"].clone(),
            _ => body["status"].clone(),
        };
        assert_eq!(received.iter().map(|request| member(&request.body)).collect::<Vec<_>>(), states, "{format:?}");
        assert!(place.folder.path().read_dir().unwrap().count() >= 4, "the incidents are kept in the spool");
    }
}

#[tokio::test]
async fn the_notices_of_a_run_are_one_alert_of_a_pager() {
    let service = Service::start(vec![answer("202 Accepted", "{}")]).await;
    let place = Place::new(service.address);
    let table = table(Format::Pagerduty);
    let resolved = Call { state: Some(State::Resolved), ..notice() };
    for call in [notice(), resolved] {
        assert_eq!(place.send(&table, &at(), &call).await, Reply::Sent);
    }
    let received = service.received();
    let [first, last] = [&received[0].body, &received[1].body];
    assert_eq!([&first["event_action"], &last["event_action"]], ["trigger", "resolve"]);
    assert_eq!([&first["dedup_key"], &last["dedup_key"]], ["ripcord/20261122-180312-k7qm"; 2]);
}

/// The forms in which a secret address could come back: whole, as the client writes it, and its parts.
#[tokio::test]
async fn a_secret_address_is_taken_out_of_whatever_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let url =
        "https://hooks.example.org:443/workflows/Zq7XvKJw93doNotShow/invoke?api-version=1&sig=hT3_aB-cD5eF6gH7iJ8k%2B";
    let opening = opening_in(folder.path(), &[("url", url)]);
    connection(&json!({ "format": "teams", "webhook": "secret:url" })).open(&opening).await.unwrap();
    for repeated in [
        url,
        // The client leaves the usual port out.
        "https://hooks.example.org/workflows/Zq7XvKJw93doNotShow/invoke?api-version=1&sig=hT3_aB-cD5eF6gH7iJ8k%2B",
        "no route for /workflows/Zq7XvKJw93doNotShow/invoke?api-version=1&sig=hT3_aB-cD5eF6gH7iJ8k%2B",
        "no workflow Zq7XvKJw93doNotShow",
        "the signature hT3_aB-cD5eF6gH7iJ8k+ is wrong",
    ] {
        let mut text = repeated.to_owned();
        text.scrub(opening.secrets.scrubber());
        assert!(!text.contains("Zq7XvKJw93") && !text.contains("hT3_aB"), "{text}");
    }
    let mut harmless = "workflows and their api-version".to_owned();
    harmless.scrub(opening.secrets.scrubber());
    assert_eq!(harmless, "workflows and their api-version");
}

#[tokio::test]
async fn an_address_that_would_give_the_secret_away_is_not_used() {
    for (url, wrong) in [
        ("http://hooks.example.org/services/T0/B0/Zq7XvKJw93", "in the clear"),
        ("ftp://hooks.example.org/Zq7XvKJw93", "neither http"),
        ("https://ops:Zq7XvKJw93@hooks.example.org/", "password"),
        ("hooks.example.org/services/Zq7XvKJw93", "is no URL"),
        ("https://169.254.169.254/Zq7XvKJw93", "metadata"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let opening = opening_in(folder.path(), &[("url", url)]);
        let opened = connection(&json!({ "format": "slack", "webhook": "secret:url" })).open(&opening).await;
        let error = opened.err().expect(url).to_string();
        assert!(error.contains(wrong) && !error.contains("Zq7XvKJw93"), "{url}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let opening = opening_in(folder.path(), &[("key", "two\nlines of a key")]);
    let table = json!({ "format": "cachet", "webhook": "https://status.example.org", "key": "secret:key" });
    let error = connection(&table).open(&opening).await.err().unwrap().to_string();
    assert!(error.contains("all of one line") && !error.contains("lines of"), "{error}");
}

#[tokio::test]
async fn a_lost_notice_to_a_service_is_perhaps_sent() {
    let service = Service::start(vec![answer("200 OK", "ok")]).await;
    let place = Place::new(service.address);
    let driver = connection(&table(Format::Slack)).open(&place.opening).await.unwrap();
    drop(driver.prepare(&at(), &notice()).await.unwrap());
    let settlement = driver.settle(&at(), &notice(), None).await;
    assert!(matches!(settlement, Settlement::Happened(Reply::PerhapsSent(_))), "{settlement:?}");
    assert!(service.received().is_empty());
}

#[test]
fn the_keys_of_a_connection_fit_together_or_are_refused() {
    for (table, wrong) in [
        (json!({}), "no way to anybody"),
        (json!({ "webhook": "secret:x" }), "`format` is missing"),
        (json!({ "format": "slack" }), "`webhook` is missing"),
        (json!({ "webhook": "hooks.example.org/x", "format": "slack" }), "no URL"),
        (json!({ "webhook": "https://ops:hunter2@x/", "format": "slack" }), "password"),
        (json!({ "webhook": "secret:x", "format": "slack", "key": "secret:y" }), "leave `key` out"),
        (json!({ "webhook": "secret:x", "format": "slack", "page": "p" }), "leave it out"),
        (json!({ "webhook": "secret:x", "format": "slack", "to": ["ops@example.org"] }), "`to` has no use"),
        (json!({ "webhook": "secret:x", "format": "slack", "file": "x" }), "one way"),
        (json!({ "format": "pagerduty" }), "key = \"secret:…\""),
        (json!({ "format": "pagerduty", "key": "R0UT1NGKEY" }), "secret:NAME"),
        (json!({ "format": "statuspage", "key": "secret:x" }), "`page` is missing"),
        (json!({ "format": "statuspage", "key": "secret:x", "page": "../x" }), "letters and digits"),
        (json!({ "format": "mattermost", "webhook": "secret:x" }), "unknown variant"),
        (json!({ "file": "notices.jsonl", "format": "json" }), "`format` has no use with a file"),
        (json!({ "file": "/" }), "names no file"),
        (json!({ "file": "x", "timeout": "0s" }), "timeout"),
        (json!({ "file": "x", "template": { "subject": "{{ sbject }}" } }), "`sbject`"),
        (json!({ "file": "x", "template": { "title": "x" } }), "unknown field `title`"),
    ] {
        let error = serde_json::from_value::<Connection>(table.clone()).expect_err(&table.to_string()).to_string();
        assert!(error.contains(wrong) && !error.contains("hunter2") && !error.contains("R0UT1NG"), "{table}: {error}");
    }
    for table in [
        json!({ "format": "pagerduty", "key": "secret:x" }),
        json!({ "format": "statuspage", "key": "secret:x", "page": "kctbh9vrtdwd" }),
        json!({ "format": "cachet-2", "key": "secret:x", "webhook": "https://status.example.org/", "ca-file": "ca.pem" }),
        json!({ "file": "/var/log/notices.jsonl", "template": { "text": "{{ text }}" } }),
    ] {
        let connection = connection(&table);
        let written = serde_json::to_value(&connection).unwrap();
        assert_eq!(super::connection(&written), connection, "{table}");
    }
}
