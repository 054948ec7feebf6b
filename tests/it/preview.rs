//! A preview cannot touch anything, and what was agreed to is exactly what was shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::world::postgres::{self, Database};
use crate::world::{World, guest, repository};

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

/// Not a byte of the repository is another one, and no file of it was written: what a preview tells of
/// the age of things, it reads.
#[test]
fn what_a_preview_tells_of_the_repository_leaves_no_trace_in_it() {
    let world = World::new();
    world.connector_plan();
    // The copied index knows the times of other files: whatever looks like `git status` would bring it up
    // to date.
    let before = every_file(&world.repository.path);
    let preview = world.ripcord(PREVIEW).expect(0);
    for told in [
        "1 commit behind HEAD (main)",
        "(v1.4.2) \"First version\", Dev, 20",
        "differs: src/lib/connectors/facebook.ts modified, +1 -1",
        "\"Improve the facebook connector\", Dev, 20",
    ] {
        preview.says(told);
    }
    assert_eq!(every_file(&world.repository.path), before);
}

/// Two previews of one world are the same to the last byte, though each has a run's name of its own;
/// and of another parameter only the lines are others that speak of it.
#[test]
fn a_preview_can_be_compared_with_another_one() {
    let world = World::new();
    world.connector_plan();
    repository::git(&world.repository.path, &["tag", "v1.4.3", "v1.4.2"]);
    let preview = |options: &[&str]| world.ripcord(&[PREVIEW, options].concat()).expect(0).stdout;
    let (first, json) = (preview(&[]), preview(&["--json"]));
    assert_eq!(preview(&[]), first);
    assert_eq!(preview(&["--json"]), json);

    let mut other = PREVIEW.to_vec();
    other[5] = "version=v1.4.3";
    let other = world.ripcord(&other).expect(0).stdout;
    assert_eq!(first.lines().count(), other.lines().count(), "{first}\n{other}");
    for (before, after) in first.lines().zip(other.lines()).filter(|(before, after)| before != after) {
        let speaks_of_it = before.replace("v1.4.2", "v1.4.3") == after;
        let names_it = |line: &str| line.contains("sha256:");
        assert!(speaks_of_it || (names_it(before) && names_it(after)), "{before}\n{after}");
    }
}

#[test]
fn the_command_that_a_preview_ends_with_runs_exactly_that() {
    let world = World::new();
    world.connector_plan();
    let preview = world.ripcord(PREVIEW).expect(0);
    let command = preview.stdout.lines().last().unwrap().strip_prefix("ripcord ").unwrap().to_owned();
    let arguments: Vec<&str> = command.split(' ').collect();
    world.ripcord(&arguments).expect(0);
    assert!(!world.touched().requests.is_empty());
}

/// The checks look at what is there now: a check that can't work is found out in daylight.
#[test]
fn the_verification_is_asked_what_it_says_before_anything_is_done() {
    let world = World::new();
    world.connector_plan();
    let preview = world.ripcord(PREVIEW).expect(0);
    preview.says("response.json.enabled == false does not hold").says("the command exited with 2, expected 0");
    assert!(world.ledger.mutations().is_empty());

    world.write("ripcord.toml", &world.operator().replace("\"-q\"", "\"-V\""));
    world.ripcord(PREVIEW).expect(0).says("passes already: the command exited with 0");
}

#[test]
fn what_is_not_reached_as_things_are_is_told_apart_and_stays_on_the_list() {
    let world = World::new();
    world.allow(&world.service(SOME_READS, ALL_METHODS));
    world.plan(
        "steps",
        &format!(
            "{}\n{}\n{}",
            STEPS.replace("\"do\"", "\"first\""),
            "[[step]]\nid = \"broken\"\nuse = \"steps\"\nbind = { service = \"service\" }\non-failure = \"undo\"\n\
             with = { apply = [{ fail = { permanent = \"it is out of order\" } }] }",
            STEPS.replace("\"do\"", "\"last\"").replace("POST", "PUT"),
        ),
    );
    let preview = world.ripcord(&["preview", "steps.toml"]).expect(0);
    for told in [
        "A run would take back here what was done.",
        "if first is taken back, as it is if things stay as they are:",
        "NOT REACHED  as things are",
        "1 more behind a step that fails as things are",
        "FAILS        as things are now, at step broken: it is out of order",
    ] {
        preview.says(told);
    }
    let json = world.ripcord(&["preview", "steps.toml", "--json"]).expect(0).json().remove(0);
    assert_eq!(json["listed"].as_array().unwrap().len(), 2, "{json:#}");
    assert_eq!(json["changes"]["not-reached"], 1);
    assert!(world.ledger.mutations().is_empty());
}

