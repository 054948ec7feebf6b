//! `watch`: a deploy is looked at until a trigger trips, somebody decides, or the window is over. The
//! triggers are a real program that looks at a file, and a real service.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use ripcord::journal::{Event, Purpose, RunOutcome};
use serde_json::Value;

use crate::interrupt::{posts, step};
use crate::world::{Ran, Ripcord, World};

const WATCH: &[&str] = &["watch", "plan.toml", "--yes"];

/// A deploy whose mood a file says, a service, and a plan that posts to it. `watch` stands in the plan's
/// `[watch]`, `trigger` in its trigger.
fn world(watch: &str, trigger: &str) -> World {
    let world = World::new();
    let script = "read -r mood < mood; echo . >> looked; \
                  case $mood in good) exit 0;; bad) exit 1;; slow) sleep 20;; *) kill -9 $$;; esac";
    let probe = format!(
        "[command.probe]\nargv = [\"sh\", \"-c\", {script:?}]\ncwd = {:?}\neffect = \"read\"\ntimeout = \"30s\"\n\
         [command.program]\nargv = [\"true\"]\n",
        world.path("")
    );
    world.allow(&format!("{}{probe}", world.service("[\"GET /connectors/**\"]", "[\"POST /**\"]")));
    let triggers = format!(
        "[watch]\n{watch}\n[[trigger]]\nid = \"mood\"\ntitle = \"Crash Loop\"\nseverity = \"SEV1\"\n\
         use = \"command-check\"\nbind = {{ command = \"probe\" }}\n{trigger}\n"
    );
    world.plan("plan", &format!("{}\n{triggers}", step("a", "", &["POST /one"])));
    mood(&world, "good");
    world
}

fn mood(world: &World, mood: &str) {
    // Never half a file.
    fs::rename(world.write("mood.new", &format!("{mood}\n")), world.path("mood")).unwrap();
}

/// How often the program has looked.
fn looked(world: &World) -> usize {
    fs::read_to_string(world.path("looked")).unwrap_or_default().lines().count()
}

/// How many measurements were begun.
fn measurements(world: &World) -> usize {
    let journal = world.journal();
    let events = journal.events(&journal.last()).into_iter();
    events
        .filter(|recorded| matches!(&recorded.event, Event::ExecutionBegan { purpose: Purpose::Check(_), .. }))
        .count()
}

/// It has ended with this code, and its record is whole.
fn ended(world: &World, ran: &Ran, code: i32) {
    assert_eq!(ran.code(), Some(code), "{ran}");
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);
}

#[test]
fn a_trigger_trips_and_another_terminal_says_yes() {
    let world = world("window = \"1m\"\nexpires = \"1m\"", "interval = \"100ms\"\nfailure-limit = 1");
    let running = world.ripcord(&["watch", "plan.toml", "--yes", "--json"]).spawn();
    world.until("two looks", || looked(&world) >= 2);
    mood(&world, "bad");
    running.until_says("gate-opened");
    world.ripcord(&["runs"]).expect(0).says("at gate watch");
    assert_eq!(posts(&world), [""; 0], "--yes never answers the watch's question");
    world.ripcord(&["approve", "last", "watch", "--by", "Iris"]).expect(0);
    let ran = running.wait();
    ended(&world, &ran, 0);
    assert_eq!(posts(&world), ["one"]);

    let events = ran.json();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).cloned().collect::<Vec<_>>();
    let failed = of("judged").iter().filter(|event| event["outcome"] == "fail").count();
    assert_eq!((failed, of("tripped").len()), (2, 1), "one more than the limit, and not more");
    assert_eq!(of("tripped")[0]["trigger"], "mood");

    let report = world.ripcord(&["report", "last", "--json"]).expect(0).json().remove(0);
    assert_eq!(report["watch"]["tripped"]["title"], "Crash Loop");
    assert_eq!(report["triggers"][0]["evidence"]["seen"]["command"]["exit"], 1);
    let incident = &report["incident"];
    assert_eq!((&incident["severity"]["value"], &incident["severity"]["by"]), (&"SEV1".into(), &"ripcord".into()));
    assert_eq!(incident["symptoms"][0]["value"], "Crash Loop: the command exited with 1, expected 0");
    let first_failure = of("judged").iter().position(|event| event["outcome"] == "fail").unwrap();
    let began = of("execution-began")[first_failure]["at"].clone();
    assert_eq!(incident["since"]["value"], began, "the incident began with the first measurement that failed");
    world.ripcord(&["report", "last", "--language", "es"]).expect(0).says("Se disparó Crash Loop");
    world.ripcord(&["undo", "last", "--yes"]).expect(1);
}

