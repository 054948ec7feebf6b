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
        let kept = kept.replace("tries = 10", "tries = 2").replace("p95 = \"3s\"", "p95 = \"300ms\"");
        let before = before.replace("expires = \"15m\"\n", "");
        fs::write(self.path(name), format!("{before}{kept}[[step]]{steps}")).unwrap();
    }
}

const ALL: [&str; 5] = ["extraction", "latency", "crash-loop", "webhooks", "corruption"];

#[test]
fn each_of_the_five_conditions_trips_and_does_not_trip() {
    let andrea = Andrea::new("4.3.11");
    andrea.back_up();
    // All of them, each often enough to trip if it could.
    andrea.write_plan("all.toml", &ALL);
    let all = fs::read_to_string(andrea.path("all.toml")).unwrap();
    fs::write(andrea.path("all.toml"), all.replace("interval = \"100ms\"", "interval = \"100ms\"\ncount = 4")).unwrap();
    let ran = andrea.watch("all.toml");
    assert_eq!(ran.code(), Some(4), "{ran}");
    for id in ALL {
        let passed = ran.said().lines().filter(|line| line.contains(id) && line.contains("passed: ")).count();
        assert_eq!(passed, 4, "{id}: {ran}");
    }

    let many =
        "INSERT INTO calls SELECT 'CB' || n, 'completed', 'another ' || n, NULL FROM generate_series(1, 40) AS n";
    let none = "SELECT 1";
    for (id, release, migration, title) in [
        ("extraction", json!({ "version": "1.5.0" }), many, "Fallo masivo de extracción"),
        ("latency", json!({ "version": "1.5.1", "fault": "slow", "slow-ms": 350 }), none, "Latencia inaceptable"),
        ("webhooks", json!({ "version": "1.5.2", "fault": "webhook-500" }), none, "Pérdida de conectividad"),
        ("corruption", json!({ "version": "1.5.3" }), "UPDATE calls SET transcript = ''", "Corrupción de datos"),
        ("crash-loop", json!({ "version": "1.5.4", "fault": "crash" }), none, "Crash loop"),
    ] {
        andrea.deploy_badly(&release, migration);
        andrea.write_plan("one.toml", &[id]);
        let ran = andrea.watch("one.toml");
        assert_eq!(ran.code(), Some(3), "{id}: {ran}");
        ran.says(&format!("TRIPPED: {title}")).says("gate watch has no answer yet");
        andrea.ripcord(&["approve", "last", "watch", "--no"]).expect(0);
        andrea.ripcord(&["resume", "last"]).expect(4);
    }
}
