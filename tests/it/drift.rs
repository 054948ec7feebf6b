//! Drift: a run that was verified is watched, and what silently undoes it is found: another deploy, a push, a
//! restart. The service, the git remote and the processes are real.

use std::fs;

use crate::follow_up::world;
use crate::world::{Ran, World, git};

const RUN: &[&str] = &["run", "plan.toml", "--yes"];
const WATCH: &[&str] = &["watch", "last", "--by", "Ana"];
const DRIFT: &str = "[drift]\nfor = \"1m\"\ninterval = \"100ms\"\n";

fn is_whole(world: &World) {
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);
}

/// How often the connector's state was asked for.
fn looks(world: &World) -> usize {
    let of = |entry: &&crate::world::Entry| entry.method == "GET" && entry.path == "/admin/connectors/facebook";
    world.ledger.entries().iter().filter(of).count()
}

fn drifted(world: &World, ran: &Ran, check: &str) {
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says(&format!("drifted: check {check} does not hold any more")).says("when it was verified (");
    ran.says("not any more since (");
    world.ripcord(&["runs"]).expect(0).says("verified, DRIFTED");
    is_whole(world);
}

#[test]
fn another_deploy_that_undoes_it_is_found() {
    let world = world("", DRIFT);
    world.ripcord(RUN).expect(0);
    let run = world.journal().last();
    let running = world.ripcord(&["watch", run.as_str(), "--json"]).spawn();
    let before = looks(&world);
    world.until("three looks", || looks(&world) >= before + 3);
    world.ripcord(&["runs"]).expect(0).says("verified, watched");
    world.ripcord(&["undo", "last", "--yes"]).expect(2).says("kill -INT");
    // It holds nothing: somebody else deploys, with a plan of the same target.
    let deploy = fs::read_to_string(world.path("plan.toml")).unwrap();
    let deploy = deploy.split("[[verify]]").next().unwrap().replace("facebook/disable", "facebook/enable");
    world.write("deploy.toml", &deploy.replace("is = false", "is = true"));
    world.ripcord(&["run", "deploy.toml", "--yes"]).expect(0);
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    let events = ran.json();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["outcome"], &last["check"]),
        (&"drift-ended".into(), &"drifted".into(), &"is-off".into())
    );
    let run = run.as_str();
    let report = world.ripcord(&["report", run, "--json"]).expect(0).json().remove(0);
    let found = &report["drift"]["drifted"];
    assert_eq!(
        (
            &found["verified"]["seen"]["response"]["json"]["enabled"],
            &found["now"]["seen"]["response"]["json"]["enabled"]
        ),
        (&false.into(), &true.into())
    );
    assert!(found["last-good"]["at"].as_str() < found["first-failed"]["at"].as_str());
    assert_eq!((&report["outcome"], &report["checks"][0]["standing"]["kind"]), (&"verified".into(), &"passed".into()));
    world
        .ripcord(&["report", run])
        .expect(0)
        .says("## Whether it stayed so")
        .says("response.json.enabled was false, and is true")
        .says("did not last: check is-off");
    world.ripcord(&["report", run, "--language", "es"]).expect(0).says("NO SIGUIÓ ASÍ");
    world.ripcord(&["show", run]).expect(0).says("IT DID NOT STAY SO").says("something has undone it");
    world.ripcord(&["audit", run]).expect(0);
    world.ripcord(&["replay", run]).expect(0);
}

#[test]
fn a_push_that_brings_the_bad_code_back_is_found() {
    let world = World::new();
    let script =
        "git fetch -q origin && git show origin/main:src/lib/connectors/facebook.ts | tee /dev/stderr | grep -q good";
    world.allow(&format!(
        "[command.published]\nargv = [\"sh\", \"-c\", {script:?}]\ncwd = \"genia\"\neffect = \"read\"\n"
    ));
    world.plan(
        "plan",
        "[[step]]\nid = \"off\"\nuse = \"http-switch\"\nbind = { service = \"genia-admin\" }\n\
         with = { send = { path = \"/connectors/facebook/disable\" } }\n\
         [[verify]]\nid = \"published\"\nuse = \"command-check\"\nbind = { command = \"published\" }\n\
         [drift]\nfor = \"1m\"\ninterval = \"100ms\"\nfailure-limit = 1\n",
    );
    let folder = world.path("genia");
    let commit = |text: &str| {
        fs::write(folder.join("src/lib/connectors/facebook.ts"), text).unwrap();
        git(&folder, &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "-am", text]);
        git(&folder, &["push", "--quiet", "origin", "HEAD:main"]);
    };
    commit("good");
    world.ripcord(RUN).expect(0);
    let running = world.ripcord(WATCH).spawn();
    running.until_says("published  passed");
    commit("broken");
    drifted(&world, &running.wait(), "published");
}

/// A crash loses nothing, Ctrl-C pauses, a service that restarts has not drifted, and one that comes back
/// with its old state has.
#[test]
fn it_goes_on_after_a_crash_and_a_pause_and_finds_a_restart() {
    let world = world("", &format!("{DRIFT}failure-limit = 1\n"));
    world.ripcord(RUN).expect(0);
    let before = looks(&world);
    let running = world.ripcord(WATCH).spawn();
    world.until("a look", || looks(&world) > before);
    running.until_says("is-off  passed");
    running.kill();
    let until = |world: &World| {
        let journal = world.journal();
        journal.state(&journal.last()).drift.map(|drift| (drift.at, drift.wanted.until)).unwrap()
    };
    let began = until(&world);

    let running = world.ripcord(WATCH).spawn();
    running.until_says("is-off  passed");
    running.interrupt();
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("paused").says("ripcord watch");
    assert_eq!(until(&world), began, "it is the same watch");

    let running = world.ripcord(&["resume", "last"]).spawn();
    running.until_says("is-off  passed");
    // While it is away nobody can say anything.
    world.ledger.tell("down");
    running.until_says("could NOT be observed");
    world.ledger.tell("connector facebook on");
    world.ledger.tell("up");
    drifted(&world, &running.wait(), "is-off");
    // Another one says so at once, and with the follow-up that switches it on it is as it should be.
    world.ripcord(WATCH).expect(3);
    world.ripcord(&["follow-up", "last", "reopen", "--yes"]).expect(0).says("there was nothing to change");
    world.ripcord(WATCH).expect(0).says("no check is left that has to hold still");
    is_whole(&world);
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let world = world("", "");
    world.ripcord(RUN).expect(0);
    world.ripcord(WATCH).expect(2).says("does not say for how long").says("--window 24h");
    let ran = world.ripcord(&["watch", "last", "--window", "1s"]).expect(0);
    ran.says("held: 1s are over, and all that was verified was so to the end");
    world.ripcord(&["report", "last"]).expect(0).says("it stayed so");
    assert_eq!(world.ledger.mutations().len(), 1, "it only reads");
    is_whole(&world);
    world.ripcord(&["undo", "last", "--yes"]).expect(1);
    world.ripcord(&["watch", "last", "--window", "1s"]).expect(2).says("ended undone");
    world.ripcord(&["watch", "no-such-run"]).expect(2).says("there is no run").says("name its plan's file");
}
