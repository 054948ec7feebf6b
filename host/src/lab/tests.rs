#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use super::*;
use crate::component::Components;
use crate::operator::Operator;
use crate::plan::{Plan, RunFacts, Scope, render, resolve_params};
use crate::runner::{Opens, Sources, check};

async fn lab() -> (tempfile::TempDir, Lab) {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(folder.path()).await.unwrap_or_else(|error| panic!("{error}"));
    (folder, lab)
}

fn given() -> [(String, String); 2] {
    [("connector".to_owned(), CONNECTOR.to_owned()), ("version".to_owned(), GOOD.to_owned())]
}

#[tokio::test]
async fn a_bad_deploy_breaks_it_and_the_tag_of_before_still_has_what_works() {
    let (_folder, lab) = lab().await;
    let good = lab.snapshot().await.unwrap();
    assert!(good.health.healthy && good.health.version == GOOD, "{:?}", good.health);
    assert_eq!(good.head, good.remote_head);

    lab.break_deploy().await.unwrap();
    let bad = lab.snapshot().await.unwrap();
    assert_eq!((bad.health.healthy, bad.health.connectors[CONNECTOR]), (false, Condition::Failing));
    assert_eq!(bad.health.version, BAD);
    assert!(bad.head != good.head && bad.head == bad.remote_head && bad.uncommitted.is_empty(), "{bad:?}");
    assert!(bad.changes.is_empty() && bad.mails == 0, "{bad:?}");

    let by_hand = ["-C", "genia", "checkout", "--quiet", GOOD, "--", "src/lib/connectors/facebook.ts"];
    assert!(Command::new("git").args(by_hand).current_dir(lab.folder()).status().await.unwrap().success());
    lab.deploy().await.unwrap();
    let back = lab.snapshot().await.unwrap();
    assert_eq!((back.health, back.deployed), (good.health, good.deployed));
    assert!(!back.uncommitted.is_empty());
}

#[tokio::test]
async fn the_administration_wants_its_token_and_keeps_a_ledger() {
    let (_folder, lab) = lab().await;
    lab.break_deploy().await.unwrap();
    let token = std::fs::read_to_string(lab.folder().join("secrets/genia-admin")).unwrap();
    let send = async |method: &str, path: &str, token: &str| {
        let request = lab.client.request(method.parse().unwrap(), format!("{}{path}", lab.url()));
        let response = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
        (
            response.status().as_u16(),
            serde_json::from_slice::<serde_json::Value>(&response.bytes().await.unwrap()).unwrap(),
        )
    };
    let (admin, token) = ("/admin/connectors/facebook", token.trim_end());
    assert_eq!(send("POST", "/admin/connectors/facebook/disable", "guessed").await.0, 401);
    assert_eq!(send("GET", admin, token).await.1["enabled"], true);
    assert_eq!(send("POST", "/admin/connectors/facebook/disable", token).await.1["enabled"], false);
    assert_eq!(lab.health().await.unwrap().connectors[CONNECTOR], Condition::Disabled);
    assert_eq!(send("POST", "/admin/connectors/facebook/enable", token).await.0, 200);
    assert_eq!(lab.health().await.unwrap().connectors[CONNECTOR], Condition::Failing);
    assert_eq!(send("POST", "/admin/connectors/mailchimp/disable", token).await.0, 404);

    let ledger: Vec<String> = lab.ledger().iter().map(Request::to_string).collect();
    assert_eq!(
        ledger,
        [
            "GET /admin/connectors/facebook",
            "POST /admin/connectors/facebook/disable",
            "POST /admin/connectors/facebook/enable",
            "POST /admin/connectors/mailchimp/disable",
        ]
    );
    assert_eq!(send("GET", "/ledger", "").await.1.as_array().unwrap().len(), ledger.len());
}

#[tokio::test]
async fn while_it_is_held_a_change_happens_and_its_answer_never_comes() {
    let (_folder, lab) = lab().await;
    std::fs::write(lab.hold(), "").unwrap();
    let token = std::fs::read_to_string(lab.folder().join("secrets/genia-admin")).unwrap();
    let disable = lab.client.post(format!("{}/admin/connectors/facebook/disable", lab.url()));
    let disable = disable.header("authorization", format!("Bearer {}", token.trim_end())).send();
    let sent = tokio::spawn(disable);
    while lab.health().await.unwrap().connectors[CONNECTOR] != Condition::Disabled {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!sent.is_finished());
    std::fs::remove_file(lab.hold()).unwrap();
    assert!(sent.await.unwrap().unwrap().status().is_success());
    assert_eq!(lab.ledger().len(), 1);
}

/// What can be known of them without a network, by the very check that a run begins with.
#[tokio::test]
async fn the_files_fit_each_other_and_the_bundled_plugins() {
    let (folder, lab) = lab().await;
    let operator = Operator::load(&lab.operator()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let text = std::fs::read_to_string(lab.plan()).unwrap();
    let plan = Plan::parse(&lab.plan().display().to_string(), &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let params = resolve_params(&plan, &given()).unwrap();

    let components = Components::new(folder.path().join("components")).unwrap();
    let plan_path = lab.plan();
    let (plan, params_given) = (&plan, &given());
    let sources = Sources {
        plan,
        plan_path: &plan_path,
        plan_text: &text,
        params: params_given,
        operator: &operator,
        with_triggers: false,
        opens: Opens::Run,
        kept: None,
    };
    let checked = check(&components, sources).await.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);

    let run = Some(RunFacts { id: "r1".into(), target: "t".into(), ..RunFacts::default() });
    let scope = Scope { params, people: plan.people.clone(), run, ..Scope::default() };
    for step in &plan.steps {
        render(&step.with, &scope).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    let mut evidence =
        serde_json::json!({ "response": { "json": { "enabled": false, "healthy": true, "version": GOOD } } });
    let passes = |evidence| {
        let variables = scope.with_evidence(&evidence);
        let expected = plan.verify.iter().filter_map(|check| check.expect.as_ref());
        expected.map(|expect| expect.evaluate(&variables).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(passes(evidence.clone()), [true, true]);
    evidence["response"]["json"]["version"] = BAD.into();
    assert_eq!(passes(evidence), [true, false]);
}

#[tokio::test]
async fn a_folder_that_has_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let error = Lab::start(folder.path()).await.err().expect("refused");
    assert!(matches!(error, LabError::NotEmpty(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
