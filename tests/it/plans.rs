//! What a plan can say, carried out: fallbacks, gates, retries, time-outs, and the way back.

use std::time::{Duration, Instant};

use ripcord::journal::RunOutcome;

use crate::world::World;

/// A step of the `steps` guest: posts to each of these paths, `!PATH` for a failure that it makes
/// itself there, and posts `/undo-PATH` to take one back.
fn step(id: &str, keys: &str, posts: &[&str]) -> String {
    let apply: String = posts
        .iter()
        .map(|post| match post.strip_prefix('!') {
            Some(message) => format!("[[step.with.apply]]\nfail = {{ permanent = \"{message}\" }}\n"),
            None => format!(
                "[[step.with.apply]]\ncall = {{ role = \"service\", http = {{ method = \"POST\", path = \"/{post}\" }}, \
                 repeat = \"idempotent\", assume = {{ http = {{ status = 200 }} }}, undo = [{{ call = {{ role = \"service\", \
                 http = {{ method = \"POST\", path = \"/undo-{post}\" }}, assume = {{ http = {{ status = 200 }} }} }} }}] }}\n"
            ),
        })
        .collect();
    format!("[[step]]\nid = \"{id}\"\nuse = \"steps\"\nbind = {{ service = \"service\" }}\n{keys}\n{apply}")
}

fn world(body: &str) -> World {
    let world = World::new();
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    world.plan("plan", body);
    world
}

fn posts(world: &World) -> Vec<String> {
    world.ledger.mutations().into_iter().map(|post| post.replace("POST /admin/", "")).collect()
}

const RUN: &[&str] = &["run", "plan.toml", "--yes"];

/// What the plan says; how the run ends; what the service was asked for.
#[test]
fn a_failed_step_halts_or_is_stood_in_for_or_is_taken_back() {
    let plans: [(&str, String, i32, RunOutcome, &[&str]); 5] = [
        ("all well", step("a", "", &["a1", "a2"]), 0, RunOutcome::Verified, &["a1", "a2"]),
        (
            "a failure keeps what was done",
            step("a", "", &["a1"]) + &step("b", "", &["b1", "!b is broken"]) + &step("c", "", &["c1"]),
            3,
            RunOutcome::Halted,
            &["a1", "b1"],
        ),
        (
            "on-failure = \"undo\" takes all of it back, newest first",
            "on-failure = \"undo\"\n".to_owned()
                + &step("a", "", &["a1", "a2"])
                + &step("b", "", &["b1", "!b is broken"]),
            1,
            RunOutcome::Undone,
            &["a1", "a2", "b1", "undo-b1", "undo-a2", "undo-a1"],
        ),
        (
            "a fallback stands in, and nothing is undone first",
            step("a", "", &["a1", "!a is broken"]) + &step("b", "fallback = \"a\"", &["b1"]) + &step("c", "", &["c1"]),
            0,
            RunOutcome::Verified,
            &["a1", "b1", "c1"],
        ),
        (
            "a fallback that is not needed is not run",
            step("a", "", &["a1"]) + &step("b", "fallback = \"a\"", &["b1"]),
            0,
            RunOutcome::Verified,
            &["a1"],
        ),
    ];
    for (what, body, code, outcome, expected) in plans {
        let world = world(&body);
        world.ripcord(RUN).expect(code);
        assert_eq!(posts(&world), expected, "{what}");
        let journal = world.journal();
        assert_eq!(journal.outcome(&journal.last()).unwrap().0, outcome, "{what}");
    }
}

#[test]
fn a_step_whose_doubt_nobody_can_settle_is_stood_in_for_and_the_doubt_is_not_forgotten() {
    let once = step("a", "", &["a1"]).replace("repeat = \"idempotent\", ", "");
    let world = world(&(once + &step("b", "fallback = \"a\"", &["b1"])));
    world.ledger.tell("behave cut /admin/a1");
    world.ripcord(RUN).expect(3).says("/a1");
    // The fallback has not waited for a person.
    assert_eq!(posts(&world), ["a1", "b1"]);
    let journal = world.journal();
    let call = journal.state(&journal.last()).doubts().next().unwrap().0.to_string();
    world.ripcord(&["resolve", "last", &call, "--happened"]).expect(0);
    world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(posts(&world), ["a1", "b1"]);
}

/// Gates: nobody is at the terminal, so that the answer comes from a second process.
#[test]
fn a_gate_waits_for_a_yes_and_a_no_leaves_things_as_they_are() {
    let gated = |expires: &str| {
        step("a", "", &["a1"]) + &step("b", &format!("gate = {{ ask = \"Go on with b?\"{expires} }}"), &["b1"])
    };
    for (answer, code, expected) in [(&[][..], 0, &["a1", "b1"][..]), (&["--no"], 3, &["a1"])] {
        let world = world(&gated(""));
        let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
        world.ripcord(&["run", "plan.toml", "--approved", &approval]).expect(3).says("Go on with b?");
        assert_eq!(posts(&world), ["a1"]);
        let mut approve = vec!["approve", "last", "b", "--by", "iris"];
        approve.extend(answer);
        world.ripcord(&approve).expect(0);
        world.ripcord(&approve).expect(2).says("already answered");
        world.ripcord(&["resume", "last"]).expect(code);
        assert_eq!(posts(&world), expected);
    }

    // No answer in time counts as no.
    let world = world(&gated(", expires = \"1s\""));
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    world.ripcord(&["run", "plan.toml", "--approved", &approval]).run();
    std::thread::sleep(Duration::from_millis(1100));
    let ran = world.ripcord(&["resume", "last"]).run();
    assert!(matches!(ran.code(), Some(3)), "{ran}");
    let journal = world.journal();
    assert_eq!(journal.outcome(&journal.last()).unwrap().0, RunOutcome::Halted);
    assert_eq!(posts(&world), ["a1"]);
}

