//! A plugin holds nothing, and what it must not know stands nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::world::{TOKEN, World};

/// The service repeats the token in its headers and in its body, a program prints it, and the guest
/// hands on whatever it has seen: in its log, in its receipt, in further calls.
const TELLTALE: &str = r#"
[params.version]
default = "v1"
[[step]]
id = "listen"
use = "steps"
bind = { service = "service", program = "telltale" }
[[step.with.apply]]
call = { role = "service", http = { method = "GET", path = "/echo/read" } }
[[step.with.apply]]
log = "heard {0:/http/body} and {0:/http/headers}"
[[step.with.apply]]
call = { role = "service", http = { method = "POST", path = "/echo/write", body = "{0:/http/body}" }, assume = { http = { status = 200 } } }
[[step.with.apply]]
call = { role = "program", command = { arguments = [] }, assume = { command = { ending = { exited = 0 }, stdout = "", stderr = "", truncated = false } } }
"#;

#[test]
fn a_secret_stands_nowhere_even_if_the_service_and_a_program_repeat_it() {
    let world = World::new();
    let telltale = "[command.telltale]\nargv = [\"sh\", \"-c\", \"echo it is $IT; echo $IT | base64 >&2; sleep 0.3\"]\n\
                    env = { IT = \"secret:genia\" }\n";
    world.allow(&format!("{}\n{telltale}", world.service("[\"GET /echo/*\"]", "[\"POST /echo/*\"]")));
    world.plan("telltale", TELLTALE);

    let mut running = world.ripcord(&["run", "telltale.toml", "--yes"]).env("RIPCORD_LOG", "trace").spawn();
    let mut lines = BTreeSet::new();
    while running.is_running() {
        lines.extend(command_lines());
        thread::yield_now();
    }
    let ran = running.wait();
    assert_eq!(ran.code(), Some(0), "{ran}");
    assert!(lines.iter().any(|line| line.contains("echo it is $IT")), "the program was never seen: {lines:#?}");
    for line in &lines {
        assert_no_secret("a process's command line", line.as_bytes());
    }

    // The service and the program did say it, and the guest was handed something else.
    assert!(world.ledger.entries().iter().all(|entry| entry.authorized));
    let journal = world.journal();
    let receipt = journal.state(&journal.last()).receipt("listen").unwrap().to_string();
    assert!(receipt.contains("you-sent") && receipt.contains("[redacted]"), "{receipt}");
    let body = &world.ledger.entries().into_iter().find(|entry| entry.method == "POST").unwrap().body;
    assert!(body.contains("[redacted]"), "what the guest had heard went out again: {body}");

    assert_no_secret("what ripcord printed", ran.said().as_bytes());
    for command in [&["show", "last"][..], &["report", "last"], &["--json", "report", "last"], &["replay", "last"]] {
        let said = world.ripcord(command).expect(0).said();
        assert_no_secret(&command.join(" "), said.as_bytes());
    }
    assert_no_secret_below(&world.path("state"));
}

/// Each of these fails close to the secret.
#[test]
fn no_error_message_holds_a_secret() {
    let world = World::new();
    let service = world.service("[\"GET /echo/*\"]", "[\"POST /echo/*\"]");
    let plan = TELLTALE.split("[[step.with.apply]]\ncall = { role = \"program\"").next().unwrap();
    let plan = plan.replace(", program = \"telltale\"", "");
    world.plan("telltale", &plan);
    let with_user_info = service.replace("http://", &format!("http://genia:{TOKEN}@"));
    let written = service.replace("secret:genia", TOKEN);
    let in_header = format!("{service}headers = {{ x-token = \"{TOKEN}\n\" }}\n");
    for (what, text) in [("in the URL", with_user_info), ("in its place", written), ("in a header", in_header)] {
        world.allow(&text);
        let ran = world.ripcord(&["preview", "telltale.toml"]).expect(2);
        assert_no_secret(what, ran.said().as_bytes());
    }
    // A secret that is not what a header can hold.
    world.allow(&service);
    let broken = format!("{TOKEN}\nand more");
    let ran = world.ripcord(&["run", "telltale.toml", "--yes"]).env("GENIA_TOKEN", &broken).run();
    assert_ne!(ran.code(), Some(0), "{ran}");
    assert_no_secret("a secret with a line break", ran.said().as_bytes());
}

/// What is handed to a plugin, all of it: its configuration, its context, its replies. The guest
/// reports what WASI gives it, too.
#[test]
fn a_guest_finds_no_environment_no_files_and_no_arguments() {
    let world = World::new();
    world.allow("");
    world.plan("wasi", "[[step]]\nid = \"look\"\nuse = \"hostile\"\nwith = { do = \"wasi\" }\n");
    world.ripcord(&["run", "wasi.toml", "--yes"]).expect(4);
    let journal = world.journal();
    let receipt = journal.state(&journal.last()).receipt("look").unwrap().to_string();
    assert_no_secret("what WASI gives a guest", receipt.as_bytes());
    assert!(!receipt.contains("GENIA_TOKEN") && !receipt.contains("/etc"), "{receipt}");
}

/// The token, and the forms in which it is most often written.
fn forms() -> [Vec<u8>; 5] {
    let percent = TOKEN.replace('-', "%2D");
    [
        TOKEN.into(),
        STANDARD.encode(TOKEN).trim_end_matches('=').into(),
        URL_SAFE_NO_PAD.encode(TOKEN).into(),
        hex::encode(TOKEN).into(),
        percent.into(),
    ]
}

pub(crate) fn assert_no_secret(what: &str, bytes: &[u8]) {
    for form in forms() {
        let found = bytes.windows(form.len()).position(|window| window == form);
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
            panic!("{what} holds the secret: …{}…", String::from_utf8_lossy(around));
        }
    }
}

pub(crate) fn assert_no_secret_below(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_secret_below(&path);
        } else if let Ok(bytes) = fs::read(&path) {
            assert_no_secret(&path.display().to_string(), &bytes);
        }
    }
}

/// The command lines of all processes, arguments divided by spaces.
fn command_lines() -> Vec<String> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    processes.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| !line.is_empty()).collect()
}
