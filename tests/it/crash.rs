//! No effect is ever silently repeated or lost, wherever the power is cut.

use std::fs;
use std::sync::OnceLock;

use ripcord::journal::{RunOutcome, Settler};
use ripcord_tests::fault::Window;

use crate::world::{Touched, World, in_parallel};

const RUN: &[&str] = &["run", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2", "--yes"];

/// The switch, among the mutations of the plan: before it two are told that it begins.
const SWITCH: u32 = 3;

/// The same rollback, and the same way back, with nobody in between.
struct Undisturbed {
    /// In one line each, in order.
    mutations: Vec<String>,
    done: Touched,
    undo_mutations: Vec<String>,
    undone: Touched,
}

fn undisturbed() -> &'static Undisturbed {
    static UNDISTURBED: OnceLock<Undisturbed> = OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let world = World::new();
        world.connector_plan();
        world.ripcord(RUN).expect(0);
        let journal = world.journal();
        let run = journal.last();
        let summaries = || journal.mutations(&run).into_iter().map(|(summary, _)| summary).collect::<Vec<_>>();
        let (mutations, done) = (summaries(), world.touched());
        world.ripcord(&["undo", "last", "--yes"]).expect(1);
        let undo_mutations = summaries().split_off(mutations.len());
        Undisturbed { mutations, done, undo_mutations, undone: world.touched() }
    })
}

#[test]
fn the_rollback_does_what_the_runbook_says_and_its_undo_takes_all_of_it_back() {
    let Undisturbed { mutations, done, undo_mutations, undone } = undisturbed();
    assert_eq!(done.requests, ["POST /admin/connectors/facebook/disable"]);
    assert_eq!(done.repository.connector, "export const facebook = 'good'\n");
    assert_eq!(done.repository.commits[0], "Rollback: Revert connector facebook to v1.4.2");
    assert_eq!(done.repository.commits, done.repository.remote_commits);
    assert_eq!(done.repository.status, "");
    let built = ["build begins: export const facebook = 'good'", "build ends", "deploy begins", "deploy ends"];
    assert_eq!(done.commands, built);
    assert_eq!(done.staging.as_deref(), Some("const facebook = 'good'\nconst mailchimp = 'good'\n"));
    assert_eq!(done.mails.len(), 6, "two at the beginning, four at the end");
    assert_eq!(mutations.len(), 12, "{mutations:#?}");

    assert_eq!(undone.requests[1..], ["POST /admin/connectors/facebook/enable"]);
    assert_eq!(undone.repository.connector, "export const facebook = 'broken'\n");
    assert_eq!(undone.repository.tree, World::new().touched().repository.tree);
    assert_eq!(undone.repository.commits, undone.repository.remote_commits);
    assert_eq!(undone.staging.as_deref(), Some("const facebook = 'broken'\nconst mailchimp = 'good'\n"));
    assert_eq!(undone.mails.len(), done.mails.len() + 1, "the administrators hear of it");
    assert_eq!(undo_mutations.len(), 7, "{undo_mutations:#?}");
}

