//! Checks that do more than look: a webhook is probed with signed requests of a call that nobody makes,
//! and a real application decides whether it believes them.

use std::fs;
use std::process::Command;

use ripcord::journal::RunOutcome;
use ripcord_tests::fault::Window;
use serde_json::Value;

use crate::world::{Told, World, in_parallel};

const RUN: &[&str] = &["run", "plan.toml", "--yes"];
const AUTH_TOKEN: &str = "twilio-auth-token-93";

/// An application that Twilio and Telnyx call. It checks their signatures with Python's and openssl's own
/// means, writes down each request it believes, and answers as it is told.
struct Application {
    server: std::sync::Mutex<Told>,
    port: u16,
    calls: std::path::PathBuf,
}

impl Application {
    fn start(world: &World) -> Self {
        let openssl = |arguments: &[&str]| {
            let ended = Command::new("openssl").args(arguments).current_dir(world.path("")).status();
            assert!(ended.expect("openssl is not there; run:  apt-get install -y openssl").success());
        };
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", "telnyx.pem"]);
        openssl(&["pkey", "-in", "telnyx.pem", "-pubout", "-out", "telnyx.pub"]);
        let calls = world.path("calls.jsonl");
        fs::write(&calls, "").unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/probes/application.py");
        let mut server =
            Told::start(Command::new("/usr/bin/python3").arg(script).arg(AUTH_TOKEN).current_dir(world.path("")));
        let port = server.hear().parse().unwrap();
        Self { server: std::sync::Mutex::new(server), port, calls }
    }

    /// `answer STATUS BODY`, or `hang`, or `slow`.
    fn tell(&self, line: &str) {
        self.server.lock().unwrap().tell(line);
    }

    /// The requests that it has got, oldest first; `believed` says whether the signature was right.
    fn calls(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.calls).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn connections(&self, token: &str) -> String {
        let port = self.port;
        format!(
            "[http.twilio]\nurl = \"http://127.0.0.1:{port}\"\nwrite = [\"POST /twilio/**\"]\ntimeout = \"1s\"\n\
             auth = {{ twilio = {{ token = \"secret:twilio\", public-url = \"https://andrea.example/hooks\" }} }}\n\
             [http.telnyx]\nurl = \"http://127.0.0.1:{port}\"\nwrite = [\"POST /telnyx\"]\ntimeout = \"1s\"\n\
             auth = {{ telnyx = {{ private-key = \"secret:telnyx\" }} }}\n\
             [secrets.twilio]\ncommand = [\"printf\", \"{token}\"]\n[secrets.telnyx]\nfile = \"telnyx.pem\"\n"
        )
    }
}

const STEP: &str = "[[step]]\nid = \"do\"\nuse = \"steps\"\nbind = { service = \"service\" }\n[[step.with.apply]]\n\
    call = { role = \"service\", http = { method = \"POST\", path = \"/a1\" }, repeat = \"idempotent\", \
    assume = { http = { status = 200 } }, undo = [{ call = { role = \"service\", \
    http = { method = \"POST\", path = \"/undo-a1\" }, assume = { http = { status = 200 } } } }] }\n";

/// A call from its first ring to its end.
const CALL: &str = r#"
[[verify]]
id    = "call"
use   = "webhook-check"
probe = true
bind  = { webhook = "twilio" }
expect = "size(responses) == 3 && call.startsWith('CA7e57ca11')"
[verify.with]
provider = "twilio"
path     = "/twilio/voice?bot=andrea"
ttfb     = { p95 = "3s" }
requests = [
  { event = "ringing", twiml = true, contains = ["<Gather"] },
  { event = "in-progress", fields = { SpeechResult = "quiero una cita, ¿mañana?" } },
  { event = "completed", path = "/twilio/status", fields = { CallDuration = "12" } },
]
"#;

const EVENT: &str = r#"
[[verify]]
id    = "event"
use   = "webhook-check"
probe = true
bind  = { webhook = "telnyx" }
with  = { provider = "telnyx", path = "/telnyx" }
"#;

fn world(verify: &str) -> (World, Application) {
    let world = World::new();
    let application = Application::start(&world);
    allow(&world, &application, AUTH_TOKEN);
    world.plan("plan", &format!("{STEP}{verify}"));
    (world, application)
}

