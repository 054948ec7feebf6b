//! What comes before the first rollback: files to begin with, and whether everything is there.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{Ripcord, World};

fn starters() -> Vec<&'static str> {
    ripcord::init::STARTERS.iter().map(|starter| starter.name).collect()
}

#[test]
fn what_init_writes_passes_check_as_it_is_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let ripcord = |arguments: &[&str]| Ripcord::new(folder.path(), arguments);
    let listed = ripcord(&["init", "--list"]).expect(0).stdout;
    for name in starters() {
        assert!(listed.lines().any(|line| line.starts_with(name)), "{listed}");
        // None of the secrets that the files name is set.
        ripcord(&["init", "--from", name, name]).expect(0).says(&format!("ripcord preview {name}.toml"));
        let inside = folder.path().join(name);
        let plan = format!("{name}.toml");
        Ripcord::new(&inside, &["check", &plan]).expect(0).says("is sound");
        let before = fs::read_to_string(inside.join("ripcord.toml")).unwrap();
        fs::write(inside.join("ripcord.toml"), format!("{before}# mine\n")).unwrap();
        ripcord(&["init", "--from", name, name]).expect(2).says("nothing was written").says("another folder");
        assert_eq!(fs::read_to_string(inside.join("ripcord.toml")).unwrap(), format!("{before}# mine\n"));
    }
    ripcord(&["init", "--from", "genia-conector", "x"]).expect(2).says("did you mean `genia-connector`?");
    ripcord(&["init", "--url", "localhost:3000", "x"]).expect(2).says("http://");
    assert!(!folder.path().join("x").exists());
    let written = ripcord(&["--json", "init"]).expect(0).json();
    assert_eq!(written[0]["files"], serde_json::json!(["./ripcord.toml", "./rollback.toml"]));
}

/// The first plan, against a service that is already there, with its own paths.
#[test]
fn the_first_plan_previews_against_a_service_of_ones_own() {
    let world = World::new();
    fs::remove_file(world.path("ripcord.toml")).unwrap();
    let url = format!("http://127.0.0.1:{}/admin", world.ledger.port());
    world.ripcord(&["init", "--url", &url]).expect(0);
    for (file, edits) in [
        (
            "ripcord.toml",
            &[
                ("/features/", "/connectors/"),
                ("# auth =", "auth ="),
                ("# app = { env = \"APP_TOKEN\" }", "app = { env = \"GENIA_TOKEN\" }"),
                ("path   = \".\"", "path = \"genia\""),
            ][..],
        ),
        ("rollback.toml", &[("/features/", "/connectors/")]),
    ] {
        let mut text = fs::read_to_string(world.path(file)).unwrap();
        for (from, to) in edits {
            assert!(text.contains(from), "{file} has no `{from}`");
            text = text.replace(from, to);
        }
        world.write(file, &text);
    }
    let before = world.touched();
    let arguments = ["-p", "feature=facebook", "-p", "version=v1.4.2", "-p", "file=src/lib/connectors/facebook.ts"];
    let preview = [&["preview", "rollback.toml"], &arguments[..]].concat();
    world.ripcord(&["doctor", "rollback.toml"]).expect(0);
    world.ripcord(&preview).expect(0).says("/connectors/facebook/disable").says("approval: ");
    assert!(world.ledger.entries().iter().any(|entry| entry.path == "/admin/connectors/facebook" && entry.authorized));
    assert_eq!(world.touched(), before);
    // The check that it comes with is one that this service can pass.
    world.ledger.tell("connector facebook on");
    world.ripcord(&[&["run", "rollback.toml", "--yes"], &arguments[..]].concat()).expect(0).says("verified");
}

