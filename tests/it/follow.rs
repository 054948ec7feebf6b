//! `show --follow`: a run from a second terminal, as it goes on.

use serde_json::Value;

use crate::interrupt::{RUN, answer, hold, posts, step, until_posted, world};

const FOLLOW: &[&str] = &["show", "last", "--follow"];

#[test]
fn several_followers_see_what_happened_and_what_happens_and_end_as_the_run_does() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let running = world.ripcord(RUN).spawn();
    until_posted(&world, "one");
    let plain = world.ripcord(FOLLOW).spawn();
    let json = world.ripcord(&["--json", "show", "last", "--follow"]).spawn();
    let dropped = world.ripcord(FOLLOW).spawn();
    // What has happened so far, while the run goes on.
    plain.until_says("plan on");
    json.until_says("intended");
    dropped.until_says("begins");
    dropped.interrupt();
    assert_eq!(dropped.wait().code(), None, "Ctrl-C ends the following");
    answer(&world, "one");
    for ran in [running.wait(), plain.wait()] {
        assert_eq!(ran.code(), Some(0), "{ran}");
        ran.says("POST /one on http.service → 200").says("VERIFIED");
    }
    let followed = json.wait();
    assert_eq!(followed.code(), Some(0), "{followed}");
    let events = world.ripcord(&["--json", "show", "last"]).expect(0).json();
    assert_eq!(followed.json(), events, "each event once, in order");
    assert_eq!(events.last().unwrap()["event"], "run-ended");
    assert_eq!(posts(&world), ["one", "two"]);
}

#[test]
fn a_question_is_shown_with_its_command_and_the_following_goes_on() {
    let world = world(&step("a", "gate = { ask = \"All of them?\", expires = \"10m\" }", &["POST /one"]));
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    let running = world.ripcord(&["run", "plan.toml", "--approved", &approval]).spawn();
    running.until_says("WAITS for a person");
    let run = world.journal().last();
    let follower = world.ripcord(FOLLOW).spawn();
    let terminal = world.ripcord(FOLLOW).on_a_terminal();
    follower.until_says(&format!("ripcord approve {run} a"));
    terminal.until_shows(&format!("ripcord approve {run} a --no"));
    let listed = world.ripcord(&["--json", "runs"]).expect(0).json().remove(0);
    assert_eq!((listed["state"].as_str(), &listed["waits-for"]["gate"]), (Some("waiting"), &Value::from("a")));
    assert_eq!(listed["held-by"]["pid"], running.pid());
    world.ripcord(&["approve", "last", "a"]).expect(0);
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(follower.wait().code(), Some(0));
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("✓ a") && shown.contains("done in"), "{shown}");
}

#[test]
fn a_run_that_nobody_carries_any_more_is_said_to_be_so() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let running = world.ripcord(RUN).spawn();
    until_posted(&world, "one");
    let follower = world.ripcord(FOLLOW).spawn();
    follower.until_says("begins");
    running.kill();
    let run = world.journal().last();
    let resume = format!("ripcord resume {run}");
    let ran = follower.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("no process carries it").says(&resume).says("POST /one");
    // Nor does it wait for anybody later on.
    world.ripcord(FOLLOW).expect(3).says(&resume);
    let listed = world.ripcord(&["runs"]).expect(0);
    listed.says("cut off").says("none");
    answer(&world, "one");
    world.ripcord(&["resume", "last"]).expect(0);
    world.ripcord(FOLLOW).expect(0).says("VERIFIED");
}

#[test]
fn a_run_that_there_is_not_can_t_be_followed() {
    let world = world(&step("a", "", &["POST /one"]));
    world.ripcord(FOLLOW).expect(2).says("there is no run yet");
    world.ripcord(&["show", "20260101-000000-aaaa", "--follow"]).expect(2).says("ripcord runs");
}

/// `ripcord show last --follow | head -1` comes back.
#[test]
fn a_follower_that_nobody_reads_ends() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let running = world.ripcord(RUN).spawn();
    until_posted(&world, "one");
    let line = "\"$@\" | head -n 1";
    let read = world.ripcord(FOLLOW).through("sh", &["-c", line, "sh"]).run();
    assert_eq!((read.code(), read.stdout.lines().count()), (Some(0), 1), "{read}");
    answer(&world, "one");
    assert_eq!(running.wait().code(), Some(0));
}
