//! Runs side by side: those that have nothing to do with one another, and those that have.

use std::time::Duration;

use ripcord::journal::{Event, RunOutcome};
use ripcord_tests::fault::Window;

use crate::world::World;

/// One mutation, and time to look at it meanwhile.
fn slow_plan(world: &World, sleep_ms: u32) {
    world.allow(&world.service("[]", "[\"POST /slow\", \"POST /undo\"]"));
    let text = format!(
        r#"
[[step]]
id = "slow"
use = "steps"
bind = {{ service = "service" }}
[[step.with.apply]]
call = {{ role = "service", http = {{ method = "POST", path = "/slow" }}, assume = {{ http = {{ status = 200 }} }}, undo = [
    {{ call = {{ role = "service", http = {{ method = "POST", path = "/undo" }}, assume = {{ http = {{ status = 200 }} }} }} }},
] }}
[[step.with.apply]]
sleep-ms = {sleep_ms}
"#
    );
    world.plan("slow", &text);
}

const RUN: &[&str] = &["run", "slow.toml", "--yes"];

/// As [`slow_plan`], and then a gate that another process has to answer.
fn gated_plan(world: &World) {
    slow_plan(world, 0);
    let text = std::fs::read_to_string(world.path("slow.toml")).unwrap();
    let step = text[text.find("[[step]]").unwrap()..].to_owned();
    let header = step.split("[[step.with.apply]]").next().unwrap().replace("\"slow\"", "\"after\"");
    let gate = "gate = { ask = \"Are all here?\", expires = \"10m\" }\nwith = { apply = [] }\n";
    std::fs::write(world.path("slow.toml"), format!("{text}\n{header}{gate}")).unwrap();
}

#[test]
fn ten_runs_on_ten_targets_share_one_journal_and_none_waits_for_another() {
    let worlds: Vec<World> = (0..10).map(|_| World::new()).collect();
    let state = worlds[0].path("state");
    let in_one_journal =
        |world: &World, arguments: &[&str]| world.ripcord(arguments).env("RIPCORD_STATE", state.to_str().unwrap());
    let running: Vec<_> = worlds
        .iter()
        .map(|world| {
            gated_plan(world);
            let approval = in_one_journal(world, &["preview", "slow.toml"]).expect(0).approval();
            in_one_journal(world, &["run", "slow.toml", "--approved", &approval]).spawn()
        })
        .collect();
    // All ten get to their gate, and none can have ended: they are there at once.
    let at_their_gates = || {
        let journal = worlds[0].journal();
        let runs = journal.runs();
        runs.iter().filter(|run| journal.state(run).gates.iter().any(|gate| gate.answer.is_none())).count()
    };
    worlds[0].until("ten runs at their gates", || at_their_gates() == 10);
    let journal = worlds[0].journal();
    let runs = journal.runs();
    for run in &runs {
        worlds[0].ripcord(&["approve", run.as_str(), "after"]).expect(0);
    }
    for running in running {
        let ran = running.wait();
        assert_eq!(ran.code(), Some(0), "{ran}");
    }
    for run in &runs {
        assert_eq!(journal.outcome(run).unwrap().0, RunOutcome::Verified);
        worlds[0].ripcord(&["audit", run.as_str()]).expect(0);
    }
    for world in &worlds {
        assert_eq!(world.ledger.mutations(), ["POST /admin/slow"]);
    }
}

#[test]
fn of_two_runs_on_one_target_one_is_refused_and_told_who_has_it() {
    let world = World::new();
    slow_plan(&world, 2000);
    let first = world.ripcord(RUN).spawn();
    world.until("the first run's mutation", || !world.ledger.mutations().is_empty());
    let holder = world.journal().last();
    world.ripcord(RUN).expect(2).says(holder.as_str());
    // Nor may anybody take over what is being carried.
    world.ripcord(&["resume", "last"]).expect(2).says(&first.pid().to_string());
    assert_eq!(first.wait().code(), Some(0));
    assert_eq!(world.ledger.mutations().len(), 1);
    world.ripcord(RUN).expect(0);
}

/// Both pass the early look, and only the journal can tell them apart.
#[test]
fn of_many_runs_that_begin_at_once_on_one_target_exactly_one_goes_on() {
    let world = World::new();
    slow_plan(&world, 1500);
    let running: Vec<_> = (0..5).map(|_| world.ripcord(RUN).spawn()).collect();
    let codes: Vec<_> = running.into_iter().map(|running| running.wait().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(2)).count(), 4, "{codes:?}");
    assert_eq!(world.ledger.mutations().len(), 1);
}

#[test]
fn two_targets_that_share_a_working_copy_exclude_each_other() {
    let world = World::new();
    world.connector_plan();
    let run = |connector| ["run", "connector.toml", "-p", connector, "-p", "version=v1.4.2", "--yes"];
    world.ripcord(&run("connector=facebook")).killed(Window::AfterIntent, 2).expect_killed();
    let holder = world.journal().last();
    world.ripcord(&run("connector=mailchimp")).expect(2).says("working copy").says(holder.as_str());
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over_and_said() {
    let world = World::new();
    slow_plan(&world, 20_000);
    let dead = world.ripcord(RUN).spawn();
    let pid = dead.pid();
    world.until("the mutation", || !world.ledger.mutations().is_empty());
    // Its result is durable when the sleep behind it has begun.
    std::thread::sleep(Duration::from_millis(300));
    dead.kill();
    world.ripcord(&["abort", "last"]).expect(1).says(&pid.to_string());
    let journal = world.journal();
    let taken = journal.events(&journal.last()).into_iter().filter_map(|recorded| match recorded.event {
        Event::HostAttached(attached) => attached.taken_over_from,
        _ => None,
    });
    assert_eq!(taken.collect::<Vec<_>>(), [pid]);
    assert_eq!(world.ledger.mutations(), ["POST /admin/slow", "POST /admin/undo"]);
}

#[test]
fn a_second_process_stops_a_run_and_the_first_takes_it_back() {
    let world = World::new();
    slow_plan(&world, 60_000);
    let first = world.ripcord(RUN).spawn();
    world.until("the mutation", || !world.ledger.mutations().is_empty());
    world.ripcord(&["abort", "last", "--by", "eva"]).expect(0);
    let ran = first.wait();
    assert_eq!(ran.code(), Some(1), "{ran}");
    assert_eq!(world.ledger.mutations(), ["POST /admin/slow", "POST /admin/undo"]);
    let journal = world.journal();
    assert_eq!(journal.outcome(&journal.last()).unwrap().0, RunOutcome::Undone);
}

/// Ctrl-C, once: the run stands still where it can be resumed.
#[test]
fn an_interrupt_pauses_and_resume_goes_on() {
    let world = World::new();
    slow_plan(&world, 3000);
    let first = world.ripcord(RUN).spawn();
    world.until("the mutation", || !world.ledger.mutations().is_empty());
    first.interrupt();
    let ran = first.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    assert_eq!(world.journal().outcome(&world.journal().last()), None);
    world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(world.ledger.mutations(), ["POST /admin/slow"]);
}
