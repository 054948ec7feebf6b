//! The incident report: of a real rollback, seen in a real browser; and what people add to it.

use serde_json::Value;

use crate::world::{Browser, Measured, Scheme, World};

const NASTY: &str = "<script>alert(1)</script> | `x` <img src=/nasty.png>";

/// A rollback that begins with what is known of the incident.
fn rolled_back() -> World {
    let world = World::new();
    world.connector_plan();
    let known = ["--symptom", NASTY, "--severity", "SEV 2", "--since", "25m", "--by", "iris"];
    let run = ["run", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2", "--yes"];
    world.ripcord(&[&run[..], &known].concat()).expect(0);
    world
}

#[test]
fn the_report_can_be_read_on_a_phone_and_on_a_screen_in_light_and_in_dark() {
    let world = rolled_back();
    world.ripcord(&["report", "last", "-o", "en.html", "--language", "en"]).expect(0);
    world.ripcord(&["report", "last", "-o", "es.html"]).expect(0);
    let browser = Browser::new();
    for (file, width, scheme) in [
        ("en.html", 390, Scheme::Light),
        ("es.html", 390, Scheme::Dark),
        ("es.html", 1280, Scheme::Light),
        ("en.html", 1280, Scheme::Dark),
    ] {
        let page = std::fs::read_to_string(world.path(file)).unwrap();
        assert!(page.contains("&lt;script&gt;alert(1)"), "the symptom is in the report");
        let seen = browser.look(&page, width, scheme);
        let whole = format!("{file} {width} {scheme:?}: {seen:#?}");
        assert_eq!((seen.dark, seen.width), (scheme == Scheme::Dark, f64::from(width)), "{whole}");
        assert!(seen.scrolls_to <= seen.width && seen.wide.is_empty(), "{whole}");
        assert!(seen.faint.is_empty() && seen.texts > 50, "{whole}");
        assert!(seen.console.is_empty() && seen.requests.is_empty() && seen.asked.is_empty(), "{whole}");
        headings_are_in_order(&seen);
        let lanes: Vec<_> = seen.lanes.iter().map(|lane| lane.name.trim_start_matches(['✓', ' ', '\n'])).collect();
        assert_eq!(lanes, ["disable", "connector-is-off", "staging-works"], "{whole}");
        for lane in &seen.lanes {
            let can_be_seen = lane.bars.iter().all(|bar| bar.width >= 3.0 && bar.height >= 10.0 && bar.inside);
            assert!(can_be_seen && !lane.bars.is_empty(), "{whole}");
        }
    }
}

fn headings_are_in_order(seen: &Measured) {
    assert_eq!(seen.headings.iter().filter(|level| **level == 1).count(), 1);
    assert_eq!(seen.headings[0], 1);
    for pair in seen.headings.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "{:?}", seen.headings);
    }
}

/// The measuring itself: a page with each fault is found out.
#[test]
fn the_browser_sees_the_faults_of_a_page() {
    let page = r#"<!DOCTYPE html><meta name="viewport" content="width=device-width">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self'">
        <body><p style="color: red">an inline style that the policy turns away</p>
        <p>wide: <svg width="2000" height="10"><rect width="2000" height="10"/></svg></p>
        <p><font color="silver">faint</font> <img src="/picture.png"></p>"#;
    let seen = Browser::new().look(page, 390, Scheme::Light);
    assert!(seen.scrolls_to > 390.0 && seen.wide.iter().any(|element| element.starts_with("svg")), "{seen:#?}");
    assert!(seen.faint.iter().any(|element| element.starts_with("FONT")), "{seen:#?}");
    assert_eq!(seen.asked, ["/picture.png"]);
    assert!(seen.console.iter().any(|line| line.contains("Content Security Policy")), "{seen:#?}");
}

