//! The operator's file: where it is looked for, and what is wrong in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Messages;
use crate::world::{Ripcord, World};

/// A plan that needs one connection.
const PLAN: &str = r#"name = "coolify"
target = "coolify"

[[step]]
id = "a"
use = "steps"
bind = { service = "coolify" }
with = { apply = [{ call = { role = "service", http = { method = "GET", path = "/version" } } }] }
"#;

/// Nothing is wrong with this one; each case changes a part of it.
const SOUND: &str = r#"[http.coolify]
url   = "http://127.0.0.1:9/api/v1"
auth  = { bearer = "secret:coolify" }
read  = ["GET /version", "GET /applications/**"]
write = ["POST /deploy"]

[secrets]
coolify = { env = "COOLIFY_TOKEN" }
"#;

/// A name, the text that is changed, and what it becomes: wrong whatever the machine is like.
const WRONG: &[(&str, &str, &str)] = &[
    ("not-toml", "url   = \"http", "url   = http"),
    ("unknown-table", "[http.coolify]", "[https.coolify]"),
    ("unknown-key", "auth  =", "aut   ="),
    ("connection-without-name", "[http.coolify]", "[http]"),
    ("secret-not-declared", "coolify = { env = \"COOLIFY_TOKEN\" }", "coolfy = { env = \"COOLIFY_TOKEN\" }"),
    ("secret-written-into-the-file", "{ bearer = \"secret:coolify\" }", "{ bearer = \"1|hunter2hunter2\" }"),
    ("secret-is-a-string", "{ env = \"COOLIFY_TOKEN\" }", "\"hunter2hunter2\""),
    ("secret-from-nowhere-known", "{ env = \"COOLIFY_TOKEN\" }", "{ vault = \"coolify\" }"),
    ("url-without-scheme", "http://127.0.0.1:9/api/v1", "coolify.example.org/api/v1"),
    ("url-with-credentials", "http://127.0.0.1:9/api/v1", "https://root:hunter2hunter2@coolify.example.org/"),
    ("url-of-a-metadata-service", "http://127.0.0.1:9/api/v1", "http://169.254.169.254/latest"),
    ("rule-without-slash", "GET /version", "GET connections"),
    ("rule-without-method", "GET /version", "/version"),
    ("rule-with-unknown-method", "GET /version", "GETT /version"),
    ("timeout-is-a-number", "write =", "timeout = 10\nwrite ="),
    (
        "two-mistakes",
        "read  = [\"GET /version\", \"GET /applications/**\"]",
        "reed  = [\"GET /version\"]\ntimeout = \"soon\"",
    ),
];

/// The same, but known only once the connection is opened.
const UNAVAILABLE: &[(&str, &str)] = &[
    ("secret-file-missing", "{ file = \"tokens/coolify\" }"),
    ("secret-command-fails", "{ command = [\"sh\", \"-c\", \"echo 'not logged in: run  op signin' >&2; exit 6\"] }"),
    ("secret-command-missing", "{ command = [\"no-such-program\", \"read\"] }"),
    ("secret-credential-without-systemd", "{ credential = \"coolify\" }"),
];

#[test]
fn a_wrong_operators_file() {
    let world = World::new();
    world.plan("coolify", PLAN.split_once("target = \"coolify\"\n").unwrap().1);
    let mut messages = Messages::about("operator");
    let preview = |file: &str| world.shipped(&["--config", file, "preview", "coolify.toml"]);

    for (name, from, to) in WRONG {
        assert!(SOUND.contains(from), "{name}: there is no `{from}`");
        let file = format!("{name}.toml");
        world.write(&file, &SOUND.replacen(from, to, 1));
        let ran = messages.shows(&world, name, world.shipped(&["--config", &file, "check", "coolify.toml"]));
        assert_eq!(ran.code(), Some(2), "{ran}");
        assert!(!ran.said().contains("hunter2"), "{ran}");
    }
    world.write("sound.toml", SOUND);
    messages.shows(&world, "secret-environment-not-set", preview("sound.toml"));
    messages.shows(&world, "secret-too-short", preview("sound.toml").env("COOLIFY_TOKEN", "short"));
    for (name, source) in UNAVAILABLE {
        let file = format!("{name}.toml");
        world.write(&file, &SOUND.replace("{ env = \"COOLIFY_TOKEN\" }", source));
        messages.shows(&world, name, preview(&file));
    }
    fs::write(world.path("binary.toml"), b"[http.coolify]\nurl = \"\xff\"\n").unwrap();
    messages.shows(&world, "binary", preview("binary.toml"));
    messages.shows(&world, "named-and-missing", preview("ripcrd.toml"));
    messages.shows(
        &world,
        "named-in-the-environment-and-missing",
        world.shipped(&["preview", "coolify.toml"]).env("RIPCORD_CONFIG", "/nowhere/ripcord.toml"),
    );
    messages.shows(&world, "plan-as-operators-file", preview("coolify.toml"));

    let elsewhere = world.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    messages.shows(&world, "nowhere", Ripcord::shipped(&elsewhere, &["preview", "../coolify.toml"]));

    // Root may read everything, unless it gives that right away.
    world.write("closed.toml", SOUND);
    fs::set_permissions(world.path("closed.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    let closed = super::without_roots_rights(preview("closed.toml"));
    messages.shows(&world, "not-readable", closed);

    assert!(!world.path("state/journal.sqlite").exists(), "nothing has begun");
    messages.end();
}
