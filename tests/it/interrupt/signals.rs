//! Ctrl-C, SIGTERM and a hangup at every kind of moment.

use std::fs;
use std::process::{Command, Stdio};

use ripcord::journal::{RunOutcome, Settler};
use ripcord_tests::fault::Window;
use rustix::process::Signal;

use super::*;
use crate::world::in_parallel;

#[test]
fn before_the_run_nothing_is_touched() {
    let world = world(&step("a", "", &["GET /look", "POST /one"]));
    hold(&world, "look");
    let running = world.ripcord(RUN).spawn();
    world.until("the preview's look", || gets(&world, "/admin/look") == 1);
    running.interrupt();
    let ran = running.wait();
    assert_eq!(ran.code(), Some(2), "{ran}");
    ran.says("nothing was touched");
    assert!(world.journal().runs().is_empty() && posts(&world).is_empty());
}

/// A read changes nothing, so nobody waits for it; it is made again.
#[test]
fn a_read_is_given_up() {
    let world = world(&step("a", "", &["POST /one", "GET /look", "POST /two"]));
    hold(&world, "one");
    let running = world.ripcord(RUN).spawn();
    until_posted(&world, "one");
    hold(&world, "look");
    answer(&world, "one");
    world.until("the run's own look", || gets(&world, "/admin/look") == 2);
    running.interrupt();
    paused(running);
    answer(&world, "look");
    resumes(&world, 0);
    assert_eq!(posts(&world), ["one", "two"]);
}

/// Each signal, and what it says that it waits for.
#[test]
fn a_mutation_is_waited_for() {
    in_parallel(
        vec![(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "terminal")],
        |(signal, cause)| {
            let world = world(&step("a", "", &["POST /one", "POST /two"]));
            hold(&world, "one");
            let mut running = world.ripcord(RUN).spawn();
            until_posted(&world, "one");
            running.signal(signal);
            running.until_says("the run pauses when this is answered");
            running.until_says("POST /one on http.service");
            assert!(running.is_running());
            if signal == Signal::HUP {
                // The shell's and the kernel's.
                running.signal(signal);
            }
            answer(&world, "one");
            paused(running).says(cause);
            assert_eq!(posts(&world), ["one"]);
            resumes(&world, 0);
            assert_eq!(posts(&world), ["one", "two"]);
        },
    );
}

#[test]
fn a_second_ctrl_c_leaves_a_mutation_in_doubt_and_resume_finds_out() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let running = world.ripcord(RUN).spawn();
    until_posted(&world, "one");
    running.interrupt();
    running.until_says("Ctrl-C again leaves it in doubt");
    running.interrupt();
    // The service still holds its answer back.
    paused(running).says("in doubt").says("POST /one");
    answer(&world, "one");
    resumes(&world, 0);
    assert_eq!(posts(&world), ["one", "two"]);
    assert_eq!(world.journal().settlers(&world.journal().last()), [Settler::Plugin]);
}

#[test]
fn a_program_is_waited_for_or_found_again() {
    for twice in [false, true] {
        let world = world(&step("a", "", &["run", "POST /one"]));
        let running = world.ripcord(RUN).spawn();
        until_begun(&world);
        running.interrupt();
        running.until_says("the run pauses when this has ended");
        if twice {
            running.interrupt();
            paused(running).says("in doubt");
            let_go(&world);
        } else {
            let_go(&world);
            paused(running);
        }
        resumes(&world, 0);
        assert_eq!(record(&world), ["begins", "ends"]);
        assert_eq!(posts(&world), ["one"]);
    }
}

#[test]
fn at_a_gate() {
    let world = world(&step("a", "gate = { ask = \"Go?\", expires = \"10m\" }", &["POST /one"]));
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    let running = world.ripcord(&["run", "plan.toml", "--approved", &approval]).spawn();
    running.until_says("WAITS for a person");
    running.interrupt();
    paused(running);
    world.ripcord(&["approve", "last", "a"]).expect(0);
    resumes(&world, 0);
    assert_eq!(posts(&world), ["one"]);
}

