//! What is watched after a deploy.

use insta::assert_snapshot;

use super::super::*;
use super::*;
use crate::journal::{Then, TriggerShape};

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
