//! The plan and its undo on the real systems, killed: once for each of their changes in a normal run, in every window
//! of every change in `cargo xtask soak`.

use std::sync::OnceLock;

use ripcord_tests::fault::Window;
use serde_json::json;

use super::world::{Andrea, CALLS};
use crate::world::in_parallel;

/// What `cargo xtask soak` sets.
const SOAK: &str = "RIPCORD_SOAK";

/// Version 1.4.2 is backed up, 1.5.0 has destroyed the calls, and Coolify fails when it is asked to roll back.
fn broken() -> Andrea {
    let andrea = Andrea::new("4.3.11");
    andrea.back_up();
    andrea.deploy_badly(&json!({ "version": "1.5.0", "fault": "empty-transcripts" }), super::DESTRUCTIVE);
    andrea.coolify_fails();
    andrea
}

/// The changes of the steps, and then of their undo, in one line each.
fn changes() -> &'static (Vec<String>, Vec<String>) {
    static CHANGES: OnceLock<(Vec<String>, Vec<String>)> = OnceLock::new();
    CHANGES.get_or_init(|| {
        let andrea = broken();
        andrea.roll_back().expect(0);
        let journal = andrea.journal();
        let run = journal.last();
        let made = || journal.mutations(&run).into_iter().map(|(summary, _)| summary).collect::<Vec<_>>();
        let done = made();
        andrea.ripcord(&["undo", "last", "--yes"]).expect(1);
        let undone = made().split_off(done.len());
        // The simulated call is a probe: one that was cut off says nothing, and a person verifies again.
        (done.into_iter().filter(|summary| !summary.contains("/voice")).collect(), undone)
    })
}

/// The windows that a change is killed in: one, another one for each, or all of them in a soak.
pub(crate) fn windows(index: usize) -> Vec<Window> {
    match std::env::var_os(SOAK) {
        Some(_) => Window::ALL.to_vec(),
        None => vec![Window::ALL[index % Window::ALL.len()]],
    }
}

/// Each change with the windows that it is killed in.
fn cases(changes: &[String]) -> Vec<(u32, Window, String)> {
    let numbered = changes.iter().enumerate();
    numbered
        .flat_map(|(index, summary)| {
            windows(index).into_iter().map(move |window| (index as u32 + 1, window, summary.clone()))
        })
        .collect()
}

#[test]
fn a_rollback_that_is_killed_at_any_change_gets_there_all_the_same() {
    in_parallel(cases(&changes().0), |(number, window, summary)| {
        let andrea = broken();
        andrea.roll_back().killed(window, number).expect_killed();
        let ran = andrea.ripcord(&["resume", "last"]).expect(0);
        assert_eq!(andrea.health().unwrap()["version"], "1.4.2", "{summary}: {ran}");
        let restored = andrea.psql("SELECT count(*) FROM calls WHERE transcript LIKE 'call number %'");
        assert_eq!(restored, CALLS.to_string(), "{summary}: {ran}");
        assert_eq!(kept(&andrea), 1, "{summary}: {ran}");
        andrea.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn an_undo_that_is_killed_at_any_change_gets_there_all_the_same() {
    in_parallel(cases(&changes().1), |(number, window, summary)| {
        let andrea = broken();
        andrea.roll_back().expect(0);
        andrea.ripcord(&["undo", "last", "--yes"]).killed(window, number).expect_killed();
        let ran = andrea.ripcord(&["resume", "last"]).expect(1);
        // It runs; that it listens already is nobody's to say of an application without a health check.
        andrea.until("the application", || andrea.health().is_some());
        assert_eq!(andrea.health().unwrap()["version"], "1.5.0", "{summary}: {ran}");
        assert_eq!(andrea.psql("SELECT count(*) FROM calls WHERE transcript <> ''"), "0", "{summary}: {ran}");
        assert_eq!(kept(&andrea), 1, "{summary}: {ran}");
    });
}

/// How many databases stand beside the live one.
fn kept(andrea: &Andrea) -> usize {
    andrea.psql("SELECT datname FROM pg_database WHERE datname LIKE 'andrea_%'").lines().count()
}
