#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::diagnostic::Diagnostics;
use crate::journal::{Then, TriggerShape};
use crate::manifest::{Access, Kind, Manifest, Role};
use crate::operator::Operator;

const GENIA: &str = include_str!("../../../plans/genia-connector.toml");

const HEAD: &str = "name = \"x\"\ntarget = \"x\"\n";

/// What is wrong with a plan that has a head and these lines.
fn wrong(lines: &str) -> String {
    match Plan::parse("plan.toml", &format!("{HEAD}{lines}")) {
        Ok(plan) => panic!("nothing is wrong with {plan:?}"),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

fn plan(lines: &str) -> Plan {
    Plan::parse("plan.toml", &format!("{HEAD}{lines}")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn the_plan_for_a_genia_connector_is_sound() {
    let plan = Plan::parse("plans/genia-connector.toml", GENIA).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(plan.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(), ["disable"]);
    let notices = plan.notices.iter().map(|notice| notice.id.as_str());
    assert_eq!(notices.collect::<Vec<_>>(), ["tell-begin", "tell-end", "tell-stop"]);
    assert_eq!(plan.timeout, Duration::from_secs(30 * 60));
    let params = resolve_params(&plan, &[given("connector", "facebook"), given("version", "v1.4.2")]).unwrap();
    let scope = Scope {
        params,
        run: Some(RunFacts { id: "r1".into(), target: "t".into(), ..RunFacts::default() }),
        ..Scope::default()
    };
    assert_eq!(plan.target_for(&scope.params).unwrap(), "genia/connectors/facebook");
    let with = render(&plan.step("disable").unwrap().with, &scope).unwrap();
    assert_eq!(with["path"], "src/lib/connectors/facebook.ts");
    assert_eq!(with["commit"], true);
    let incident = Some(IncidentFacts { decided_by: "Ana".into(), ..IncidentFacts::default() });
    let run = RunFacts { state: Some("undone".into()), why: Some("so".into()), ..scope.run.clone().unwrap() };
    let told = Scope { run: Some(run), people: plan.people.clone(), incident, ..scope.clone() };
    let subject = |notice: usize| render(&plan.notices[notice].with, &told).unwrap()["subject"].clone();
    assert_eq!(subject(1), "Conector facebook desactivado temporalmente");
    assert_eq!(subject(2), "Conector facebook: el rollback se ha deshecho");
    let begins = render(&plan.notices[0].with, &told).unwrap()["text"].clone();
    let ends = "Motivo: so.\nCoordina: nadie todavía. Lo ha decidido Ana.";
    assert!(begins.as_str().unwrap().ends_with(ends), "{begins}");
    assert!(
        plan.verify[0]
            .expect
            .as_ref()
            .unwrap()
            .evaluate(&scope.with_evidence(&json!({ "response": { "json": { "enabled": false } } })))
            .unwrap()
    );
    let shape = plan.shape(|id| id == "disable");
    assert!(shape.steps[0].can_undo);
    assert_eq!((shape.verify[0].within_ms, shape.verify[0].every_ms), (120_000, 10_000));
}

#[test]
fn a_plan_with_everything_in_it_keeps_its_shape() {
    let plan = plan(
        r#"
        on-failure = "undo"
        [[step]]
        id = "redeploy"
        use = "plugins/redeploy.wasm@sha256:0101010101010101010101010101010101010101010101010101010101010101"
        gate = { ask = "Redeploy for {{ people.coordinator }}?", expires = "10m" }
        [[step]]
        id = "by-hand"
        use = "manual-restore"
        fallback = "redeploy"
        retry = { attempts = 1 }
        on-failure = "halt"
        [[step]]
        id = "tell"
        use = "notify-people"
        with = { text = "now at {{ steps.redeploy.receipt.version }}", all = "{{ steps['redeploy'].receipt }}" }
        [[verify]]
        id = "version"
        use = "http-check"
        expect = "response.json.version == steps.redeploy.receipt.version"
        [people]
        coordinator = "Ana"
        "#,
    );
    let shape = plan.shape(|_| true);
    let steps: Vec<_> =
        shape.steps.iter().map(|s| (s.id.as_str(), s.fallback.as_deref(), s.gate, s.on_failure)).collect();
    assert_eq!(
        steps,
        [
            ("redeploy", None, true, OnFailure::Undo),
            ("by-hand", Some("redeploy"), false, OnFailure::Halt),
            ("tell", None, false, OnFailure::Undo),
        ]
    );
    assert!(matches!(&plan.steps[0].uses, Uses::File { path, .. } if path.ends_with("plugins/redeploy.wasm")));
    assert_eq!(plan.steps[1].retry, Retry { attempts: 1, backoff: Duration::from_secs(1) });
}

#[test]
fn triggers_have_argo_s_defaults_and_the_window_half_an_hour() {
    let step = "[[step]]\nid = \"a\"\nuse = \"x\"\n";
    let sparse = plan(&format!("{step}[[trigger]]\nid = \"t\"\nuse = \"x\"\ntitle = \"so\""));
    let shape = sparse.watch_shape(None).unwrap();
    assert_eq!((shape.window_ms, shape.then, shape.expires_ms), (1_800_000, Then::Ask, None));
    let TriggerShape { interval_ms, initial_delay_ms, count, .. } = shape.triggers[0];
    assert_eq!((interval_ms, initial_delay_ms, count), (30_000, 0, None));
    let TriggerShape { failure_limit, inconclusive_limit, consecutive_error_limit, .. } = shape.triggers[0];
    assert_eq!((failure_limit, inconclusive_limit, consecutive_error_limit), (0, 0, 4));
    assert_eq!(sparse.triggers[0].timeout, Duration::from_secs(60));
    assert_eq!(sparse.shape(|_| false).watch, None, "only `watch` watches");

    let full = plan(&format!(
        r#"{step}
        [watch]
        window = "10m"
        then = "run"
        [[trigger]]
        id = "t"
        use = "x"
        title = " Crash Loop "
        severity = "SEV1"
        expect = "params.x == run.id"
        interval = "5s"
        initial-delay = "1m"
        count = 10
        failure-limit = 3
        inconclusive-limit = 2
        consecutive-error-limit = 1
        timeout = "20s"
        [params.x]
        "#
    ));
    let trigger = TriggerShape {
        id: "t".into(),
        title: "Crash Loop".into(),
        severity: Some("SEV1".into()),
        interval_ms: 5_000,
        initial_delay_ms: 60_000,
        count: Some(10),
        failure_limit: 3,
        inconclusive_limit: 2,
        consecutive_error_limit: 1,
    };
    let shape = full.watch_shape(None).unwrap();
    assert_eq!((shape.window_ms, shape.then, shape.triggers), (600_000, Then::Run, vec![trigger]));
    assert_eq!(full.triggers[0].timeout, Duration::from_secs(20));
    assert_eq!(full.watch_shape(Some(Duration::from_secs(120))).unwrap().window_ms, 120_000);
    for (window, wrong) in [
        (999, "a window of 999ms is too short; it may be 1s to 1day"),
        (25 * 60 * 60 * 1_000, "a window of 1day 1h is too long; it may be 1s to 1day"),
        (60_000, "in a window of 1m trigger t would never be measured: its first measurement comes after 1m"),
    ] {
        assert_eq!(full.watch_shape(Some(Duration::from_millis(window))).unwrap_err().to_string(), wrong);
    }
}

#[test]
fn what_could_never_trip_is_a_mistake() {
    let step = "[[step]]\nid = \"a\"\nuse = \"x\"\n";
    let trigger = |lines: &str| wrong(&format!("{step}[[trigger]]\nid = \"t\"\nuse = \"x\"\ntitle = \"so\"\n{lines}"));
    assert_snapshot!(trigger("count = 3\nfailure-limit = 3"), @r"
    error: it can never trip: 3 failures are allowed in 3 measurements
      --> plan.toml:11:17
       |
    11 | failure-limit = 3
       |                 ^

    hint: it trips with one failure more than `failure-limit`: write less, or a higher `count`
    ");
    assert_snapshot!(trigger("count = 0"), @r"
    error: 0 measurements say nothing
      --> plan.toml:10:9
       |
    10 | count = 0
       |         ^

    hint: take `count` out to measure until the window is over
    ");
    assert_snapshot!(trigger("initial-delay = \"30m\""), @r#"
    error: it would never be measured: the window is over by then
      --> plan.toml:10:17
       |
    10 | initial-delay = "30m"
       |                 ^^^^^

    hint: the window is 30m; write less, or a longer one in `[watch]`
    "#);
    assert_snapshot!(trigger("expect = \"steps.a.receipt.x == 1\""), @r#"
    error: step `a` has no receipt here
      --> plan.toml:10:11
       |
    10 | expect = "steps.a.receipt.x == 1"
       |           ^^^^^^^^^^^^^^^^^

    hint: a trigger is measured before any step runs
    "#);
    assert_snapshot!(trigger("interval = \"10ms\"\nfailure-limit = -1"), @r"
    error: expected a whole number that is not negative, and not so large, found a negative number
      --> plan.toml:11:17
       |
    11 | failure-limit = -1
       |                 ^^
    ");
    assert_snapshot!(wrong(&format!("{step}[[trigger]]\nid = \"t\"\nuse = \"x\"")), @r#"
    error: `title` is missing
     --> plan.toml:6:1
      |
    6 | [[trigger]]
      | ^^^^^^^^^^^

    hint: add  title = "the condition that it stands for, in your people's words"
    "#);
    assert_snapshot!(wrong(&format!("{step}[[trigger]]\nid = \"a\"\nuse = \"x\"\ntitle = \" \"")), @r#"
    error: there is already a step, a check, a trigger, a follow-up or a notice `a`
     --> plan.toml:7:6
      |
    7 | id = "a"
      |      ^^^

    hint: give each one a name of its own

    error: `title` is empty
     --> plan.toml:9:9
      |
    9 | title = " "
      |         ^^^

    hint: write the condition that it stands for, in the words of the people who have to decide
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"watch\"\nuse = \"x\""), @r#"
    error: `watch` can't be a name here: the gate behind a trigger is called so
     --> plan.toml:4:6
      |
    4 | id = "watch"
      |      ^^^^^^^

    hint: give it another name
    "#);
    assert_snapshot!(wrong(&format!("{step}[watch]\nwindow = \"5m\"")), @r"
    error: `[watch]` says nothing without a trigger
     --> plan.toml:6:2
      |
    6 | [watch]
      |  ^^^^^

    hint: add one: `[[trigger]]`; or take `[watch]` out
    ");
    let watch = "[[trigger]]\nid = \"t\"\nuse = \"x\"\ntitle = \"so\"\n[watch]\nwindow = \"2d\"\nthen = \"run\"\nexpires = \"5m\"";
    assert_snapshot!(wrong(&format!("{step}{watch}")), @r#"
    error: `window` is too long
      --> plan.toml:11:10
       |
    11 | window = "2d"
       |          ^^^^

    hint: it may be 1s to 1day

    error: `expires` says nothing where nobody is asked
      --> plan.toml:13:11
       |
    13 | expires = "5m"
       |           ^^^^

    hint: take `expires` out, or write `then = "ask"`
    "#);
    assert_snapshot!(wrong(&format!("{step}{}", watch.replace("\"run\"", "\"go\"").replace("2d", "2m"))), @r#"
    error: this is not one of the words known here
      --> plan.toml:12:8
       |
    12 | then = "go"
       |        ^^^^

    hint: known here: `ask`, `run`
    "#);
}

#[test]
fn a_mistake_is_shown_where_it_stands_with_what_to_write() {
    // Not TOML
    assert_snapshot!(wrong("[[step]\nid = \"a\""), @r#"
    error: this is not TOML: unclosed array table, expected `]`
     --> plan.toml:3:8
      |
    3 | [[step]
      |        ^
    "#);
    // A key that is nearly right
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nfalback = \"b\""), @r#"
    error: unknown key `falback`
     --> plan.toml:6:1
      |
    6 | falback = "b"
      | ^^^^^^^

    hint: did you mean `fallback`?
    "#);
    // A wrong type
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = [\"x\"]"), @r#"
    error: expected a string, found an array
     --> plan.toml:5:7
      |
    5 | use = ["x"]
      |       ^^^^^

    hint: put it in quotes
    "#);
    // Something is missing
    assert_snapshot!(wrong("[[step]]\nid = \"a\""), @r#"
    error: `use` is missing
     --> plan.toml:3:1
      |
    3 | [[step]]
      | ^^^^^^^^

    hint: add  use = "the-plugins-name"
    "#);
    // One bracket too few
    assert_snapshot!(wrong("[step]\nid = \"a\"\nuse = \"x\""), @r"
    error: `step` is a list of tables
     --> plan.toml:3:1
      |
    3 | [step]
      | ^^^^^^

    hint: write `[[step]]`, with two brackets, above each one
    ");
    // A word that is not known
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\non-failure = \"undoo\""), @r#"
    error: this is not one of the words known here
     --> plan.toml:6:14
      |
    6 | on-failure = "undoo"
      |              ^^^^^^^

    hint: did you mean `undo`?
    "#);
    // Two of one name
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\n[[verify]]\nid = \"a\"\nuse = \"x\""), @r#"
    error: there is already a step, a check, a trigger, a follow-up or a notice `a`
     --> plan.toml:7:6
      |
    7 | id = "a"
      |      ^^^

    hint: give each one a name of its own
    "#);
    // Fallbacks: to a later step, to an unknown one, and two of one step
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nfallback = \"b\"\n[[step]]\nid = \"b\"\nuse = \"x\""), @r#"
    error: step `b` stands below this one
     --> plan.toml:6:12
      |
    6 | fallback = "b"
      |            ^^^

    hint: move this step below `b`
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"deploy\"\nuse = \"x\"\n[[step]]\nid = \"b\"\nuse = \"x\"\nfallback = \"deplyo\""), @r#"
    error: there is no step `deplyo`
     --> plan.toml:9:12
      |
    9 | fallback = "deplyo"
      |            ^^^^^^^^

    hint: did you mean `deploy`?
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\n[[step]]\nid = \"b\"\nuse = \"x\"\nfallback = \"a\"\n[[step]]\nid = \"c\"\nuse = \"x\"\nfallback = \"a\""), @r#"
    error: step `a` has a fallback already: `b`
      --> plan.toml:13:12
       |
    13 | fallback = "a"
       |            ^^^

    hint: write `fallback = "b"` to run this one when that has failed as well
    "#);
    // Durations and numbers
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\ntimeout = \"5 minuts\""), @r#"
    error: `5 minuts` is no duration: write it like "30s", "5m" or "1h 30m"
     --> plan.toml:6:11
      |
    6 | timeout = "5 minuts"
      |           ^^^^^^^^^^
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\ntimeout = \"3days\"\nretry = { attempts = 11 }"), @r#"
    error: `timeout` is too long
     --> plan.toml:6:11
      |
    6 | timeout = "3days"
      |           ^^^^^^^

    hint: it may be 1s to 1day

    error: 11 attempts are out of range
     --> plan.toml:7:22
      |
    7 | retry = { attempts = 11 }
      |                      ^^

    hint: write 1 to 10; 1 is no second attempt
    "#);
    // Parameters
    assert_snapshot!(wrong("[params.version]\npattern = \"v[0-9\"\n[params.a]\ndefault = \"1\"\npattern = \"[a-z]+\"\n[[step]]\nid = \"a\"\nuse = \"x\""), @r#"
    error: this is no regular expression: unclosed character class
     --> plan.toml:4:11
      |
    4 | pattern = "v[0-9"
      |           ^^^^^^^

    error: the default of `a` does not match its pattern
     --> plan.toml:6:11
      |
    6 | default = "1"
      |           ^^^

    hint: the whole value has to match [a-z]+
    "#);
}

#[test]
fn a_name_that_nothing_answers_to_is_found_inside_the_text() {
    // Templates
    assert_snapshot!(wrong("[params.version]\n[[step]]\nid = \"a\"\nuse = \"x\"\nwith = { list = [{ to = \"back to {{ params.versoin }}\" }] }"), @r#"
    error: no parameter `versoin`
     --> plan.toml:7:37
      |
    7 | with = { list = [{ to = "back to {{ params.versoin }}" }] }
      |                                     ^^^^^^^^^^^^^^

    hint: did you mean `params.version`?
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nwith = { to = \"{{ params.version \" }"), @r#"
    error: this template can't be understood: unexpected end of input, expected end of variable block
     --> plan.toml:6:26
      |
    6 | with = { to = "{{ params.version " }
      |                          ^^^^^^^

    hint: write {{ params.NAME }} or {{ steps.ID.receipt.FIELD }}
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nwith = { to = \"{{ param.version }}\" }"), @r#"
    error: there is no `param` to fill in here
     --> plan.toml:6:19
      |
    6 | with = { to = "{{ param.version }}" }
      |                   ^^^^^

    hint: did you mean `params`?
    "#);
    // Receipts that are not there yet, never will be, or are another's
    assert_snapshot!(wrong("[[step]]\nid = \"re-do\"\nuse = \"x\"\n[[step]]\nid = \"b\"\nuse = \"x\"\nfallback = \"re-do\"\nwith = { to = \"{{ steps['re-do'].receipt.v }}\" }\n[[step]]\nid = \"c\"\nuse = \"x\"\nwith = { to = '''\n{{ steps.re-do.receipt.v }}\n{{ steps.b.receipt.v }} {{ steps[\"re-do\"].v }}'''}"), @r#"
    error: step `re-do` has no receipt here
      --> plan.toml:10:19
       |
    10 | with = { to = "{{ steps['re-do'].receipt.v }}" }
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^

    hint: this step runs only if that one ended without success

    error: no step `re` before this
      --> plan.toml:15:4
       |
    15 | {{ steps.re-do.receipt.v }}
       |    ^^^^^^^^

    hint: a name with a hyphen is written  steps["re-do"].receipt

    error: step `b` has no receipt here
      --> plan.toml:16:4
       |
    16 | {{ steps.b.receipt.v }} {{ steps["re-do"].v }}'''}
       |    ^^^^^^^^^^^^^^^^^

    hint: it may not run: write `steps["re-do"].receipt`, which is that of its stand-in then

    error: a step has no `v`, only a `receipt`
      --> plan.toml:16:28
       |
    16 | {{ steps.b.receipt.v }} {{ steps["re-do"].v }}'''}
       |                            ^^^^^^^^^^^^^^^^

    hint: write `steps["re-do"].receipt.v`
    "#);
    // Conditions
    assert_snapshot!(wrong("[[step]]\nid = \"deploy\"\nuse = \"x\"\n[[verify]]\nid = \"v\"\nuse = \"x\"\nexpect = \"response.status = 200\""), @r#"
    error: this condition can't be understood: `=` means nothing here
     --> plan.toml:9:27
      |
    9 | expect = "response.status = 200"
      |                           ^

    hint: a comparison is written `==`
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"deploy\"\nuse = \"x\"\n[[verify]]\nid = \"v\"\nuse = \"x\"\nexpect = \"response.version == steps.deplyo.receipt.version\""), @r#"
    error: no step `deplyo` before this
     --> plan.toml:9:31
      |
    9 | expect = "response.version == steps.deplyo.receipt.version"
      |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    hint: did you mean `steps.deploy.receipt`?
    "#);
}

#[test]
fn a_component_without_its_digest_is_answered_with_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wasm"), b"bytes").unwrap();
    let file = folder.path().join("plan.toml");
    let text = format!("{HEAD}[[step]]\nid = \"a\"\nuse = \"./a.wasm\"\n");
    let wrong = Plan::parse(&file.display().to_string(), &text).unwrap_err().to_string();
    let help = format!("use = \"./a.wasm@{}\"", Digest::of(b"bytes"));
    assert!(wrong.contains(&help), "{wrong}");
    let text = text.replace("use = \"./a.wasm\"", &help);
    assert!(Plan::parse(&file.display().to_string(), &text).is_ok());
}

fn given(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn arguments_are_checked_against_the_parameters() {
    let plan = plan(
        "[params.connector]\ndescription = \"as in src/lib/connectors\"\npattern = \"[a-z]+\"\n\
         [params.version]\ndefault = \"HEAD~1\"\n[[step]]\nid = \"a\"\nuse = \"x\"",
    );
    let params = resolve_params(&plan, &[given("connector", "facebook")]).unwrap();
    assert_eq!(params["version"], "HEAD~1");
    // `^` and `$` may not let a second line through.
    assert!(resolve_params(&plan, &[given("connector", "facebook\n")]).is_err());
    assert_snapshot!(resolve_params(&plan, &[given("conector", "facebook")]).unwrap_err(), @r"
    error: plan `x` has no parameter `conector`

    hint: did you mean `-p connector=…`?

    error: plan `x` needs the parameter `connector`

    hint: add  -p connector=VALUE
    hint: connector: as in src/lib/connectors
    ");
    assert_snapshot!(resolve_params(&plan, &[given("connector", "../x")]).unwrap_err(), @r#"
    error: parameter `connector` can't be `../x`: it has to match [a-z]+
     --> plan.toml:5:11
      |
    5 | pattern = "[a-z]+"
      |           ^^^^^^^^

    hint: connector: as in src/lib/connectors
    "#);
}

#[test]
fn a_template_keeps_types_and_refuses_what_is_not_there() {
    let scope = Scope {
        params: BTreeMap::from([given("n", "{{ run.id }}")]),
        steps: BTreeMap::from([(
            "a-b".to_owned(),
            StepFacts { receipt: json!({ "port": 8080, "on": true, "list": [1, 2.5], "none": null }) },
        )]),
        ..Scope::default()
    };
    for (template, expected) in [
        ("{{ steps['a-b'].receipt.port }}", json!(8080)),
        ("{{ steps['a-b'].receipt.on }}", json!(true)),
        ("{{ steps['a-b'].receipt.list }}", json!([1, 2.5])),
        ("{{ steps['a-b'].receipt.none }}", json!(null)),
        ("port {{ steps['a-b'].receipt.port }}", json!("port 8080")),
        ("{{- steps['a-b'].receipt.port }}", json!("8080")),
        ("{{ 1 }}{{ 2 }}", json!("12")),
        // Nothing is escaped, and a value is never a template itself.
        ("{{ params.n }} <&>", json!("{{ run.id }} <&>")),
        ("{{ params.n }}", json!("{{ run.id }}")),
        ("{% if steps['a-b'].receipt.on %}yes{% endif %}", json!("yes")),
        ("no template", json!("no template")),
    ] {
        assert_eq!(render(&json!(template), &scope), Ok(expected), "{template}");
    }
    // As deep as it gets: an error perhaps, but not the end of the process.
    let survives = |template: String| {
        let _ = render(&json!(template), &scope);
        let _ = template::check(&template, &references::Known::default());
    };
    for (open, close) in
        [("(", ")"), ("[", "]"), ("not ", ""), ("-", ""), ("1+", ""), ("", ".a"), ("", "[0]"), ("", "|abs")]
    {
        for bytes in [990, 100_000] {
            let times = bytes / (open.len() + close.len());
            let deep = format!("{}1{}", open.repeat(times), close.repeat(times));
            for (before, after) in
                [("{{ ", " }}"), ("{% if ", " %}{% endif %}"), ("{{ '}}' + ", " }}"), ("{{ ", "' }}")]
            {
                survives(format!("{before}{deep}{after}"));
            }
        }
    }
    survives("{% if 1 %}".repeat(10_000));
    survives("{% if 1 %}".repeat(120) + &"{% endif %}".repeat(120));
    let error = |value: Value| render(&value, &scope).unwrap_err().to_string();
    assert_snapshot!(error(json!({ "a": ["x", "{{ steps['a-b'].receipt.hots }}"] })), @r#""{{ steps['a-b'].receipt.hots }}" can't be filled in at /a/1: `steps['a-b'].receipt.hots` is not there"#);
    assert_snapshot!(error(json!("v{{ params.m }}")), @r#""v{{ params.m }}" can't be filled in: `params.m` is not there"#);
    assert_snapshot!(error(json!("{{ params.n | upper(1, 2) }}")), @r#""{{ params.n | upper(1, 2) }}" can't be filled in: too many arguments"#);
}

#[test]
fn a_condition_compares_json_by_value() {
    let seen = json!({ "response": { "status": 200, "ms": 12.0, "big": u64::MAX, "json": { "version": "v1", "items": [1, 2, 3] } } });
    let variables = seen.as_object().unwrap();
    let holds = |text: &str| Condition::parse(text).and_then(|condition| condition.evaluate(variables));
    for (text, expected) in [
        ("response.status == 200", true),
        ("response.status == 200.0 && response.ms == 12 && response.ms < 13", true),
        ("response.status + 1 == 201", true),
        ("response.status >= 200 && response.status < 300", true),
        ("response.big > 1", true),
        ("response.json.version == \"v2\"", false),
        ("response.json.version == 1", false),
        ("has(response.json.version) && !has(response.json.build)", true),
        ("response.json.items.all(i, i > 0)", true),
        ("\"v1\" in [response.json.version]", true),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
    let error = |text: &str| holds(text).unwrap_err().to_string();
    assert_snapshot!(error("response.json.build == 1"), @r#"`response.json.build == 1` is neither true nor false: there is no `build`"#);
    assert_snapshot!(error("respons.status == 200"), @r"`respons.status == 200` is neither true nor false: there is no `respons`; did you mean `response`?");
    assert_snapshot!(error("response.status"), @r#"`response.status` is neither true nor false: it gives a value of type int"#);
    assert_snapshot!(error("response.json.version < 1"), @r#"`response.json.version < 1` is neither true nor false: `<` does not take string and int"#);
    assert_snapshot!(error("[1].all(a, [1].all(b, [1].all(c, true)))"), @r#"`[1].all(a, [1].all(b, [1].all(c, true)))` is neither true nor false: more than 2 of `all`, `exists`, `map`, `filter` stand inside one another"#);
    assert!(error(&format!("true{}", " ".repeat(2_000))).contains("2000 is the most"));
    // As deep as it gets within the length: an error perhaps, but not the end of the process.
    let deep = |open: &str, middle: &str, close: &str| {
        let times = 1_990 / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("!", "true", ""),
        ("-", "1", ""),
        ("1+", "1", ""),
        ("", "a", ".a"),
        ("", "[1]", "[0]"),
        ("true?", "1", ":1"),
        ("{1:", "1", "}"),
        ("true&&", "true", ""),
        ("has(a.", "a", ")"),
        ("size(", "a", ")"),
        ("a.b(", "a", ")"),
        ("a?b:", "c", ""),
    ] {
        if let Ok(condition) = Condition::parse(&deep(open, middle, close)) {
            let _ = condition.evaluate(variables);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in "(\\{\\{|\\}\\}|\\{%|%\\}|[\\[\\]().\"'=<>!&|+-]|[a-z0-9 \u{e9}\n]|params|steps|all){0,24}") {
        let plan = format!("{HEAD}[[step]]\nid = \"a\"\nuse = \"x\"\nwith = {{ a = {} }}\n[[verify]]\nid = \"v\"\nuse = \"x\"\nexpect = {}\n", json!(text), json!(text));
        for text in [plan.as_str(), text.as_str()] {
            match Plan::parse("plan.toml", text) {
                Ok(_) => {}
                Err(diagnostics) => assert!(!diagnostics.to_string().is_empty()),
            }
        }
        if let Ok(condition) = Condition::parse(&text) {
            let _ = condition.evaluate(&serde_json::Map::new());
        }
        let _ = render(&json!(text), &Scope::default());
    }
}

fn manifest(kind: Kind, roles: &[(&str, &str, bool)], parameters: Value) -> Manifest {
    let role = |(name, capability, required): &(&str, &str, bool)| Role {
        name: (*name).to_owned(),
        capability: (*capability).to_owned(),
        access: Access::Write,
        reason: format!("working on {name}"),
        required: *required,
    };
    Manifest {
        kind,
        name: "connector-disable".to_owned(),
        version: "0.1.0".to_owned(),
        title: String::new(),
        description: String::new(),
        parameters,
        roles: roles.iter().map(role).collect(),
        can_undo: false,
        imports: vec!["http".to_owned(), "git".to_owned()],
    }
}

fn operator() -> Operator {
    let text = "[http.genia-admin]\nurl = \"https://api.genia.ai/admin\"\n[git.genia]\npath = \".\"\n";
    Operator::parse("ripcord.toml", text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn a_step_that_is_stopped_before_its_restore_may_be_is_warned_of() {
    let operator = |more: &str| {
        let text = format!(
            "[sql.app]\nurl = \"postgres://a@localhost/app\"\naccess = \"restore\"\nbackups = \"/srv/backups\"\n{more}"
        );
        Operator::parse("ripcord.toml", &text).unwrap_or_else(|wrong| panic!("{wrong}"))
    };
    let manifest = Arc::new(manifest(Kind::Action, &[("database", "sql", true)], json!({})));
    let warned = |timeout: &str, more: &str| {
        let lines = format!("[[step]]\nid = \"a\"\nuse = \"x\"\nbind = {{ database = \"app\" }}\n{timeout}");
        let mut manifest = Manifest::clone(&manifest);
        manifest.imports = vec!["sql".to_owned()];
        let plugins = BTreeMap::from([("a".to_owned(), Arc::new(manifest))]);
        let warnings = validate(&plan(&lines), &operator(more), &plugins).unwrap_or_else(|wrong| panic!("{wrong}"));
        Diagnostics(warnings).to_string().contains("step `a` is stopped after 30m, before a restore through `sql.app`")
    };
    assert!(warned("timeout = \"30m\"", ""), "a restore may take an hour unless the file says otherwise");
    assert!(!warned("timeout = \"30m\"", "backup-timeout = \"20m\""));
    assert!(!warned("timeout = \"1h\"", ""));
}

/// What [`validate`] says of a plan with these lines, whose step is `a` and whose check is `v`.
fn judged(lines: &str, manifest: &Manifest) -> String {
    let plugins = ["a", "v"].map(|id| (id.to_owned(), manifest.clone().into()));
    match validate(&plan(lines), &operator(), &plugins.into()) {
        Ok(warnings) => Diagnostics(warnings).to_string(),
        Err(wrong) => wrong.to_string(),
    }
}

#[test]
fn bindings_are_checked_against_roles_and_connections() {
    let action = manifest(Kind::Action, &[("admin", "http", true), ("code", "git", true)], json!({}));
    let fine = "[[step]]\nid = \"a\"\nuse = \"x\"\nbind = { admin = \"genia-admin\", code = \"genia\" }\n[[verify]]\nid = \"w\"\nuse = \"x\"";
    assert_eq!(judged(fine, &action), "");
    // A role that is not bound, one that is not known, and a connection that is not there
    assert_snapshot!(judged(&fine.replace("code =", "coed ="), &action), @r#"
    error: role `code` of plugin `connector-disable` is not bound
     --> plan.toml:6:8
      |
    6 | bind = { admin = "genia-admin", coed = "genia" }
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ working on code

    hint: write  bind = { code = "CONNECTION" }
    hint: ripcord.toml has `genia`

    error: plugin `connector-disable` has no role `coed`
     --> plan.toml:6:33
      |
    6 | bind = { admin = "genia-admin", coed = "genia" }
      |                                 ^^^^

    hint: did you mean `code`?
    "#);
    assert_snapshot!(judged(&fine.replace("genia-admin", "genia-admn"), &action), @r#"
    error: there is no http connection `genia-admn`
     --> plan.toml:6:18
      |
    6 | bind = { admin = "genia-admn", code = "genia" }
      |                  ^^^^^^^^^^^^ working on admin

    hint: did you mean `genia-admin`?
    hint: or add `[http.genia-admn]` to ripcord.toml
    "#);
    // A connection of another capability
    assert_snapshot!(judged(&fine.replace("\"genia\"", "\"genia-admin\""), &action), @r#"
    error: there is no git connection `genia-admin`
     --> plan.toml:6:40
      |
    6 | bind = { admin = "genia-admin", code = "genia-admin" }
      |                                        ^^^^^^^^^^^^^ working on code

    hint: did you mean `genia`?
    hint: `genia-admin` is a connection of http; role `code` needs git
    hint: or add `[git.genia-admin]` to ripcord.toml
    "#);
    // A capability that nobody has
    let far = manifest(Kind::Action, &[("database", "mongodb", true)], json!({}));
    assert_snapshot!(judged("[[step]]\nid = \"a\"\nuse = \"x\"\nbind = { database = \"app\" }\n[[verify]]\nid = \"w\"\nuse = \"x\"", &far), @r#"
    error: role `database` needs `mongodb`, which this ripcord does not have
     --> plan.toml:6:21
      |
    6 | bind = { database = "app" }
      |                     ^^^^^

    hint: it has `http`, `git`, `docker`, `sql`, `command`, `notify`
    "#);
    // A check that is used as a step
    assert_snapshot!(judged(fine, &Manifest { kind: Kind::Check, ..action.clone() }), @r#"
    error: plugin `x` only observes and can't be used in a step
     --> plan.toml:5:7
      |
    5 | use = "x"
      |       ^^^

    hint: use it below `[[verify]]`
    "#);
    // Nothing wrong, but probably not meant
    let deaf = Manifest { imports: vec!["http".to_owned()], ..action };
    let undo = fine.replace("[[verify]]\nid = \"w\"\nuse = \"x\"", "on-failure = \"undo\"");
    assert_snapshot!(judged(&undo, &deaf), @r#"
    warning: plugin `connector-disable` names the role `code` but does not import `git`: it can't use it
     --> plan.toml:6:33
      |
    6 | bind = { admin = "genia-admin", code = "genia" }
      |                                 ^^^^

    hint: take the binding out, or ask the plugin's author

    warning: plugin `connector-disable` can't take back what it did: `on-failure = "undo"` will leave it for a person
     --> plan.toml:7:14
      |
    7 | on-failure = "undo"
      |              ^^^^^^

    hint: write `on-failure = "halt"` for this step, or be ready to undo it by hand

    warning: nothing verifies that the rollback worked

    hint: add a check: `[[verify]]`
    "#);
}

fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["connector", "notices"],
        "properties": {
            "connector": { "type": "string", "pattern": "^[a-z]+$", "description": "a lower-case name" },
            "notices": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["text"],
                    "properties": {
                        "text": { "type": "string", "maxLength": 10, "description": "what users read" },
                        "level": { "enum": ["info", "bad"] },
                        "copies": { "type": "integer" },
                    },
                },
            },
        },
    })
}

#[test]
fn a_configuration_is_checked_where_it_is_written_and_again_when_it_is_filled_in() {
    let action = manifest(Kind::Action, &[], schema());
    let with = |with: &str| {
        let lines =
            format!("[params.c]\n[[step]]\nid = \"a\"\nuse = \"x\"\n{with}\n[[verify]]\nid = \"w\"\nuse = \"x\"");
        judged(&lines, &action)
    };
    // A template is taken to fit.
    assert_eq!(
        with(
            "with = { connector = \"{{ params.c }}\", notices = [{ text = \"{{ params.c }}\", copies = \"{{ params.c }}\" }] }"
        ),
        ""
    );
    assert_snapshot!(with("with = { connector = \"Face\" }"), @r#"
    error: `notices` is missing
     --> plan.toml:7:8
      |
    7 | with = { connector = "Face" }
      |        ^^^^^^^^^^^^^^^^^^^^^^

    hint: add `notices = …`

    error: this does not match "^[a-z]+$"
     --> plan.toml:7:22
      |
    7 | with = { connector = "Face" }
      |                      ^^^^^^

    hint: a lower-case name
    "#);
    assert_snapshot!(with("[step.with]\nconnector = \"x\"\n[[step.with.notices]]\ntext = \"short\"\n[[step.with.notices]]\ntext = \"{{ params.c }}\"\nlevle = \"info\"\n[[step.with.notices]]\nlevel = \"good\"\ncopies = \"two\""), @r#"
    error: unknown key `levle`
      --> plan.toml:13:1
       |
    13 | levle = "info"
       | ^^^^^

    hint: did you mean `level`?

    error: `text` is missing
      --> plan.toml:14:1
       |
    14 | [[step.with.notices]]
       | ^^^^^^^^^^^^^^^^^^^^^

    hint: add `text = …`: what users read

    error: this is not one of the known values
      --> plan.toml:15:9
       |
    15 | level = "good"
       |         ^^^^^^

    hint: write one of `"info"`, `"bad"`

    error: this is not of type "integer"
      --> plan.toml:16:10
       |
    16 | copies = "two"
       |          ^^^^^

    hint: the plugin asks for  "type": "integer"
    "#);
    // When it is filled in, the leaves are checked as well.
    assert_eq!(check_config(&action, &json!({ "connector": "x", "notices": [] })), Ok(()));
    let filled = json!({ "connector": "F2", "notices": [{ "text": "much too long" }], "more": 1 });
    assert_snapshot!(check_config(&action, &filled).unwrap_err(), @r#"the configuration does not fit plugin `connector-disable`: /connector: this does not match "^[a-z]+$" (a lower-case name); /notices/0/text: this is longer than 10 characters (what users read); /more: unknown key `more` (known here: `connector`, `notices`)"#);
    let broken = manifest(Kind::Action, &[], json!({ "type": "objekt" }));
    assert!(check_config(&broken, &json!({})).unwrap_err().contains("the schema of plugin `connector-disable`"));
}
