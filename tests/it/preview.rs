//! A preview cannot touch anything, and what was agreed to is exactly what was shown.

use std::fs;
use std::path::Path;

use crate::world::{World, guest};

const PREVIEW: &[&str] = &["preview", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2"];

/// The operator's file for a guest that may do whatever there is, so that only the preview stops it.
const ALL_METHODS: &str = r#"["POST /**", "PUT /**", "PATCH /**", "DELETE /**"]"#;
const SOME_READS: &str = r#"["GET /allowed", "GET /switch", "GET /redirect-to-secret", "GET /redirect-elsewhere"]"#;

#[test]
fn a_preview_of_the_rollback_lists_all_of_it_and_touches_nothing() {
    let world = World::new();
    world.connector_plan();
    let before = world.touched();
    let preview = world.ripcord(PREVIEW).expect(0);
    for call in [
        "/connectors/facebook/disable",
        "restore",
        "src/lib/connectors/facebook.ts",
        "commit",
        "push",
        "genia-build",
        "genia-deploy-staging",
        "genia-users",
        // The way back is listed as well.
        "/connectors/facebook/enable",
    ] {
        preview.says(call);
    }
    assert_eq!(world.touched(), before);
    assert!(world.journal().runs().is_empty());
}

/// The guest tries every capability and every method, paths that are not in `read`, redirects, and
/// programs that are not marked as reads. The rules let much of it through: the preview does not.
#[test]
fn a_preview_of_a_guest_that_breaks_out_touches_nothing() {
    let world = World::new();
    everything_for_breakout(&world, ALL_METHODS);
    breakout_plan(&world, "all");
    let before = world.touched();
    let preview = world.ripcord(&["preview", "breakout.toml"]).expect(0);
    preview.approval();
    assert_eq!(world.touched(), before);
    assert_only_reads_arrived(&world);
    assert!(!Path::new("/tmp/ripcord-breakout").exists());
}

/// The same guest live, where no rule allows it anything: what it gets is a denial that says so.
#[test]
fn live_nothing_gets_through_that_no_rule_allows() {
    let world = World::new();
    everything_for_breakout(&world, "[]");
    let narrow = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let narrow = narrow.replace("\"restore **\", \"commit **\", \"push *\", \"reset\", \"revert\"", "");
    world.write("ripcord.toml", &narrow);
    // A command and a notice have no rule but their connection: to bind them is to allow them.
    let allowed = ["command", "notify", "command-option"];
    breakout_plan(&world, "all");
    let before = world.touched();
    world.ripcord(&["run", "breakout.toml", "--yes"]).run();
    let journal = world.journal();
    let state = journal.state(&journal.last());
    let receipt = state.receipt("try").expect("it has a receipt").clone();
    let let_through: Vec<&String> = receipt["attempts"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, told)| told.get("denied").is_none() && !allowed.contains(&name.as_str()))
        .map(|(name, _)| name)
        .collect();
    // Each of them is answered by a refusal of the target's or of git's, not by a success.
    for name in &let_through {
        assert!(receipt["attempts"][name.as_str()].get("let-through").is_none(), "{name}: {receipt:#}");
    }
    let touched = world.touched();
    assert_eq!((touched.requests, touched.repository), (before.requests, before.repository));
    assert_only_reads_arrived(&world);
    assert!(!Path::new("/tmp/ripcord-breakout").exists());
}

