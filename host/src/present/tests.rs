//! What people see, as they see it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use jiff::tz::TimeZone;
use serde_json::json;

use super::fixture::{self, EVIL, at, call, failed_check, fold, halted, head, run_id, style, undone, watched};
use super::*;
use crate::id::{Digest, ExecutionId};
use crate::journal::{Event, Outline, ReadError, Recorded, RunOutcome};
use crate::manifest::{Access, Kind, Manifest, Role};
use crate::runner::Replayed;

fn narrated(events: &[Recorded]) -> String {
    let mut narrator = Narrator::new(TimeZone::UTC);
    let lines = events.iter().filter_map(|recorded| narrator.line(recorded.at, &recorded.event));
    lines.collect::<Vec<_>>().join("\n")
}

fn shown(events: &[Recorded]) -> String {
    run(&fold(events), events, head(events), now(), &style())
}

/// When somebody reads it.
fn now() -> jiff::Timestamp {
    at(600_000)
}

fn asked() -> String {
    let state = fold(&halted());
    doubt(&run_id(), call(1, 3), state.mutation(call(1, 3)).unwrap(), state.seen(call(1, 3)).unwrap(), &style())
}

fn outlines() -> Vec<RunLine> {
    let known = |name: &str, ends| RunLine::known(&Outline { run: name.to_owned().into(), ends }).unwrap();
    let (undone, halted) = (undone(), halted());
    let of = |name: &str, events: &[Recorded], is_held| {
        RunLine::of(&name.to_owned().into(), &fold(events), events, is_held, now())
    };
    let altered = ReadError::NoSuchRun("20261120-030000-bbbb".to_owned().into());
    vec![
        known("20261120-030000-bbbb", Err(altered)),
        known("20261122-180312-k7qm", Ok((undone[0].clone(), undone.last().unwrap().clone()))),
        RunLine {
            target: "東京/コネクタ/一つのとても長い名前の対象".into(),
            started: Some(at(86_400_000)),
            ..of("20261123-180312-cccc", &halted, true)
        },
        of("20261123-190000-dddd", &halted[..6], false),
        of("20261123-200000-eeee", &halted[..6], true),
    ]
}

/// A person's word that comes just after the end changes nothing about it.
#[test]
fn a_run_that_has_ended_is_listed_as_ended_whatever_people_write_behind_it() {
    let mut events = undone();
    let ended = outlines().remove(1);
    let last = events.last().unwrap().clone();
    let late = Event::AbortRequested { by: "ada".into() };
    events.push(Recorded { sequence: last.sequence + 1, at: at(3_600_000), event: late });
    let outline = Outline { run: run_id(), ends: Ok((events[0].clone(), events.last().unwrap().clone())) };
    assert_eq!(RunLine::known(&outline), None, "all of its events have to be looked at");
    let line = RunLine::of(&run_id(), &fold(&events), &events, false, now());
    assert_eq!((line.standing, line.since), (ended.standing, ended.since));
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
    let opened = crate::journal::GateOpened { ask: EVIL.to_owned(), ..fixture::gate() };
    let lines = vec![RunLine { target: EVIL.to_owned(), ..outlines().remove(1) }];
    vec![
        super::preview::tests::evil(style),
        narrated(&events),
        narrated(&halted),
        narrated(&watched()),
        run(&fold(&watched()), &watched(), head(&watched()), now(), style),
        run(&fold(&events), &events, head(&events), now(), style),
        run(&state, &halted, head(&halted), now(), style),
        doubt(&run_id(), call(1, 3), state.mutation(call(1, 3)).unwrap(), EVIL, style),
        gate(&run_id(), &opened, style),
        runs(&lines, style),
        crate::report::Report::of(&fold(&events), &events, head(&events), None, now())
            .write(crate::report::Format::Markdown, &style.zone)
            .unwrap(),
    ]
}

