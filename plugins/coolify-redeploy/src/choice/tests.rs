#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;

const V1: &str = "1111111111111111111111111111111111111111";
const V2: &str = "2222222222222222222222222222222222222222";
const V3: &str = "3333333333333333333333333333333333333333";

struct Case {
    coolify: &'static str,
    build_pack: &'static str,
    tag: &'static str,
    /// Commit and status, newest first; a `*` marks a rollback.
    history: &'static [(&'static str, &'static str)],
    good: &'static [&'static str],
    to: Option<&'static str>,
    bad: &'static [&'static str],
}

const GIT: Case =
    Case { coolify: "4.3.0", build_pack: "nixpacks", tag: "", history: &[], good: &[], to: None, bad: &[] };
const IMAGE: Case = Case { build_pack: "dockerimage", tag: "2.0", history: &[("HEAD", "finished")], ..GIT };
const DEPLOYED: Case = Case { history: &[(V3, "finished"), (V2, "finished"), (V1, "finished")], ..GIT };

fn chosen(case: &Case) -> Result<(Way, Choice), String> {
    let application: Application = serde_json::from_value(json!({
        "name": "app", "build_pack": case.build_pack, "docker_registry_image_tag": case.tag, "git_branch": "main",
    }))
    .unwrap();
    let way = way(Version::parse(case.coolify).unwrap(), &application)?;
    let deployments: Vec<_> = case
        .history
        .iter()
        .enumerate()
        .map(|(place, (commit, status))| {
            let (status, rollback) = (status.trim_end_matches('*'), status.ends_with('*'));
            json!({ "deployment_uuid": format!("d{place}"), "commit": commit, "status": status, "rollback": rollback })
        })
        .collect();
    let good = |name: &&str| match case.build_pack {
        "dockerimage" => Good { image_tag: Some((*name).to_owned()), ..Good::default() },
        _ => Good { commit: Some((*name).to_owned()), version: Some("1.4.2".to_owned()), ..Good::default() },
    };
    let choice = choose(&Seen {
        application: &application,
        history: &History::parse(&json!({ "deployments": deployments })).unwrap(),
        good: &case.good.iter().map(good).collect::<Vec<_>>(),
        to: case.to,
        bad: &case.bad.iter().map(|bad| (*bad).to_owned()).collect::<Vec<_>>(),
    })?;
    Ok((way, choice))
}

#[test]
fn a_commit_is_chosen() {
    use Way::{Pin, Rollback};
    for (what, case, target, way, is_there) in [
        ("the one before the last", DEPLOYED, V2, Rollback, false),
        ("without kept images", Case { coolify: "4.2.9", ..DEPLOYED }, V2, Pin, false),
        ("of a compose file", Case { build_pack: "dockercompose", ..DEPLOYED }, V2, Pin, false),
        ("none of the bad ones", Case { bad: &["3333333", V2], ..DEPLOYED }, V1, Rollback, false),
        ("the plan's, cut short", Case { to: Some("1111111"), ..DEPLOYED }, V1, Rollback, false),
        ("the plan's, that runs", Case { to: Some(V3), ..DEPLOYED }, V3, Rollback, true),
        ("the bad one failed", Case { history: &[(V3, "failed"), (V2, "finished")], ..GIT }, V2, Rollback, true),
        ("the bad one waits", Case { history: &[(V3, "queued"), (V2, "finished")], ..GIT }, V2, Rollback, false),
        ("it is verified", Case { good: &[V3], ..DEPLOYED }, V3, Rollback, true),
        ("it is verified, and the plan says bad", Case { good: &[V3], bad: &[V3], ..DEPLOYED }, V2, Rollback, false),
        ("an older one is verified", Case { good: &[V1], ..DEPLOYED }, V2, Rollback, false),
        ("rolled back before", Case { history: &[(V1, "finished*"), (V3, "finished")], ..GIT }, V1, Rollback, true),
    ] {
        let (found, choice) = chosen(&case).expect(what);
        let expected = (Target::Commit(target.to_owned()), way, is_there);
        assert_eq!((choice.target, found, choice.is_there), expected, "{what}");
    }
}

