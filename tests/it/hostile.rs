//! A guest that is up to no good is stopped, and nothing else is.

use std::time::{Duration, Instant};

use ripcord::journal::{Event, Recorded, RunOutcome};
use ripcord_tests::fault::Window;

use crate::world::{World, in_parallel};

/// Tight, so that each mode reaches its limit at once. The processor's is for those that compute: a
/// million lines take a while to write.
const LIMITS: &str = r#"
[limits]
memory-bytes-max = 33554432
cpu-ms-max = CPU
calls-max = 200
value-bytes-max = 1048576
log-lines-max = 100
log-bytes-max = 10000

[command.program]
argv = ["sleep", "1000"]
timeout = "1s"
"#;

/// What the guest does; how the run ends; what the message has in it.
const DEEDS: &[(&str, i32, &str)] = &[
    ("loop", 3, "cpu-ms-max"),
    ("allocate", 3, "memory"),
    ("recurse", 3, "trap"),
    // What is over the limit is dropped, and the report says so.
    ("flood-log", 4, ""),
    ("flood-calls", 3, "calls-max"),
    ("flood-clock", 3, "calls-max"),
    ("return-100mb", 3, "m"),
    ("fail-100mb", 3, "m"),
    ("send-100mb", 3, "m"),
    ("return-number", 3, "object"),
    ("trap", 3, "trap"),
    ("panic", 3, "trap"),
    ("exit", 3, "exit"),
    ("sleep-forever", 3, "time-out"),
    ("wasi-sleep", 3, "time-out"),
    ("hang-in-call", 3, "no answer within 2s"),
    // A program that is ended at its deadline is a reply; this guest does not look at it.
    ("hang-in-command", 0, ""),
    ("mutate-and-trap", 3, "trap"),
    ("mutate-and-loop", 3, "cpu-ms-max"),
];

#[test]
fn each_deed_ends_within_its_limits_with_a_message_that_names_it() {
    in_parallel(DEEDS.to_vec(), |(deed, code, message)| {
        let world = World::new();
        let limits = LIMITS.replace("CPU", if deed.ends_with("loop") { "500" } else { "20000" });
        world.allow(&format!("{}\n{limits}", world.service("[\"GET /hang\", \"GET /flood\"]", "[\"POST /**\"]")));
        world.ledger.tell("behave hang /admin/hang");
        let timeout = if deed.contains("sleep") { "4s" } else { "60s" };
        let bind = "{ service = \"service\", program = \"program\" }";
        world.plan(
            "hostile",
            &format!(
                "[[step]]\nid = \"{deed}-step\"\nuse = \"hostile\"\nbind = {bind}\nwith = {{ do = \"{deed}\" }}\n\
                 timeout = \"{timeout}\"\nretry = {{ attempts = 1 }}\n"
            ),
        );
        let started = Instant::now();
        let ran = world.ripcord(&["run", "hostile.toml", "--yes"]).expect(code);
        // The preview and the run, on a machine that does other things.
        assert!(started.elapsed() < Duration::from_secs(90), "it took {:?}: {ran}", started.elapsed());
        let journal = world.journal();
        let (outcome, why) = journal.outcome(&journal.last()).expect("the run is in a known state");
        if code == 3 {
            assert_eq!(outcome, RunOutcome::Halted);
            assert!(why.contains(&format!("{deed}-step")), "{why}");
            assert!(why.to_lowercase().contains(message), "`{message}` is not in: {why}");
            ran.says(&format!("{deed}-step"));
        }
        assert!(why.len() < 4000, "{} bytes of `why`", why.len());

        // The host goes on: with the same state, another rollback.
        world.plan("good", "[[step]]\nid = \"do\"\nuse = \"steps\"\nwith = { apply = [\"now\"] }\n");
        world.ripcord(&["run", "good.toml", "--yes"]).expect(4);
    });
}