#[test]
fn nothing_trips_and_the_run_says_so() {
    let world = world("window = \"1s\"", "interval = \"200ms\"");
    let ran = world.ripcord(&["watch", "plan.toml", "--yes", "--severity", "SEV3"]).run();
    ended(&world, &ran, 4);
    ran.says("1s are over, and no trigger tripped").says("passed: the command exited with 0");
    let measured = measurements(&world);
    assert!((2..=5).contains(&measured), "{measured}");
    assert_eq!(posts(&world), [""; 0]);
    world.ripcord(&["report", "last"]).expect(0).says("No trigger tripped").says("SEV3");
    // As many measurements as it asks for are enough.
    let plan = fs::read_to_string(world.path("plan.toml")).unwrap();
    world.write("plan.toml", &format!("{plan}count = 2\n").replace("1s", "1m"));
    world.ripcord(WATCH).expect(4).says("no trigger tripped in as many measurements as the plan asks for");
    assert_eq!(measurements(&world), 2);
}

#[test]
fn somebody_refuses_or_nobody_answers() {
    let world = world("window = \"1m\"\nexpires = \"1s\"", "");
    mood(&world, "bad");
    let ran = world.ripcord(WATCH).run();
    ended(&world, &ran, 4);
    ran.says("trigger mood tripped (Crash Loop), and nobody said in time that the steps are to be taken");

    let running = world.ripcord(WATCH).spawn();
    running.until_says("WAITS for a person");
    world.ripcord(&["approve", "last", "watch", "--no", "--by", "Iris"]).expect(0);
    let ran = running.wait();
    ended(&world, &ran, 4);
    ran.says("trigger mood tripped (Crash Loop), and Iris refused to go on");
    assert_eq!(posts(&world), [""; 0]);
}

/// What `run` would do is agreed to beforehand, and when is up to the trigger. One approval does for both.
#[test]
fn a_plan_that_asks_nobody_runs_at_once_with_the_approval_of_its_preview() {
    let world = world("window = \"1m\"\nthen = \"run\"", "");
    mood(&world, "bad");
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    let ran = world.ripcord(&["watch", "plan.toml", "--approved", &approval]).run();
    ended(&world, &ran, 0);
    ran.says("TRIPPED: Crash Loop (severity SEV1)");
    assert_eq!(posts(&world), ["one"]);
}

/// Nobody answers, and the process does not wait for ever: it ends, and `approve` and `resume` go on.
#[test]
fn without_a_terminal_and_an_expiry_it_ends_at_the_question() {
    let world = world("window = \"1m\"", "");
    mood(&world, "bad");
    world.ripcord(WATCH).expect(3).says("gate watch has no answer yet");
    world.ripcord(&["approve", "last", "watch"]).expect(0);
    // What was watched is not needed any more.
    fs::remove_file(world.path("mood")).unwrap();
    let ran = world.ripcord(&["resume", "last"]).run();
    ended(&world, &ran, 0);
    assert_eq!((measurements(&world), posts(&world)), (1, vec!["one".to_owned()]));
}

#[test]
fn what_can_t_be_measured_is_given_up_and_a_person_is_told() {
    // A path that the operator's rules don't let through; and a program that says nothing.
    for (case, check, found) in [
        (
            "errors",
            "use = \"http-check\"\nbind = { service = \"service\" }\nwith = { path = \"/secret\" }\n\
             consecutive-error-limit = 2",
            "errors in a row: 3, allowed: 2",
        ),
        (
            "inconclusive",
            "use = \"command-check\"\nbind = { command = \"probe\" }\nexpect = \"command.nothing == 1\"\n\
             inconclusive-limit = 1",
            "inconclusive measurements: 2, allowed: 1",
        ),
    ] {
        let world = world("window = \"1m\"", "count = 1");
        let plan = fs::read_to_string(world.path("plan.toml")).unwrap();
        let blind = format!("[[trigger]]\nid = \"blind\"\ntitle = \"Latency\"\n{check}\ninterval = \"100ms\"\n");
        world.write("plan.toml", &format!("{plan}\n{blind}"));
        let ran = world.ripcord(WATCH).run();
        ended(&world, &ran, 3);
        ran.says(found).says("it is not known of blind (Latency)").says("look yourself");
        world.ripcord(&["show", "last"]).expect(0).says("GIVEN UP").says("Look yourself whether this is so");
        let again = world.ripcord(&["resume", "last"]).run();
        assert_eq!(again.code(), Some(3), "{case}: {again}");
    }
}

