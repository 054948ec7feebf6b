//! The Andrea runbook on the real systems: an application in containers with a PostgreSQL of its own, a bad version and
//! a destructive migration, a Coolify that does its part or does not, and the way back.

mod image;
pub(crate) mod killed;
mod triggers;
mod world;

use std::fs;

use serde_json::json;

use crate::world::in_parallel;
use world::{Andrea, CALLS};

const DESTRUCTIVE: &str = "DELETE FROM calls WHERE sid > 'CA3'; UPDATE calls SET transcript = ''";

/// Coolify does what it is asked: the fallback is never touched.
#[test]
fn a_good_coolify_takes_the_application_back_and_the_fallback_is_never_touched() {
    let andrea = Andrea::new("4.3.11");
    andrea.back_up();
    let good = andrea.head();
    andrea.deploy_badly(&json!({ "version": "1.5.0" }), "SELECT 1");
    assert_eq!(andrea.health().unwrap()["version"], "1.5.0");

    let ran = andrea.roll_back().expect(0);
    assert_eq!(andrea.health().unwrap()["version"], "1.4.2", "{ran}");
    assert_eq!(andrea.coolify.kept().applications[world::UUID].running, good);
    assert_eq!(andrea.coolify.kept().applications[world::UUID].git_commit_sha, good);
    let journal = andrea.journal();
    let steps: Vec<_> = journal.state(&journal.last()).executions.into_values().map(|one| one.purpose).collect();
    assert!(!steps.contains(&ripcord::journal::Purpose::Apply("restore".to_owned())), "{steps:?}");
    assert_eq!(andrea.psql("SELECT datname FROM pg_database WHERE datname LIKE 'andrea%'"), "andrea");
}

/// Coolify answers 500 halfway, or hangs: code, database and containers are restored by hand, and all of it is verified.
#[test]
fn when_coolify_fails_halfway_code_database_and_containers_are_restored_by_hand() {
    for behaviour in ["error", "hang", "down"] {
        let andrea = Andrea::new("4.3.11");
        andrea.back_up();
        andrea.deploy_badly(&json!({ "version": "1.5.0", "fault": "empty-transcripts" }), DESTRUCTIVE);
        assert_eq!(andrea.psql("SELECT count(*) FROM calls WHERE transcript <> ''"), "0");
        // The application is read and frozen; then nothing goes any more.
        if behaviour == "down" {
            andrea.coolify.down();
        }
        for endpoint in ["POST /applications/*", "POST /deploy*"].iter().filter(|_| behaviour != "down") {
            andrea.coolify.fault(endpoint, behaviour);
        }

        let ran = andrea.roll_back().expect(0);
        let health = andrea.health().unwrap();
        assert_eq!(health["version"], "1.4.2", "{behaviour}: {ran}");
        // The simulated call is the last of them.
        assert_eq!(health["calls"], CALLS + 1, "{behaviour}");
        assert_eq!(andrea.psql("SELECT count(*) FROM calls WHERE transcript LIKE 'call number %'"), CALLS.to_string());
        let kept = andrea.psql("SELECT datname FROM pg_database WHERE datname LIKE 'andrea_%'");
        assert_eq!(kept.lines().count(), 1, "{kept}");
        let owner = "SELECT pg_get_userbyid(datdba), has_database_privilege('ripcord_read', oid, 'CONNECT') \
                     FROM pg_database WHERE datname = 'andrea'";
        assert_eq!(andrea.psql(owner), "andrea|t");
        assert_eq!(andrea.psql("SHOW statement_timeout"), "30s");
        andrea.ripcord(&["audit", "last"]).expect(0);
        andrea.ripcord(&["replay", "last"]).expect(0);
    }
}

/// Section 3.2 is for corrupted data only. The backup of a bad state is made, and nobody goes back to it.
#[test]
fn the_database_is_restored_only_if_somebody_says_so() {
    let andrea = Andrea::new("4.3.11");
    andrea.back_up();
    andrea.deploy_badly(&json!({ "version": "1.5.0", "fault": "empty-transcripts" }), "SELECT 1");
    andrea.psql("INSERT INTO calls VALUES ('CA-since', 'completed', 'since the backup', '{}')");
    let empty = "INSERT INTO calls VALUES ('CA-empty', 'completed', '', '{}')";
    andrea.psql(empty);
    let ran = andrea.ripcord(&["run", "asistente-andrea-backup.toml", "--yes"]).expect(3);
    ran.says("history");
    let dumps = fs::read_dir(andrea.path("backups")).unwrap().flatten();
    assert_eq!(dumps.filter(|dump| dump.path().extension().is_some_and(|end| end == "dump")).count(), 2, "{ran}");
    andrea.psql("DELETE FROM calls WHERE sid = 'CA-empty'");

    andrea.coolify_fails();
    let ran = andrea.roll_back_code().expect(0);
    assert_eq!(andrea.health().unwrap()["version"], "1.4.2", "{ran}");
    assert_eq!(andrea.psql("SELECT transcript FROM calls WHERE sid = 'CA-since'"), "since the backup");
    assert_eq!(andrea.psql("SELECT datname FROM pg_database WHERE datname LIKE 'andrea%'"), "andrea");
}