#[test]
fn in_a_sleep_and_between_two_tries_of_a_check() {
    let verify = "[[verify]]\nid = \"on\"\nuse = \"http-check\"\nbind = { service = \"service\" }\n\
                  with = { path = \"/switch\" }\nexpect = \"response.body == 'on'\"\nwithin = \"60s\"\nevery = \"4s\"\n";
    let world = world(&(step("a", "", &["POST /one", "sleep 3000"]) + verify));
    // The preview's look is one of them.
    world.ledger.tell("switch-on-after 2");
    let running = world.ripcord(RUN).spawn();
    running.until_says("waits until");
    running.interrupt();
    paused(running);

    let running = world.ripcord(&["resume", "last"]).spawn();
    running.until_says("did NOT pass");
    running.interrupt();
    paused(running);
    resumes(&world, 0);
    assert_eq!(posts(&world), ["one"]);
}

/// To settle a doubt is to look, and to look can be done again.
#[test]
fn while_a_doubt_is_settled() {
    let world = world(&step("a", "", &["run", "POST /one"]));
    world.ripcord(RUN).killed(Window::DuringEffect, 1).expect_killed();
    until_begun(&world);
    let running = world.ripcord(&["resume", "last"]).spawn();
    running.until_says("its lock was taken over");
    // It gets to wait for the program, whose supervisor goes on.
    std::thread::sleep(std::time::Duration::from_millis(500));
    running.interrupt();
    running.until_says("pauses at its next durable point");
    paused(running);
    assert_eq!(record(&world), ["begins"]);
    let_go(&world);
    resumes(&world, 0);
    assert_eq!(record(&world), ["begins", "ends"]);
}

#[test]
fn while_it_is_taken_back() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    world.ripcord(RUN).expect(0);
    hold(&world, "undo-two");
    let running = world.ripcord(&["undo", "last", "--yes"]).spawn();
    until_posted(&world, "undo-two");
    running.interrupt();
    running.until_says("POST /undo-two");
    answer(&world, "undo-two");
    paused(running);
    assert_eq!(posts(&world), ["one", "two", "undo-two"]);
    resumes(&world, 1);
    assert_eq!(posts(&world), ["one", "two", "undo-two", "undo-one"]);
}

/// `nohup` says that nobody will watch.
#[test]
fn a_signal_that_was_to_be_ignored_is_ignored() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let running = world.ripcord(RUN).through("sh", &["-c", "trap '' HUP; exec \"$@\"", "sh"]).spawn();
    until_posted(&world, "one");
    running.signal(Signal::HUP);
    answer(&world, "one");
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(posts(&world), ["one", "two"]);
}

/// `ripcord … | head -1`: who has read enough is gone, and nobody watches.
#[test]
fn a_broken_pipe_pauses_like_a_closed_terminal() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    for (arguments, redirected) in [("--json run plan.toml --yes", "2>err"), ("run plan.toml --yes", "2>&1 >/dev/null")]
    {
        let line = format!(
            "( \"$1\" {arguments} {redirected}; echo $? > code ) | head -n 1 > first; until [ -s code ]; do sleep 0.02; done"
        );
        let status = Command::new("sh")
            .args(["-c", &line, "sh", env!("CARGO_BIN_EXE_ripcord-under-fault")])
            .current_dir(world.path(""))
            .env("RIPCORD_STATE", world.path("state"))
            .env("GENIA_TOKEN", crate::world::TOKEN)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let code = fs::read_to_string(world.path("code")).unwrap();
        let says = fs::read_to_string(world.path("err")).unwrap_or_default();
        assert_eq!(code.trim(), "3", "{says}");
        assert_eq!(fs::read_to_string(world.path("first")).unwrap().lines().count(), 1);
        assert_eq!(world.journal().outcome(&world.journal().last()), None);
        resumes(&world, 0);
        assert_eq!(world.journal().outcome(&world.journal().last()).unwrap().0, RunOutcome::Verified);
        fs::remove_file(world.path("code")).unwrap();
    }
    assert_eq!(posts(&world), ["one", "two", "one", "two"]);
}