/// One thing changes between the preview and the run.
#[test]
fn an_approval_is_for_exactly_what_was_previewed() {
    type Change = fn(&World);
    let changes: [(&str, &[&str], Change); 5] = [
        ("nothing", &[], |_| {}),
        ("a parameter", &["-p", "version=v1.4.2~0"], |_| {}),
        ("the plan", &[], |world| {
            let path = world.path("connector.toml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("Revert connector", "Take back connector")).unwrap();
        }),
        ("an operator's rule", &[], |world| {
            world.write("ripcord.toml", &world.operator().replace("\"commit src/**\"", "\"commit src/**\", \"reset\""));
        }),
        ("where a connection points to", &[], |world| {
            world.write("ripcord.toml", &world.operator().replace("genia-users-", "genia-others-"));
        }),
    ];
    for (what, instead, change) in changes {
        let world = World::new();
        world.connector_plan();
        let approval = world.ripcord(PREVIEW).expect(0).approval();
        change(&world);
        let version = if instead.is_empty() { &["-p", "version=v1.4.2"] } else { instead };
        let mut run = vec!["run", "connector.toml", "-p", "connector=facebook", "--approved", &approval];
        run.extend(version);
        let before = world.touched();
        if what == "nothing" {
            world.ripcord(&run).expect(0);
            continue;
        }
        world.ripcord(&run).expect(2).says("nothing was touched");
        assert_eq!(world.touched(), before, "{what}");
        assert!(world.journal().runs().is_empty(), "{what}");
    }
}

#[test]
fn a_plugin_with_another_byte_is_another_plugin() {
    let world = World::new();
    world.allow(&world.service(SOME_READS, ALL_METHODS));
    let plan = world.plan("steps", STEPS);
    let approval = world.ripcord(&["preview", "steps.toml"]).expect(0).approval();

    // A custom section: the code is the same.
    let mut other = guest("steps");
    other.extend([0, 3, 1, b'x', b'y']);
    fs::write(world.path("steps.wasm"), &other).unwrap();
    world.ripcord(&["run", "steps.toml", "--approved", &approval]).expect(2).says("digest");

    // The plan is told of the new digest, and nothing else: the old approval does not cover it.
    let digest = |bytes: &[u8]| ripcord::id::Digest::of(bytes).to_string();
    let text = fs::read_to_string(&plan).unwrap().replace(&digest(&guest("steps")), &digest(&other));
    fs::write(&plan, text).unwrap();
    world.ripcord(&["run", "steps.toml", "--approved", &approval]).expect(2).says("nothing was touched");
    assert!(world.ledger.mutations().is_empty());
}

#[test]
fn nobody_there_to_agree_means_no() {
    let world = World::new();
    world.connector_plan();
    let before = world.touched();
    let mut run = PREVIEW.to_vec();
    run[0] = "run";
    world.ripcord(&run).expect(2).says("--approved sha256:");
    assert_eq!(world.touched(), before);
}

/// The guest behaves while it is previewed, and does more when it is live.
#[test]
fn a_call_that_the_preview_did_not_list_stops_at_a_gate() {
    for (answer, code, made) in [(&["--no"][..], 4, 0), (&[], 0, 1)] {
        let world = World::new();
        everything_for_breakout(&world, ALL_METHODS);
        breakout_plan(&world, "only-live");
        // The preview reads it once.
        world.ledger.tell("switch-on-after 1");
        world.ripcord(&["run", "breakout.toml", "--yes"]).expect(3).says("/only-live");
        assert!(world.ledger.mutations().is_empty());

        let journal = world.journal();
        let gate = journal.state(&journal.last()).gates[0].opened.gate.to_string();
        let mut approve = vec!["approve", "last", &gate];
        approve.extend(answer);
        world.ripcord(&approve).expect(0);
        world.ripcord(&["resume", "last"]).expect(code);
        assert_eq!(world.ledger.mutations().len(), made, "{answer:?}");
    }
}

const STEPS: &str = r#"
[[step]]
id = "do"
use = "steps"
bind = { service = "service" }
[[step.with.apply]]
call = { role = "service", http = { method = "POST", path = "/allowed" }, assume = { http = { status = 200 } } }
"#;

fn breakout_plan(world: &World, attempt: &str) {
    let bind = r#"{ service = "service", reader = "service", code = "genia", mirror = "genia", program = "trace", probe = "trace", people = "genia-users" }"#;
    world.plan(
        "breakout",
        &format!("[[step]]\nid = \"try\"\nuse = \"breakout\"\nbind = {bind}\nwith = {{ attempt = \"{attempt}\" }}\n"),
    );
}

fn everything_for_breakout(world: &World, write: &str) {
    let trace = world.path("commands.log");
    let operator = world.operator().replace(
        r#"["restore src/**", "commit src/**", "push main"]"#,
        r#"["restore **", "commit **", "push *", "reset", "revert"]"#,
    );
    world.write(
        "ripcord.toml",
        &format!(
            "{operator}\n{}\n[command.trace]\nargv = [\"sh\", \"-c\", \"echo ran >> {}\"]\n",
            world.service(SOME_READS, write),
            trace.display()
        ),
    );
}

fn assert_only_reads_arrived(world: &World) {
    let reads = ["/admin/allowed", "/admin/switch", "/admin/redirect-to-secret", "/admin/redirect-elsewhere"];
    for entry in world.ledger.entries() {
        assert!(entry.method == "GET" && reads.contains(&entry.path.as_str()), "{entry:?}");
        assert!(entry.host.starts_with("127.0.0.1"), "{entry:?}");
    }
}
