//! Arguments that say nothing, and commands for which it is not the time.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use ripcord::id::Digest;

use super::Messages;
use crate::world::{World, guest};

const ANY_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A step that posts to this path of the service.
fn step(id: &str, keys: &str, path: &str) -> String {
    format!(
        "[[step]]\nid = \"{id}\"\nuse = \"steps\"\nbind = {{ service = \"service\" }}\n{keys}\n[[step.with.apply]]\n\
         call = {{ role = \"service\", http = {{ method = \"POST\", path = \"/{path}\" }}, \
         assume = {{ http = {{ status = 200 }} }} }}\n"
    )
}

fn world() -> World {
    let world = World::new();
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    world
}

#[test]
fn wrong_arguments() {
    let world = world();
    world.plan("plan", &step("a", "", "a1"));
    let mut messages = Messages::about("arguments");
    for (name, arguments) in [
        ("nothing", &[][..]),
        ("unknown-command", &["rn", "plan.toml"]),
        ("unknown-option", &["run", "plan.toml", "--yess"]),
        ("plan-missing", &["run"]),
        ("parameter-without-value", &["run", "plan.toml", "-p", "novalue"]),
        ("yes-and-approved", &["run", "plan.toml", "--yes", "--approved", ANY_DIGEST]),
        ("run-without-terminal", &["run", "plan.toml"]),
        ("approved-is-no-digest", &["run", "plan.toml", "--approved", "yes"]),
        ("run-unknown", &["show", "20260101"]),
        ("last-of-no-runs", &["resume", "last"]),
        ("call-malformed", &["resolve", "last", "three", "--happened"]),
        ("no-answer", &["resolve", "last", "1.0"]),
        ("head-is-no-digest", &["audit", "last", "--head", "1234"]),
        ("state-names-a-file", &["--state", "plan.toml", "runs"]),
    ] {
        let ran = messages.shows(&world, name, world.shipped(arguments));
        assert_eq!(ran.code(), Some(2), "{ran}");
    }
    assert_eq!(world.ledger.mutations(), [""; 0]);
    messages.end();
}

