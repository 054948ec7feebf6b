//! What the operator's rules let through.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::capability::{CapabilityConnection, Judgement, Repeat};

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