#[test]
fn a_watch_survives_its_host() {
    let world = world("window = \"1m\"", "interval = \"200ms\"\nfailure-limit = 2");
    // Between two measurements, or in one: whenever the power goes.
    mood(&world, "bad");
    let running = world.ripcord(WATCH).spawn();
    running.until_says("failed: 1 of 1");
    running.kill();
    world.ripcord(&["runs"]).expect(0).says("cut off");
    let ran = world.ripcord(&["resume", "last"]).run();
    assert_eq!(ran.code(), Some(3), "{ran}");
    // The measurement before the cut counts: with the third failure of all it trips.
    let journal = world.journal();
    let state = journal.state(&journal.last());
    assert_eq!(state.tally("mood").failed, 3);
    assert!(state.tripped.is_some(), "{ran}");
    world.ripcord(&["approve", "last", "watch"]).expect(0);
    ended(&world, &world.ripcord(&["resume", "last"]).run(), 0);
}

/// What it saw before the cut and what is to be seen behind it are no one measurement.
#[test]
fn a_measurement_that_was_cut_off_is_made_anew() {
    let world = world("window = \"1m\"", "timeout = \"30s\"\ncount = 1");
    mood(&world, "slow");
    let running = world.ripcord(WATCH).spawn();
    world.until("the program", || looked(&world) == 1);
    running.kill();
    mood(&world, "good");
    let ran = world.ripcord(&["resume", "last"]).run();
    ended(&world, &ran, 4);
    assert_eq!(looked(&world), 2, "{ran}");
    let journal = world.journal();
    let tally = journal.state(&journal.last()).tally("mood");
    assert_eq!((tally.passed, tally.measured()), (1, 1));
}

#[test]
fn a_host_that_comes_back_after_the_window_measures_nothing_more() {
    let world = world("window = \"2s\"", "interval = \"100ms\"");
    let running = world.ripcord(WATCH).spawn();
    world.until("a look", || looked(&world) >= 1);
    running.kill();
    mood(&world, "bad");
    let before = looked(&world);
    sleep(Duration::from_secs(2));
    let ran = world.ripcord(&["resume", "last"]).run();
    // Nobody knows what it was like in the time in which nobody looked.
    ended(&world, &ran, 3);
    ran.says("nobody has measured it since");
    assert_eq!(looked(&world), before, "{ran}");
}

#[test]
fn ctrl_c_pauses_while_it_waits_and_while_it_looks() {
    for moods in ["good", "slow"] {
        let world = world("window = \"20s\"", "interval = \"5s\"\ntimeout = \"30s\"");
        mood(&world, moods);
        let running = world.ripcord(WATCH).spawn();
        world.until("a look", || looked(&world) == 1);
        if moods == "good" {
            running.until_says("passed");
        }
        running.interrupt();
        let ran = running.wait();
        assert_eq!(ran.code(), Some(3), "{ran}");
        ran.says("paused").says("ripcord resume");
        world.ripcord(&["approve", "last", "watch", "--no"]).expect(0);
        ended(&world, &world.ripcord(&["resume", "last"]).run(), 4);
    }
}

#[test]
fn a_watch_holds_its_target_and_nobody_has_to_wait_for_it() {
    let world = world("window = \"1m\"", "interval = \"20s\"");
    for (no, code) in [(false, 0), (true, 4)] {
        let running = world.ripcord(WATCH).spawn();
        running.until_says("passed");
        let run = world.journal().last();
        for second in [&["run", "plan.toml", "--yes"][..], WATCH] {
            let ran = world.ripcord(second).expect(2);
            ran.says(&format!("is held by watch {run}")).says(&format!("ripcord approve {run} watch"));
        }
        world.ripcord(&["runs"]).expect(0).says("watching");
        world.ripcord(&["show", "last"]).expect(0).says("WATCHING");
        let mut words = vec!["approve", "last", "watch", "--by", "Iris"];
        words.extend(no.then_some("--no"));
        world.ripcord(&words).expect(0);
        let ran = running.wait();
        ended(&world, &ran, code);
        // The first word counts.
        world.ripcord(&["approve", "last", "watch"]).expect(2).says("already answered");
    }
    assert_eq!(posts(&world), ["one"], "the watch that was ended has changed nothing");
    let journal = world.journal();
    let why = journal.outcome(&journal.last());
    assert_eq!(why, Some((RunOutcome::Unchanged, "Iris ended the watching before a trigger tripped".to_owned())));
}

