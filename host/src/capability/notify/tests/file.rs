//! The file channel, on a real file system.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};

use super::{at, connection, notice, opening_in};
use crate::capability::notify::{Call, Reply, Severity, State};
use crate::capability::{At, CapabilityConnection, Settlement};

async fn send(folder: &Path, file: &str, at: &At, call: &Call) -> Reply {
    let table = json!({ "file": file, "timeout": "300ms" });
    let driver = connection(&table).open(&opening_in(folder, &[])).await.unwrap();
    driver.prepare(at, call).await.unwrap().perform().await.unwrap()
}

async fn settle(folder: &Path, file: &str, at: &At) -> Settlement<Reply> {
    let driver = connection(&json!({ "file": file })).open(&opening_in(folder, &[])).await.unwrap();
    driver.settle(at, &notice(), None).await
}

#[tokio::test]
async fn each_notice_is_a_line_of_a_file_that_only_its_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let full = Call {
        fields: vec![("Conector".to_owned(), "facebook".to_owned())],
        state: Some(State::Identified),
        severity: Some(Severity::Error),
        text: "two\nlines".to_owned(),
        ..notice()
    };
    for call in [full, notice()] {
        assert_eq!(send(folder.path(), "notices.jsonl", &at(), &call).await, Reply::Sent);
    }
    let path = folder.path().join("notices.jsonl");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n'));
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    let run = "20261122-180312-k7qm";
    assert_eq!(
        lines,
        [
            json!({
                "id": format!("{run}-2-3"), "run": run, "subject": "Rolled back", "text": "two\nlines",
                "fields": [{ "name": "Conector", "value": "facebook" }], "state": "identified", "severity": "error",
            }),
            json!({
                "id": format!("{run}-2-3"), "run": run, "subject": "Rolled back", "text": "All is well.",
                "fields": [], "state": null, "severity": null,
            }),
        ]
    );
}

#[tokio::test]
async fn only_a_regular_file_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("elsewhere"), "").unwrap();
    symlink("elsewhere", place("link")).unwrap();
    fs::create_dir(place("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place("pipe")).status().unwrap().success());
    for (name, why) in [
        ("link", "no regular file"),
        ("folder", "no regular file"),
        ("pipe", "no regular file"),
        ("/dev/null", "no regular file"),
        ("absent/notices.jsonl", "No such file"),
        ("elsewhere/notices.jsonl", "Not a directory"),
        ("/dev/full", "no regular file"),
    ] {
        let reply = send(folder.path(), name, &at(), &notice()).await;
        let refused = matches!(&reply, Reply::NotSent(problem) if problem.contains(why) && problem.contains(name));
        assert!(refused, "{name}: {reply:?}");
    }
    assert_eq!(fs::read(place("elsewhere")).unwrap(), b"");
}

#[tokio::test]
async fn a_line_that_was_torn_by_a_power_cut_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notices.jsonl");
    fs::write(&path, "{\"id\": \"torn").unwrap();
    assert_eq!(send(folder.path(), "notices.jsonl", &at(), &notice()).await, Reply::Sent);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "{\"id\": \"torn"));
    assert!(serde_json::from_str::<Value>(lines[1]).is_ok());
}

#[tokio::test]
async fn a_file_that_somebody_keeps_locked_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let locked = fs::File::create(folder.path().join("notices.jsonl")).unwrap();
    locked.lock().unwrap();
    let reply = send(folder.path(), "notices.jsonl", &at(), &notice()).await;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("locked")), "{reply:?}");
}

#[tokio::test]
async fn after_a_crash_the_file_itself_says_whether_the_notice_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = "notices.jsonl";
    assert_eq!(settle(folder.path(), file, &at()).await, Settlement::DidNotHappen);
    send(folder.path(), file, &at(), &notice()).await;
    assert_eq!(settle(folder.path(), file, &at()).await, Settlement::Happened(Reply::Sent));
    let other = At { ordinal: 4, ..at() };
    assert_eq!(settle(folder.path(), file, &other).await, Settlement::DidNotHappen);
    // A line without its end was not sent.
    let path = folder.path().join(file);
    let mut appended = fs::OpenOptions::new().append(true).open(&path).unwrap();
    write!(appended, "{{\"id\": \"{}\"}}", other.key()).unwrap();
    assert_eq!(settle(folder.path(), file, &other).await, Settlement::DidNotHappen);
    // What is too far back to be looked for may be there.
    writeln!(appended, "\n{}", "x".repeat(5 << 20)).unwrap();
    let settlement = settle(folder.path(), file, &at()).await;
    assert!(matches!(settlement, Settlement::Happened(Reply::PerhapsSent(_))), "{settlement:?}");
}