/// What is printed, by subject and aspect.
fn graded(findings: &[Value], subject: &str, aspect: &str) -> Vec<String> {
    let of = |finding: &&Value| finding["subject"] == subject && finding["aspect"] == aspect;
    findings.iter().filter(of).map(|finding| finding["grade"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_doctor_finds_nothing_wrong_where_a_rollback_would_work_and_changes_nothing() {
    let world = World::new();
    world.connector_plan();
    let before = world.touched();
    let whole = world.ripcord(&["doctor"]).expect(0);
    whole.says("nothing stands in the way of a rollback");
    let json = world.ripcord(&["--json", "doctor"]).expect(0).json();
    let mut subjects: Vec<_> = json.iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    subjects.dedup();
    // In the order of the file, each once, whichever was done first.
    assert_eq!(subjects[..4], ["state", "http.genia-admin", "git.genia", "command.genia-build"]);
    assert_eq!(subjects.len(), 10);
    assert_eq!(graded(&json, "http.genia-admin", "login"), ["good"]);
    assert_eq!(graded(&json, "git.genia", "remote"), ["good"]);
    assert_eq!(graded(&json, "notify.genia-users", "answer"), ["good"]);
    assert!(json.iter().all(|finding| finding["version"] == 1 && finding["event"] == "finding"));

    world.allow("[http.other]\nurl = \"http://127.0.0.1:1\"\n[alertmanager]\ntoken = \"secret:genia\"\n");
    world.ripcord(&["doctor"]).expect(2).says("http.other").says("alertmanager");
    let untold = world.ripcord(&["doctor"]).without_env("GENIA_TOKEN").expect(2);
    assert!(untold.said().contains("export GENIA_TOKEN="), "{untold}");
    let bound = world.ripcord(&["doctor", "connector.toml"]).expect(0);
    assert!(!bound.said().contains("http.other"), "{bound}");
    assert_eq!(world.touched(), before);
    assert!(!whole.said().contains(crate::world::TOKEN));
}

/// What has to be put right: `SUBJECT ASPECT: SEEN → REMEDY`.
fn faults(doctor: Ripcord) -> Vec<String> {
    let fault = |finding: &Value| {
        let [subject, aspect, seen, remedy] = ["subject", "aspect", "seen", "remedy"].map(|key| finding[key].as_str());
        Some(format!("{} {}: {} → {}", subject?, aspect?, seen?, remedy?))
    };
    let findings = doctor.expect(2).json();
    findings.iter().filter(|finding| finding["grade"] == "fault").map(|finding| fault(finding).unwrap()).collect()
}

#[test]
fn each_fault_of_the_world_is_found_with_what_to_do_about_it() {
    let world = World::new();
    world.connector_plan();
    let before = world.touched();
    let doctor = || world.ripcord(&["--json", "doctor"]);
    let only = |doctor: Ripcord, parts: &[&str]| {
        let faults = faults(doctor);
        let is_it =
            |fault: &String| parts.iter().all(|part| fault.contains(part)) && !fault.contains("tok-of-yesterday");
        assert!(faults.len() == 1 && is_it(&faults[0]), "{parts:?}: {faults:#?}");
    };
    let wrong = doctor().env("GENIA_TOKEN", "tok-of-yesterday");
    only(
        wrong,
        &["http.genia-admin login: GET /connectors/ripcord-doctor answers 401", "secret `genia`", "get a new one"],
    );
    only(
        doctor().env("GENIA_TOKEN", "short"),
        &["http.genia-admin secret:", "fewer than 8 bytes", "export GENIA_TOKEN="],
    );

    world.repository.take_remote_away();
    only(doctor(), &["git.genia remote:", "access denied or repository not exported", "ls-remote origin` works"]);
    world.repository.bring_remote_back();

    world.ledger.tell("down");
    only(doctor(), &["http.genia-admin connection: nobody listens at 127.0.0.1", "start the service"]);
    world.ledger.tell("up");

    let old = world.path("old");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("git"), "#!/bin/sh\necho git version 1.8.3.1\n").unwrap();
    fs::set_permissions(old.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", old.display(), std::env::var("PATH").unwrap());
    only(doctor().env("PATH", &path), &["git.genia version: git version 1.8.3.1", "install git 2.7 or later"]);

    let refusing = Refusing::start();
    world.allow(&format!(
        "[notify.refusing]\nfrom = \"a@genia.example\"\nto = [\"b@genia.example\"]\n\
         smtp = {{ host = \"127.0.0.1\", port = {}, tls = \"none\", user = \"ops\", password = \"secret:genia\" }}\n",
        refusing.port
    ));
    only(doctor(), &["notify.refusing login: 127.0.0.1 does not let ops in: 535", "what `genia` holds"]);

    // What is wrong with the state directory does not keep the rest from being looked at.
    let state = world.path("state");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let bound = world.ripcord(&["--json", "doctor", "connector.toml"]);
    only(bound, &["state folder:", "others can write to it (mode 0777)", "chmod go-w"]);
    let bound = world.ripcord(&["--json", "doctor", "connector.toml"]).expect(2).json();
    assert_eq!(graded(&bound, "http.genia-admin", "login"), ["good"]);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(world.touched(), before);
}

/// A real mail server that lets nobody in. It ends with its standard input.
struct Refusing {
    server: Child,
    port: u16,
}

impl Refusing {
    fn start() -> Self {
        const SERVER: &str = "import sys\n\
            from aiosmtpd.controller import Controller\n\
            from aiosmtpd.smtp import AuthResult\n\
            refuse = lambda *_: AuthResult(success=False, handled=False)\n\
            options = dict(auth_require_tls=False, authenticator=refuse)\n\
            Controller(object(), hostname='127.0.0.1', port=int(sys.argv[1]), **options).start()\n\
            sys.stdin.read()";
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        // Debian's own Python: another one in PATH does not see Debian's packages.
        let server = Command::new("/usr/bin/python3")
            .args(["-c", SERVER, &port.to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "aiosmtpd is not there; run:  apt-get install -y python3-aiosmtpd");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { server, port }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn schemas_are_printed_for_editors_and_completions_for_shells() {
    let folder = tempfile::tempdir().unwrap();
    let ripcord = |arguments: &[&str]| Ripcord::new(folder.path(), arguments).expect(0).stdout;
    for (of, title) in [("plan", "ripcord plan"), ("operator", "ripcord.toml")] {
        let schema: Value = serde_json::from_str(&ripcord(&["schema", of])).unwrap();
        assert_eq!(schema["title"], title);
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ripcord(&["completions", shell]);
        assert!(script.contains("doctor") && script.contains("completions"), "{shell}: {script}");
        assert!(ripcord(&["completions", "--help"]).contains(&format!("ripcord completions {shell} >")), "{shell}");
    }
    assert_eq!(completed(&ripcord(&["completions", "bash"]), folder.path()), "doctor");
}

/// What bash makes of `ripcord doc` and the tabulator.
fn completed(script: &str, folder: &Path) -> String {
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = "COMP_WORDS=(ripcord doc)\nCOMP_CWORD=1\n_ripcord ripcord doc ripcord\necho \"${COMPREPLY[@]}\"\n";
    bash.stdin.take().unwrap().write_all(format!("{script}\n{ask}").as_bytes()).unwrap();
    String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}
