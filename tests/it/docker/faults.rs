//! What is switched or run is so once, wherever ripcord or the engine goes away.

use std::os::unix::net::UnixListener;

use ripcord::journal::Settler;
use ripcord_tests::fault::Window;

use super::{Fleet, RUN};
use crate::world::docker::Line;
use crate::world::in_parallel;

const COUNT: &str = "echo x >> /tmp/count";
const SLOW_COUNT: &str = "echo x >> /tmp/count; sleep 1";

fn counted(fleet: &Fleet) -> usize {
    let name = fleet.containers.name("app");
    let seen = fleet.containers.engine.docker(&["exec", &name, "sh", "-c", "cat /tmp/count 2>/dev/null || true"]);
    seen.lines().count()
}

fn assert_nobody_was_asked(fleet: &Fleet) {
    let journal = fleet.world.journal();
    let settlers = journal.settlers(&journal.last());
    assert!(settlers.iter().all(|settler| *settler == Settler::Driver), "{settlers:?}");
}

fn operate(fleet: &Fleet, host: &str) {
    fleet.operate_at(
        host,
        &format!(
            "containers = [\"@*\"]\nwrite = [\"stop\", \"start\", \"restart\"]\ntimeout = \"10s\"\nexec = [\n\
             {{ container = \"@app\", argv = [\"sh\", \"-c\", \"{COUNT}\"] }},\n\
             {{ container = \"@app\", argv = [\"sh\", \"-c\", \"{SLOW_COUNT}\"] }},\n]"
        ),
    );
}

fn exec(script: &str) -> String {
    format!("{{ exec = {{ container = \"@app\", argv = [\"sh\", \"-c\", \"{script}\"] }} }}")
}

#[test]
fn a_run_that_is_killed_in_any_window_switches_and_runs_once() {
    let cases = (1..=3).flat_map(|mutation| Window::ALL.map(|window| (mutation, window)));
    // A start differs from a stop in what its settling looks for only.
    let start = [Window::AfterMarker, Window::AfterEffect].map(|window| (4, window));
    in_parallel(cases.chain(start).collect(), |(mutation, window)| {
        let fleet = Fleet::new(&["app", "db"]);
        operate(&fleet, &fleet.containers.engine.host());
        fleet.plan(&[
            ("{ restart = { containers = [\"@app\", \"@db\"], grace = 1 } }", ""),
            (&exec(COUNT), ""),
            ("{ stop = { containers = [\"@db\"], grace = 1 } }", ""),
            ("{ start = { containers = [\"@db\"] } }", ""),
        ]);
        fleet.world.ripcord(RUN).killed(window, mutation).expect_killed();
        fleet.world.ripcord(&["resume", "last"]).expect(0);
        let state = |name: &str| fleet.containers.seen(name, "{{.State.Status}}");
        assert_eq!([state("app"), state("db")], ["running"; 2]);
        assert_eq!([fleet.began("app"), fleet.began("db"), counted(&fleet)], [2, 3, 1]);
        assert_nobody_was_asked(&fleet);
        fleet.world.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn a_run_that_is_killed_while_the_engine_works_finds_out_what_came_of_it() {
    let fleet = Fleet::new(&["app"]);
    operate(&fleet, &fleet.containers.engine.host());
    fleet.plan(&[(&exec(SLOW_COUNT), "")]);
    let running = fleet.world.ripcord(RUN).spawn();
    fleet.world.until("the program", || counted(&fleet) == 1);
    running.kill();
    fleet.world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(counted(&fleet), 1);
    assert_nobody_was_asked(&fleet);

    // One that has to be killed in the end.
    let options = ["--stop-timeout=2"];
    fleet.containers.run("stubborn", &options, "trap 'echo told' TERM; while :; do sleep 0.05; done");
    fleet.plan(&[("{ stop = { containers = [\"@stubborn\"] } }", "")]);
    let running = fleet.world.ripcord(RUN).spawn();
    fleet.until_said("stubborn", "told");
    running.kill();
    fleet.world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(fleet.containers.seen("stubborn", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    assert_nobody_was_asked(&fleet);
    let journal = fleet.world.journal();
    let state = journal.state(&journal.last());
    let mut mutations = state.executions.values().flat_map(|execution| execution.mutations());
    let marker = mutations.find_map(|(_, mutation)| mutation.marker.clone()).unwrap();
    assert_eq!(marker["containers"][0]["stop-timeout"], 2, "its own time is what the deadline is made of: {marker}");
}

#[test]
fn an_engine_that_is_down_is_told_from_one_that_says_no() {
    let calls = ["\"list\"".to_owned(), "{ stop = { containers = [\"@app\"] } }".to_owned(), exec(COUNT)];
    let cases = calls.into_iter().flat_map(|call| [(call.clone(), "no.sock"), (call, "left.sock")]).collect();
    in_parallel(cases, |(call, socket)| {
        let fleet = Fleet::new(&[]);
        // An engine that was killed leaves its socket behind.
        drop(UnixListener::bind(fleet.world.path("left.sock")).unwrap());
        let host = format!("unix://{}", fleet.world.path(socket).display());
        operate(&fleet, &host);
        let reply = fleet.reply(&call);
        let said = reply["failure"]["transient"].as_str().unwrap_or_else(|| panic!("{reply}"));
        assert!(said.contains(&format!("no Docker engine listens at {host}")), "{said}");
        assert!(said.contains("nothing was sent"), "{said}");
    });
}

#[test]
fn a_connection_that_is_cut_during_a_call_loses_nothing_and_repeats_nothing() {
    let fleet = Fleet::new(&["app"]);
    let path = fleet.world.path("line.sock");
    let line = Line::new(fleet.containers.engine, path.clone());
    operate(&fleet, &line.host());
    fleet.plan(&[(&exec(SLOW_COUNT), "")]);
    let running = fleet.world.ripcord(RUN).spawn();
    fleet.world.until("the program", || counted(&fleet) == 1);
    line.cut();
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("no Docker engine listens at");
    let line = Line::new(fleet.containers.engine, path);
    assert_eq!(line.host(), format!("unix://{}", fleet.world.path("line.sock").display()));
    fleet.world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(counted(&fleet), 1);
    assert_nobody_was_asked(&fleet);
}