/// Each command where the run is not one that it is for.
#[test]
fn the_wrong_moment() {
    let world = world();
    let mut messages = Messages::about("moments");
    let mut shows = |name: &str, arguments: &[&str], code: i32| {
        let ran = messages.shows(&world, name, world.shipped(arguments));
        assert_eq!(ran.code(), Some(code), "{ran}");
    };

    world.plan("nothing", "[[step]]\nid = \"a\"\nuse = \"steps\"\nwith = { apply = [\"now\"] }\n");
    world.ripcord(&["run", "nothing.toml", "--yes"]).expect(4);
    shows("undo-of-nothing", &["undo", "last", "--yes"], 4);
    shows("resume-of-an-ended-run", &["resume", "last"], 4);
    shows("abort-of-an-ended-run", &["abort", "last"], 2);
    shows("approve-where-no-gate-is", &["approve", "last", "a"], 2);
    shows("resolve-where-nothing-is-in-doubt", &["resolve", "last", "1.0", "--happened"], 2);
    shows("audit-with-another-head", &["audit", "last", "--head", ANY_DIGEST], 5);

    world.plan("done", &step("a", "", "a1"));
    world.ripcord(&["run", "done.toml", "--yes"]).expect(0);
    shows("undo-without-terminal", &["undo", "last"], 2);
    let year = world.journal().last().as_str()[..4].to_owned();
    shows("run-ambiguous", &["show", &year], 2);
    world.ripcord(&["undo", "last", "--yes"]).run();
    shows("undo-of-what-is-undone", &["undo", "last", "--yes"], 2);

    world.plan(
        "gated",
        &(step("a", "", "a1") + &step("b", "gate = { ask = \"Go on with b?\", expires = \"1h\" }", "b1")),
    );
    let approval = world.ripcord(&["preview", "gated.toml"]).expect(0).approval();
    let waiting = world.ripcord(&["run", "gated.toml", "--approved", &approval]).spawn();
    world.until("the gate", || world.ledger.mutations().iter().filter(|post| post.ends_with("/a1")).count() == 2);
    sleep(Duration::from_millis(300));
    shows("resume-of-what-another-process-carries", &["resume", "last"], 2);
    shows("approve-of-another-gate", &["approve", "last", "bb"], 2);
    shows("undo-of-a-run-that-goes-on", &["undo", "last", "--yes"], 2);
    waiting.kill();
    shows("undo-of-a-run-that-has-not-ended", &["undo", "last", "--yes"], 2);
    shows("target-held", &["run", "gated.toml", "--yes"], 2);
    shows("approve", &["approve", "last", "b"], 0);
    shows("approve-twice", &["approve", "last", "b"], 2);
    world.ripcord(&["abort", "last"]).run();

    world.plan("soon", &step("c", "gate = { ask = \"Go on with c?\", expires = \"1s\" }", "c1"));
    let approval = world.ripcord(&["preview", "soon.toml"]).expect(0).approval();
    let waiting = world.ripcord(&["run", "soon.toml", "--approved", &approval]).spawn();
    let journal = || world.path("state/journal.sqlite").exists().then(|| world.journal());
    world.until("the gate", || {
        journal()
            .is_some_and(|journal| journal.state(&journal.last()).gates.iter().any(|gate| gate.opened.gate.0 == "c"))
    });
    waiting.kill();
    sleep(Duration::from_millis(1200));
    shows("approve-of-an-expired-gate", &["approve", "last", "c"], 2);
    shows("resume-at-an-expired-gate", &["resume", "last"], 4);

    world.plan("doubtful", &step("d", "", "d1"));
    world.ledger.tell("behave cut /admin/d1");
    world.ripcord(&["run", "doubtful.toml", "--yes"]).expect(3);
    shows("resolve-of-another-call", &["resolve", "last", "7.3", "--happened"], 2);
    shows(
        "resolve-with-a-reply-that-is-none",
        &["resolve", "last", "1.0", "--happened", "--reply", "{\"status\": 200}"],
        2,
    );
    shows(
        "resolve-with-another-capabilitys-reply",
        &["resolve", "last", "1.0", "--happened", "--reply", "{\"notify\": \"sent\"}"],
        2,
    );

    // The run stays as it was, whatever is missing now.
    let with_secret = |ripcord: crate::world::Ripcord| ripcord.without_env("GENIA_TOKEN");
    let ran = messages.shows(&world, "resume-without-its-secret", with_secret(world.shipped(&["resume", "last"])));
    assert_eq!(ran.code(), Some(2), "{ran}");
    world.write("ripcord.toml", &world.operator());
    let ran = messages.shows(&world, "resume-without-its-connection", world.shipped(&["resume", "last"]));
    assert_eq!(ran.code(), Some(2), "{ran}");
    world.write("ripcord.toml", "[http.service]\nurl = \"nowhere\"\n");
    let ran = messages.shows(&world, "resume-with-a-wrong-operators-file", world.shipped(&["resume", "last"]));
    assert_eq!(ran.code(), Some(2), "{ran}");
    messages.end();
}

/// Makes another component of one, which does the same: a section that says nothing.
const CUSTOM_SECTION: &[u8] = b"\0\x02\x01x";