/// The guest tries every capability and every method, paths that are not in `read`, redirects, and
/// programs that are not marked as reads. The rules let much of it through: the preview does not.
#[test]
fn a_preview_of_a_guest_that_breaks_out_touches_nothing() {
    let world = World::new();
    let database = everything_for_breakout(&world, ALL_METHODS);
    breakout_plan(&world, "all");
    let before = world.touched();
    let preview = world.ripcord(&["preview", "breakout.toml"]).expect(0);
    preview.approval();
    assert_eq!(world.touched(), before);
    assert_only_reads_arrived(&world);
    assert_eq!(database.psql("SELECT * FROM kept"), "kept");
    assert!(!Path::new("/tmp/ripcord-breakout").exists());
}

/// The same guest live, where no rule allows it anything: what it gets is a denial that says so.
#[test]
fn live_nothing_gets_through_that_no_rule_allows() {
    let world = World::new();
    let database = everything_for_breakout(&world, "[]");
    let narrow = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let narrow = narrow.replace("\"restore **\", \"commit **\", \"push *\", \"reset\", \"revert\"", "");
    let narrow = narrow.replace("[\"DELETE FROM kept\"]", "[]");
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
    assert_eq!(database.psql("SELECT * FROM kept"), "kept");
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

/// Each file and folder below a folder, with its bytes and the time of its last change.
fn every_file(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for found in fs::read_dir(folder).unwrap() {
        let path = found.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let bytes = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if meta.is_dir() {
            files.extend(every_file(&path));
        }
        files.insert(path, (bytes, meta.modified().unwrap()));
    }
    files
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
    let bind = r#"{ service = "service", reader = "service", code = "genia", mirror = "genia", database = "kept", ledger = "kept", program = "trace", probe = "trace", people = "genia-users" }"#;
    world.plan(
        "breakout",
        &format!("[[step]]\nid = \"try\"\nuse = \"breakout\"\nbind = {bind}\nwith = {{ attempt = \"{attempt}\" }}\n"),
    );
}

fn everything_for_breakout(world: &World, write: &str) -> Database {
    let database = Database::new();
    database.as_owner("CREATE TABLE kept (said text); INSERT INTO kept VALUES ('kept')");
    let trace = world.path("commands.log");
    let operator = world.operator().replace(
        r#"["restore src/**", "commit src/**", "push main"]"#,
        r#"["restore **", "commit **", "push *", "reset", "revert"]"#,
    );
    world.write(
        "ripcord.toml",
        &format!(
            "{operator}\nreader = {{ file = \"reader\" }}\nowner = {{ file = \"owner\" }}\n{}\n\
             [command.trace]\nargv = [\"sh\", \"-c\", \"echo ran >> {}\"]\n\
             [sql.kept]\nurl = {:?}\npassword = \"secret:owner\"\naccess = \"write\"\nwrite = [\"DELETE FROM kept\"]\n\
             read-as = {{ user = \"reader\", password = \"secret:reader\" }}\n",
            world.service(SOME_READS, write),
            trace.display(),
            database.url("owner"),
        ),
    );
    world.write("reader", postgres::READER_PASSWORD);
    world.write("owner", postgres::OWNER_PASSWORD);
    database
}

fn assert_only_reads_arrived(world: &World) {
    let reads = ["/admin/allowed", "/admin/switch", "/admin/redirect-to-secret", "/admin/redirect-elsewhere"];
    for entry in world.ledger.entries() {
        assert!(entry.method == "GET" && reads.contains(&entry.path.as_str()), "{entry:?}");
        assert!(entry.host.starts_with("127.0.0.1"), "{entry:?}");
    }
}
