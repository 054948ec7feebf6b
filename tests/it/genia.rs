//! GENIA's second and third scenario on the real systems: for success, for each of their steps failing, for their undo,
//! and killed. The first one, which shares their guest code, is in `crash`.

use std::fs;

use ripcord::journal::RunOutcome;

use crate::andrea::killed::windows;
use crate::world::{Ripcord, World, git, in_parallel};

/// What differs between the two.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    plan: &'static str,
    off: &'static str,
    on: &'static str,
    /// The files with the code; the bad version has another one in each, and perhaps one more.
    good: &'static [&'static str],
    added: Option<&'static str>,
    message: &'static str,
    notices: usize,
    /// How many notices come before the switch.
    begins: u32,
}

const SCENARIOS: [Scenario; 2] = [
    Scenario {
        plan: "genia-executor",
        off: "POST /admin/connectors/readonly",
        on: "POST /admin/connectors/readwrite",
        good: &["src/lib/mcp/executor.ts"],
        added: None,
        message: "Rollback: Revert the executor to good",
        notices: 6,
        begins: 2,
    },
    Scenario {
        plan: "genia-panel",
        off: "POST /admin/panel/disable",
        on: "POST /admin/panel/enable",
        good: &["src/admin/index.ts", "src/admin/users/list.ts"],
        added: Some("src/admin/users/edit.ts"),
        message: "Rollback: Revert the administration panel to good",
        notices: 2,
        begins: 1,
    },
];

struct Place {
    scenario: Scenario,
    world: World,
}

