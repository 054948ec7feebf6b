//! What stays to be done after a rollback: listed, carried out by ripcord, noted by people; refused, failing
//! and cut off, on a real service.

use std::fs;

use ripcord::journal::{Event, FollowUpOutcome};
use ripcord_tests::fault::Window;

use crate::world::{Ran, World, in_parallel};

const RUN: &[&str] = &["run", "plan.toml", "--yes", "--by", "Iris"];
const REOPEN: &[&str] = &["follow-up", "last", "reopen", "--yes", "--by", "Ana"];

/// A rollback that switches the connector off, and what is to be done afterwards; `reopen` stands in the
/// step that switches it on again.
pub(crate) fn world(reopen: &str, rest: &str) -> World {
    let world = World::new();
    world.allow("");
    let switch = |verb: &str, back: &str, enabled: bool| {
        format!(
            "use = \"http-switch\"\nbind = {{ service = \"genia-admin\" }}\n\
             with = {{ send = {{ path = \"/connectors/facebook/{verb}\" }}, back = {{ path = \"/connectors/facebook/{back}\" }}, \
             state = {{ path = \"/connectors/facebook\", at = \"/enabled\", is = {enabled}, within = \"1s\" }} }}\n"
        )
    };
    world.plan(
        "plan",
        &format!(
            "[people]\ncoordinator = \"Iris\"\nanalysis = \"Ana\"\n\
             [[step]]\nid = \"off\"\n{}\
             [[verify]]\nid = \"is-off\"\nuse = \"http-check\"\nbind = {{ service = \"genia-admin\" }}\n\
             with = {{ path = \"/connectors/facebook\" }}\nexpect = \"response.json.enabled == false\"\n\
             [[follow-up]]\nid = \"cause\"\nwhat = \"Find out why it published nothing\"\nowner = \"analysis\"\ndue = \"3 days\"\n\
             [[follow-up]]\nid = \"reopen\"\nwhat = \"Switch facebook on again\"\nowner = \"Iris\"\ndue = \"1s\"\n\
             ends = [\"is-off\"]\n{reopen}\n{}\n{rest}",
            switch("disable", "enable", false),
            switch("enable", "disable", true)
        ),
    );
    world
}

fn posts(world: &World) -> Vec<String> {
    world.ledger.mutations().into_iter().map(|post| post.replace("POST /admin/connectors/facebook/", "")).collect()
}

/// What a preview that nobody was here to agree to is called.
fn approval(shown: &Ran) -> String {
    let said = shown.said();
    let name = said.lines().find_map(|line| line.strip_prefix("approval: "));
    name.unwrap_or_else(|| panic!("no approval:\n{shown}")).trim().to_owned()
}

fn is_whole(world: &World) {
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);
}