/// Every window of every mutation: the run that is taken up again ends as the undisturbed one, nobody
/// is asked, and nothing is done twice.
#[test]
fn a_run_that_is_killed_anywhere_ends_as_if_it_had_not_been() {
    let expected = undisturbed();
    in_parallel(every_window(&expected.mutations), |(window, mutation, summary)| {
        let world = world_without_npm();
        world.ripcord(RUN).killed(window, mutation).expect_killed();
        world.ripcord(&["resume", "last"]).expect(0).says("its lock was taken over");
        assert_same_but_for_lost_notices(&world, &expected.done, window, &summary);
        assert_nobody_was_asked(&world);
        world.ripcord(&["audit", "last"]).expect(0);
        world.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn an_undo_that_is_killed_anywhere_ends_as_if_it_had_not_been() {
    let expected = undisturbed();
    in_parallel(every_window(&expected.undo_mutations), |(window, mutation, summary)| {
        let world = world_without_npm();
        world.ripcord(RUN).expect(0);
        world.ripcord(&["undo", "last", "--yes"]).killed(window, mutation).expect_killed();
        world.ripcord(&["resume", "last"]).expect(1);
        assert_same_but_for_lost_notices(&world, &expected.undone, window, &summary);
        assert_nobody_was_asked(&world);
        world.ripcord(&["replay", "last"]).expect(0);
    });
}

/// A program goes on when its host dies: its end is found again, and it does not run a second time.
#[test]
fn a_program_outlives_its_host_and_is_not_run_again() {
    let expected = undisturbed();
    let world = World::new();
    world.connector_plan();
    let slow = world.operator().replace("env = { RECORD", "env = { BUILD_MS = \"2500\", RECORD");
    world.write("ripcord.toml", &slow);
    let build = position(&expected.mutations, "run");
    world.ripcord(RUN).killed(Window::DuringEffect, build).expect_killed();
    world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(world.touched(), expected.done);
    assert!(world.journal().settlers(&world.journal().last()).contains(&Settler::Driver));
}

/// A host that dies again and again while it takes a run up gets there in the end.
#[test]
fn a_resume_that_is_killed_is_resumed() {
    let expected = undisturbed();
    let world = World::new();
    world.connector_plan();
    world.ripcord(RUN).killed(Window::AfterEffect, SWITCH).expect_killed();
    for window in [Window::BeforeIntent, Window::AfterIntent, Window::AfterEffect, Window::DuringDelivery] {
        world.ripcord(&["resume", "last"]).killed(window, 1).expect_killed();
    }
    world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(world.touched(), expected.done);
    assert_nobody_was_asked(&world);
}

#[test]
fn with_the_target_down_the_run_halts_with_the_right_question_and_a_person_settles_it() {
    let expected = undisturbed();
    let again = "POST /admin/connectors/facebook/disable".to_owned();
    // A person who is wrong about it makes the service disable the connector a second time. Nothing
    // else ever does.
    let told = [again.clone(), again.clone()];
    for (answer, requests) in [("--happened", &told[..1]), ("--did-not-happen", &told[..])] {
        let world = World::new();
        world.connector_plan();
        world.ripcord(RUN).killed(Window::AfterEffect, SWITCH).expect_killed();
        world.ledger.tell("down");
        world.ripcord(&["resume", "last"]).expect(3).says("/connectors/facebook/disable");
        let (call, about) = asked_about(&world);
        assert_eq!(about, "POST /connectors/facebook/disable");
        // What can't be answered yet is asked again, and nothing is sent meanwhile.
        world.ripcord(&["resume", "last"]).expect(3);

        world.ripcord(&["resolve", "last", &call, answer, "--by", "ana"]).expect(0);
        world.ledger.tell("up");
        world.ripcord(&["resume", "last"]).expect(0);
        let expected = Touched { requests: requests.to_vec(), ..expected.done.clone() };
        assert_eq!(touched_and_asked(&world, true), expected, "{answer}");
        assert_eq!(world.journal().settlers(&world.journal().last()), [Settler::Person("ana".to_owned())]);
    }
}

#[test]
fn a_question_that_the_target_can_answer_by_now_needs_no_person() {
    let expected = undisturbed();
    let world = World::new();
    world.connector_plan();
    world.ripcord(RUN).killed(Window::AfterEffect, SWITCH).expect_killed();
    world.ledger.tell("down");
    world.ripcord(&["resume", "last"]).expect(3);
    world.ledger.tell("up");
    world.ripcord(&["resume", "last"]).expect(0);
    assert_eq!(touched_and_asked(&world, true), expected.done);
    assert_eq!(world.journal().settlers(&world.journal().last()), [Settler::Plugin]);
}

/// The remote is gone when the push is looked for. What the push itself has said settles it, as long as
/// that is there; a machine that lost it can't tell whether the push has arrived.
#[test]
fn a_push_in_doubt_is_known_by_what_it_said_or_waits_for_its_remote() {
    let expected = undisturbed();
    let push = position(&expected.mutations, "push main");
    for (is_record_lost, code) in [(false, 0), (true, 3)] {
        let world = World::new();
        world.connector_plan();
        world.ripcord(RUN).killed(Window::AfterEffect, push).expect_killed();
        world.repository.take_remote_away();
        if is_record_lost {
            fs::remove_dir_all(world.path("state/spool")).unwrap();
        }
        world.ripcord(&["resume", "last"]).expect(code);
        if is_record_lost {
            assert!(asked_about(&world).1.starts_with("push main"));
        }
        world.repository.bring_remote_back();
        if is_record_lost {
            world.ripcord(&["resume", "last"]).expect(0);
        }
        assert_eq!(touched_and_asked(&world, is_record_lost), expected.done);
        assert_nobody_was_asked(&world);
    }
}

/// The same doubts without any crash: the service does what it is asked, and its answer is lost.
#[test]
fn an_answer_that_is_lost_on_the_way_is_a_doubt_like_any_other() {
    let expected = undisturbed();
    for (behaviour, sent) in [("cut", 1), ("hang", 1), ("cut-undone", 2)] {
        let world = World::new();
        world.connector_plan();
        let path = "/admin/connectors/facebook/disable";
        world.ledger.tell(&format!("behave {behaviour} {path}"));
        let running = world.ripcord(RUN).spawn();
        if sent == 2 {
            // The first request was dropped unheard, so that it is sent again once that is known.
            world.until("the first request", || !world.ledger.mutations().is_empty());
            world.ledger.tell(&format!("behave answer {path}"));
        }
        let ran = running.wait();
        assert_eq!(ran.code(), Some(0), "{behaviour}: {ran}");
        // Twice only for the service that did nothing the first time: it said so itself when asked.
        let requests = vec![format!("POST {path}"); sent];
        assert_eq!(world.touched(), Touched { requests, ..expected.done.clone() }, "{behaviour}");
        assert_eq!(world.journal().settlers(&world.journal().last()), [Settler::Plugin], "{behaviour}");
    }
}

fn every_window(mutations: &[String]) -> Vec<(Window, u32, String)> {
    let numbered = (1..).zip(mutations);
    numbered.flat_map(|(number, summary)| Window::ALL.map(|window| (window, number, summary.clone()))).collect()
}

/// The scripts without npm around them: of the time of all these cases, npm would take the half.
pub(crate) fn world_without_npm() -> World {
    let world = World::new();
    world.connector_plan();
    let operator = world.operator();
    let operator = operator.replace(r#"["npm", "run", "--silent", "build"]"#, r#"["node", "build.js"]"#);
    let operator = operator.replace(r#"["npm", "run", "--silent", "deploy:staging"]"#, r#"["node", "deploy.js"]"#);
    assert!(!operator.contains("npm"));
    world.write("ripcord.toml", &operator);
    world
}

/// What was touched; where a question was asked, without the one notice of it.
fn touched_and_asked(world: &World, is_asked: bool) -> Touched {
    let mut touched = world.touched();
    let all = touched.mails.len();
    touched.mails.retain(|mail| !mail.ends_with("se ha detenido a medias"));
    assert_eq!(all - touched.mails.len(), usize::from(is_asked), "{:?}", touched.mails);
    touched
}

/// The number of the mutation that begins like this, from 1.
fn position(mutations: &[String], begins: &str) -> u32 {
    let found = mutations.iter().position(|summary| summary.starts_with(begins));
    found.unwrap_or_else(|| panic!("no `{begins}` in {mutations:#?}")) as u32 + 1
}

/// A notice whose fate is not known is recorded as perhaps sent, and never sent a second time: a cut
/// between its intent and its effect loses it, and the report says so. All else has to be the same.
fn assert_same_but_for_lost_notices(world: &World, expected: &Touched, window: Window, summary: &str) {
    let mut expected = expected.clone();
    let touched = world.touched();
    let is_lost = summary.contains("Conector facebook") && matches!(window, Window::AfterIntent | Window::AfterMarker);
    if is_lost {
        assert_eq!(touched.mails.len() + 1, expected.mails.len(), "{:?}", touched.mails);
        expected.mails.retain(|mail| touched.mails.contains(mail));
    }
    assert_eq!(touched, expected);
}

fn assert_nobody_was_asked(world: &World) {
    let journal = world.journal();
    let run = journal.last();
    let settlers = journal.settlers(&run);
    assert!(!settlers.iter().any(|settler| matches!(settler, Settler::Person(_))), "{settlers:?}");
    let outcome = journal.outcome(&run).map(|(outcome, _)| outcome);
    assert!(matches!(outcome, Some(RunOutcome::Verified | RunOutcome::Undone)), "{outcome:?}");
}

/// The call that the run asks about, and what it was.
fn asked_about(world: &World) -> (String, String) {
    let journal = world.journal();
    let state = journal.state(&journal.last());
    let call = state.halted_on.expect("it asks about a call");
    (call.to_string(), state.mutation(call).unwrap().request.call.summary())
}

/// A cut in the middle of a step must not make the next run of the same target impossible.
#[test]
fn a_run_that_was_taken_up_and_ended_leaves_its_target_free() {
    let world = World::new();
    world.connector_plan();
    world.ripcord(RUN).killed(Window::AfterMarker, SWITCH + 1).expect_killed();
    world.ripcord(RUN).expect(2).says(world.journal().last().as_str());
    world.ripcord(&["abort", "last"]).expect(1);
    world.ripcord(RUN).expect(0);
}
