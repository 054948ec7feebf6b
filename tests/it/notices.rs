//! Notices by other ways than mail: a service behind a secret address, and a file.

use std::fs;

use ripcord::capability::{Reply, notify};
use ripcord::journal::{Outcome, RunOutcome};
use ripcord_tests::fault::Window;

use crate::crash::world_without_npm;
use crate::secrets::{assert_no_secret, assert_no_secret_below};
use crate::world::{Manner, Service, TOKEN, World};

const RUN: &[&str] = &["run", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2", "--yes"];
const PREVIEW: &[&str] = &["preview", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2"];

/// The notice to the users, among the mutations of the plan: the first after the work, before which two others were
/// told that it begins.
const USERS: u32 = 9;

/// GENIA, with its users told by a service that only whoever knows its address can tell something, its
/// dashboard by a file, and the others by mail.
pub(crate) fn world(service: &Service) -> World {
    let world = world_without_npm();
    world.write("users-url", &format!("http://127.0.0.1:{}/services/T0GENIA/{TOKEN}\n", service.port));
    let operator = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let mut is_kept = true;
    let kept: String = operator
        .split_inclusive('\n')
        .filter(|line| {
            if line.starts_with('[') {
                is_kept = !["[notify.genia-users]", "[notify.genia-dashboard]"].contains(&line.trim());
            }
            is_kept
        })
        .collect();
    let more = r#"users-url = { file = "users-url" }

[notify.genia-users]
webhook = "secret:users-url"
format  = "slack"
timeout = "2s"

[notify.genia-users.template]
subject = "GENIA: {{ subject }}"
text    = """
{{ text }}
{% for field in fields %}{{ field.name }} → {{ field.value }}
{% endfor %}"""

[notify.genia-dashboard]
file = "notices.jsonl"
"#;
    world.write("ripcord.toml", &format!("{kept}{more}"));
    world
}

/// What became of the notice to the users.
fn told(world: &World) -> Outcome {
    let journal = world.journal();
    let state = journal.state(&journal.last());
    let mut mutations = state.executions.values().flat_map(|execution| execution.mutations());
    let (_, users) = mutations.find(|(_, made)| made.request.connection == "notify.genia-users").unwrap();
    match &users.fate {
        ripcord::machine::Fate::Answered(outcome) => outcome.clone(),
        fate => panic!("{fate:?}"),
    }
}

#[test]
fn users_are_told_by_a_service_in_the_operators_words_and_its_address_stands_nowhere() {
    let service = Service::start(Manner::Takes);
    let world = world(&service);
    let preview = world.ripcord(PREVIEW).expect(0);
    preview
        .says("Slack at the address in secret users-url")
        .says("GENIA: Conector facebook desactivado temporalmente")
        .says("Versión restaurada → v1.4.2")
        .says("a line in ");
    assert!(service.received().is_empty() && !world.path("notices.jsonl").exists());

    let ran = world.ripcord(RUN).env("RIPCORD_LOG", "trace").expect(0);
    let received = service.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0]["text"], "GENIA: Conector facebook desactivado temporalmente");
    let text = received[0]["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(text.contains("Hemos detectado") && text.contains("Versión restaurada → v1.4.2"), "{text}");
    let lines = fs::read_to_string(world.path("notices.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(line["run"], world.journal().last().as_str());
    assert_eq!(line["subject"], "Conector facebook desactivado temporalmente");
    assert_eq!(world.mails().len(), 3);

    assert_no_secret("the preview", preview.said().as_bytes());
    assert_no_secret("what ripcord printed and logged", ran.said().as_bytes());
    for command in [&["report", "last"][..], &["--json", "show", "last"], &["replay", "last"]] {
        assert_no_secret(&command.join(" "), world.ripcord(command).expect(0).said().as_bytes());
    }
    assert_no_secret_below(&world.path("state"));
}

#[test]
fn a_service_that_refuses_a_notice_or_never_answers_is_noted_and_blocks_nothing() {
    for (manner, why) in [(Manner::Repeats, "403 no_service: POST"), (Manner::Hangs, "did not answer within 2s")] {
        let service = Service::start(manner);
        let world = world(&service);
        let ran = world.ripcord(RUN).env("RIPCORD_LOG", "trace").expect(0);
        let reply = told(&world);
        match (&reply, manner) {
            (Ok(Reply::Notify(notify::Reply::NotSent(said))), Manner::Repeats) => {
                assert!(said.contains(why) && said.contains("[redacted]"), "{said}");
            }
            (Ok(Reply::Notify(notify::Reply::PerhapsSent(said))), Manner::Hangs) => {
                assert!(said.contains(why), "{said}");
            }
            _ => panic!("{manner:?}: {reply:?}"),
        }
        assert_eq!(service.received().len(), 1, "{manner:?}");
        ran.says("SENT: Slack");
        assert_no_secret("what ripcord printed and logged", ran.said().as_bytes());
        assert_no_secret("the report", world.ripcord(&["report", "last"]).expect(0).said().as_bytes());
        assert_no_secret_below(&world.path("state"));
    }
}

/// Whatever became of it in a window in which nobody can know: it is noted, and not sent again.
#[test]
fn a_notice_to_a_service_whose_host_is_killed_is_perhaps_sent_once() {
    for (window, manner, sent) in [
        (Window::AfterIntent, Manner::Takes, 0),
        (Window::DuringEffect, Manner::Hangs, 1),
        (Window::AfterEffect, Manner::Takes, 1),
    ] {
        let service = Service::start(manner);
        let world = world(&service);
        world.ripcord(RUN).killed(window, USERS).expect_killed();
        let resumed = world.ripcord(&["resume", "last"]).expect(0);
        let reply = told(&world);
        assert!(matches!(reply, Ok(Reply::Notify(notify::Reply::PerhapsSent(_)))), "{window:?}: {reply:?}");
        assert_eq!(service.received().len(), sent, "{window:?}");
        resumed.says("PERHAPS SENT");
        world.ripcord(&["report", "last", "--language", "en"]).expect(0).says("PERHAPS SENT");
        let journal = world.journal();
        assert_eq!(journal.outcome(&journal.last()).unwrap().0, RunOutcome::Verified);
        world.ripcord(&["replay", "last"]).expect(0);
    }
}

/// A file says itself whether the line is there: nothing is lost, and nothing is doubled.
#[test]
fn a_notice_to_a_file_whose_host_is_killed_stands_there_once() {
    for window in [Window::AfterIntent, Window::AfterMarker, Window::AfterEffect, Window::AfterResult] {
        let service = Service::start(Manner::Takes);
        let world = world(&service);
        world.ripcord(RUN).killed(window, USERS + 1).expect_killed();
        world.ripcord(&["resume", "last"]).expect(0);
        let lines = fs::read_to_string(world.path("notices.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 2, "{window:?}: {lines}");
        assert_eq!(service.received().len(), 1, "{window:?}");
        world.ripcord(&["replay", "last"]).expect(0);
    }
}