#[test]
fn a_tag_is_chosen() {
    for (what, case, target, is_there) in [
        ("the last verified one", Case { good: &["1.9", "1.8"], ..IMAGE }, "1.9", false),
        ("none of the bad ones", Case { good: &["2.0", "1.9", "1.8"], bad: &["2.0", "1.9"], ..IMAGE }, "1.8", false),
        ("the plan's", Case { to: Some("1.5"), good: &["1.9"], ..IMAGE }, "1.5", false),
        ("the plan's, that is configured", Case { to: Some("2.0"), ..IMAGE }, "2.0", true),
        ("it is verified", Case { good: &["1.9", "2.0"], ..IMAGE }, "2.0", true),
        (
            "it is verified, and its deployment failed",
            Case { good: &["2.0"], history: &[("HEAD", "failed")], ..IMAGE },
            "2.0",
            false,
        ),
        ("an old Coolify can do it too", Case { coolify: "4.1.2", good: &["1.9"], ..IMAGE }, "1.9", false),
    ] {
        let (found, choice) = chosen(&case).expect(what);
        let expected = (Target::ImageTag(target.to_owned()), Way::Pin, is_there);
        assert_eq!((choice.target, found, choice.is_there), expected, "{what}");
    }
}

#[test]
fn a_version_that_was_recorded_has_a_tag_if_the_plan_says_how() {
    let version = |application: Option<&str>| Good {
        application: application.map(str::to_owned),
        version: Some("1.9".to_owned()),
        ..Good::default()
    };
    assert_eq!(version(None).with_tag(Some("v{version}")).image_tag.as_deref(), Some("v1.9"));
    assert_eq!(version(None).with_tag(None).image_tag, None);
    let tagged = Good { image_tag: Some("2.0".to_owned()), ..version(None) };
    assert_eq!(tagged.with_tag(Some("v{version}")).image_tag.as_deref(), Some("2.0"));
    assert!(version(None).is_of("app1") && version(Some("app1")).is_of("app1") && !version(Some("app2")).is_of("app1"));
}

#[test]
fn what_can_t_be_known_is_refused() {
    for (case, says) in [
        (Case { coolify: "4.1.2", ..DEPLOYED }, "deploys the head of main"),
        (Case { coolify: "4.0.0-beta.464", ..DEPLOYED }, "deploys the head of main"),
        (Case { history: &[(V3, "finished")], ..GIT }, "none of the last 1 deployments"),
        (GIT, "none of the last 0 deployments"),
        (Case { to: Some("1.4.2"), ..DEPLOYED }, "write all 40 digits"),
        (Case { build_pack: "dockerfile", ..GIT }, "none of the last 0"),
        (IMAGE, "Coolify's history records none"),
        (Case { good: &["2.0"], bad: &["2.0"], ..IMAGE }, "Coolify's history records none"),
    ] {
        let refused = chosen(&case).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn what_the_service_says_is_compared_with_what_is_expected() {
    let (commit, tag) = (Target::Commit(V1.to_owned()), Target::ImageTag("1.9".to_owned()));
    let good = [Good { commit: Some(V1.to_owned()), version: Some("1.4.2".to_owned()), ..Good::default() }];
    for (template, target, is_expected_of) in [
        (None, &commit, &[V1, "1111111"][..]),
        (None, &tag, &["1.9"]),
        (Some("v{tag}"), &tag, &["v1.9"]),
        (Some("1.4.2"), &commit, &["1.4.2"]),
        (Some("release-{version}"), &commit, &["release-1.4.2"]),
    ] {
        let expected = expected(template, target, &good).unwrap();
        for said in is_expected_of {
            assert!(is_expected(said, &expected), "{said} {expected}");
        }
        for other in ["", "1.4", "111111", V2, "1.10"] {
            assert!(!is_expected(other, &expected), "{other} {expected}");
        }
    }
    assert!(expected(Some("{version}"), &tag, &good).unwrap_err().contains("no verified run"));
}
