//! The door through which alerts come: what goes through it is not lost, and what does not belong there does no harm.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ripcord::journal::AlertStatus;

use crate::interrupt::{posts, step};
use crate::world::prometheus::send;
use crate::world::{ALERTS_TOKEN, World};

/// As Grafana's documentation shows it.
const GRAFANA: &str = r#"{"receiver": "My Super Webhook", "status": "firing", "orgId": 1, "alerts": [
    {"status": "firing", "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1"},
     "annotations": {"description": "The system has high memory usage", "runbook_url": "https://myrunbook.com/runbook/1234",
                     "summary": "This alert was triggered for zone us-1"},
     "startsAt": "2021-10-12T09:51:03.157076+02:00", "endsAt": "0001-01-01T00:00:00Z",
     "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit", "fingerprint": "c6eadffa33fcdf37",
     "silenceURL": "https://play.grafana.org/alerting/silence/new", "dashboardURL": "", "panelURL": "",
     "values": {"B": 44.23943737541908, "C": 1}}],
    "groupLabels": {}, "commonLabels": {"team": "blue"}, "commonAnnotations": {}, "externalURL": "https://play.grafana.org/",
    "version": "1", "groupKey": "{}:{}", "truncatedAlerts": 0, "title": "[FIRING:1]  (blue)", "state": "alerting",
    "message": "**Firing**"}"#;

const PLAN: &str = "[watch]\nwindow = \"2m\"\nexpires = \"1m\"\n[[trigger]]\nid = \"memory\"\ntitle = \"Memory\"\n\
                    severity = \"SEV2\"\nalert = { alertname = \"High memory usage\", team = \"blue|green\" }\n";

/// One of many alerts that no trigger waits for.
fn notification(number: usize, status: &str) -> String {
    format!(
        r#"{{"version": "4", "groupKey": "{{}}:{{pod=\"p{number}\"}}", "status": "{status}", "receiver": "ripcord",
           "alerts": [{{"status": "{status}", "labels": {{"alertname": "Noise", "pod": "p{number}"}},
           "annotations": {{"summary": "{ALERTS_TOKEN}"}}, "startsAt": "2026-11-23T04:41:48.928Z",
           "fingerprint": "f{number}"}}]}}"#
    )
}

fn post(port: u16, body: &str) -> u16 {
    send(port, "POST", "/alerts", &[&format!("Authorization: Bearer {ALERTS_TOKEN}")], body.as_bytes()).0
}