/// What was agreed to is not what would be done now; which part of it differs is said.
#[test]
fn another_approval() {
    let world = world();
    let mut messages = Messages::about("approvals");
    let params = "[params.path]\ndefault = \"a1\"\n";
    let plan = |path: &str| params.to_owned() + &step("a", "", path);
    world.plan("plan", &plan("{{ params.path }}"));
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    let mut shows = |name: &str, arguments: &[&str]| {
        let arguments = [&["run", "plan.toml", "--approved", &approval], arguments].concat();
        let ran = messages.shows(&world, name, world.shipped(&arguments));
        assert_eq!(ran.code(), Some(2), "{ran}");
    };
    shows("another-parameter", &["-p", "path=a2"]);
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /*\"]"));
    shows("another-rule", &[]);
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    world.plan("plan", &plan("{{ params.path }}/b"));
    shows("another-plan", &[]);
    let other = guest("steps").into_iter().chain(CUSTOM_SECTION.iter().copied()).collect::<Vec<u8>>();
    fs::write(world.path("steps.wasm"), &other).unwrap();
    let text = fs::read_to_string(world.path("plan.toml")).unwrap().replace("{{ params.path }}/b", "{{ params.path }}");
    world.write("plan.toml", &text.replace(&Digest::of(&guest("steps")).to_string(), &Digest::of(&other).to_string()));
    shows("another-plugin", &[]);

    // The state of the target decides what is listed.
    world.connector_plan();
    let connector = ["connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2"];
    let approval = world.ripcord(&[&["preview"], &connector[..]].concat()).expect(0).approval();
    world.ledger.tell("connector facebook off");
    let arguments = [&["run"], &connector[..], &["--approved", &approval]].concat();
    let ran = messages.shows(&world, "another-list", world.shipped(&arguments));
    assert_eq!(ran.code(), Some(2), "{ran}");

    let arguments = [&["run"], &connector[..], &["--approved", ANY_DIGEST]].concat();
    messages.shows(&world, "never-seen-here", world.shipped(&arguments));
    assert_eq!(world.ledger.mutations(), [""; 0]);
    messages.end();
}

/// What stays to be done and can't be done so, and whether it stays so.
#[test]
fn what_stays_to_be_done_and_can_not_be_done_so() {
    let world = world();
    let people = "[people]\nanalysis = \"Ana\"\n";
    let items = "[[follow-up]]\nid = \"cause\"\nwhat = \"Find the cause\"\nowner = \"analysis\"\n\
                 [[follow-up]]\nid = \"switch-on\"\nuse = \"http-switch\"\nbind = { service = \"service\" }\n\
                 with = { send = { path = \"/on\" } }\n";
    world.plan("plan", &format!("{people}{}{items}", step("a", "", "a1")));
    world.ripcord(&["run", "plan.toml", "--yes"]).expect(0);
    let mut messages = Messages::about("follow-up");
    for (name, arguments) in [
        ("help", &["follow-up", "--help"][..]),
        ("listed", &["follow-up", "last"]),
        ("unknown", &["follow-up", "last", "switch-of"]),
        ("for-people", &["follow-up", "last", "cause"]),
        ("nobody-to-agree", &["follow-up", "last", "switch-on"]),
        ("done-and-approved", &["follow-up", "last", "switch-on", "--done", "--yes"]),
        ("done-of-nothing", &["follow-up", "last", "--done"]),
        ("done", &["follow-up", "last", "cause", "--done", "--by", "Ana"]),
        ("drift-of-no-check", &["watch", "last", "--window", "1h"]),
        ("drift-of-an-unknown-run", &["watch", "plan"]),
        ("drift-with-a-plans-options", &["watch", "last", "-p", "x=y"]),
    ] {
        messages.shows(&world, name, world.shipped(arguments));
    }
    world.ripcord(&["undo", "last", "--yes"]).expect(1);
    messages.shows(&world, "closed", world.shipped(&["follow-up", "last", "switch-on"]));
    messages.shows(&world, "drift-of-an-undone-run", world.shipped(&["watch", "last"]));
    messages.end();
}

/// What can't be watched, and what stands in the way of a run that is.
#[test]
fn what_can_t_be_watched() {
    let world = world();
    world.plan("plan", &step("a", "", "a1"));
    let trigger = "[[trigger]]\nid = \"on\"\ntitle = \"It is on\"\nuse = \"http-check\"\nbind = { service = \"service\" }\n\
                   with = { path = \"/connectors/x\" }\ninitial-delay = \"5m\"\ninconclusive-limit = 9\n";
    world.plan("watched", &format!("{}{trigger}", step("a", "", "a1")));
    let mut messages = Messages::about("watch");
    for (name, arguments) in [
        ("help", &["watch", "--help"][..]),
        ("no-trigger", &["watch", "plan.toml", "--yes"]),
        ("window-too-short", &["watch", "watched.toml", "--yes", "--window", "100ms"]),
        ("window-too-long", &["watch", "watched.toml", "--yes", "--window", "2d"]),
        ("window-ends-before-the-first-measurement", &["watch", "watched.toml", "--yes", "--window", "5m"]),
        ("window-is-no-time", &["watch", "watched.toml", "--yes", "--window", "soon"]),
        ("nobody-to-agree", &["watch", "watched.toml"]),
    ] {
        messages.shows(&world, name, world.shipped(arguments));
    }
    let running = world.ripcord(&["watch", "watched.toml", "--yes"]).spawn();
    running.until_says("watches for");
    for (name, arguments) in [
        ("held-by-a-watch", &["run", "watched.toml", "--yes"][..]),
        ("taken-back-while-it-watches", &["undo", "last"]),
        ("resumed-while-it-watches", &["resume", "last"]),
        ("ended-early", &["approve", "last", "watch", "--no"]),
    ] {
        messages.shows(&world, name, world.shipped(arguments));
    }
    messages.compare("end", &super::told(&running.wait(), &world.path("")));
    messages.shows(&world, "answered-too-late", world.shipped(&["approve", "last", "watch"]));
    messages.end();
}
