#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fit;
mod mistakes;
mod values;
mod watch;

use serde_json::json;

use super::*;

const GENIA: &str = include_str!("../../../../plans/genia-connector.toml");

const HEAD: &str = "name = \"x\"\ntarget = \"x\"\n";

/// What is wrong with a plan that has a head and these lines.
fn wrong(lines: &str) -> String {
    match Plan::parse("plan.toml", &format!("{HEAD}{lines}")) {
        Ok(plan) => panic!("nothing is wrong with {plan:?}"),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

fn plan(lines: &str) -> Plan {
    Plan::parse("plan.toml", &format!("{HEAD}{lines}")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn given(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_plan_for_a_genia_connector_is_sound() {
    let plan = Plan::parse("plans/genia-connector.toml", GENIA).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(plan.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(), ["disable"]);
    let notices = plan.notices.iter().map(|notice| notice.id.as_str());
    assert_eq!(notices.collect::<Vec<_>>(), ["tell-begin", "tell-end", "tell-stop"]);
    assert_eq!(plan.timeout, Duration::from_secs(30 * 60));
    let params = resolve_params(&plan, &[given("connector", "facebook"), given("version", "v1.4.2")]).unwrap();
    let scope = Scope {
        params,
        run: Some(RunFacts { id: "r1".into(), target: "t".into(), ..RunFacts::default() }),
        ..Scope::default()
    };
    assert_eq!(plan.target_for(&scope.params).unwrap(), "genia/connectors/facebook");
    let with = render(&plan.step("disable").unwrap().with, &scope).unwrap();
    assert_eq!(with["path"], "src/lib/connectors/facebook.ts");
    assert_eq!(with["commit"], true);
    let incident = Some(IncidentFacts { decided_by: "Ana".into(), ..IncidentFacts::default() });
    let run = RunFacts { state: Some("undone".into()), why: Some("so".into()), ..scope.run.clone().unwrap() };
    let told = Scope { run: Some(run), people: plan.people.clone(), incident, ..scope.clone() };
    let subject = |notice: usize| render(&plan.notices[notice].with, &told).unwrap()["subject"].clone();
    assert_eq!(subject(1), "Conector facebook desactivado temporalmente");
    assert_eq!(subject(2), "Conector facebook: el rollback se ha deshecho");
    let begins = render(&plan.notices[0].with, &told).unwrap()["text"].clone();
    let ends = "Motivo: so.\nCoordina: nadie todavía. Lo ha decidido Ana.";
    assert!(begins.as_str().unwrap().ends_with(ends), "{begins}");
    assert!(
        plan.verify[0]
            .expect
            .as_ref()
            .unwrap()
            .evaluate(&scope.with_evidence(&json!({ "response": { "json": { "enabled": false } } })))
            .unwrap()
    );
    let shape = plan.shape(|id| id == "disable");
    assert!(shape.steps[0].can_undo);
    assert_eq!((shape.verify[0].within_ms, shape.verify[0].every_ms), (120_000, 10_000));
}

#[test]
fn a_plan_with_everything_in_it_keeps_its_shape() {
    let plan = plan(
        r#"
        on-failure = "undo"
        [[step]]
        id = "redeploy"
        use = "plugins/redeploy.wasm@sha256:0101010101010101010101010101010101010101010101010101010101010101"
        gate = { ask = "Redeploy for {{ people.coordinator }}?", expires = "10m" }
        [[step]]
        id = "by-hand"
        use = "manual-restore"
        fallback = "redeploy"
        retry = { attempts = 1 }
        on-failure = "halt"
        [[step]]
        id = "tell"
        use = "notify-people"
        with = { text = "now at {{ steps.redeploy.receipt.version }}", all = "{{ steps['redeploy'].receipt }}" }
        [[verify]]
        id = "version"
        use = "http-check"
        expect = "response.json.version == steps.redeploy.receipt.version"
        [people]
        coordinator = "Ana"
        "#,
    );
    let shape = plan.shape(|_| true);
    let steps: Vec<_> =
        shape.steps.iter().map(|s| (s.id.as_str(), s.fallback.as_deref(), s.gate, s.on_failure)).collect();
    assert_eq!(
        steps,
        [
            ("redeploy", None, true, OnFailure::Undo),
            ("by-hand", Some("redeploy"), false, OnFailure::Halt),
            ("tell", None, false, OnFailure::Undo),
        ]
    );
    assert!(matches!(&plan.steps[0].uses, Uses::File { path, .. } if path.ends_with("plugins/redeploy.wasm")));
    assert_eq!(plan.steps[1].retry, Retry { attempts: 1, backoff: Duration::from_secs(1) });
}