fn allow(world: &World, application: &Application, token: &str) {
    let service = world.service("[\"GET /**\"]", "[\"POST /**\"]");
    world.allow(&format!("{service}{}", application.connections(token)));
}

#[test]
fn a_simulated_call_is_signed_previewed_made_once_replayed_and_never_taken_back() {
    let (world, application) = world(&format!("{CALL}{EVENT}"));
    let preview = world.ripcord(&["preview", "plan.toml"]).expect(0);
    preview
        .says("PROBE")
        .says("POST http")
        .says("CallStatus=completed")
        .says("signed as Twilio does, for https://andrea.example/hooks, secret twilio")
        .says("signed as Telnyx does, with the key of secret telnyx")
        .says("4 more by probes");
    assert!(application.calls().is_empty() && world.ledger.entries().is_empty());

    // What was agreed to covers the probes.
    world.ripcord(&["run", "plan.toml", "--approved", &preview.approval()]).expect(0);
    let calls = application.calls();
    let paths: Vec<_> = calls.iter().map(|call| call["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/twilio/voice?bot=andrea", "/twilio/voice?bot=andrea", "/twilio/status", "/telnyx"]);
    assert!(calls.iter().all(|call| call["believed"] == true), "{calls:#?}");
    let run = world.journal().last();
    assert!(calls.iter().all(|call| call["run"] == run.as_str()), "{calls:#?}");
    assert_eq!(calls[0]["call"], calls[2]["call"]);

    world.ripcord(&["replay", "last"]).expect(0);
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["undo", "last", "--yes"]).expect(1);
    assert_eq!(application.calls().len(), 4);
    assert_eq!(world.ledger.mutations(), ["POST /admin/a1", "POST /admin/undo-a1"]);
    world.ripcord(&["replay", "last"]).expect(0);

    // Neither the token, nor the key, nor a signature is anywhere in the record.
    let key = fs::read_to_string(world.path("telnyx.pem")).unwrap();
    let read = |file| fs::read(world.path(file)).unwrap_or_default();
    let record = [read("state/journal.sqlite"), read("state/journal.sqlite-wal")].concat();
    let has = |text: &str| record.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(calls[0]["call"].as_str().unwrap()));
    for secret in [AUTH_TOKEN, key.lines().nth(1).unwrap(), calls[0]["signature"].as_str().unwrap()] {
        assert!(!has(secret), "{secret}");
    }
}

