//! Who is told of a rollback, and when: at its beginning, its end and when it stops half-way, each by their own
//! channel and in their own words, once, in order, whoever is killed in between, and never in its way.

use std::fs;

use ripcord::journal::RunOutcome;
use ripcord_tests::fault::Window;

use crate::notices;
use crate::world::{Manner, Service, World, in_parallel};

const RUN: &[&str] = &[
    "run",
    "plan.toml",
    "--yes",
    "--by",
    "Iris",
    "--severity",
    "alta",
    "--decided-by",
    "Marta",
    "--scenario",
    "un conector falla",
];
const UNDO: &[&str] = &["undo", "last", "--yes"];

/// The users by a service, the dashboard by a file, the administrators and the status page by mail.
const BIND: &str = "use = \"notify-people\"\nbind = { users = \"genia-users\", dashboard = \"genia-dashboard\", \
                    administrators = \"genia-administrators\", status-page = \"genia-status\" }\n";

/// How many channels a notice goes by.
const CHANNELS: u32 = 4;

/// A rollback of one change, with a notice on each of these occasions, and these steps behind the first.
fn world(service: &Service, on: &[&str], more: &str) -> World {
    let world = notices::world(service);
    let notices: String = on
        .iter()
        .map(|on| {
            format!(
                "[[notice]]\nid = \"tell-{on}\"\non = [\"{on}\"]\n{BIND}timeout = \"5s\"\n[notice.with]\n\
                 subject = \"{{{{ run.state }}}}\"\n\
                 text = \"{{{{ run.why }}}} [{{{{ incident.severity }}}}, {{{{ incident.scenario }}}}, \
                 {{{{ incident.decided_by }}}}, {{{{ people.coordinator }}}}]\"\n\
                 to = {{ status-page = {{ subject = \"status: {{{{ run.state }}}} {{{{ incident.severity }}}}\" }} }}\n"
            )
        })
        .collect();
    world.plan(
        "plan",
        &format!(
            "scenario = \"otro\"\n[people]\ncoordinator = \"Ana\"\n\
             [[step]]\nid = \"off\"\nuse = \"http-switch\"\nbind = {{ service = \"genia-admin\" }}\n\
             with = {{ send = {{ path = \"/connectors/facebook/disable\" }}, back = {{ path = \"/connectors/facebook/enable\" }}, \
             state = {{ path = \"/connectors/facebook\", at = \"/enabled\", is = false, within = \"1s\" }} }}\n{more}\
             [[verify]]\nid = \"is-off\"\nuse = \"http-check\"\nbind = {{ service = \"genia-admin\" }}\n\
             with = {{ path = \"/connectors/facebook\" }}\nexpect = \"response.json.enabled == false\"\n{notices}"
        ),
    );
    world
}

/// What each channel has been told, in order; mails, which have none, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    users: Vec<String>,
    dashboard: Vec<String>,
    mails: Vec<String>,
}