/// People may say more at any time. It is in the report with who said it, and nowhere else.
#[test]
fn what_is_learned_later_is_added_and_changes_nothing_in_the_run() {
    let world = rolled_back();
    let run = world.journal().last();
    let (state, touched) = (world.journal().state(&run), world.touched());
    let report = |arguments: &[&str]| -> Value {
        let arguments = [&["report", "last", "--format", "json"], arguments].concat();
        serde_json::from_str(&world.ripcord(&arguments).expect(0).stdout).unwrap()
    };
    report(&["--symptom", "posts pile up", "--scope", "everybody", "--by", "luis"]);
    let said = report(&["--severity", "SEV 1", "--coordinator", "Marta", "--by", "luis"]);
    let incident = &said["incident"];
    let by = |fact: &str| (incident[fact]["value"].as_str().unwrap(), incident[fact]["by"].as_str().unwrap());
    assert_eq!(
        [by("severity"), by("scope"), by("coordinator")],
        [("SEV 1", "luis"), ("everybody", "luis"), ("Marta", "luis")]
    );
    assert_eq!(incident["since"]["by"], "iris");
    let symptoms: Vec<_> = incident["symptoms"].as_array().unwrap().iter().map(|symptom| &symptom["value"]).collect();
    assert_eq!(symptoms, [NASTY, "posts pile up"]);

    assert_eq!((world.journal().state(&run), world.touched()), (state, touched));
    world.ripcord(&["runs"]).expect(0).says("verified");
    world.ripcord(&["resume", "last"]).expect(0).says("nothing to resume");
    world.ripcord(&["show", "last", "--follow"]).expect(0).says("luis notes symptom: posts pile up; scope: everybody");
    world.ripcord(&["replay", "last"]).expect(0);
    // The chain goes on, and the report's head is its end.
    let head = said["head"]["hash"].as_str().unwrap();
    world.ripcord(&["audit", "last", "--head", head]).expect(0);
    world.ripcord(&["undo", "last", "--yes"]).expect(1);
}

/// A note while a run waits at a gate, and while its doubt is open, does not answer anything.
#[test]
fn a_note_on_a_run_that_waits_leaves_it_waiting() {
    let world = World::new();
    world.plan(
        "gated",
        "[[step]]\nid = \"a\"\nuse = \"steps\"\ngate = { ask = \"Go on?\" }\nwith = { apply = [\"now\"] }\n",
    );
    let approval = world.ripcord(&["preview", "gated.toml"]).expect(0).approval();
    world.ripcord(&["run", "gated.toml", "--approved", &approval]).expect(3);
    world.ripcord(&["report", "last", "--symptom", "it hangs"]).expect(0).says("it hangs").says("ripcord approve");
    world.ripcord(&["runs"]).expect(0).says("at gate a");
    world.ripcord(&["approve", "last", "a"]).expect(0);
    world.ripcord(&["resume", "last"]).expect(4);
}

#[test]
fn a_report_that_can_t_be_written_says_what_to_do_and_records_nothing() {
    let world = rolled_back();
    let events = |world: &World| world.journal().events(&world.journal().last()).len();
    let before = events(&world);
    std::fs::create_dir(world.path("folder.md")).unwrap();
    for (arguments, says) in [
        (&["-o", "report.pdf", "--symptom", "x"][..], "--format"),
        (&["--json", "--format", "html", "--symptom", "x"], "-o"),
        (&["--since", "tomorrow"], "17:45"),
        (&["--since", "2999-01-01 10:00"], "still to come"),
        (&["--symptom", "  "], "it says nothing"),
        (&["--language", "fr"], "en, es"),
        (&["-o", "nowhere/report.md"], "nowhere/report.md"),
        (&["-o", "folder.md"], "folder.md"),
    ] {
        world.ripcord(&[&["report", "last"], arguments].concat()).expect(2).says(says);
    }
    assert_eq!(events(&world), before);
    world.plan("foreign", "language = \"fr\"\n[[step]]\nid = \"a\"\nuse = \"steps\"\nwith = { apply = [\"now\"] }\n");
    world.ripcord(&["check", "foreign.toml"]).expect(2).says("`en`").says("`es`");
}

/// stdout has data: one object a line with `--json`, the report itself else.
#[test]
fn each_format_comes_out_where_it_is_asked_for() {
    let world = rolled_back();
    let run = world.journal().last();
    let printed = world.ripcord(&["--json", "report", "last"]).expect(0).json();
    assert_eq!((printed.len(), &printed[0]["version"], &printed[0]["run"]), (1, &1.into(), &run.as_str().into()));
    let written = world.ripcord(&["--json", "report", "last", "-o", "report.md"]).expect(0).json();
    assert_eq!(
        (written.len(), &written[0]["event"], &written[0]["file"]),
        (1, &"report-written".into(), &"report.md".into())
    );
    let markdown = std::fs::read_to_string(world.path("report.md")).unwrap();
    assert!(markdown.starts_with("# Reversión de genia/connectors/facebook: verificado"), "{markdown}");
    world.ripcord(&["report", "last", "-o", "page", "--format", "html"]).expect(0).says("page");
    assert!(std::fs::read_to_string(world.path("page")).unwrap().starts_with("<!DOCTYPE html>"));
    // A file that is there is replaced, whole.
    world.ripcord(&["report", "last", "-o", "page", "--format", "json"]).expect(0);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(world.path("page")).unwrap()).unwrap();
    assert_eq!(report["outcome"], "verified");
}