#[test]
fn a_plugin_that_traps_when_it_is_asked_what_it_is_touches_nothing() {
    let world = World::new();
    world.plan(
        "mute",
        "[[step]]\nid = \"do\"\nuse = \"steps\"\nwith = { apply = [\"now\"] }\n\
         [[verify]]\nid = \"mute-check\"\nuse = \"hostile-describe\"\n",
    );
    for command in [&["check", "mute.toml"][..], &["preview", "mute.toml"], &["run", "mute.toml", "--yes"]] {
        world.ripcord(command).expect(2).says("mute.toml:").says("hostile-describe");
    }
    world.ripcord(&["plugin", "inspect", "hostile-describe.wasm"]).expect(2).says("hostile-describe.wasm");
    assert!(world.journal().runs().is_empty());
}

/// Sixty calls of 20 ms each are more than the processor's time that the guest has, and none of it is
/// the guest's; nor is a sleep through WASI.
#[test]
fn time_in_host_calls_is_not_the_guests() {
    let world = World::new();
    world.allow("[limits]\ncpu-ms-max = 300\n");
    let sleeps = vec!["{ sleep-ms = 20 }"; 60].join(", ");
    world.plan("patient", &format!("[[step]]\nid = \"do\"\nuse = \"steps\"\nwith = {{ apply = [{sleeps}] }}\n"));
    world.ripcord(&["run", "patient.toml", "--yes"]).expect(4);
    world.plan("drowsy", "[[step]]\nid = \"do\"\nuse = \"hostile\"\nwith = { do = \"wasi-naps\" }\n");
    world.ripcord(&["run", "drowsy.toml", "--yes"]).expect(4);
}

/// Several WASI timers polled at once: the earliest one ends the poll, each sleep stands in the journal
/// once, and the guest sees the same when it is killed in between and taken up, and when it is replayed.
#[test]
fn timers_that_are_polled_together_end_in_their_order_live_and_replayed() {
    let polls = serde_json::json!([
        { "ready": [1], "after-ms": 100 },
        { "ready": [0], "after-ms": 100 },
        { "ready": [0, 2], "after-ms": 150 },
        { "ready": [0], "after-ms": 600 },
    ]);
    for killed in [None, Some((Window::AfterEffect, 1)), Some((Window::DuringDelivery, 2))] {
        let world = World::new();
        world.allow(&world.service("[]", "[\"POST /**\"]"));
        let bind = "{ service = \"service\" }";
        world.plan(
            "timers",
            &format!("[[step]]\nid = \"wait\"\nuse = \"hostile\"\nbind = {bind}\nwith = {{ do = \"wasi-timers\" }}\n"),
        );
        let run = ["run", "timers.toml", "--yes"];
        match killed {
            None => drop(world.ripcord(&run).expect(0)),
            Some((window, mutation)) => {
                world.ripcord(&run).killed(window, mutation).expect_killed();
                world.ripcord(&["resume", "last"]).run();
            }
        }
        if killed.is_some_and(|(window, _)| window == Window::AfterEffect) {
            let journal = world.journal();
            let call = journal.state(&journal.last()).doubts().next().unwrap().0.to_string();
            world.ripcord(&["resolve", "last", &call, "--happened"]).expect(0);
            world.ripcord(&["resume", "last"]).expect(0);
        }
        let journal = world.journal();
        let last = journal.last();
        assert_eq!(journal.state(&last).receipt("wait").unwrap()["polls"], polls, "{killed:?}");
        let slept = |recorded: Recorded| match recorded.event {
            Event::SleepBegan { call, .. } => Some(call),
            _ => None,
        };
        let sleeps: Vec<_> = journal.events(&last).into_iter().filter_map(slept).collect();
        // This guest sleeps in its `reconcile`, too: that is another execution.
        let applied = sleeps.iter().filter(|call| call.execution == sleeps[0].execution).count();
        assert_eq!(applied, 3, "{killed:?}: {sleeps:?}");
        world.ripcord(&["replay", "last"]).expect(0);
    }
}
