//! A preview as people see it: with a gate, a fallback, an undo, a step that fails, and checks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use super::super::fixture::{self, EVIL, style};
use super::super::preview_json;
use super::*;
use crate::capability::{Call, Capped, Changed, Detail, Exactly, Repeat, Reply, Version, git, http};
use crate::id::Digest;
use crate::journal::{GoodState, Level, Listed, Outcome, Request};
use crate::manifest::Access;
use crate::pipeline::{Asked, Assumed, HOLE, Mutation, Previewed};
use crate::runner::{BoundRole, Finding};

const CODE: &str = "src/lib/connectors/facebook.ts";
const GOOD: &str = "9c1f0d2ab54e0f0b7c7e9b6f6d1f6a0c5b4e3d21";
const BAD: &str = "77aa00112233445566778899aabbccddeeff0011";

fn asked(request: Request) -> Asked {
    Asked { shown: serde_json::to_value(&request).unwrap(), summary: request.call.summary(), request }
}

fn read(request: Request, outcome: Outcome) -> Previewed {
    Previewed::Read { asked: asked(request), outcome }
}

fn mutation(request: Request, exactly: Exactly) -> Mutation {
    let listed = Listed {
        connection: request.connection.clone(),
        operation: request.call.operation().to_owned(),
        target: request.call.target(),
    };
    let (repeat, deadline) = (Repeat::Once, Duration::from_secs(15));
    Mutation { asked: asked(request), listed, exactly, detail: None, repeat, deadline, assumed: None }
}

fn previewed(mutation: Mutation) -> Previewed {
    Previewed::Mutation(Box::new(mutation))
}

fn assumed(reply: Reply) -> Option<Assumed> {
    Some(Assumed { shown: serde_json::to_value(&reply).unwrap(), reply })
}

fn status(status: u16) -> Reply {
    Reply::Http(http::Reply { status, headers: vec![], body: "".into(), ..http::Reply::default() })
}

fn says(message: &str) -> Previewed {
    Previewed::Says { level: Level::Info, message: message.into() }
}

fn switch(path: &str) -> Mutation {
    let exactly = Exactly::new(format!("POST https://api.genia.example/admin{path}"));
    let sent = mutation(fixture::http("POST", path), exactly.with("login", "bearer, secret admin"));
    Mutation { assumed: assumed(status(200)), ..sent }
}