/// Sends these from several senders at once; those that were answered with 200.
fn burst(port: u16, numbers: &[usize], answered: &AtomicUsize) -> BTreeSet<usize> {
    let kept = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for part in numbers.chunks(numbers.len().div_ceil(8)) {
            let kept = &kept;
            scope.spawn(move || {
                for &number in part {
                    if post(port, &notification(number, "firing")) == 200 {
                        kept.lock().unwrap().insert(number);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    kept.into_inner().unwrap()
}

/// All that may come to a door that is open: nothing of it harms the watch.
fn abuse(port: u16) {
    let body = notification(0, "firing");
    let bearer = format!("Authorization: Bearer {ALERTS_TOKEN}");
    let long = vec![b' '; 10_000_000];
    for (case, path, headers, body, status) in [
        ("no token", "/alerts", vec![], body.as_bytes(), 401),
        ("a wrong token", "/alerts", vec!["Authorization: Bearer al3rts-t0ken-do-not-show-52"], body.as_bytes(), 401),
        ("another scheme", "/alerts", vec!["Authorization: Basic Zm9vOmJhcg=="], body.as_bytes(), 401),
        ("garbage", "/alerts", vec![bearer.as_str()], b"\xff\x00{{{".as_slice(), 400),
        (
            "another version",
            "/alerts",
            vec![bearer.as_str()],
            b"{\"version\":\"9\",\"groupKey\":\"\",\"alerts\":[]}",
            400,
        ),
        ("another path", "/", vec![bearer.as_str()], body.as_bytes(), 404),
    ] {
        let (came, said) = send(port, "POST", path, &headers, body);
        assert_eq!(came, status, "{case}: {said}");
        assert!(!said.contains("do-not-show"), "{case}: {said}");
    }
    assert_eq!(send(port, "GET", "/alerts", &[&bearer], b"").0, 405);
    // It is refused before all of it has come, so the answer may be lost in the cut; but it is never a yes.
    let (came, said) = send(port, "POST", "/alerts", &[&bearer], &long);
    assert!([413, 0].contains(&came), "{came}: {said}");
    let mut announced = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("POST /alerts HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Length: 10000000\r\n\r\n");
    announced.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    announced.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let mut noise = TcpStream::connect(("127.0.0.1", port)).unwrap();
    noise.write_all(&[0x16, 0x03, 0x01, 0xff, 0x00, b'\n', b'\n']).unwrap();
}

/// Senders that never get to their end.
fn slow(port: u16) -> Vec<TcpStream> {
    let begin = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "POST /alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALERTS_TOKEN}\r\nContent-Length: 99\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    (0..20).map(begin).collect()
}

#[test]
fn a_storm_of_alerts_abuse_and_a_crash_lose_nothing_that_was_answered() {
    let world = World::new();
    world.allow(&format!(
        "{}[command.program]\nargv = [\"true\"]\n[alertmanager]\ntoken = \"secret:alerts\"\n",
        world.service("[\"GET /**\"]", "[\"POST /**\"]")
    ));
    let operator = std::fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let secret = format!("[secrets]\nalerts = {{ command = [\"printf\", {ALERTS_TOKEN:?}] }}");
    world.write("ripcord.toml", &operator.replace("[secrets]", &secret));
    world.plan("plan", &format!("{}\n{PLAN}", step("a", "", &["POST /one"])));
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let watch = ["watch", "plan.toml", "--yes", "--alertmanager", &format!("127.0.0.1:{port}")];
    let running = world.ripcord(&watch).spawn();
    running.until_says("alerts are received");

    // The power goes in the middle of a storm.
    let (numbers, answered): (Vec<usize>, _) = ((0..1_000).collect(), AtomicUsize::new(0));
    let held = slow(port);
    abuse(port);
    let before = thread::scope(|scope| {
        let sending = scope.spawn(|| burst(port, &numbers, &answered));
        world.until("half of them", || answered.load(Ordering::SeqCst) >= 500);
        running.kill();
        sending.join().unwrap()
    });
    drop(held);
    let known = || -> BTreeSet<usize> {
        let journal = world.journal();
        let state = journal.state(&journal.last());
        let number = |fingerprint: &str| fingerprint[1..].parse().unwrap();
        let firing = state.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing);
        let numbers: Vec<usize> = firing.map(|alert| number(&alert.fingerprint)).collect();
        let once: BTreeSet<usize> = numbers.iter().copied().collect();
        assert_eq!(numbers.len(), once.len(), "one was written down twice");
        once
    };
    assert!(before.is_subset(&known()), "what was answered is in the journal");

    // It goes on with what it had received, at the same door; the rest comes, and the others again.
    let running = world.ripcord(&["resume", "last"]).spawn();
    running.until_says(&format!("alerts are received at http://127.0.0.1:{port}/alerts"));
    assert_eq!(burst(port, &numbers, &answered).len(), 1_000);
    assert_eq!(post(port, &notification(7, "resolved")), 200);
    assert_eq!(known(), numbers.iter().copied().collect());
    world.until("the count of what was repeated", || {
        let journal = world.journal();
        journal.state(&journal.last()).alerts_repeated >= before.len() as u64
    });

    assert_eq!(post(port, GRAFANA), 200);
    running.until_says("WAITS for a person");
    world.ripcord(&["approve", "last", "watch", "--by", "Iris"]).expect(0);
    let ran = running.wait();
    assert_eq!(ran.code(), Some(0), "{ran}");
    ran.says("Memory: High memory usage fires: This alert was triggered for zone us-1 (severity SEV2). Roll back ");
    assert_eq!(posts(&world), ["one"]);
    world.ripcord(&["audit", "last"]).expect(0);
    let report = world.ripcord(&["report", "last", "--json"]).expect(0).json().remove(0);
    assert_eq!(report["incident"]["since"]["value"], "2021-10-12T07:51:03.157076Z");
    let size: usize = {
        let journal = world.journal();
        let events = journal.events(&journal.last());
        let alerts =
            events.iter().filter(|recorded| matches!(recorded.event, ripcord::journal::Event::AlertsReceived(_)));
        alerts.map(|recorded| serde_json::to_string(&recorded.event).unwrap().len()).sum()
    };
    assert!(size < 400_000, "1,000 notifications take {size} bytes of the record");
    let bytes = std::fs::read(world.path("state/journal.sqlite")).unwrap();
    assert!(
        !bytes.windows(ALERTS_TOKEN.len()).any(|window| window == ALERTS_TOKEN.as_bytes()),
        "the token is in the record"
    );
}
