//! What the operator's rules let through.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use super::driver::LiveDriver;
use super::*;
use crate::capability::{CapabilityConnection, Driver, Judgement, Repeat};

fn connection(text: &str) -> Result<Connection, String> {
    toml::from_str::<Connection>(text).map_err(|error| error.message().to_owned())
}

const APP: &str = r#"
    containers = ["andrea-app", "andrea-worker-*", "andrea-db"]
    write = ["stop andrea-app", "start", "restart andrea-worker-*"]
    exec = [
        { container = "andrea-db", argv = ["pg_isready", "-U", "*"], effect = "read" },
        { container = "andrea-app", argv = ["migrate", "--to", "*"], repeat = "idempotent" },
    ]
"#;

fn stop(containers: &[&str]) -> Call {
    Call::Stop { containers: containers.iter().map(|name| (*name).to_owned()).collect(), grace: None }
}

fn exec(container: &str, argv: &[&str]) -> Call {
    Call::Exec { container: container.to_owned(), argv: argv.iter().map(|word| (*word).to_owned()).collect() }
}

fn judged(call: &Call) -> String {
    match connection(APP).unwrap().judge("docker.app", call) {
        Judgement::Read => "read".to_owned(),
        Judgement::Mutation => "mutation".to_owned(),
        Judgement::Denied(denial) => format!("{} | {}", denial.reason, denial.remedy.replace('\n', " ")),
    }
}

#[test]
fn what_is_let_through_and_the_line_that_would_let_the_rest_through() {
    let inspect = |name: &str| Call::Inspect { container: name.to_owned() };
    for (call, expected) in [
        (Call::List, "read"),
        (inspect("andrea-db"), "read"),
        (inspect("andrea-worker-7"), "read"),
        (stop(&["andrea-app"]), "mutation"),
        (Call::Start { containers: vec!["andrea-app".into(), "andrea-db".into()] }, "mutation"),
        (exec("andrea-db", &["pg_isready", "-U", "andrea"]), "read"),
        (exec("andrea-app", &["migrate", "--to", "12"]), "mutation"),
        (
            inspect("vault"),
            "there is no container `vault` for docker.app, which has containers andrea-app, andrea-worker-*, andrea-db | \
             [docker.app] containers = [\"andrea-app\", \"andrea-worker-*\", \"andrea-db\", \"vault\"]",
        ),
        (
            stop(&["andrea-app", "andrea-db"]),
            "no `write` rule of docker.app allows `stop andrea-db` | [docker.app] write = [\"stop andrea-app\", \
             \"start\", \"restart andrea-worker-*\", \"stop andrea-db\"]",
        ),
        (
            exec("andrea-db", &["pg_isready", "-U", "--help"]),
            "no `exec` rule of docker.app allows `pg_isready -U --help` in andrea-db | [[docker.app.exec]] container = \
             \"andrea-db\" argv = [\"pg_isready\", \"-U\", \"--help\"]",
        ),
        (
            exec("andrea-db", &["sh", "-c", "rm *"]),
            "no `exec` rule of docker.app allows `sh -c 'rm *'` in andrea-db | [[docker.app.exec]] container = \
             \"andrea-db\" argv = [\"sh\", \"-c\", \"rm [*]\"]",
        ),
        (inspect("../andrea-app"), "`../andrea-app` can't be the name of a container | "),
        (inspect("andrea-app/json?x="), "`andrea-app/json?x=` can't be the name of a container | "),
        (stop(&["andrea-app", "andrea-app"]), "container `andrea-app` is named twice | "),
        (stop(&[]), "`stop` names no container | "),
    ] {
        assert_eq!(judged(&call), expected, "{call:?}");
    }
}

#[test]
fn of_a_program_the_operator_alone_says_whether_it_may_run_twice() {
    let app = connection(APP).unwrap();
    let repeat = |call: &Call| app.repeat(call, Repeat::Idempotent);
    assert_eq!(repeat(&exec("andrea-app", &["migrate", "--to", "12"])), Repeat::Idempotent);
    assert_eq!(repeat(&exec("andrea-db", &["pg_isready", "-U", "a"])), Repeat::Once);
    assert_eq!(repeat(&stop(&["andrea-app"])), Repeat::Idempotent);
}

/// The deadline is that of the call and what the containers want beyond it, as the marker has noted them.
#[test]
fn a_container_has_the_time_to_stop_that_it_says_itself_unless_the_call_says_another() {
    let app = connection(&format!("{APP}\ntimeout = \"20s\"")).unwrap();
    let driver = LiveDriver::new(app.clone(), "/".into());
    let marker = |timeouts: &[Option<i64>]| {
        let before = |timeout: &Option<i64>| {
            let mut before = serde_json::json!({ "id": "a", "name": "a", "state": "running", "started-at": 1 });
            timeout.iter().for_each(|&timeout| before["stop-timeout"] = timeout.into());
            before
        };
        serde_json::json!({ "containers": timeouts.iter().map(before).collect::<Vec<_>>() })
    };
    let with = |grace| Call::Restart { containers: vec!["andrea-app".into(), "andrea-db".into()], grace };
    for (call, timeouts, seconds) in [
        (stop(&["andrea-app"]), vec![None], 30),
        (stop(&["andrea-app"]), vec![Some(5)], 30),
        (stop(&["andrea-app"]), vec![Some(300)], 320),
        (with(None), vec![Some(5), Some(90), None], 110),
        // It would wait for ever.
        (with(None), vec![Some(-1)], 3620),
        (with(None), vec![Some(i64::MAX)], 3620),
        (with(Some(120)), vec![Some(300)], 140),
        (Call::Start { containers: vec!["andrea-app".into()] }, vec![Some(300)], 20),
    ] {
        let deadline = app.deadline(&call) + driver.overtime(&call, Some(&marker(&timeouts)));
        assert_eq!(deadline, Duration::from_secs(seconds), "{call:?} {timeouts:?}");
    }
    // Nobody has looked yet.
    assert_eq!(driver.overtime(&stop(&["andrea-app"]), None), Duration::ZERO);
}

#[test]
fn what_can_not_be_meant_is_said() {
    for (text, expected) in [
        ("", "which containers?"),
        ("containers = [\"a\"]\nhost = \"unix://docker.sock\"", "whole path"),
        ("containers = [\"a\"]\nhost = \"tcp://docker.example.org:2375\"", "needs `tls"),
        ("containers = [\"a\"]\nhost = \"ssh://me@docker.example.org\"", "ssh -L"),
        ("containers = [\"a\"]\nwrite = [\"remove a\"]", "write `stop CONTAINER`"),
        ("containers = [\"a\"]\nexec = [{ container = \"a\", argv = [\"*\"] }]", "names the program itself"),
        ("containers = [\"a[\"]", "is no pattern"),
        ("containers = [\"a\"]\ntimeout = \"0s\"", "not zero"),
    ] {
        let error = connection(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}
