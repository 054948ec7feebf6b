//! The way there and back, when Coolify means well.

use serde_json::{Value, json};

use super::scene::{APP, BAD, GOOD, Kind, RUN, Scene};
use crate::world::in_parallel;

/// All that is sent, and nothing besides, for each version and kind.
#[test]
fn a_rollback_sends_what_it_has_to_and_its_undo_puts_the_settings_back() {
    let app = format!("PATCH /applications/{APP}");
    let freeze = format!("{app} {{\"is_auto_deploy_enabled\":false}}");
    let pin = format!("{app} {{\"git_commit_sha\":\"{GOOD}\"}}");
    let rollback = format!("POST /applications/{APP}/rollback {{\"commit\":\"{GOOD}\"}}");
    let deploy = format!("POST /deploy {{\"uuid\":\"{APP}\"}}");
    let tag = format!("{app} {{\"docker_registry_image_tag\":\"1.9\"}}");
    let (unfreeze, unpin) = (freeze.replace("false", "true"), pin.replace(GOOD, "HEAD"));
    let untag = tag.replace("1.9", "2.0");
    let image = (vec![tag, deploy.clone()], vec![untag]);
    let by_pin = (vec![freeze.clone(), pin.clone(), deploy], vec![unpin.clone(), unfreeze.clone()]);
    let by_rollback = (vec![freeze, rollback, pin], vec![unpin, unfreeze]);
    let cases = vec![
        ("4.1.2", Kind::Image, image.clone()),
        ("4.2.0", Kind::Git, by_pin),
        ("4.2.0", Kind::Image, image.clone()),
        ("4.3.0", Kind::Git, by_rollback.clone()),
        ("4.3.10", Kind::Git, by_rollback),
        ("4.3.10", Kind::Image, image),
    ];
    in_parallel(cases, |(version, kind, (sent, sent_back))| {
        let scene = Scene::new(version, kind);
        scene.ripcord(RUN).expect(0);
        assert_eq!(scene.coolify.mutations(), sent);
        assert_eq!(scene.stands(), scene.rolled_back());
        scene.ripcord(&["replay", "last"]).expect(0);

        scene.ripcord(&["undo", "last", "--yes"]).expect(1).says("deploys nothing");
        assert_eq!(scene.coolify.mutations()[sent.len()..], sent_back);
        // What runs stays.
        let (_, pin, auto_deploy) = scene.untouched();
        assert_eq!(scene.stands(), (kind.good().to_owned(), pin, auto_deploy));
        scene.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn what_is_kept_is_not_built_again() {
    let scene = Scene::new("4.3.10", Kind::Git);
    scene.ripcord(RUN).expect(0);
    let last = scene.coolify.kept().deployments.pop().unwrap();
    assert!(last.rollback && !last.force_rebuild, "{last:?}");
}

/// A preview sends no change, and lists all that a run sends.
#[test]
fn a_preview_lists_each_change_and_makes_none() {
    for (version, kind) in [("4.2.0", Kind::Git), ("4.3.10", Kind::Git), ("4.3.10", Kind::Image)] {
        let scene = Scene::new(version, kind);
        scene.deployment("waits", kind.bad(), "queued");
        let previewed = scene.ripcord(&["preview", "plan.toml", "--json"]).expect(0);
        assert_eq!(scene.coolify.mutations(), Vec::<String>::new());
        let report: Value = serde_json::from_str(&previewed.stdout).unwrap();
        let listed: Vec<String> = report["listed"].as_array().unwrap().iter().map(Value::to_string).collect();

        scene.ripcord(RUN).expect(0);
        for exchange in scene.coolify.exchanges().iter().filter(|exchange| exchange.method != "GET") {
            let is_it = |listed: &&String| listed.contains(&exchange.method) && listed.contains(&exchange.path);
            assert!(listed.iter().any(|it| is_it(&it)), "{} {} in {listed:#?}", exchange.method, exchange.path);
        }
        assert_eq!(scene.stands(), scene.rolled_back());
    }
}

#[test]
fn a_good_version_that_runs_is_left_alone() {
    let git = |scene: &Scene| {
        scene.deployment("back", GOOD, "finished");
        scene.application(GOOD);
    };
    let to = |with: &'static str| {
        move |scene: &Scene| {
            git(scene);
            scene.plan(with);
        }
    };
    let image = |scene: &Scene| scene.application("1.9");
    let bad_failed = |scene: &Scene| {
        git(scene);
        scene.deployment("again", BAD, "failed");
    };
    type Change<'a> = &'a dyn Fn(&Scene);
    let cases: [(&str, Kind, Change<'_>); 4] = [
        ("4.3.10", Kind::Git, &to("to = \"1111111\", ")),
        ("4.2.0", Kind::Git, &bad_failed),
        ("4.1.2", Kind::Image, &image),
        ("4.3.10", Kind::Image, &image),
    ];
    for (version, kind, prepare) in cases {
        let scene = Scene::new(version, kind);
        prepare(&scene);
        scene.ripcord(RUN).expect(4);
        assert_eq!(scene.coolify.mutations(), Vec::<String>::new());
    }
}

/// What ripcord has verified is what it goes back to, and what it leaves alone.
#[test]
fn the_ledger_of_good_states_gives_the_last_good_image() {
    let scene = Scene::new("4.3.10", Kind::Image);
    scene.plan("");
    let refused = scene.ripcord(RUN).expect(3);
    refused.says("Coolify's history records none").says("nothing was changed");

    // Run while the good version is the one that runs, it is found well, and remembered.
    scene.application("1.9");
    scene.plan("to = \"1.9\", ");
    scene.ripcord(RUN).expect(4);
    scene.plan("");
    scene.application("2.0");
    scene.ripcord(&["preview", "plan.toml"]).expect(0).says("known good").says("image-tag 1.9");
    scene.ripcord(RUN).expect(0);
    assert_eq!(scene.stands(), scene.rolled_back());
    assert_eq!(scene.coolify.mutations().len(), 2);

    // A second time it is the good version that runs.
    scene.ripcord(RUN).expect(4);
    assert_eq!(scene.coolify.mutations().len(), 2);
}

/// A second rollback by the same plan does not go back one further.
#[test]
fn a_rollback_is_not_rolled_back_further_unless_the_plan_says_so() {
    for version in ["4.2.0", "4.3.10"] {
        let scene = Scene::new(version, Kind::Git);
        let older = "3333333333333333333333333333333333333333";
        scene.ripcord(RUN).expect(0);
        scene.ripcord(RUN).expect(4);
        assert_eq!(scene.stands(), scene.rolled_back());

        scene.plan(&format!("bad = [\"{GOOD}\", \"{BAD}\"], "));
        scene.ripcord(RUN).expect(3).says("there is nothing known to go back to");
        scene.plan(&format!("to = \"{older}\", "));
        scene.ripcord(RUN).expect(0);
        assert_eq!(scene.stands(), (older.to_owned(), older.to_owned(), false));
    }
}

/// A deployment that waits would undo the rollback when its turn comes.
#[test]
fn what_waits_or_is_under_way_is_cancelled() {
    let cases = ["4.2.0", "4.3.0", "4.3.10"].map(|version| [(version, Kind::Git), (version, Kind::Image)]);
    in_parallel(cases.concat(), |(version, kind)| {
        let scene = Scene::new(version, kind);
        scene.deployment("waits", kind.bad(), "queued");
        scene.ripcord(RUN).expect(0);
        assert_eq!(scene.stands(), scene.rolled_back());
        assert_eq!(scene.statuses(), ["finished", "finished", "cancelled-by-user", "finished"]);
        scene.ripcord(&["undo", "last", "--yes"]).expect(1).says("deployments that were cancelled stay so");
    });
}

/// Somebody's own setting is not put back over.
#[test]
fn an_undo_leaves_what_others_have_set_since() {
    let scene = Scene::new("4.3.10", Kind::Git);
    scene.ripcord(RUN).expect(0);
    scene.coolify.order(&json!({ "application": {
        "uuid": APP, "build_pack": "nixpacks", "git_repository": "/nowhere", "git_branch": "main",
        "git_commit_sha": BAD, "is_auto_deploy_enabled": false, "running": GOOD,
    } }));
    scene.ripcord(&["undo", "last", "--yes"]).expect(1).says("not of this run's doing");
    assert_eq!(scene.stands(), (GOOD.to_owned(), BAD.to_owned(), true));
}

/// Nothing else speaks for the version that runs, so the plan may do without asking the application.
#[test]
fn without_a_service_to_ask_coolify_s_own_word_is_taken_with_a_warning() {
    for (version, kind, warns) in
        [("4.2.0", Kind::Git, true), ("4.3.10", Kind::Git, false), ("4.3.10", Kind::Image, true)]
    {
        let scene = Scene::new(version, kind);
        let plan = std::fs::read_to_string(scene.path("plan.toml")).unwrap();
        scene.write("plan.toml", &plan.replace("coolify = \"coolify\", service = \"app\"", "coolify = \"coolify\""));
        let ran = scene.ripcord(RUN).expect(0);
        assert_eq!(ran.to_string().contains("nothing tells which version really runs"), warns, "{version} {ran}");
    }
}