#[test]
fn what_stays_to_be_done_is_listed_done_and_reported() {
    let world = world("", "");
    world.ripcord(&["check", "plan.toml"]).expect(0).says("follow-ups cause (people), reopen (http-switch");
    world.ripcord(RUN).expect(0).says("what stays to be done (cause, reopen)");
    assert_eq!(posts(&world), ["disable"], "a run does no follow-up");
    std::thread::sleep(std::time::Duration::from_secs(1));

    let listed = world.ripcord(&["follow-up", "last"]).expect(0);
    listed.says("☐ cause   open").says("Ana (analysis), due 2").says("Iris, due 2").says("OVERDUE");
    let runs = world.ripcord(&["runs"]).expect(0);
    runs.says("Open follow-ups").says("Find out why it published nothing (Ana (analysis), due ");
    let line = world.ripcord(&["runs", "--json"]).expect(0).json().remove(0);
    let open = line["open-follow-ups"].as_array().unwrap();
    assert_eq!(open.iter().map(|item| item["is-overdue"].as_bool()).collect::<Vec<_>>(), [Some(false), Some(true)]);
    let report = world.ripcord(&["report", "last"]).expect(0);
    report.says("## Follow-up").says("**OVERDUE**").says("Follow-up reopen is overdue (Iris)");

    // Nobody is here to agree, so nothing is done; what was shown can be agreed to, and only that.
    let shown = world.ripcord(&["follow-up", "last", "reopen"]).expect(2);
    shown.says("a follow-up of run").says("CHANGES").says("/connectors/facebook/enable");
    assert_eq!(posts(&world), ["disable"]);
    let run_s = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    world
        .ripcord(&["follow-up", "last", "reopen", "--approved", &run_s])
        .expect(2)
        .says("is not what would be done now");
    world
        .ripcord(&["follow-up", "last", "reopen", "--approved", &approval(&shown)])
        .expect(0)
        .says("follow-up reopen: done");
    assert_eq!(posts(&world), ["disable", "enable"]);
    is_whole(&world);
    let again = world.ripcord(REOPEN).expect(2);
    again.says("was done already: tester");

    world.ripcord(&["follow-up", "last", "cause", "--note", "a migration | of *theirs*", "--by", "Ana"]).expect(0);
    world.ripcord(&["follow-up", "last", "cause", "--done", "--by", "Ana"]).expect(0);
    world.ripcord(&["follow-up", "last", "cause", "--done"]).expect(2).says("was done already: Ana");
    let runs = world.ripcord(&["runs"]).expect(0);
    assert!(runs.stdout.contains("verified") && !runs.stdout.contains("Open follow-ups"), "{runs}");
    let es = world.ripcord(&["report", "last", "--language", "es"]).expect(0);
    es.says("## Seguimiento")
        .says("hecho, dice Ana")
        .says("El plan debe revisarse y actualizarse después de cada incidente");
    let report = world.ripcord(&["report", "last", "--json"]).expect(0).json().remove(0);
    assert_eq!(report["outcome"], "verified");
    assert_eq!(report["follow-ups"][1]["executions"][0]["purpose"], "follow-up");
    assert_eq!(report["follow-ups"][0]["notes"][0]["text"], "a migration | of *theirs*");
    assert_eq!(report["steps"][0]["executions"].as_array().unwrap().len(), 1);
    world.ripcord(&["show", "last"]).expect(0).says("✓ reopen  done, says tester").says("note: a migration");
    world.ripcord(&["show", "last", "--follow"]).expect(0).says("reopen  DONE: it is done");
    // The target is free again.
    world.ripcord(RUN).expect(0);
}

/// Killed in each window of its one change: it is made once, and its doubt is settled by looking.
#[test]
fn a_follow_up_that_is_killed_anywhere_is_done_once() {
    in_parallel([&Window::ALL[..], &[Window::DuringEffect]].concat(), |window| {
        let world = world("", "");
        world.ripcord(RUN).expect(0);
        let killed = world.ripcord(REOPEN).killed(window, 1);
        // What takes no time at all is over before it can be killed in it.
        let killed = if window == Window::DuringEffect {
            world.ledger.tell("behave hold /admin/connectors/facebook/enable");
            let killed = killed.run();
            world.ledger.tell("behave answer /admin/connectors/facebook/enable");
            killed
        } else {
            killed.expect_killed()
        };
        world.ripcord(&["runs"]).expect(0).says("verified; reopen cut off");
        let held = world.ripcord(RUN).expect(2);
        held.says("of which a follow-up is carried out");
        world.ripcord(&["show", "last"]).expect(0).says("Follow-up reopen has not ended");
        // Either command goes on with it.
        let go_on = if window == Window::AfterIntent { REOPEN } else { &["resume", "last"] };
        world.ripcord(go_on).expect(0).says("follow-up reopen: done");
        assert_eq!(posts(&world).last().map(String::as_str), Some("enable"), "{killed}");
        assert!(posts(&world).len() <= 3, "{:?}", posts(&world));
        if window != Window::DuringEffect {
            assert_eq!(posts(&world), ["disable", "enable"]);
        }
        is_whole(&world);
    });
}

