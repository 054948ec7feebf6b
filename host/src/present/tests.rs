//! What people see, as they see it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jiff::tz::TimeZone;
use serde_json::json;

use super::fixture::{self, EVIL, at, call, failed_check, fold, halted, head, run_id, style, undone};
use super::*;
use crate::capability::{Reply, git, http};
use crate::id::{Digest, ExecutionId};
use crate::journal::{Event, Listed, Outline, ReadError, Recorded, Request, RunOutcome};
use crate::manifest::{Access, Kind, Manifest, Role};
use crate::pipeline::{HOLE, Previewed};
use crate::runner::{Branch, BranchEnd, PreviewReport, Replayed, When};

fn mutation(request: Request, target: &str, assumed: Option<Reply>) -> Previewed {
    let listed = Listed {
        connection: request.connection.clone(),
        operation: request.call.operation().to_owned(),
        target: target.to_owned(),
    };
    Previewed::Mutation { summary: request.call.summary(), request, listed, assumed }
}

fn read(request: Request) -> Previewed {
    Previewed::Read { summary: request.call.summary(), request }
}

fn report() -> PreviewReport {
    let disable = "/connectors/facebook/disable";
    let ok = Reply::Http(http::Reply { status: 200, headers: vec![], body: "".into() });
    let mut patch = fixture::http("PATCH", "/connectors/facebook");
    if let crate::capability::Call::Http(call) = &mut patch.call {
        call.body = Some(r#"{"reason":"rollback"}"#.into());
    }
    let push = git::Call::Push { revision: "0000000".into(), branch: "main".into(), lease: None };
    let code = "src/lib/connectors/facebook.ts";
    let branch = |step: &str, title: &str, when, calls| Branch {
        step: step.into(),
        title: title.into(),
        when,
        gate: None,
        calls,
        end: BranchEnd::Whole,
    };
    let first = branch(
        "disable",
        "Roll one connector back",
        When::Always,
        vec![
            read(fixture::git(git::Call::Resolve { revision: "v1.4.2".into() })),
            read(fixture::http("GET", "/connectors/facebook")),
            mutation(fixture::http("POST", disable), disable, Some(ok)),
            mutation(patch, "/connectors/facebook", None),
            mutation(fixture::restore(), &format!("{code} from 9c1f0d2"), None),
            mutation(fixture::git(push), &format!("main to {HOLE}"), None),
            mutation(fixture::program("build"), "", None),
        ],
    );
    let end = BranchEnd::Open("what follows depends on the reply to run".into());
    let enable = "/connectors/facebook/enable";
    let back = vec![mutation(fixture::http("POST", enable), enable, None)];
    let why = "no rule of [http.genia-admin] allows DELETE /connectors/facebook\nallow it in ripcord.toml with\n    \
               write = [\"DELETE /connectors/facebook\"]";
    let by_hand = Branch {
        gate: Some("Did disabling fail, and is somebody at the console?".into()),
        end: BranchEnd::Fails("denied: no rule of [http.genia-admin] allows DELETE /connectors/facebook".into()),
        ..branch(
            "by-hand",
            "Delete a connector",
            When::InsteadOf("disable".into()),
            vec![Previewed::Denied { request: fixture::http("DELETE", "/connectors/facebook"), why: why.into() }],
        )
    };
    let subject = "Conector facebook desactivado temporalmente";
    let tell = Branch {
        gate: Some("Tell all users that facebook is off?".into()),
        ..branch(
            "tell",
            "Tell people",
            When::Always,
            vec![
                mutation(fixture::notice("users"), subject, None),
                mutation(fixture::notice("administrators"), subject, None),
            ],
        )
    };
    let branches =
        vec![Branch { end, ..first }, branch("disable", "Roll one connector back", When::Undone, back), by_hand, tell];
    PreviewReport {
        plan: "genia-connector".into(),
        target: "genia/connectors/facebook".into(),
        binding: Digest::of(b"binding"),
        branches,
    }
}

fn narrated(events: &[Recorded]) -> String {
    let mut narrator = Narrator::new(TimeZone::UTC);
    let lines = events.iter().filter_map(|recorded| narrator.line(recorded.at, &recorded.event));
    lines.collect::<Vec<_>>().join("\n")
}

fn shown(events: &[Recorded]) -> String {
    run(&fold(events), events, head(events), &style())
}

fn asked() -> String {
    let state = fold(&halted());
    doubt(&run_id(), call(1, 3), state.mutation(call(1, 3)).unwrap(), state.seen(call(1, 3)).unwrap(), &style())
}

fn outlines() -> Vec<RunLine> {
    let ends = |events: Vec<Recorded>| (events[0].clone(), events.last().unwrap().clone());
    let outline = |name: &str, ends| RunLine::from(&Outline { run: name.to_owned().into(), ends });
    let altered = ReadError::NoSuchRun("20261120-030000-bbbb".to_owned().into());
    vec![
        outline("20261120-030000-bbbb", Err(altered)),
        outline("20261122-180312-k7qm", Ok(ends(undone()))),
        RunLine {
            target: "東京/コネクタ/一つのとても長い名前の対象".into(),
            started: Some(at(86_400_000)),
            ..outline("20261123-180312-cccc", Ok(ends(halted())))
        },
    ]
}

fn inspected() -> String {
    let role = |name: &str, capability: &str, access, reason: &str, required| Role {
        name: name.into(),
        capability: capability.into(),
        access,
        reason: reason.into(),
        required,
    };
    let described = Manifest {
        kind: Kind::Action,
        name: "connector-disable".into(),
        version: "0.1.0".into(),
        title: "Roll one connector back".into(),
        description:
            "Disables the connector, restores its code from a version, commits it, pushes it if asked, builds \
                      and deploys. What already is so is left alone."
                .into(),
        parameters: serde_json::from_str(include_str!("../../../plugins/connector-disable/src/parameters.json"))
            .unwrap(),
        roles: vec![
            role("admin", "http", Access::Write, "to disable the connector, and to enable it again in an undo", true),
            role("log", "git", Access::Read, "to know the version", false),
        ],
        can_undo: true,
        imports: vec!["log".into(), "http".into(), "git".into()],
    };
    manifest(&described, &Digest::of(b"plugin"), &style())
}

fn compared() -> String {
    let same = |execution, unit: &str, calls| Replayed {
        execution: ExecutionId(execution),
        unit: unit.into(),
        calls,
        difference: None,
    };
    let difference = "call 3.0 diverges from the journal\n  recorded: POST /a\n  now:      POST /b";
    let other = Replayed { difference: Some(difference.into()), ..same(3, "tell", 1) };
    replayed(&[same(1, "disable", 6), same(2, "disable", 1), other], &style())
}

/// All that is ever printed, for a style.
fn everything(style: &Style) -> Vec<String> {
    let (events, halted) = (undone(), halted());
    let state = fold(&halted);
    let mut evil = report();
    evil.target = EVIL.to_owned();
    evil.branches[0].title = EVIL.to_owned();
    evil.branches[0].end = BranchEnd::Fails(EVIL.to_owned());
    evil.branches[2].gate = Some(EVIL.to_owned());
    let opened = crate::journal::GateOpened { ask: EVIL.to_owned(), ..fixture::gate() };
    let lines = vec![RunLine { target: EVIL.to_owned(), ..outlines().remove(1) }];
    vec![
        preview(&evil, style),
        narrated(&events),
        narrated(&halted),
        run(&fold(&events), &events, head(&events), style),
        run(&state, &halted, head(&halted), style),
        doubt(&run_id(), call(1, 3), state.mutation(call(1, 3)).unwrap(), EVIL, style),
        gate(&run_id(), &opened, style),
        runs(&lines, style),
        crate::report::markdown(&fold(&events), &events, head(&events), &style.zone).unwrap(),
    ]
}

/// A server that answers with escape codes writes on nobody's terminal, and moves nobody's lines.
#[test]
fn nothing_that_a_server_says_reaches_the_terminal_as_a_command() {
    let allowed = |character: char| !character.is_control() || character == '\n';
    for text in everything(&style()) {
        assert!(text.contains(r"\u{1b}") || text.contains(r"\u\{1b}") || text.contains(r"\\u{1b}"), "{text}");
        assert!(text.chars().all(|character| allowed(character) && character != '\u{202e}'), "{text:?}");
    }
}

#[test]
fn colour_says_nothing_that_the_words_do_not_say() {
    let colour = Style { colour: true, ..style() };
    let mut coloured = 0;
    for (with, without) in everything(&colour).iter().zip(everything(&style())) {
        coloured += usize::from(*with != without);
        assert_eq!(anstream::adapter::strip_str(with).to_string(), without);
    }
    assert!(coloured > 3);
}

#[test]
fn objects_for_programs_have_a_version_and_name_their_run() {
    let events = undone();
    let last = event_json(&run_id(), events.last().unwrap());
    assert_eq!(
        last,
        json!({
            "version": 1, "run": run_id(), "sequence": events.len(), "at": events.last().unwrap().at,
            "event": "run-ended", "outcome": "undone", "why": "what had been done was taken back",
        })
    );
    for recorded in &events {
        let object = event_json(&run_id(), recorded);
        assert_eq!(object["run"], json!(run_id()));
        assert_eq!(serde_json::from_value::<Recorded>(object).unwrap(), *recorded);
    }
    let preview = preview_json(&report());
    assert_eq!(preview["version"], 1);
    assert_eq!(preview["approval"], json!(report().digest()));
    assert_eq!(preview["changes"]["always"], 7);
    assert_eq!(preview["changes"]["only-if"], 1);
}

#[test]
fn a_table_keeps_to_the_width_and_never_cuts_the_name_of_a_run() {
    for width in [40, 80, 100, 200] {
        let table = runs(&outlines(), &Style { width, ..style() });
        let lines: Vec<_> = table.lines().collect();
        assert!(width < 80 || lines.iter().all(|line| text::width(line) <= width), "{table}");
        assert!(outlines().iter().all(|line| table.contains(line.run.as_str())), "{table}");
    }
}

#[test]
fn a_narrator_that_has_caught_up_goes_on_in_the_same_words() {
    let events = undone();
    let whole = narrated(&events);
    for split in 0..events.len() {
        let mut narrator = Narrator::new(TimeZone::UTC);
        narrator.catch_up(&events[..split]);
        for recorded in &events[split..] {
            if let Some(line) = narrator.line(recorded.at, &recorded.event) {
                assert!(whole.contains(&line), "{line}");
            }
        }
    }
}

/// Off a terminal nothing is drawn, but all that would be is computed.
#[test]
fn progress_follows_a_run_through_all_its_turns() {
    let events = undone();
    let Event::RunStarted(start) = &events[0].event else { unreachable!() };
    let live = live::Live::new(&start.shape);
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for recorded in &events {
        live.event(recorded.at, &recorded.event);
        let now = live.rows();
        seen.extend(now.iter().filter(|row| !rows.contains(*row)).cloned());
        rows = now;
    }
    assert_eq!(live.suspend(|| 7), 7);
    live.finish();
    insta::assert_snapshot!(seen.join("\n"), @"");
}

#[test]
fn this_is_what_people_read() {
    insta::assert_snapshot!(preview(&report(), &style()), @"");
    insta::assert_snapshot!(narrated(&undone()), @"");
    insta::assert_snapshot!(narrated(&halted()).lines().last().unwrap(), @"");
    insta::assert_snapshot!(shown(&undone()), @"");
    insta::assert_snapshot!(shown(&failed_check()), @"");
    insta::assert_snapshot!(shown(&halted()), @"");
    insta::assert_snapshot!(asked(), @"");
    insta::assert_snapshot!(gate(&run_id(), &fixture::gate(), &style()), @"");
    insta::assert_snapshot!(runs(&outlines(), &style()), @"");
    insta::assert_snapshot!(inspected(), @"");
    insta::assert_snapshot!(compared(), @"");
    let ended =
        outlines().into_iter().map(|line| line.standing).find(|standing| matches!(standing, Standing::Ended(_)));
    assert_eq!(ended, Some(Standing::Ended(RunOutcome::Undone)));
}
