//! The Andrea runbook on the real systems: an application in containers with a PostgreSQL of its own, a bad version and
//! a destructive migration, a Coolify that does its part or does not, and the way back.

mod image;
pub(crate) mod killed;
mod triggers;
mod world;

use serde_json::json;

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