#[test]
fn a_gate_a_failure_and_an_abort_leave_it_open() {
    let world = world("gate = { ask = \"Is facebook put right?\", expires = \"1s\" }", "");
    world.ripcord(RUN).expect(0);
    // --yes agrees to its gate; without it nobody is here to answer.
    let shown = approval(&world.ripcord(&["follow-up", "last", "reopen"]).expect(2));
    let refused = world.ripcord(&["follow-up", "last", "reopen", "--approved", &shown]).expect(4);
    refused.says("nobody answered the gate before it in time").says("follow-up reopen: refused");
    world.ripcord(&["follow-up", "last"]).expect(0).says("open, it was refused");
    assert_eq!(posts(&world), ["disable"]);

    world.ledger.tell("behave 503 /admin/connectors/facebook/enable");
    world.ripcord(REOPEN).expect(3).says("follow-up reopen: failed").says("answered 503");
    world.ripcord(&["runs"]).expect(0).says("verified").says("Switch facebook on again");
    world.ledger.tell("behave answer /admin/connectors/facebook/enable");
    // It takes the request, and nothing comes of it.
    world.ledger.tell("behave hold /admin/connectors/facebook/enable");
    let running = world.ripcord(REOPEN).spawn();
    world.until("the request", || posts(&world).len() == 3);
    running.interrupt();
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    world.ledger.tell("behave answer /admin/connectors/facebook/enable");
    world.ledger.tell("connector facebook off");
    world.ripcord(&["abort", "last", "--by", "Luis"]).expect(3).says("Luis stopped it");
    world.ripcord(&["follow-up", "last"]).expect(0).says("open, it FAILED: Luis stopped it");
    world.ripcord(REOPEN).expect(0);
    is_whole(&world);
    let journal = world.journal();
    let events = journal.events(&journal.last());
    let outcomes = events.iter().filter_map(|recorded| match &recorded.event {
        Event::FollowUpEnded { outcome, .. } => Some(*outcome),
        _ => None,
    });
    use FollowUpOutcome::{Done, Failed, Refused};
    assert_eq!(outcomes.collect::<Vec<_>>(), [Refused, Failed, Failed, Done]);
}

/// What the end of the run says of them; and what a follow-up needs stops no rollback.
#[test]
fn a_run_that_was_taken_back_closes_what_ripcord_would_do() {
    let world = world("", "");
    let plan = fs::read_to_string(world.path("plan.toml")).unwrap();
    let (steps, reopen) = plan.split_once("[[follow-up]]\nid = \"reopen\"").unwrap();
    let reopen = reopen.replace("\"genia-admin\"", "\"spare\"");
    world.write("plan.toml", &format!("{steps}[[follow-up]]\nid = \"reopen\"{reopen}"));
    let spare = "[http.spare]\nurl = \"http://127.0.0.1:1\"\nread = [\"GET /**\"]\nwrite = [\"POST /**\"]\n\
                 auth = { bearer = \"secret:spare\" }\n";
    let operator = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    world.write(
        "ripcord.toml",
        &format!("{spare}{operator}").replace("[secrets]", "[secrets]\nspare = { env = \"SPARE\" }"),
    );
    world.ripcord(&["doctor", "plan.toml"]).expect(2).says("http.spare");
    world.ripcord(RUN).expect(0);
    world.ripcord(REOPEN).expect(2).says("[http.spare] can't be used").says("stays as it was");

    world.ripcord(&["undo", "last", "--yes"]).expect(1);
    world.ripcord(REOPEN).expect(2).says("follow-up reopen is closed");
    let listed = world.ripcord(&["follow-up", "last"]).expect(0);
    listed.says("closed: the run was taken back").says("☐ cause");
    is_whole(&world);

    // Halted: people have something to do, and ripcord waits.
    world.ledger.tell("connector facebook on");
    world.write("plan.toml", &format!("{steps}[[follow-up]]\nid = \"reopen\"{reopen}").replace("== false", "== 7"));
    world.ripcord(RUN).expect(3);
    world.ripcord(REOPEN).expect(2).says("waits until it is verified").says("ripcord resume");
    world.ripcord(&["follow-up", "last", "reopen", "--done", "--note", "by hand"]).expect(0);
    world.ripcord(&["follow-up", "last"]).expect(0).says("done, says tester").says("☐ cause");
}