fn told(world: &World, service: &Service) -> Told {
    let subject = |text: &serde_json::Value| text.as_str().unwrap().replace("GENIA: ", "");
    let lines = fs::read_to_string(world.path("notices.jsonl")).unwrap_or_default();
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["subject"].clone();
    Told {
        users: service.received().iter().map(|body| subject(&body["text"])).collect(),
        dashboard: lines.lines().map(|it| subject(&line(it))).collect(),
        mails: world.mails(),
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn is_whole(world: &World) {
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);
}

#[test]
fn everybody_is_told_at_the_beginning_and_at_each_end_in_their_own_words() {
    let service = Service::start(Manner::Takes);
    let world = world(&service, &["begun", "verified", "undone", "halted", "unchanged"], "");
    world.ripcord(&["check", "plan.toml"]).expect(0).says("notices tell-begun (notify-people");
    let preview = world.ripcord(&["preview", "plan.toml"]).expect(0);
    preview.says("People are told").says("20 notices to people, each on its occasion").says("\"status: verified \"");
    assert!(service.received().is_empty());

    // What is said of the incident later changes nothing in what was agreed to.
    let approval = preview.approval();
    let run: Vec<&str> = RUN.iter().map(|it| if *it == "--yes" { "--approved" } else { *it }).collect();
    let run = [&run[..3], &[approval.as_str()], &run[3..]].concat();
    world.ripcord(&run).expect(0);
    world.ripcord(&["show", "last", "--follow"]).expect(0).says("tells people: begun");
    let two = told(&world, &service);
    assert_eq!((two.users, two.dashboard), (strings(&["begun", "verified"]), strings(&["begun", "verified"])));
    let mails = ["genia-administrators: begun", "genia-administrators: verified", "genia-status: status: begun alta"];
    assert_eq!(two.mails[..3], strings(&mails));
    assert_eq!(two.mails[3], "genia-status: status: verified alta");
    let said = service.received()[1]["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(said.contains("all steps and checks have passed [alta, un conector falla, Marta, Ana]"), "{said}");

    let report = world.ripcord(&["report", "last"]).expect(0);
    report.says("## Who was told").says("it was verified (tell-verified)").says("notify.genia-status: sent");
    report.says("| Scenario | un conector falla (Iris").says("| Decided by | Marta (Iris");
    world.ripcord(&["show", "last"]).expect(0).says("✓ tell-begun (begun) at ");
    is_whole(&world);

    // It ends once more.
    world.ripcord(UNDO).expect(1);
    assert_eq!(told(&world, &service).users, ["begun", "verified", "undone"]);
    is_whole(&world);

    // What has nothing to do begins nothing as far as anybody can see, and ends.
    world.ledger.tell("connector facebook off");
    world.ripcord(RUN).expect(4);
    assert_eq!(told(&world, &service).users, ["begun", "verified", "undone", "begun", "unchanged"]);
}

/// Killed in each window of each notice, at the beginning and at the end: nobody is told twice, the others are
/// told all the same and in order, and only who may have been told already is said to be so.
#[test]
fn a_run_that_is_killed_anywhere_in_its_notices_tells_everybody_once() {
    let windows = [Window::BeforeIntent, Window::AfterIntent, Window::AfterEffect, Window::AfterResult];
    // Behind the notices of the beginning comes the one change.
    let mutations = (1..=CHANNELS).chain(CHANNELS + 2..=2 * CHANNELS + 1);
    let cases: Vec<_> = mutations.flat_map(|mutation| windows.map(|window| (window, mutation))).collect();
    in_parallel(cases, |(window, mutation)| {
        let service = Service::start(Manner::Takes);
        let world = world(&service, &["begun", "verified"], "");
        world.ripcord(RUN).killed(window, mutation).expect_killed();
        world.ripcord(&["resume", "last"]).expect(0);
        let Told { users, dashboard, mails } = told(&world, &service);
        assert!(users.is_sorted() && users.iter().all(|it| users.iter().filter(|other| *other == it).count() == 1));
        assert_eq!(dashboard, ["begun", "verified"], "a file says itself what stands in it");
        // A mail or a request that may have gone out is not sent again.
        let missing = 2 - users.len() + 4 - mails.len();
        let is_a_file_s = mutation % (CHANNELS + 1) == 2;
        let may_be_missing = window == Window::AfterIntent && !is_a_file_s;
        assert_eq!(missing > 0, may_be_missing, "{users:?} {mails:?}");
        assert_eq!(world.ledger.mutations(), ["POST /admin/connectors/facebook/disable"]);
        let journal = world.journal();
        assert_eq!(journal.outcome(&journal.last()).unwrap().0, RunOutcome::Verified);
        let left = world.ripcord(&["report", "last"]).expect(0);
        let is_doubtful = [Window::AfterIntent, Window::AfterEffect].contains(&window) && !is_a_file_s;
        assert_eq!(left.said().contains("Ask whether the notice has arrived"), is_doubtful, "{left}");
        is_whole(&world);
    });
}

/// Each channel is down in its own way, and one can't even be opened: the rollback ends verified, and what has not
/// gone out is said.
#[test]
fn with_every_channel_down_the_rollback_still_ends_verified() {
    let service = Service::start(Manner::Hangs);
    let world = world(&service, &["begun", "verified"], "");
    let operator = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let mut mails = 0;
    let down: String = operator
        .split_inclusive('\n')
        .map(|line| match line {
            // Nobody listens, or the password is nowhere.
            line if line.starts_with("smtp = ") && mails == 0 => {
                mails += 1;
                "smtp = { host = \"127.0.0.1\", port = 1, tls = \"none\" }\n".to_owned()
            }
            line if line.starts_with("smtp = ") => {
                "smtp = { host = \"127.0.0.1\", port = 1, tls = \"none\", user = \"a\", password = \"secret:nowhere\" }\n"
                    .to_owned()
            }
            // It hangs for longer than the whole notice may take, and the others have their turn all the same.
            "timeout = \"2s\"\n" => "timeout = \"1m\"\n".to_owned(),
            "file = \"notices.jsonl\"\n" => "file = \"no-such-folder/notices.jsonl\"\n".to_owned(),
            "[secrets]\n" => "[secrets]\nnowhere = { env = \"NO_SUCH_VARIABLE\" }\n".to_owned(),
            line => line.to_owned(),
        })
        .collect();
    world.write("ripcord.toml", &down);
    let ran = world.ripcord(RUN).expect(0);
    ran.says("warning: nobody is told anything by [notify.genia-status]").says("NO_SUCH_VARIABLE");
    ran.says("Tell them yourself, the notice has not gone out: notify.genia-administrators");
    let journal = world.journal();
    assert_eq!(journal.outcome(&journal.last()).unwrap().0, RunOutcome::Verified);
    assert_eq!(world.ledger.mutations(), ["POST /admin/connectors/facebook/disable"]);
    let report = world.ripcord(&["report", "last", "--json"]).expect(0).json().remove(0);
    for told in report["told"].as_array().unwrap() {
        let kinds: Vec<_> = told["deliveries"].as_array().unwrap().iter().map(|by| &by["delivered"]["kind"]).collect();
        assert_eq!(kinds, ["perhaps-sent", "not-sent", "not-sent", "not-sent"], "{told}");
    }
    is_whole(&world);
}

/// What was agreed to in daylight is carried out at night, when a channel's secret is not to be had; and who agreed has
/// decided, where nobody says otherwise.
#[test]
fn an_agreement_does_not_depend_on_what_can_be_opened_or_said_just_then() {
    let service = Service::start(Manner::Takes);
    let world = world(&service, &["begun", "verified"], "");
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    fs::remove_file(world.path("users-url")).unwrap();
    let ran = world.ripcord(&["run", "plan.toml", "--approved", &approval, "--by", "Iris", "--severity", "alta"]);
    ran.expect(0).says("nobody is told anything by [notify.genia-users]");
    let told = told(&world, &service);
    assert_eq!((told.users.len(), told.dashboard), (0, strings(&["begun", "verified"])));
    let lines = fs::read_to_string(world.path("notices.jsonl")).unwrap();
    assert!(lines.lines().all(|line| line.contains("Iris, Ana]")), "{lines}");
    is_whole(&world);
}

/// A trigger that trips, and what has come undone a day later.
#[test]
fn what_a_watch_finds_before_and_after_is_told() {
    let service = Service::start(Manner::Takes);
    let watches = "[watch]\nwindow = \"1m\"\nthen = \"run\"\n\
                   [[trigger]]\nid = \"on\"\ntitle = \"Publica a quien no debe\"\nuse = \"http-check\"\n\
                   bind = { service = \"genia-admin\" }\nwith = { path = \"/connectors/facebook\" }\n\
                   expect = \"response.json.enabled == false\"\n[drift]\nfor = \"1m\"\ninterval = \"100ms\"\n";
    let world = world(&service, &["tripped", "begun", "verified", "drifted"], watches);
    // A run never tells of a trigger, and one approval does for both.
    let approval = world.ripcord(&["preview", "plan.toml"]).expect(0).approval();
    let watch = [&["watch", "plan.toml", "--approved", &approval][..], &RUN[3..]].concat();
    world.ripcord(&watch).expect(0);
    assert_eq!(told(&world, &service).users, ["tripped", "begun", "verified"]);
    let said = service.received()[0]["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(said.contains("Publica a quien no debe: ") && said.contains("1 of 1 measurements failed"), "{said}");

    world.ledger.tell("connector facebook on");
    world.ripcord(&["watch", "last"]).expect(3).says("check is-off does not hold any more");
    assert_eq!(told(&world, &service).users, ["tripped", "begun", "verified", "drifted"]);
    is_whole(&world);
}

/// A run that asks says so to everybody once, however often it is taken up; and again when it ends half-way.
#[test]
fn a_run_that_stops_half_way_tells_of_the_question_once_and_of_its_end() {
    let service = Service::start(Manner::Takes);
    let asks = "[[step]]\nid = \"publish\"\nuse = \"steps\"\nbind = { service = \"service\" }\n[[step.with.apply]]\n\
                call = { role = \"service\", http = { method = \"POST\", path = \"/a1\" } }\n";
    let world = world(&service, &["halted", "verified"], asks);
    let operator = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    world.write("ripcord.toml", &format!("{operator}\n{}", world.service("[\"GET /**\"]", "[\"POST /a1\"]")));
    world.ledger.tell("behave cut /admin/a1");
    world.ripcord(RUN).expect(3);
    assert_eq!(told(&world, &service).users, ["halted"]);
    let said = service.received()[0]["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(said.contains("somebody has to say whether this happened: POST /a1"), "{said}");
    world.ripcord(&["resume", "last"]).expect(3);
    assert_eq!(told(&world, &service).users, ["halted"], "it is the same question");

    let journal = world.journal();
    let call = journal.state(&journal.last()).doubts().next().unwrap().0.to_string();
    world.ripcord(&["resolve", "last", &call, "--unknowable"]).expect(0);
    world.ripcord(&["resume", "last"]).expect(3);
    assert_eq!(told(&world, &service).users, ["halted", "halted"], "it has ended half-way");
    let said = service.received()[1]["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(said.contains("step publish failed"), "{said}");
    is_whole(&world);
}