#[test]
fn what_the_webhook_does_wrong_is_said() {
    let slow = EVENT.replace("path = \"/telnyx\" }", "path = \"/telnyx\", ttfb = { max = \"100ms\" } }");
    let cases = vec![
        (EVENT, "answer 500 oops", AUTH_TOKEN, "answered 500, expected 200-299"),
        (EVENT, "hang", AUTH_TOKEN, "no answer within 1s"),
        (&slow, "slow", AUTH_TOKEN, "at most 100ms expected"),
        (CALL, "answer 200 <Response><Gather></Response>", AUTH_TOKEN, "answered no TwiML"),
        (CALL, "answer 200 <Response/>", AUTH_TOKEN, "without `<Gather` in it"),
        (CALL, "answer 200 -", "another-auth-token", "it may not accept the signature"),
    ];
    in_parallel(cases, |(verify, told, token, said)| {
        let (world, application) = world(verify);
        allow(&world, &application, token);
        application.tell(told);
        world.ripcord(RUN).expect(3).says(said);
        let journal = world.journal();
        assert_eq!(journal.outcome(&journal.last()).unwrap().0, RunOutcome::Halted, "{told}");
        // Nobody is asked what became of it, and it is put right by a look at the application.
        assert_eq!(journal.state(&journal.last()).doubts().count(), 0, "{told}");
        world.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn a_probe_that_is_killed_is_inconclusive_and_not_sent_twice() {
    let windows = vec![(Window::BeforeIntent, 1), (Window::AfterIntent, 0), (Window::AfterEffect, 1)];
    in_parallel(windows, |(window, sent)| {
        let (world, application) = world(EVENT);
        // The first mutation is the step's.
        world.ripcord(RUN).killed(window, 2).expect_killed();
        let code = if window == Window::BeforeIntent { 0 } else { 3 };
        let ran = world.ripcord(&["resume", "last"]).expect(code);
        assert_eq!(application.calls().len(), sent, "{window:?}");
        if code == 3 {
            ran.says("cut off before the answer came");
            // The halted run is verified again, with a call of another name.
            world.ripcord(&["resume", "last"]).expect(0);
            assert_eq!(application.calls().len(), sent + 1, "{window:?}");
        }
        assert_eq!(world.ledger.mutations(), ["POST /admin/a1"]);
        world.ripcord(&["audit", "last"]).expect(0);
        world.ripcord(&["replay", "last"]).expect(0);
    });
}

/// A probe needs the plan's word, and one that is none must not have it.
#[test]
fn what_a_plan_says_of_probes_has_to_be_so() {
    let (world, _application) = world(&EVENT.replace("probe = true\n", ""));
    let wrong = world.ripcord(&["check", "plan.toml"]).expect(2);
    wrong.says("check `webhook-check` is a probe").says("probe = true").says("to send the test requests");
    let line = fs::read_to_string(world.path("plan.toml")).unwrap();
    let line = 1 + line.lines().position(|line| line.contains("webhook-check")).unwrap();
    wrong.says(&format!("plan.toml:{line}:9"));

    let look = "[[verify]]\nid = \"off\"\nuse = \"http-check\"\nprobe = true\nbind = { service = \"service\" }\n\
                with = { path = \"/x\" }\n";
    world.plan("plan", &format!("{STEP}{look}"));
    world.ripcord(&["check", "plan.toml"]).expect(2).says("is no probe");
}

/// The webhook answers 500: that is what a trigger is for, and what it sends was agreed to.
#[test]
fn a_trigger_may_be_a_probe_if_the_plan_says_so() {
    let trigger = EVENT.replace("[[verify]]", "[[trigger]]\ntitle = \"webhooks answer 500\"\ninterval = \"100ms\"");
    let (world, application) = world(&format!("{trigger}\n[watch]\nwindow = \"30s\"\nthen = \"run\"\n"));
    application.tell("answer 500 oops");
    world.ripcord(&["watch", "plan.toml", "--yes"]).expect(0).says("answered 500");
    assert_eq!(application.calls().len(), 1);
    assert_eq!(world.ledger.mutations(), ["POST /admin/a1"]);
    world.ripcord(&["replay", "last"]).expect(0);

    world.plan("plan", &format!("{STEP}{}", trigger.replace("probe = true\n", "")));
    world.ripcord(&["check", "plan.toml"]).expect(2).says("is a probe").says("probe = true");
}

/// Tries, percentiles, and how many may fail.
#[test]
fn an_endpoint_is_asked_as_often_as_the_plan_says_and_its_times_are_known() {
    let check = |with: &str, expect: &str| {
        format!(
            "{STEP}[[verify]]\nid = \"fast\"\nuse = \"http-check\"\nbind = {{ service = \"service\" }}\n\
             with = {{ path = \"/x\", {with} }}\nexpect = \"{expect}\"\n"
        )
    };
    let world = World::new();
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    let verify = |with: &str, expect: &str| world.plan("plan", &check(with, expect));
    verify(
        "tries = 3, interval = \"10ms\", status = [204, \"200-201\"], ttfb = { p50 = \"20s\", p95 = \"30s\" }",
        "ttfb.p50 > 0.0 && ttfb.p50 <= ttfb.max && response.status == 200",
    );
    world.ripcord(RUN).expect(0).says("3 of 3 tries were good");
    let asked = || world.ledger.entries().iter().filter(|entry| entry.method == "GET").count();
    // The preview of `--yes` asks nobody.
    assert_eq!(asked(), 3);

    for (with, code, said) in [
        ("tries = 3, may-fail = 1", 0, "2 of 3 tries were good"),
        ("tries = 3", 3, "answered 503, expected 200"),
        ("ttfb = { max = \"0ms\" }", 3, "at most 0s expected"),
    ] {
        verify(with, "true");
        if with.contains("tries") {
            world.ledger.tell("behave fail-once /admin/x");
        }
        world.ripcord(RUN).expect(code).says(said);
        world.ripcord(&["replay", "last"]).expect(0);
    }
}
