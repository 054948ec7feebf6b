//! A host that is killed while it carries a call out, and what the next one finds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ripcord::capability::Settlement;
use ripcord::capability::git::Call;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::lab::{Lab, at, open, reset, restore};
use super::push;
use super::remote::{Daemon, Silence, Slow, pushed};
use crate::{Host, pid};

fn variables<'a>(lab: &'a Lab, call: &'a str) -> [(&'static str, &'a str); 3] {
    let folder = lab.folder.path().to_str().unwrap();
    [("TEST_LAB", folder), ("TEST_SETTINGS", &lab.settings), ("TEST_CALL", call)]
}

/// A host that carries a call out.
fn host(lab: &Lab, call: &Call) -> Host {
    Host::start("git::killed::as_host", &variables(lab, &serde_json::to_string(call).unwrap()))
}

#[tokio::test]
#[ignore = "not a test: the others start it as a host of its own"]
async fn as_host() {
    let var = |name| std::env::var(name).unwrap();
    let driver = open(Path::new(&var("TEST_LAB")), &var("TEST_SETTINGS")).unwrap();
    let prepared = driver.prepare(&at(0), &serde_json::from_str(&var("TEST_CALL")).unwrap()).await;
    let prepared = prepared.unwrap_or_else(|failure| panic!("{failure:?}"));
    println!("\nmarker {}", prepared.marker().unwrap());
    prepared.perform().await.unwrap();
}

#[tokio::test]
async fn a_host_that_is_killed_at_any_moment_leaves_a_call_that_can_be_gone_on_with() {
    // Large enough that writing takes longer than the steps between the kills.
    let new_lab = || {
        let lab = Lab::new();
        for round in ["four", "five"] {
            for number in 0..40 {
                lab.write(&format!("many/{number}.ts"), &format!("{round} {number}\n").repeat(2_000));
            }
            lab.record(round);
        }
        lab
    };
    let twin = new_lab();
    let call = reset("four");
    let expected = twin.mutate(0, call.clone()).await.unwrap();
    let (mut happened, mut did_not) = (0, 0);
    for round in 0..16 {
        let lab = new_lab();
        let host = host(&lab, &call);
        std::thread::sleep(Duration::from_micros(round * 2_000));
        let marker = host.kill();
        match lab.driver().settle(&at(0), &call, Some(&marker)).await {
            Settlement::Happened(reply) => {
                happened += 1;
                assert_eq!(reply, expected);
            }
            Settlement::DidNotHappen => {
                did_not += 1;
                assert_eq!(lab.mutate(0, call.clone()).await, Ok(expected.clone()));
            }
            Settlement::Unknown(seen) => panic!("{seen}"),
        }
        assert_eq!(lab.seen(), twin.seen());
    }
    assert!(happened + did_not == 16 && did_not > 0, "{happened} {did_not}");
}

#[tokio::test]
async fn a_push_is_not_settled_as_long_as_the_first_attempt_runs() {
    for supervisor_too in [false, true] {
        let lab = Lab::with_remote();
        let [v1, v3] = ["v1", "v3"].map(|tag| lab.id(tag));
        let (slow, call) = (Slow::new(&lab), push("v1", "main", Some(&v3)));
        let host = host(&lab, &call);
        slow.wait_until_begun();
        let marker = host.kill();
        if supervisor_too {
            kill_process(pid(&supervisor(&lab, &marker)), Signal::KILL).unwrap();
        }

        let settled = tokio::spawn({
            let driver = lab.driver();
            async move { driver.settle(&at(0), &call, Some(&marker)).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!settled.is_finished(), "no answer while it may still push");
        slow.go_on();
        assert_eq!(settled.await.unwrap(), Settlement::Happened(pushed("main", &v1, Some(&v3))));
    }
}

/// The process id of a push's supervisor, from its record.
fn supervisor(lab: &Lab, marker: &Value) -> String {
    let record = lab.folder.path().join("spool").join(marker["attempt"]["record"].as_str().unwrap());
    let record = std::fs::read_to_string(record).unwrap();
    let started: Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    started["started"]["session"].to_string()
}

#[tokio::test]
async fn a_push_that_nobody_waits_for_any_more_ends_with_all_its_processes() {
    let mut lab = Lab::with_remote();
    lab.settings = "timeout = '1s'".to_owned();
    let silence = Silence::new(&lab);
    let call = push("v1", "main", Some(&lab.id("v3")));
    let host = host(&lab, &call);
    let connection = silence.accept();
    let marker = host.kill();
    // Nobody looks, and its deadline holds all the same.
    Silence::wait_until_closed(connection);
    // It may have been sent, and to ask takes no longer either.
    match lab.driver().settle(&at(0), &call, Some(&marker)).await {
        Settlement::Unknown(seen) => assert!(seen.contains("longer than the connection's `timeout`"), "{seen}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_remote_does_after_the_connection_was_lost_is_waited_for() {
    let mut lab = Lab::with_remote();
    lab.settings = "timeout = '1s'".to_owned();
    let daemon = Daemon::serve(lab.folder.path());
    lab.git(&["remote", "set-url", "origin", &daemon.url()]);
    let [v1, v3] = ["v1", "v3"].map(|tag| lab.id(tag));
    let (slow, call) = (Slow::new(&lab), push("v1", "main", Some(&v3)));
    let host = host(&lab, &call);
    slow.wait_until_begun();
    let marker = host.kill();
    let settled = tokio::spawn({
        let driver = lab.driver();
        async move { driver.settle(&at(0), &call, Some(&marker)).await }
    });
    // The attempt has ended by now, and the remote's hook has not.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(lab.on_remote("main").as_ref(), Some(&v3));
    slow.go_on();
    assert_eq!(settled.await.unwrap(), Settlement::Happened(pushed("main", &v1, Some(&v3))));
}

#[test]
fn without_git_only_what_needs_it_fails() {
    let lab = Lab::with_remote();
    for (call, needs_it) in [(push("v1", "main", Some(&lab.id("v3"))), true), (restore("v1", &["src/a.ts"]), false)] {
        let call = serde_json::to_string(&call).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "git::killed::as_host", "--ignored", "--nocapture"])
            .envs(variables(&lab, &call))
            .env("PATH", "/nowhere")
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.success(), !needs_it, "{said}");
        assert_eq!(said.contains("there is no `git` in PATH, which is `/nowhere`"), needs_it, "{said}");
    }
}