impl Place {
    /// `good` is tagged, and `main` is not good any more, here and in the remote.
    fn new(scenario: Scenario) -> Self {
        let world = World::new();
        let code = &world.repository.path;
        let commit = |message: &str| {
            git(code, &["add", "-A"]);
            git(code, &["-c", "user.name=Dev", "-c", "user.email=dev@genia.example", "commit", "-q", "-m", message]);
        };
        let write = |name: &str, text: &str| {
            let file = code.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        scenario.good.iter().for_each(|name| write(name, "export const version = 'good'\n"));
        commit("A good version");
        git(code, &["tag", "good"]);
        scenario.good.iter().for_each(|name| write(name, "export const version = 'broken'\n"));
        if let Some(added) = scenario.added {
            write(added, "export const more = 'broken'\n");
        }
        commit("A bad version");
        git(code, &["push", "-q", "origin", "main"]);

        let place = Self { scenario, world };
        place.allow(&[]);
        place.write_plan();
        place
    }

    /// The operator's file, with what the scenario needs and these replacements.
    fn allow(&self, replacements: &[(&str, &str)]) {
        let rules = [
            ("\"GET /connectors/*\"", "\"GET /connectors\", \"GET /panel\""),
            (
                "\"POST /connectors/*/disable\", \"POST /connectors/*/enable\"",
                "\"POST /connectors/readonly\", \"POST /connectors/readwrite\", \"POST /panel/*\"",
            ),
            // The scripts without npm around them: of the time of all these cases, npm would take the half.
            (r#"["npm", "run", "--silent", "build"]"#, r#"["node", "build.js"]"#),
            (r#"["npm", "run", "--silent", "deploy:staging"]"#, r#"["node", "deploy.js"]"#),
        ];
        let operator = rules.iter().chain(replacements).fold(self.world.operator(), |operator, (from, to)| {
            assert!(operator.contains(from), "{from}");
            operator.replace(from, to)
        });
        self.world.write("ripcord.toml", &operator);
    }

    /// The plan as it is shipped, with the push that it leaves to its user, and in less of a hurry to wait.
    fn write_plan(&self) {
        let name = format!("{}.toml", self.scenario.plan);
        let shipped = format!("{}/../plans/{name}", env!("CARGO_MANIFEST_DIR"));
        let changes = [
            ("# push    = \"main\"", "push = \"main\""),
            ("every  = \"10s\"", "every = \"100ms\""),
            ("every   = \"30s\"", "every = \"100ms\""),
            ("within = \"2m\"", "within = \"2s\""),
            ("within  = \"5m\"", "within = \"2s\""),
        ];
        let plan = changes.iter().fold(fs::read_to_string(shipped).unwrap(), |plan, (from, to)| {
            assert!(plan.contains(from), "the shipped plan has no `{from}` any more");
            plan.replace(from, to)
        });
        self.world.write(&name, &plan);
    }

    fn roll_back(&self) -> Ripcord {
        let plan = format!("{}.toml", self.scenario.plan);
        self.world.ripcord(&["run", &plan, "-p", "version=good", "--yes"])
    }

    /// Whose code the working copy and the remote have in the scenario's folders: the good one's or the bad one's.
    fn code(&self) -> [&'static str; 2] {
        let code = &self.world.repository.path;
        git(code, &["fetch", "-q", "origin"]);
        let tree = |of: &str| git(code, &["ls-tree", "-r", of, "src/lib/mcp", "src/admin"]);
        let bad = git(code, &["log", "--format=%H", "--grep", "^A bad version$", "main"]);
        ["HEAD", "origin/main"].map(|revision| match tree(revision) {
            now if now == tree("good") => "good",
            now if now == tree(&bad) => "broken",
            _ => "neither",
        })
    }

    /// Whether the administration says that it is switched off.
    fn is_off(&self) -> bool {
        let switched = self.world.ledger.mutations();
        switched.last().is_some_and(|last| last == self.scenario.off)
    }

    fn assert_rolled_back(&self, ran: &str) {
        let touched = self.world.touched();
        assert_eq!(touched.requests, [self.scenario.off], "{ran}");
        assert_eq!(self.code(), ["good", "good"], "{ran}");
        assert_eq!(touched.repository.commits[0], self.scenario.message, "{ran}");
        assert_eq!(touched.repository.status, "", "{ran}");
        let deploys = touched.commands.iter().filter(|line| *line == "deploy ends").count();
        assert_eq!(deploys, 1, "{:?}", touched.commands);
    }

    fn assert_taken_back(&self, ran: &str) {
        let touched = self.world.touched();
        assert_eq!(touched.requests, [self.scenario.off, self.scenario.on], "{ran}");
        assert_eq!(self.code(), ["broken", "broken"], "{ran}");
        let deploys = touched.commands.iter().filter(|line| *line == "deploy ends").count();
        assert_eq!(deploys, 2, "{:?}", touched.commands);
    }
}

/// What the rollback has put out of order comes back when somebody asks for it, and only that.
#[test]
fn the_follow_up_switches_it_on_again() {
    in_parallel(SCENARIOS.to_vec(), |scenario| {
        let place = Place::new(scenario);
        place.roll_back().expect(0).says("what stays to be done (root-cause, correction, documentation, ");
        let item = if scenario.plan == "genia-panel" { "open-panel" } else { "leave-read-only" };
        place.world.ripcord(&["watch", "last", "--window", "1s"]).expect(0);
        place.world.ripcord(&["follow-up", "last", item, "--yes"]).expect(0).says("done");
        assert_eq!(place.world.ledger.mutations().last().map(String::as_str), Some(scenario.on));
        assert!(!place.is_off());
        // The check of the code goes on, and the one of the switch is over.
        place.world.ripcord(&["watch", "last", "--window", "1s"]).expect(0);
        place.world.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn each_scenario_does_what_its_paragraph_says_and_its_undo_takes_it_back() {
    in_parallel(SCENARIOS.to_vec(), |scenario| {
        let place = Place::new(scenario);
        let ran = place.roll_back().expect(0).to_string();
        place.assert_rolled_back(&ran);
        let mails = place.world.mails();
        assert_eq!(mails.len(), scenario.notices, "{mails:?}");
        let told_only = |name: &str| mails.iter().all(|mail| mail.contains(name));
        assert_eq!(told_only("administrators"), scenario.plan == "genia-panel", "{mails:?}");
        // A second rollback finds it off, and what is deployed may still be another version.
        let again = place.roll_back().expect(0).to_string();
        assert_eq!(place.world.ledger.mutations(), [scenario.off], "{again}");
        let run = place.world.journal().runs().into_iter().min().unwrap();
        let undone = place.world.ripcord(&["undo", run.as_str(), "--yes"]).expect(1).to_string();
        assert_eq!((place.code(), place.is_off()), (["broken", "broken"], false), "{undone}");
    });
}

#[test]
fn a_step_that_fails_keeps_what_was_done_and_says_what_did_not_work() {
    // What goes wrong; what is said of it; whether it is off then, and where the code is.
    let cases = [
        ("the switch", "500", false, "broken"),
        ("the working copy", "local changes that would be lost", true, "broken"),
        ("the build", "`build` exited with 1", true, "good"),
        ("the deploy", "`deploy` exited with 1", true, "good"),
        ("the verification", "the command exited with 1, expected 0", true, "good"),
    ];
    let cases = SCENARIOS.iter().flat_map(|&scenario| cases.map(|case| (scenario, case))).collect();
    in_parallel(cases, |(scenario, (fault, says, is_off, code))| {
        let place = Place::new(scenario);
        match fault {
            "the switch" => {
                let (_, path) = scenario.off.split_once(' ').unwrap();
                place.world.ledger.tell(&format!("behave 500 {path}"));
            }
            "the working copy" => {
                fs::write(place.world.repository.path.join(scenario.good[0]), "export const version = 'mine'\n")
                    .unwrap();
            }
            "the build" => place.allow(&[("env = { RECORD", "env = { BUILD_EXIT = \"1\", RECORD")]),
            "the deploy" => fs::create_dir(place.world.path("staging.js")).unwrap(),
            _ => place.allow(&[("\"-q\", \"facebook\"", "\"-q\", \"nothing-like-it\"")]),
        }
        let ran = place.roll_back().expect(3).to_string();
        assert!(ran.contains(says), "{fault}: {ran}");
        // A service that refuses was asked all the same.
        let is_asked_only = fault == "the switch";
        assert_eq!(place.is_off(), is_off || is_asked_only, "{fault}: {ran}");
        assert_eq!(place.code(), [code, code], "{fault}: {ran}");
        let journal = place.world.journal();
        assert_eq!(journal.outcome(&journal.last()).map(|(outcome, _)| outcome), Some(RunOutcome::Halted), "{fault}");
    });
}

/// Each mutation of the run and of its undo, each in another window; in each of them in a soak.
#[test]
fn a_scenario_that_is_killed_ends_as_if_it_had_not_been() {
    let cases: Vec<_> = SCENARIOS
        .iter()
        .enumerate()
        .flat_map(|(number, &scenario)| {
            let run = (1..=6).map(move |mutation| (scenario, false, scenario.begins + mutation));
            let undo = (1..=6).map(move |mutation| (scenario, true, mutation));
            run.chain(undo).enumerate().flat_map(move |(index, (scenario, undo, mutation))| {
                let windows = windows(index + number);
                windows.into_iter().map(move |window| (scenario, undo, mutation, window))
            })
        })
        .collect();
    in_parallel(cases, |(scenario, is_undo, mutation, window)| {
        let place = Place::new(scenario);
        if is_undo {
            place.roll_back().expect(0);
            place.world.ripcord(&["undo", "last", "--yes"]).killed(window, mutation).expect_killed();
            let ran = place.world.ripcord(&["resume", "last"]).expect(1).to_string();
            place.assert_taken_back(&ran);
        } else {
            place.roll_back().killed(window, mutation).expect_killed();
            let ran = place.world.ripcord(&["resume", "last"]).expect(0).to_string();
            place.assert_rolled_back(&ran);
        }
        place.world.ripcord(&["replay", "last"]).expect(0);
    });
}