/// Below how the watching stands, with what each trigger has come to.
#[test]
fn progress_shows_what_is_watched() {
    let events = watched();
    let Event::RunStarted(start) = &events[0].event else { unreachable!() };
    let live = live::Live::on(&start.shape, indicatif::ProgressDrawTarget::hidden);
    let (mut rows, mut seen) = (live.rows(), live.rows());
    for recorded in &events {
        live.event(recorded.at, &recorded.event);
        let now = live.rows();
        seen.extend(now.iter().filter(|row| !rows.contains(*row)).cloned());
        rows = now;
    }
    insta::assert_snapshot!("watched_rows", seen.join("\n"));
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
fn a_watch_is_told_and_shown() {
    insta::assert_snapshot!("watched_told", narrated(&watched()));
    insta::assert_snapshot!("watched_shown", shown(&watched()));
    // Before anything has tripped.
    let events = &watched()[..7];
    insta::assert_snapshot!("watching_shown", shown(events));
    let shape = fold(events).shape.watch.unwrap();
    insta::assert_snapshot!(super::watched(&shape, &style()));
    let line = RunLine::of(&run_id(), &fold(events), events, true, now());
    assert_eq!((&line.standing, run_line_json(&line)["watching"].as_bool()), (&Standing::Watching, Some(true)));
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
    let live = live::Live::on(&start.shape, indicatif::ProgressDrawTarget::hidden);
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for recorded in &events {
        live.event(recorded.at, &recorded.event);
        let now = live.rows();
        seen.extend(now.iter().filter(|row| !rows.contains(*row)).cloned());
        rows = now;
    }
    // An event gets through while somebody is being asked.
    let before = live.rows();
    let asked = Event::UndoRequested { by: "Andrea".into() };
    let begins = Event::ExecutionBegan {
        execution: ExecutionId(7),
        purpose: crate::journal::Purpose::Check("staging-works".into()),
        config: json!(null),
    };
    live.hide();
    live.event(at(200_000), &asked);
    live.event(at(200_001), &begins);
    assert_ne!(before, live.rows());
    // Nor does a question that nobody has answered keep the run from ending.
    live.finish();
    live.show();
    insta::assert_snapshot!(seen.join("\n"), @r##"
    · disable        to do
    · by-hand        only if disable fails
    · tell           to do
    · staging-works  to be checked
    … disable        under way
    … disable        under way: show src/lib/connectors/facebook.ts from v1.4.2 in git.genia → 10 bytes (12 ms)
    … disable        under way: GET /connectors/facebook on http.genia-admin → 200 (12 ms)
    … disable        under way: POST /connectors/facebook/disable on http.genia-admin …
    … disable        under way: in doubt: POST /connectors/facebook/disable on http.genia-admin (the connection was cut after 1.2 s, before a complete answer)
    … disable        under way: looks what became of POST /connectors/facebook/disable on http.genia-admin
    … disable        under way: GET /connectors/facebook on http.genia-admin → 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK (12 ms)
    … disable        under way: restore src/lib/connectors/facebook.ts from 9c1f0d2 in git.genia …
    … disable        under way: restore src/lib/connectors/facebook.ts from 9c1f0d2 in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
    … disable        under way: run command.genia-build …
    … disable        under way: run command.genia-build → exit 0 (1m 1s)
    ✓ disable        done in 1m 2s
    · by-hand        not needed: disable has done it
    ? tell           WAITS for a person to say yes
    · tell           to do
    … tell           under way
    … tell           under way: send "Conector facebook desactivado temporalmente" through notify.genia-users …
    … tell           under way: send "Conector facebook desactivado temporalmente" through notify.genia-users → sent (310 ms)
    … tell           under way: send "Conector facebook desactivado temporalmente" through notify.genia-administrators …
    … tell           under way: send "Conector facebook desactivado temporalmente" through notify.genia-administrators → NOT SENT: mail.example.org: 550 no such user (95 ms)
    ✓ tell           done in 410 ms
    … staging-works  is checked
    … staging-works  is checked: run command.genia-smoke → exit 1 OK (12 ms)
    ✗ staging-works  did NOT pass: it exited with 1 instead of 0: \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
    … staging-works  is checked at try 2
    … staging-works  is checked at try 2: run command.genia-smoke → exit 1 OK (12 ms)
    ✗ staging-works  did NOT pass at try 2: it exited with 1 instead of 0: \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
    … disable        is being taken back
    … disable        is being taken back: restore src/lib/connectors/facebook.ts from HEAD in git.genia …
    … disable        is being taken back: restore src/lib/connectors/facebook.ts from HEAD in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
    … disable        is being taken back: POST /connectors/facebook/enable on http.genia-admin …
    … disable        is being taken back: POST /connectors/facebook/enable on http.genia-admin → 200 (34 ms)
    ↶ disable        taken back in 43 ms
    "##);
}

#[test]
fn this_is_what_people_read() {
    insta::assert_snapshot!(narrated(&undone()), @r##"
    18:03:12  run            20261122-180312-k7qm begins: genia-connector on genia/connectors/facebook, approved by Andrea
    18:03:12  disable        begins
    18:03:12  disable        show src/lib/connectors/facebook.ts from v1.4.2 in git.genia → 10 bytes (12 ms)
    18:03:12  disable        GET /connectors/facebook on http.genia-admin → 200 (12 ms)
    18:03:12  disable        disabling connector facebook \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
    18:03:13  disable        IN DOUBT whether it happened: POST /connectors/facebook/disable on http.genia-admin (the connection was cut after 1.2 s, before a complete answer)
    18:03:13  disable        the plugin looks what became of POST /connectors/facebook/disable on http.genia-admin
    18:03:13  disable        GET /connectors/facebook on http.genia-admin → 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK (12 ms)
    18:03:13  disable        settled: POST /connectors/facebook/disable on http.genia-admin: it happened (200); the plugin looked at the target
    18:03:13  disable        restore src/lib/connectors/facebook.ts from 9c1f0d2 in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
    18:03:13  disable        run command.genia-build …
    18:04:14  disable        run command.genia-build → exit 0 (1m 1s)
    18:04:14  disable        done in 1m 2s
    18:04:14  tell           WAITS for a person: Tell all users that facebook is off? (answer with `ripcord approve 20261122-180312-k7qm tell`, before 18:13:12)
    18:04:34  tell           yes, says Andrea
    18:04:34  tell           begins
    18:04:34  tell           send "Conector facebook desactivado temporalmente" through notify.genia-users → sent (310 ms)
    18:04:34  tell           send "Conector facebook desactivado temporalmente" through notify.genia-administrators → NOT SENT: mail.example.org: 550 no such user (95 ms)
    18:04:34  tell           done in 410 ms
    18:04:39  staging-works  is checked
    18:04:39  staging-works  run command.genia-smoke → exit 1 OK (12 ms)
    18:04:39  staging-works  did NOT pass: it exited with 1 instead of 0: \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
    18:04:44  staging-works  is checked again (2)
    18:04:44  staging-works  run command.genia-smoke → exit 1 OK (12 ms)
    18:04:44  staging-works  did NOT pass: it exited with 1 instead of 0: \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
    18:04:44  run            HALTED: verification staging-works: it exited with 1 instead of 0
    18:06:14  run            Andrea asks to take back what was done
    18:06:14  run            process 4301 on genia-ops goes on; process 4242 is gone
    18:06:14  disable        is being taken back
    18:06:14  disable        restore src/lib/connectors/facebook.ts from HEAD in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
    18:06:14  disable        POST /connectors/facebook/enable on http.genia-admin → 200 (34 ms)
    18:06:14  disable        taken back in 43 ms
    18:06:14  run            UNDONE: what had been done was taken back
    "##);
    insta::assert_snapshot!(narrated(&halted()).lines().last().unwrap(), @"18:03:13  run            HALTED: did it happen? POST /connectors/facebook/disable on http.genia-admin (answer with `ripcord resolve 20261122-180312-k7qm 1.3 --happened`, `--did-not-happen` or `--unknowable`)");
    insta::assert_snapshot!(shown(&undone()), @r##"
    Run 20261122-180312-k7qm: UNDONE
      what had been done was taken back

      plan        genia-connector (plans/genia-connector.toml,
                  sha256:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525)
      target      genia/connectors/facebook
      parameters  connector = facebook, version = v1.4.2
      started     2026-11-22 18:03:12 +00:00, ended after 3m 2s
      approved    by Andrea, sha256:5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092
      carried     by process 4301 on genia-ops (ripcord 0.1.0), after 1 other

    ↶ disable        taken back in 43 ms
        1.1  reads   show src/lib/connectors/facebook.ts from v1.4.2 in git.genia → 10 bytes (12 ms)
        1.2  reads   GET /connectors/facebook on http.genia-admin → 200 (12 ms)
        1.3  CHANGE  POST /connectors/facebook/disable on http.genia-admin → 200 (found out later)
        1.4  CHANGE  restore src/lib/connectors/facebook.ts from 9c1f0d2 in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
        1.5  CHANGE  run command.genia-build → exit 0 (1m 1s)
        what became of 1.3? The plugin looked:
        2.0  reads   GET /connectors/facebook on http.genia-admin → 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK (12 ms)
        taking it back:
        6.0  CHANGE  restore src/lib/connectors/facebook.ts from HEAD in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
        6.1  CHANGE  POST /connectors/facebook/enable on http.genia-admin → 200 (34 ms)

    · by-hand        not needed: disable has done it

    ✓ tell           done in 410 ms
        3.0  CHANGE  send "Conector facebook desactivado temporalmente" through notify.genia-users → sent (310 ms)
        3.1  CHANGE  send "Conector facebook desactivado temporalmente" through notify.genia-administrators → NOT SENT: mail.example.org: 550 no such user (95 ms)

    ✗ staging-works  did NOT pass at try 2: it exited with 1 instead of 0:
                     \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}
                     OK
        5.0  reads   run command.genia-smoke → exit 1 OK (12 ms)

    Gates
      - before step tell: Tell all users that facebook is off? yes, says Andrea

    Doubts
      - 1.3 POST /connectors/facebook/disable on http.genia-admin: the connection was cut after 1.2 s,
        before a complete answer → it happened (200); the plugin looked at the target

    Left to do
      - Tell them yourself, the notice has not gone out: send "Conector facebook desactivado
        temporalmente" through notify.genia-administrators (mail.example.org: 550 no such user).

    44 events, the last of them is sha256:9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d
    "##);
    insta::assert_snapshot!(shown(&failed_check()), @r##"
    Run 20261122-180312-k7qm: HALTED
      verification staging-works: it exited with 1 instead of 0

      plan        genia-connector (plans/genia-connector.toml,
                  sha256:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525)
      target      genia/connectors/facebook
      parameters  connector = facebook, version = v1.4.2
      started     2026-11-22 18:03:12 +00:00, ended after 1m 32s
      approved    by Andrea, sha256:5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092
      carried     by process 4242 on genia-ops (ripcord 0.1.0)

    ✓ disable        done in 1m 2s
        1.1  reads   show src/lib/connectors/facebook.ts from v1.4.2 in git.genia → 10 bytes (12 ms)
        1.2  reads   GET /connectors/facebook on http.genia-admin → 200 (12 ms)
        1.3  CHANGE  POST /connectors/facebook/disable on http.genia-admin → 200 (found out later)
        1.4  CHANGE  restore src/lib/connectors/facebook.ts from 9c1f0d2 in git.genia → 1 path changed, HEAD is 77aa001 (4 ms)
        1.5  CHANGE  run command.genia-build → exit 0 (1m 1s)
        what became of 1.3? The plugin looked:
        2.0  reads   GET /connectors/facebook on http.genia-admin → 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK (12 ms)

    · by-hand        not needed: disable has done it

    ✓ tell           done in 410 ms
        3.0  CHANGE  send "Conector facebook desactivado temporalmente" through notify.genia-users → sent (310 ms)
        3.1  CHANGE  send "Conector facebook desactivado temporalmente" through notify.genia-administrators → NOT SENT: mail.example.org: 550 no such user (95 ms)

    ✗ staging-works  did NOT pass at try 2: it exited with 1 instead of 0:
                     \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}
                     OK
        5.0  reads   run command.genia-smoke → exit 1 OK (12 ms)

    Gates
      - before step tell: Tell all users that facebook is off? yes, says Andrea

    Doubts
      - 1.3 POST /connectors/facebook/disable on http.genia-admin: the connection was cut after 1.2 s,
        before a complete answer → it happened (200); the plugin looked at the target

    Left to do
      - What was done is still done (disable). `ripcord undo 20261122-180312-k7qm` takes it back; else
        go on by hand.
      - Tell them yourself, the notice has not gone out: send "Conector facebook desactivado
        temporalmente" through notify.genia-administrators (mail.example.org: 550 no such user).
      - Commit what was restored in git.genia, it is only in the working copy:
        src/lib/connectors/facebook.ts.

    35 events, the last of them is sha256:9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d
    "##);
    insta::assert_snapshot!(shown(&halted()), @r##"
    Run 20261122-180312-k7qm: HALTED
      it waits for a person's answer

      plan        genia-connector (plans/genia-connector.toml,
                  sha256:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525)
      target      genia/connectors/facebook
      parameters  connector = facebook, version = v1.4.2
      started     2026-11-22 18:03:12 +00:00, last heard of after 1.2 s
      approved    by Andrea, sha256:5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092
      carried     by process 4242 on genia-ops (ripcord 0.1.0)

    ? disable        WAITS for a person to say what became of a call
        1.1  reads   show src/lib/connectors/facebook.ts from v1.4.2 in git.genia → 10 bytes (12 ms)
        1.2  reads   GET /connectors/facebook on http.genia-admin → 200 (12 ms)
        1.3  CHANGE  POST /connectors/facebook/disable on http.genia-admin → no answer is known (yet)
        what became of 1.3? The plugin looked:
        2.0  reads   GET /connectors/facebook on http.genia-admin → 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK (12 ms)

    · by-hand        only if disable fails

    · tell           to do

    · staging-works  to be checked

    Doubts
      - 1.3 POST /connectors/facebook/disable on http.genia-admin: the connection was cut; the service
        answers 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}
        OK → open

    Left to do
      - Find out whether this happened: POST /connectors/facebook/disable on http.genia-admin. Then
        `ripcord resolve 20261122-180312-k7qm 1.3` with `--happened`, `--did-not-happen` or
        `--unknowable`.
      - Then `ripcord resume 20261122-180312-k7qm`, unless a process still carries the run.

    14 events, the last of them is sha256:9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d
    "##);
    insta::assert_snapshot!(asked(), @r##"
    Did this happen? POST /connectors/facebook/disable on http.genia-admin

      call  1.3 of run 20261122-180312-k7qm, for role admin
      sent  2026-11-22 18:03:12 +00:00; no reply came that tells whether it happened
      seen  the connection was cut; the service answers 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is
            `on` | *really*\u{202e}
            OK
      look  in the service behind http.genia-admin: is what POST /connectors/facebook/disable does
            already so, or does its own log show the request?

    Answer with what you have seen at the target, not with what you hope:
      it happened
        ripcord resolve 20261122-180312-k7qm 1.3 --happened
        The run goes on as if the reply had come: 200.
      it did not, and will not
        ripcord resolve 20261122-180312-k7qm 1.3 --did-not-happen
        The run sends it again, if it still goes that way.
      it can't be found out
        ripcord resolve 20261122-180312-k7qm 1.3 --unknowable
        The plugin is told so. Most fail then, and it counts as something that may have changed.
    "##);
    insta::assert_snapshot!(gate(&run_id(), &fixture::gate(), &style()), @r##"
    A person has to say yes: Tell all users that facebook is off?

      before   step tell
      expires  2026-11-22 18:13:12 +00:00; no answer until then counts as no
      yes      ripcord approve 20261122-180312-k7qm tell
      no       ripcord approve 20261122-180312-k7qm tell --no
    "##);
    insta::assert_snapshot!(runs(&outlines(), &style()), @r##"
    RUN                   PLAN             TARGET            STATE             SINCE             PROCESS
    20261123-180312-cccc  genia-connector  東京/コネクタ/…   asks about 1.3    2026-11-22 18:03  4242
    20261123-200000-eeee  genia-connector  genia/connector…  running           2026-11-22 18:03  4242
    20261123-190000-dddd  genia-connector  genia/connector…  cut off           2026-11-22 18:03  none
    20261122-180312-k7qm  genia-connector  genia/connector…  undone            2026-11-22 18:06
    20261120-030000-bbbb                                     DAMAGED: there …
    "##);
    insta::assert_snapshot!(inspected(), @r##"
    connector-disable 0.1.0: Roll one connector back
    an action that can take back what it did
    sha256:5e689e2b01672bf33996e75d5e372ff60c536ce1599a1458e867cd8f4bef5160

      Disables the connector, restores its code from a version, commits it, pushes it if asked, builds
      and deploys. What already is so is left alone.

    Can reach git, http, log. Whatever a plan or your ripcord.toml says, it can't reach anything else.

    Roles, to bind to connections of your ripcord.toml
      admin  http  reads and CHANGES  to disable the connector, and to enable it again in an undo
      log    git   reads              to know the version (may be left out)

    Parameters, for `with`
      connector  text           required. The connector's name. It stands for `{connector}` in the other
                                parameters. Has to match ^[a-z][a-z0-9-]*$.
      version    text           required. The tag, branch or commit whose code of the connector is good.
      commit     true or false  default true. Commits the code that was rolled back.
      disable    text           default "/connectors/{connector}/disable". Where a POST disables the
                                connector. Has to match ^/.
      enable     text           default "/connectors/{connector}/enable". Where a POST enables it again:
                                for the undo. Has to match ^/.
      enabled    text           default "/enabled". The JSON pointer of that answer's boolean: true
                                while the connector is enabled. Has to match ^/.
      message    text           default "Roll connector {connector} back to {version}". The commit's
                                message; `{version}` stands for the version.
      path       text           default "src/lib/connectors/{connector}.ts". The connector's code in the
                                working copy.
      push       text           optional. Pushes the commit to this branch of the remote, which has to
                                be at the working copy's commit before.
      redeploy   true or false  default true. Build and deploy even if the code already is at the
                                version: what is deployed may be another one, for one after a run that
                                failed at the build.
      state      text           optional. Where a GET tells whether the connector is enabled, like
                                `/connectors/{connector}`. Without it a disabling whose reply is lost is
                                a question to a person, and a connector that already is disabled is
                                disabled once more. Has to match ^/.
    "##);
    insta::assert_snapshot!(compared(), @r##"
      1  disable  6 calls     the same
      2  disable  1 call      the same
      3  tell     1 call      DIFFERENT
         call 3.0 diverges from the journal
           recorded: POST /a
           now:      POST /b

    1 of 3 executions did something else than the journal says. Nothing was reached. The plugin, its
    configuration or ripcord is not what it was, or the plugin depends on something that is not
    recorded.
    "##);
    let ended =
        outlines().into_iter().map(|line| line.standing).find(|standing| matches!(standing, Standing::Ended(_)));
    assert_eq!(ended, Some(Standing::Ended(RunOutcome::Undone)));
}
