//! The five conditions of the runbook's first section, on the real application: none of them trips while it is well,
//! and each of them does when it is not.

use std::fs;

use serde_json::json;

use super::world::{Andrea, UUID};

impl Andrea {
    /// Watches this plan until its end, or until a trigger has tripped and nobody is here to say yes.
    fn watch(&self, plan: &str) -> crate::world::Ran {
        self.ripcord(&["watch", plan, "-p", &format!("application={UUID}"), "--yes", "--window", "20s"]).run()
    }

    /// The shipped plan with these triggers of it only, in more of a hurry.
    fn write_plan(&self, name: &str, wanted: &[&str]) {
        let shipped = fs::read_to_string(self.path("asistente-andrea.toml")).unwrap();
        let (before, triggers) = shipped.split_once("[[trigger]]").unwrap();
        // The last of them ends where the steps begin.
        let (triggers, steps) = triggers.split_once("[[step]]").unwrap();
        let is_wanted = |trigger: &&str| wanted.iter().any(|id| trigger.contains(&format!("id       = \"{id}\"")));
        let kept: Vec<_> = triggers.split("[[trigger]]").filter(is_wanted).collect();
        assert_eq!(kept.len(), wanted.len(), "{triggers}");
        let kept = kept.iter().map(|trigger| format!("[[trigger]]{trigger}")).collect::<String>();
        let kept = kept
            .replace("interval = \"1m\"", "interval = \"100ms\"")
            .replace("interval = \"30s\"", "interval = \"100ms\"");
        let kept = kept.replace("tries = 10", "tries = 1").replace("p95 = \"3s\"", "p95 = \"300ms\"");
        let before = before.replace("expires = \"15m\"", "expires = \"1s\"");
        fs::write(self.path(name), format!("{before}{kept}[[step]]{steps}")).unwrap();
    }
}

const ALL: [&str; 5] = ["extraction", "latency", "crash-loop", "webhooks", "corruption"];

#[test]
fn each_of_the_five_conditions_trips_and_does_not_trip() {
    let andrea = Andrea::new("4.3.11");

    // All of them, each often enough to trip if it could.
    andrea.write_plan("all.toml", &ALL);
    let all = fs::read_to_string(andrea.path("all.toml")).unwrap();
    fs::write(andrea.path("all.toml"), all.replace("interval = \"100ms\"", "interval = \"100ms\"\ncount = 3")).unwrap();
    let ran = andrea.watch("all.toml");
    assert_eq!(ran.code(), Some(4), "{ran}");
    for id in ALL {
        let passed = ran.said().lines().filter(|line| line.contains(id) && line.contains("passed: ")).count();
        assert_eq!(passed, 3, "{id}: {ran}");
    }

    let many =
        "INSERT INTO calls SELECT 'CB' || n, 'completed', 'another ' || n, NULL FROM generate_series(1, 40) AS n";
    let none = "SELECT 1";
    for (id, release, damage, title) in [
        ("extraction", json!(null), many, "Fallo masivo de extracción"),
        ("corruption", json!(null), "UPDATE calls SET transcript = ''", "Corrupción de datos"),
        ("latency", json!({ "version": "1.5.1", "fault": "slow", "slow-ms": 350 }), none, "Latencia inaceptable"),
        ("webhooks", json!({ "version": "1.5.2", "fault": "webhook-500" }), none, "Pérdida de conectividad"),
        ("crash-loop", json!({ "version": "1.5.4", "fault": "crash" }), none, "Crash loop"),
    ] {
        match release {
            serde_json::Value::Null => _ = andrea.psql(damage),
            release => andrea.deploy_badly(&release, damage),
        }
        andrea.write_plan("one.toml", &[id]);
        let ran = andrea.watch("one.toml");
        assert_eq!(ran.code(), Some(4), "{id}: {ran}");
        ran.says(&format!("TRIPPED: {title}")).says("nobody said in time that the steps are to be taken");
    }
}
