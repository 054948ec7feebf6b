//! Each lie of Coolify, for each version and each kind of application: how the run ends, what runs then, and
//! how often a deployment was asked for.

use std::collections::BTreeSet;

use regex::Regex;
use ripcord_tests::coolify::lies::{LIES, Version};
use serde_json::json;

use super::scene::{Kind, RUN, Scene};
use crate::world::{Exchange, READ_TOKEN, in_parallel};

const VERSIONS: [&str; 3] = ["4.1.2", "4.2.0", "4.3.10"];

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The good version runs, and stays.
    RolledBack,
    /// Nothing was changed, and the message says this.
    Untouched(&'static str),
    /// The bad version runs still, and the message says this.
    Failed(&'static str),
}

/// What comes of a lie that is told all the time.
fn end(version: Version, kind: Kind, lie: &str) -> End {
    let old = version < Version(4, 2, 0);
    match (lie, kind) {
        ("api-disabled", _) => End::Untouched("API is switched off"),
        (_, Kind::Git) if old => End::Untouched("deploys the head of main whatever commit is asked for"),
        ("queue-full", _) => End::Failed("it asks to wait 60 s"),
        ("finished-but-old", _) => End::Failed("the service says that it is 2"),
        // `/rollback` carries the commit itself.
        ("head-overwrites-pin", Kind::Git) if version < Version(4, 3, 0) => End::Failed("not with 1111111"),
        _ => End::RolledBack,
    }
}

#[test]
fn each_lie_ends_well_or_says_why_not() {
    let mut cases = Vec::new();
    for lie in LIES {
        for version in VERSIONS {
            cases.extend([Kind::Git, Kind::Image].map(|kind| (lie.name, version, kind)));
        }
    }
    in_parallel(cases, |(lie, version, kind)| {
        let scene = Scene::new(version, kind);
        scene.deployment("waits", kind.bad(), "queued");
        scene.coolify.lie(lie, true);
        let ran = scene.run();
        let asked = scene.coolify.mutations().into_iter().filter(|line| is_deploy(line)).count();
        match end(version.parse().unwrap(), kind, lie) {
            End::RolledBack => {
                assert_eq!(ran.code(), Some(0), "{ran}");
                assert_eq!(scene.stands(), scene.rolled_back(), "{ran}");
                assert_eq!(asked, 1, "{ran}");
                let active = scene.statuses().into_iter().filter(|status| status != "finished");
                assert_eq!(active.collect::<Vec<_>>(), ["cancelled-by-user"]);
            }
            End::Untouched(says) => {
                assert_eq!(ran.code(), Some(3), "{ran}");
                ran.says(says).says("nothing was changed in Coolify");
                assert_eq!(scene.coolify.mutations(), Vec::<String>::new());
                assert_eq!(scene.stands(), scene.untouched());
            }
            End::Failed(says) => {
                assert_eq!(ran.code(), Some(3), "{ran}");
                ran.says(says);
                assert_eq!(scene.stands().0, kind.bad_runs(lie), "{ran}");
                assert_eq!(asked, 1, "{ran}");
                scene.coolify.lie(lie, false);
                scene.ripcord(&["undo", "last", "--yes"]).expect(1);
                let (_, pin, auto_deploy) = scene.untouched();
                let (_, now_pin, now_auto_deploy) = scene.stands();
                assert_eq!((now_pin, now_auto_deploy), (pin, auto_deploy));
            }
        }
        // An answer that is a web page can't be read, and an old Coolify takes any `force` for true.
        let is_sound = |exchange: &Exchange| exchange.accepts_json && !exchange.query.contains_key("force");
        assert!(scene.coolify.exchanges().iter().all(is_sound));
    });
}

impl Kind {
    /// What runs after a lie that could not be helped.
    fn bad_runs(self, lie: &str) -> &'static str {
        // The head of a branch that is not there.
        if lie == "head-overwrites-pin" { "" } else { self.bad() }
    }
}