/// At three in the morning the metrics server's secret is missing, and the rollback works all the same.
#[test]
fn only_a_watch_needs_what_is_watched() {
    let world = world("window = \"1m\"", "interval = \"20s\"");
    let operator = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let metrics =
        "[http.metrics]\nurl = \"http://127.0.0.1:1\"\nread = [\"GET /**\"]\nauth = { bearer = \"secret:metrics\" }\n";
    let operator = operator.replace("[secrets]", "[secrets]\nmetrics = { env = \"METRICS\" }");
    world.write("ripcord.toml", &format!("{operator}\n{metrics}"));
    let plan = fs::read_to_string(world.path("plan.toml")).unwrap();
    let trigger = "[[trigger]]\nid = \"rate\"\ntitle = \"Latency\"\nuse = \"http-check\"\nbind = { service = \"metrics\" }\n\
                   with = { path = \"/rate\" }\ninconclusive-limit = 100\n";
    world.write("plan.toml", &format!("{plan}\n{trigger}"));
    world.ripcord(&["check", "plan.toml"]).expect(0).says("triggers mood (command-check").says("rate (http-check");
    world.ripcord(&["doctor", "plan.toml"]).expect(2).says("http.metrics").says("METRICS");
    world.ripcord(WATCH).expect(2).says("[http.metrics] can't be used");
    world.ripcord(&["preview", "plan.toml"]).expect(0);
    world.ripcord(&["run", "plan.toml", "--yes"]).expect(0);
    // A watch that has gone on to its steps needs it no more.
    let with = |ripcord: Ripcord| ripcord.env("METRICS", "a-long-enough-secret");
    let running = with(world.ripcord(WATCH)).spawn();
    running.until_says("passed: ");
    running.kill();
    world.ripcord(&["resume", "last"]).expect(2).says("[http.metrics] can't be used");
    world.ripcord(&["approve", "last", "watch"]).expect(0);
    world.ripcord(&["resume", "last"]).expect(0);
}

#[test]
fn the_terminal_shows_the_triggers_and_asks_there() {
    let world = world("window = \"1m\"", "interval = \"200ms\"\nfailure-limit = 1");
    let mut terminal = world.ripcord(&["watch", "plan.toml", "--window", "30s"]).on_a_terminal();
    terminal.until_shows(", for 30s: when a trigger trips a person is asked");
    terminal.until_shows("Make these changes if a trigger trips and somebody says yes?");
    terminal.type_in("y\n");
    terminal.until_shows("✓ mood");
    terminal.until_shows("s left");
    mood(&world, "bad");
    terminal.until_shows("\u{7}");
    terminal.until_shows("Crash Loop: the command exited with 1, expected 0 (severity SEV1; 2 of ");
    terminal.until_shows("Go on? [y/N]");
    terminal.type_in("y\n");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("✗ mood") && shown.contains("✓ a"), "{shown}");
    assert_eq!(posts(&world), ["one"]);
}

/// A condition on what a real service answers, and somebody who has said how bad it is.
#[test]
fn a_service_s_own_word_trips_it() {
    let world = world("window = \"1m\"\nthen = \"run\"", "interval = \"100ms\"");
    let plan = fs::read_to_string(world.path("plan.toml")).unwrap();
    let (steps, _) = plan.split_once("[[trigger]]").unwrap();
    let trigger = "[[trigger]]\nid = \"off\"\ntitle = \"It is on\"\nseverity = \"SEV1\"\nuse = \"http-check\"\n\
                   bind = { service = \"service\" }\nwith = { path = \"/connectors/facebook\" }\n\
                   expect = \"response.json.enabled == false\"\n";
    world.write("plan.toml", &format!("{steps}{trigger}"));
    let ran = world.ripcord(&["watch", "plan.toml", "--yes", "--severity", "SEV2"]).run();
    ended(&world, &ran, 0);
    let report = world.ripcord(&["report", "last", "--json"]).expect(0).json().remove(0);
    assert_eq!(report["incident"]["severity"]["value"], Value::from("SEV2"), "what somebody has said counts");
    assert!(report["incident"]["symptoms"][0]["value"].as_str().unwrap().contains("does not hold"));
}