fn patch() -> Mutation {
    let mut request = fixture::http("PATCH", "/connectors/facebook");
    if let Call::Http(call) = &mut request.call {
        call.headers = vec![("x-reason".into(), "rollback".into())];
        call.body = Some(r#"{"reason":"rollback"}"#.into());
    }
    let exactly = Exactly::new("PATCH https://api.genia.example/admin/connectors/facebook")
        .with("login", "bearer, secret admin")
        .with("header", "x-reason: rollback")
        .with("body", "{\n  \"reason\": \"rollback\"\n}");
    Mutation { repeat: Repeat::Keyed("rollback-1".into()), assumed: assumed(status(204)), ..mutation(request, exactly) }
}

fn version(name: &str, title: &str, at: &str) -> Version {
    Version { name: name.into(), title: title.into(), by: "Marta Vidal".into(), at: Some(at.parse().unwrap()) }
}

fn restore() -> Mutation {
    let call = git::Call::Restore { revision: GOOD.into(), paths: vec![CODE.into()] };
    let exactly = Exactly::new(format!("restore {CODE} from {GOOD}")).with("in", "/srv/genia");
    let bad = format!("commit {BAD} (v1.5.0)");
    let detail = Detail {
        restores: Some(version(&format!("commit {GOOD} (v1.4.2)"), "Publish on pages", "2026-11-10T14:03:22Z")),
        notes: vec!["14 commits behind HEAD (main)".into()],
        changes: Capped::of([Changed { name: CODE.into(), change: "modified".into(), counts: Some((12, 3)) }], 20),
        takes_back: Capped { first: vec![version(&bad, "Tidy up the parameters", "2026-11-21T09:00:00Z")], more: 3 },
        obstacle: Some(format!("there are local changes in {CODE}, and ripcord does not write over them")),
    };
    let moved = git::Moved { head: BAD.into(), previous: BAD.into(), changed: vec![CODE.into()] };
    let assumed = assumed(Reply::Git(git::Reply::Moved(moved)));
    let restore = mutation(fixture::git(call), exactly);
    Mutation { detail: Some(detail), repeat: Repeat::Idempotent, assumed, ..restore }
}

fn push() -> Mutation {
    let call = git::Call::Push { revision: "0".repeat(40), branch: "main".into(), lease: Some(BAD.into()) };
    let exactly = Exactly::new("push ‹assumed: commit id› to main of origin")
        .with("in", "/srv/genia")
        .with("only if", format!("main is still at {BAD} there"));
    let push = mutation(fixture::git(call), exactly);
    let listed = Listed { target: format!("main to {HOLE}"), ..push.listed.clone() };
    Mutation { listed, ..push }
}

fn build() -> Mutation {
    let exactly = Exactly::new("/usr/bin/npm run build").with("in", "/srv/genia").with("env", "TOKEN (secret npm)");
    Mutation { deadline: Duration::from_secs(607), ..mutation(fixture::program("build"), exactly) }
}

fn notice(channel: &str) -> Previewed {
    let request = fixture::notice(channel);
    let Call::Notify(call) = request.call.clone() else { unreachable!() };
    let exactly = Exactly::new("mail through mail.genia.example:587")
        .with("from", "ripcord@genia.example")
        .with("to", format!("{channel}@genia.example"))
        .with("subject", call.subject)
        .with("text", format!("{}\nIncidencia: ‹run id›\n", call.text));
    previewed(mutation(request, exactly))
}

fn plugin(name: &str, title: &str, description: &str, binds: &[(&str, &str, &str)]) -> PreviewedPlugin {
    let bound = |&(role, connection, place): &(&str, &str, &str)| BoundRole {
        role: role.into(),
        connection: connection.into(),
        place: place.into(),
        access: Access::Write,
        reason: "to work on it".into(),
    };
    PreviewedPlugin {
        plugin: format!("{name} 0.1.0"),
        title: title.into(),
        description: description.into(),
        binds: binds.iter().map(bound).collect(),
        timeout: Duration::from_secs(300),
    }
}

fn steps() -> Vec<PreviewedStep> {
    let step = |id: &str, plugin| PreviewedStep {
        id: id.into(),
        plugin,
        fallback: None,
        gate: None,
        on_failure: OnFailure::Halt,
        can_undo: true,
        attempts: 3,
    };
    let gate = |ask: &str, expires| Some(PreviewedGate { ask: ask.into(), expires });
    let admin = ("admin", "http.genia-admin", "https://api.genia.example/admin");
    let genia = ("code", "git.genia", "/srv/genia, remote origin: git@git.genia.example:genia.git");
    let build = ("build", "command.genia-build", "npm run build in /srv/genia");
    let does = "Disables the connector, restores its code from a version, commits it, builds and deploys.";
    let disable = plugin("connector-disable", "Roll one connector back", does, &[admin, genia, build]);
    let by_hand = plugin("connector-delete", "Delete a connector", "Deletes it.", &[admin]);
    let users = ("users", "notify.genia-users", "mail to users@genia.example through mail.genia.example:587");
    let tell = plugin("notify-people", "Tell people", "Sends one notice to each channel.", &[users]);
    vec![
        step("disable", disable),
        PreviewedStep {
            fallback: Some("disable".into()),
            gate: gate("Did disabling fail, and is somebody at the console?", Some(Duration::from_secs(600))),
            can_undo: false,
            ..step("by-hand", by_hand)
        },
        PreviewedStep {
            gate: gate("Tell all users that facebook is off?", None),
            can_undo: false,
            ..step("tell", tell)
        },
    ]
}

fn checks() -> Vec<PreviewedCheck> {
    let service = ("service", "http.genia-admin", "https://api.genia.example/admin");
    let check = |id: &str, expect: Option<&str>, within, outcome, summary: &str| PreviewedCheck {
        probe: None,
        id: id.into(),
        plugin: plugin("http-check", "HTTP check", "Sends one GET and compares the status.", &[service]),
        expect: expect.map(str::to_owned),
        within: Duration::from_secs(within),
        every: Duration::from_secs(10),
        now: Some(Finding { outcome, summary: summary.into() }),
    };
    let off = "GET /connectors/facebook answered 200; response.json.enabled == false does not hold";
    let unknown = "api.genia.example: connection refused";
    vec![
        check("is-off", Some("response.json.enabled == false"), 120, CheckOutcome::Fail, off),
        check("is-there", None, 0, CheckOutcome::Pass, "GET /health answered 200"),
        check("is-fast", None, 0, CheckOutcome::Inconclusive, unknown),
    ]
}

/// With a step that can be seen through to its end, and one after it.
pub(crate) fn report() -> PreviewReport {
    let branch = |step: &str, when, outlook, calls, end| Branch { step: step.into(), when, outlook, calls, end };
    let resolve = fixture::git(git::Call::Resolve { revision: "v1.4.2".into() });
    let state = fixture::http("GET", "/connectors/facebook");
    let enabled = || fixture::status(200, r#"{"enabled":true}"#);
    let first = vec![
        read(resolve, Ok(Reply::Git(git::Reply::Resolved(GOOD.into())))),
        read(state.clone(), enabled()),
        says("disabling connector facebook"),
        previewed(switch("/connectors/facebook/disable")),
        previewed(patch()),
        previewed(restore()),
        previewed(push()),
        previewed(build()),
    ];
    let off = Assumed { shown: json!({"http": {"status": 200, "body": "off"}}), reply: status(200) };
    let not_sent = Previewed::NotSent { asked: asked(state.clone()), assumed: off };
    let back = vec![not_sent.clone(), not_sent, previewed(switch("/connectors/facebook/enable"))];
    let why = "no rule of [http.genia-admin] allows DELETE /connectors/facebook\nallow it in ripcord.toml with\n    \
               write = [\"DELETE /connectors/facebook\"]";
    let denied = Previewed::Denied { asked: asked(fixture::http("DELETE", "/connectors/facebook")), why: why.into() };
    let failed = "denied: no rule of [http.genia-admin] allows DELETE /connectors/facebook";
    PreviewReport {
        plan: "genia-connector".into(),
        follow_up: None,
        plan_path: "plans/genia-connector.toml".into(),
        params: BTreeMap::from([("connector".into(), "facebook".into()), ("version".into(), "v1.4.2".into())]),
        operator_path: "/etc/ripcord.toml".into(),
        target: "genia/connectors/facebook".into(),
        good_states: vec![GoodState {
            run: "20261119-101500-k7qm".to_owned().into(),
            step: "disable".into(),
            at: fixture::at(-3 * 24 * 60 * 60 * 1_000),
            state: json!({ "version": "v1.4.1", "rows": 12 }),
        }],
        holds: vec!["target:genia/connectors/facebook".into(), "git:/srv/genia".into()],
        secrets: vec!["admin".into(), "npm".into()],
        binding: Digest::of(b"binding"),
        steps: steps(),
        branches: vec![
            branch(
                "disable",
                When::Always,
                Outlook::Taken,
                first,
                BranchEnd::Open("what follows depends on the reply to run".into()),
            ),
            branch("disable", When::Undone, Outlook::OnlyIf, back, BranchEnd::Whole),
            branch(
                "by-hand",
                When::InsteadOf("disable".into()),
                Outlook::OnlyIf,
                vec![denied],
                BranchEnd::Fails(failed.into()),
            ),
            branch(
                "tell",
                When::Always,
                Outlook::Taken,
                vec![notice("users"), notice("administrators")],
                BranchEnd::Whole,
            ),
        ],
        probing_triggers: vec![],
        checks: checks(),
        notices: Vec::new(),
    }
}

/// The first step fails as things are, its fallback does so too, and the last one is not reached.
fn failing() -> PreviewReport {
    let mut report = report();
    report.branches[0].end = BranchEnd::Fails("GET /connectors/facebook answered 404, expected 2xx".into());
    report.branches[0].calls.truncate(2);
    report.branches.remove(1);
    report.branches[1].outlook = Outlook::Taken;
    report.branches[2].outlook = Outlook::NotReached;
    report.checks.clear();
    report
}

/// What plugins and services say can't write on a terminal.
pub(crate) fn evil(style: &Style) -> String {
    let mut evil = report();
    evil.target = EVIL.to_owned();
    evil.steps[0].plugin.title = EVIL.to_owned();
    evil.steps[0].plugin.binds[0].place = EVIL.to_owned();
    evil.branches[0].end = BranchEnd::Fails(EVIL.to_owned());
    evil.branches[0].calls.push(says(EVIL));
    evil.branches[0].calls.push(read(fixture::http("GET", "/"), fixture::status(200, EVIL)));
    evil.checks[0].now = Some(Finding { outcome: CheckOutcome::Fail, summary: EVIL.to_owned() });
    preview(&evil, &View { verbose: true, ..View::default() }, style)
}

fn shown(report: &PreviewReport, width: usize) -> String {
    let view =
        View { run: Some("ripcord run plans/genia-connector.toml --approved sha256:…".into()), ..View::default() };
    preview(report, &view, &Style { width, ..style() })
}

#[test]
fn at_80_columns() {
    assert_snapshot!(shown(&report(), 80));
}

#[test]
fn on_a_phone() {
    assert_snapshot!(shown(&report(), 40));
}

#[test]
fn a_step_that_fails_as_things_are() {
    assert_snapshot!(shown(&failing(), 80));
}

#[test]
fn for_programs() {
    assert_snapshot!(serde_json::to_string_pretty(&preview_json(&report(), Some("ripcord run …"))).unwrap());
    let preview = preview_json(&failing(), None);
    assert_eq!(
        preview["changes"],
        json!({ "always": 0, "only-if": 0, "not-reached": 2, "probes": 0, "connections": {} })
    );
    assert_eq!(preview["approval"], json!(failing().digest()));
}

/// Only what is exact, a path or a command that somebody may have to copy, is ever wider than the page,
/// and on a phone not even that.
#[test]
fn what_is_not_exact_keeps_to_the_width() {
    for width in [40, 60, 80, 120] {
        for line in shown(&report(), width).lines().filter(|line| super::super::text::width(line) > width) {
            let is_command = line.starts_with("ripcord run ") || line.starts_with("approval: ");
            assert!(is_command || (width >= 60 && line.split_whitespace().count() == 1), "{width}: {line}");
        }
    }
}

#[test]
fn whoever_is_there_reads_how_long_ago_it_was_and_a_file_does_not() {
    let now = Some("2026-11-22T18:03:12Z".parse().unwrap());
    let read = |view| preview(&report(), &view, &style());
    let (there, elsewhere) = (read(View { now, ..View::default() }), read(View::default()));
    assert!(there.contains("2026-11-10 14:03:22 +00:00, 12 days ago"), "{there}");
    assert!(!elsewhere.contains(" ago"), "{elsewhere}");
}

#[test]
fn verbose_shows_whole_what_the_reads_answered() {
    let view = View { verbose: true, ..View::default() };
    let shown = preview(&report(), &view, &style());
    assert!(shown.contains("answer:") && shown.contains("\"enabled\": true"), "{shown}");
}