fn is_deploy(line: &str) -> bool {
    line.starts_with("POST /deploy ") || line.contains("/rollback ")
}

/// What the stand-in tells is what is listed, and each one that `each_lie_ends_well_or_says_why_not` can't bring about has
/// a test of its own here.
#[test]
fn no_lie_is_forgotten() {
    let listed: BTreeSet<&str> = LIES.iter().map(|lie| lie.name).collect();
    assert_eq!(listed.len(), LIES.len(), "two lies have one name");
    let sources = [
        include_str!("../../src/coolify/api.rs"),
        include_str!("../../src/coolify/server.rs"),
        include_str!("../../src/coolify/world.rs"),
    ];
    let asked = Regex::new(r#"\.tells\([a-z._]+, "([a-z0-9-]+)"\)"#).unwrap();
    let told = sources.iter().flat_map(|source| asked.captures_iter(source));
    let mut told: BTreeSet<&str> = told.map(|name| name.extract::<1>().1[0]).collect();
    // Told to whoever does not say what they accept, always: each exchange is looked at for it.
    told.insert("html-errors");
    assert_eq!(told, listed, "told by the stand-in, and listed");

    let here = include_str!("lies.rs");
    let ordered = Regex::new(r#"coolify\.lie\("([a-z0-9-]+)", true\)"#).unwrap();
    let ordered: BTreeSet<&str> = ordered.captures_iter(here).map(|name| name.extract::<1>().1[0]).collect();
    // They take a token without the right, and a deployment that is cut off.
    assert_eq!(ordered, BTreeSet::from(["cancelled-serves-both", "deploy-unauthorised"]));
}

/// A token that may not deploy is told so with a 200.
#[test]
fn a_deployment_that_was_not_begun_is_not_waited_for() {
    in_parallel(VERSIONS.to_vec(), |version| {
        let scene = Scene::new(version, Kind::Image);
        // The tag is in place, so that the deployment is all that is left to do.
        scene.application("1.9");
        scene.deployment("again", "1.9", "failed");
        scene.coolify.lie("deploy-unauthorised", true);
        let ran = scene.ripcord(RUN).env("COOLIFY_TOKEN", READ_TOKEN).expect(3);
        ran.says("answered 200 without a deployment")
            .says("Unauthorized to deploy this resource")
            .says("ability `deploy`");
        assert_eq!(scene.coolify.mutations().len(), 1);
    });
}

/// Somebody else asks for the same deployment while this run waits its turn: Coolify answers with one that
/// does not exist.
#[test]
fn a_phantom_is_found_out_and_the_real_deployment_followed() {
    let cases = vec![("4.1.2", Kind::Image), ("4.2.0", Kind::Git), ("4.2.0", Kind::Image), ("4.3.10", Kind::Image)];
    in_parallel(cases, |(version, kind)| {
        let scene = Scene::new(version, kind);
        let fault = json!({ "fault": { "endpoint": "POST /deploy", "behaviour": "too-many", "times": 1 } });
        scene.coolify.order(&fault);
        let running = scene.ripcord(RUN).spawn();
        let is_asked = || scene.coolify.mutations().iter().any(|line| is_deploy(line));
        scene.until("the first request for a deployment", is_asked);
        scene.coolify.order(&json!({ "deploy-ms": 2_000 }));
        scene.deployment("elsewhere", kind.good(), "in_progress");
        let ran = running.wait();
        assert_eq!(ran.code(), Some(0), "{ran}");
        ran.says("it is elsewhere");
        assert_eq!(scene.stands(), scene.rolled_back());
        assert_eq!(scene.coolify.kept().deployments.len(), 3, "no second one was made: {ran}");
    });
}

/// Coolify answers 500, and has begun the deployment.
#[test]
fn a_deployment_that_was_begun_and_denied_is_followed() {
    let cases = vec![("4.2.0", Kind::Git, "POST /deploy"), ("4.3.10", Kind::Git, "POST /applications/app1/rollback")];
    in_parallel(cases, |(version, kind, endpoint)| {
        let scene = Scene::new(version, kind);
        scene.coolify.fault(endpoint, "done-error");
        scene.ripcord(RUN).expect(0).says("all the same");
        assert_eq!(scene.stands(), scene.rolled_back());
        assert_eq!(scene.coolify.kept().deployments.len(), 3);
    });
}

/// What was cut off in the middle serves beside the version from before, until another one is deployed.
#[test]
fn what_is_cut_off_under_way_serves_no_longer() {
    let cases = ["4.2.0", "4.3.10"].map(|version| [(version, Kind::Git), (version, Kind::Image)]);
    in_parallel(cases.concat(), |(version, kind)| {
        let scene = Scene::new(version, kind);
        scene.coolify.order(&json!({ "deploy-ms": 700 }));
        scene.coolify.lie("cancelled-serves-both", true);
        scene.deployment("goes", kind.bad(), "in_progress");
        scene.deployment("waits", kind.bad(), "queued");
        scene.ripcord(RUN).expect(0);
        assert_eq!(scene.stands(), scene.rolled_back());
    });
}

/// Each request once too many, wherever it is in the run: it is sent again when Coolify lets it.
#[test]
fn the_rate_limit_is_waited_for_within_limits() {
    let endpoints = ["GET /version", "PATCH *", "POST /applications/app1/rollback", "GET /deployments/*"];
    in_parallel(endpoints.to_vec(), |endpoint| {
        let scene = Scene::new("4.3.10", Kind::Git);
        scene.coolify.order(&json!({ "fault": { "endpoint": endpoint, "behaviour": "too-many", "times": 2 } }));
        scene.ripcord(RUN).expect(0);
        assert_eq!(scene.stands(), scene.rolled_back());
        assert_eq!(scene.coolify.kept().deployments.len(), 3);
    });
    let scene = Scene::new("4.3.10", Kind::Git);
    scene.coolify.fault("POST *", "too-many");
    let ran = scene.ripcord(RUN).expect(3);
    ran.says("of `waits-at-most` 0 s are left").says("auto-deploy was switched off");
}

/// The answer is lost: the deployment is looked for, and never asked for a second time if it is there.
#[test]
fn a_deployment_whose_answer_is_lost_is_looked_for() {
    let rollback = "POST /applications/app1/rollback";
    let cases = [
        ("4.2.0", Kind::Git, "POST /deploy"),
        ("4.3.10", Kind::Git, rollback),
        ("4.3.10", Kind::Image, "POST /deploy"),
    ];
    let behaviours = [("done-cut", 1), ("done-hang", 1), ("cut", 2)];
    let cases = cases.iter().flat_map(|&case| behaviours.map(|behaviour| (case, behaviour))).collect();
    in_parallel(cases, |((version, kind, endpoint), (behaviour, asked))| {
        let scene = Scene::new(version, kind);
        let fault = json!({ "fault": { "endpoint": endpoint, "behaviour": behaviour, "times": 1 } });
        scene.coolify.order(&fault);
        scene.ripcord(RUN).expect(0);
        assert_eq!(scene.stands(), scene.rolled_back());
        assert_eq!(scene.coolify.mutations().into_iter().filter(|line| is_deploy(line)).count(), asked);
        assert_eq!(scene.coolify.kept().deployments.len(), 3);
    });
}

/// A Coolify that is gone or hangs ends the step within its limits, so that a fallback can start.
#[test]
fn a_coolify_that_does_not_answer_ends_the_step() {
    in_parallel(vec!["hang", "cut", "error"], |behaviour| {
        let scene = Scene::new("4.3.10", Kind::Git);
        scene.coolify.fault("GET *", behaviour);
        let ran = scene.ripcord(RUN).expect(3);
        ran.says("nothing was changed in Coolify");
        assert_eq!(scene.stands(), scene.untouched());
    });
}