/// The backup turns out to be bad in the middle of its restore, or a session does not end for the swap. The live database
/// is as it was; the containers run again if the code is as it was too, and else a person is told both ways out.
#[test]
fn a_restore_or_a_swap_that_fails_leaves_what_was_there_or_says_how_to_go_on() {
    in_parallel(vec!["restore", "swap", "start", "behind"], |what| {
        let andrea = Andrea::new("4.3.11");
        andrea.back_up();
        let plain = andrea.dumped_by_hand();
        andrea.deploy_badly(&json!({ "version": "1.5.0", "fault": "empty-transcripts" }), DESTRUCTIVE);
        let calls = || andrea.psql("SELECT count(*) || ' ' || max(transcript) FROM calls");
        let before = calls();
        andrea.coolify_fails();
        let path = andrea.path("asistente-andrea.toml");
        let plan = fs::read_to_string(&path).unwrap();
        let words = "the live database is as it was";
        if what == "restore" {
            // Two calls of one name: a key can't be made of that.
            let bad = plain.replacen("CA2\t", "CA1\t", 1);
            assert_ne!(bad, plain);
            fs::write(andrea.path("backups/bad.sql"), bad).unwrap();
            fs::write(&path, plan.replacen("database = \"{{", "backup = \"bad.sql\"\ndatabase = \"{{", 1)).unwrap();
            let ran = andrea.roll_back().expect(3);
            let undo = format!("ripcord undo {}", andrea.journal().last().as_str());
            ran.says(words).says("stay stopped").says("Start again what was stopped").says(&undo);
            assert_eq!((calls(), andrea.state("app").as_str()), (before, "exited"), "{ran}");
            // One of the two: what failed is put right.
            fs::write(&path, plan).unwrap();
            let ran = andrea.roll_back().expect(0);
            assert_eq!(andrea.health().unwrap()["version"], "1.4.2", "{ran}");
        } else if what == "start" {
            // What the engine needs to start it is not there either, for a while.
            let (code, away) = (andrea.code(), andrea.path("away"));
            fs::rename(&code, &away).unwrap();
            fs::write(&code, "in the way").unwrap();
            let mut session = andrea.superuser_session();
            let ran = andrea.ripcord(&["run", "asistente-andrea-database.toml", "--yes"]).expect(3);
            ran.says(words).says("could not all be started again").says("start them by hand, or by");
            ran.says("Start again what was stopped");
            fs::remove_file(&code).unwrap();
            fs::rename(&away, &code).unwrap();
            andrea.ripcord(&["undo", "last", "--yes"]).expect(3).says("drop-database andrea_new");
            andrea.ripcord(&["approve", "last", "call-2.2"]).expect(0);
            let ran = andrea.ripcord(&["resume", "last"]).expect(1);
            assert_eq!((calls(), andrea.state("app").as_str()), (before, "running"), "{ran}");
            andrea.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
            session.wait().unwrap();
        } else if what == "behind" {
            // All is exchanged when it turns out that it can't be started.
            let (code, away) = (andrea.code(), andrea.path("away"));
            fs::rename(&code, &away).unwrap();
            fs::write(&code, "in the way").unwrap();
            let ran = andrea.ripcord(&["run", "asistente-andrea-database.toml", "--yes"]).expect(3);
            ran.says("is live by now, and what was is kept in andrea_before").says("or take all of it back");
            ran.says("Start again what was stopped");
            assert_eq!(andrea.state("app"), "exited", "{ran}");
            fs::remove_file(&code).unwrap();
            fs::rename(&away, &code).unwrap();
            let ran = andrea.ripcord(&["undo", "last", "--yes"]).expect(1);
            assert_eq!((calls(), andrea.state("app").as_str()), (before, "running"), "{ran}");
        } else {
            let run = || andrea.ripcord(&["run", "asistente-andrea-database.toml", "--yes"]);
            let mut session = andrea.superuser_session();
            let ran = run().expect(3);
            ran.says(words).says("run again, as bad as before").says("which nobody uses");
            assert!(!ran.said().contains("Start again"), "{ran}");
            assert_eq!((calls(), andrea.state("app").as_str()), (before, "running"), "{ran}");
            let began = andrea.began("app");
            // No preview could know of a database that was restored and not used.
            andrea.ripcord(&["undo", "last", "--yes"]).expect(3).says("drop-database andrea_new");
            andrea.ripcord(&["approve", "last", "call-2.1"]).expect(0);
            andrea.ripcord(&["resume", "last"]).expect(1);
            assert_eq!(andrea.began("app"), began, "an undo has nothing to stop");
            andrea.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
            session.wait().unwrap();
            run().expect(0);
            assert_eq!(
                andrea.psql("SELECT count(*) FROM calls WHERE transcript LIKE 'call number %'"),
                CALLS.to_string()
            );
            let known = andrea.journal().state(&andrea.journal().last()).receipt("restore").unwrap().clone();
            assert!(known.get("good-state").is_none(), "nobody knows whether the code is good: {known}");
        }
        assert_eq!(andrea.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'andrea_new%'"), "0");
    });
}