#[test]
fn a_refused_gate_before_anything_was_done_leaves_the_target_unchanged_and_starts_no_fallback() {
    let body = step("a", "gate = { ask = \"Begin?\" }", &["a1"]) + &step("b", "fallback = \"a\"", &["b1"]);
    let world = world(&body);
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    world.ripcord(&["run", "plan.toml", "--approved", &approval]).expect(3);
    world.ripcord(&["approve", "last", "a", "--no"]).expect(0);
    world.ripcord(&["resume", "last"]).expect(4);
    assert!(posts(&world).is_empty());
}

/// The host retries what certainly did not happen: here nobody listens for a while.
#[test]
fn a_call_that_did_not_happen_is_tried_again_and_a_failed_status_is_a_reply() {
    let retrying = step("a", "retry = { attempts = 6, backoff = \"200ms\" }", &["a1"]);
    let world = world(&retrying);
    world.ledger.tell("down");
    let running = world.ripcord(RUN).spawn();
    world.until("the run", || world.path("state/journal.sqlite").exists() && !world.journal().runs().is_empty());
    std::thread::sleep(Duration::from_millis(500));
    world.ledger.tell("up");
    let ran = running.wait();
    assert_eq!(ran.code(), Some(0), "{ran}");
    assert_eq!(posts(&world), ["a1"]);

    // 503 is an answer: whether to try again is the plugin's business, and this one does not care.
    world.ledger.tell("behave fail-once /admin/a1");
    world.ripcord(RUN).expect(0);
    assert_eq!(posts(&world), ["a1", "a1"]);
}

#[test]
fn a_step_that_takes_too_long_ends_and_so_does_the_plan() {
    let slow = |keys: &str| step("a", keys, &["a1"]) + "[[step.with.apply]]\nsleep-ms = 60000\n";
    for (what, body) in [("step", slow("timeout = \"1s\"")), ("plan", "timeout = \"1s\"\n".to_owned() + &slow(""))] {
        let world = world(&body);
        let started = Instant::now();
        world.ripcord(RUN).expect(3).says("time-out of 1s");
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: {:?}", started.elapsed());
        assert_eq!(posts(&world), ["a1"]);
    }
}

#[test]
fn a_verification_is_tried_again_for_as_long_as_the_plan_says() {
    let check = |within: &str| {
        step("a", "", &["a1"])
            + &format!(
                "[[verify]]\nid = \"off\"\nuse = \"http-check\"\nbind = {{ service = \"service\" }}\n\
                 with = {{ path = \"/connectors/x\" }}\nexpect = \"response.json.enabled == false\"\n\
                 within = \"{within}\"\nevery = \"100ms\"\n"
            )
    };
    let world = world(&check("20s"));
    let running = world.ripcord(RUN).spawn();
    let checked = || world.ledger.entries().iter().filter(|entry| entry.path == "/admin/connectors/x").count();
    world.until("two checks", || checked() >= 2);
    world.ledger.tell("connector x off");
    let ran = running.wait();
    assert_eq!(ran.code(), Some(0), "{ran}");

    world.ledger.tell("connector x on");
    world.plan("plan", &check("1s"));
    world.ripcord(RUN).expect(3).says("off");
    // Put right by hand, and verified again.
    world.ledger.tell("connector x off");
    world.ripcord(&["resume", "last"]).expect(0);
}

/// What a later step and the verification see is what an earlier step, or its stand-in, handed on.
#[test]
fn receipts_reach_later_steps() {
    let first = "[[step]]\nid = \"a\"\nuse = \"steps\"\nbind = { service = \"service\" }\n\
                 [[step.with.apply]]\ncall = { role = \"service\", http = { method = \"GET\", path = \"/connectors/x\" } }\n";
    let second = step("b", "", &["from-{{ steps.a.receipt.replies[0].http.status }}"]);
    let world = world(&(first.to_owned() + &second));
    world.ripcord(RUN).expect(0);
    assert_eq!(posts(&world), ["from-200"]);
}

#[test]
fn an_answer_behind_a_gate_s_expiry_is_refused_and_said_to_be_late() {
    let world = world(&step("a", "gate = { ask = \"Go?\", expires = \"1s\" }", &["a1"]));
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    world.ripcord(&["run", "plan.toml", "--approved", &approval]).expect(4);
    world.ripcord(&["approve", "last", "a"]).expect(2).says("nobody answered in time").says("was not recorded");
    assert!(posts(&world).is_empty());
}

/// What was taken back stays so, and the rest is tried again as often as somebody asks.
#[test]
fn an_undo_that_failed_is_tried_again_from_where_it_got_stuck() {
    let world = world(&step("a", "", &["a1", "a2", "a3"]));
    world.ripcord(RUN).expect(0);
    // The rules of the day decide, and one of the calls is not in them.
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /undo-a1\", \"POST /undo-a3\"]"));
    for _ in 0..2 {
        world.ripcord(&["undo", "last", "--yes"]).expect(3).says("POST /undo-a2").says("ripcord undo");
        assert_eq!(posts(&world)[3..], ["undo-a3"]);
    }
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    world.ripcord(&["undo", "last", "--yes"]).expect(1);
    assert_eq!(posts(&world)[3..], ["undo-a3", "undo-a2", "undo-a1"]);
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);
    world.ripcord(&["undo", "last", "--yes"]).expect(2).says("already taken back");
}
