//! Plans that are wrong, and what is given for their parameters.

use std::fs;

use super::Messages;
use crate::world::{World, guest};

/// Nothing is wrong with this one; each case changes a part of it.
const SOUND: &str = r#"name = "facebook"
target = "genia/connectors/{{ params.connector }}"
timeout = "10m"

[params.connector]
description = "the connector's name, as in src/lib/connectors/NAME.ts"
pattern = "[a-z][a-z0-9-]*"

[[step]]
id = "disable"
use = "connector-disable"
bind = { admin = "genia-admin", code = "genia", build = "genia-build", deploy = "genia-deploy-staging" }
with = { connector = "{{ params.connector }}", version = "v1.4.2" }

[[step]]
id = "tell"
use = "notify-people"
bind = { users = "genia-users" }
with = { subject = "Facebook is off", text = "We are looking into it." }

[[verify]]
id = "off"
use = "http-check"
bind = { service = "genia-admin" }
with = { path = "/connectors/facebook" }
expect = "response.json.enabled == false"

[people]
analysis = "Ana"

[[follow-up]]
id = "cause"
what = "Find the cause"
owner = "analysis"

[[follow-up]]
id = "switch-on"
use = "http-switch"
bind = { service = "genia-admin" }
with = { send = { path = "/connectors/facebook/enable" } }
ends = ["off"]

[drift]
for = "24h"

[[notice]]
id = "tell-end"
on = ["verified", "drifted"]
use = "notify-people"
bind = { users = "genia-users" }
with = { subject = "{{ run.state }}", text = "Coordinates: {{ incident.coordinator }}" }
"#;

/// A name, the text that is changed, and what it becomes.
const WRONG: &[(&str, &str, &str)] = &[
    ("not-toml", "name = \"facebook\"", "name = facebook"),
    ("unclosed-string", "id = \"tell\"", "id = \"tell"),
    ("unknown-key", "timeout = \"10m\"", "timout = \"10m\""),
    ("unknown-key-in-a-step", "id = \"tell\"", "id = \"tell\"\nfalback = \"disable\""),
    ("timeout-is-a-number", "timeout = \"10m\"", "timeout = 10"),
    ("timeout-without-unit", "timeout = \"10m\"", "timeout = \"10\""),
    ("timeout-too-long", "timeout = \"10m\"", "timeout = \"400d\""),
    ("missing-key", "target = \"genia/connectors/{{ params.connector }}\"\n", ""),
    ("missing-key-in-a-step", "id = \"tell\"\n", ""),
    ("string-for-a-table", "bind = { users = \"genia-users\" }", "bind = \"genia-users\""),
    ("one-bracket", "[[verify]]", "[verify]"),
    ("unknown-plugin", "use = \"notify-people\"", "use = \"notify-poeple\""),
    (
        "check-as-a-step",
        "use = \"notify-people\"\nbind = { users = \"genia-users\" }",
        "use = \"http-check\"\nbind = { service = \"genia-admin\" }",
    ),
    ("component-without-digest", "use = \"notify-people\"", "use = \"steps.wasm\""),
    ("component-with-half-a-digest", "use = \"notify-people\"", "use = \"steps.wasm@sha256:1234\""),
    ("unknown-connection", "bind = { service = \"genia-admin\" }", "bind = { service = \"genia-admn\" }"),
    (
        "connection-of-another-capability",
        "bind = { service = \"genia-admin\" }",
        "bind = { service = \"genia-users\" }",
    ),
    ("unbound-role", "admin = \"genia-admin\", code", "code"),
    ("unknown-role", "bind = { users = \"genia-users\" }", "bind = { user = \"genia-users\" }"),
    (
        "unknown-parameter-in-a-template",
        "connector = \"{{ params.connector }}\"",
        "connector = \"{{ params.conector }}\"",
    ),
    ("undeclared-name-in-a-template", "We are looking into it.", "{{ incident.id }} is looked into."),
    ("template-syntax", "We are looking into it.", "{{ params.connector } is off."),
    ("receipt-of-a-later-step", "version = \"v1.4.2\"", "version = \"{{ steps.tell.receipt.version }}\""),
    ("one-equals-sign", "response.json.enabled == false", "response.json.enabled = false"),
    ("condition-syntax", "response.json.enabled == false", "response.json.enabled == "),
    ("unknown-parameter-in-a-condition", "response.json.enabled == false", "response.json.name == params.name"),
    ("unknown-fallback", "id = \"tell\"", "id = \"tell\"\nfallback = \"disabel\""),
    ("later-fallback", "id = \"disable\"", "id = \"disable\"\nfallback = \"tell\""),
    ("own-fallback", "id = \"tell\"", "id = \"tell\"\nfallback = \"tell\""),
    ("two-steps-of-one-name", "id = \"tell\"", "id = \"disable\""),
    ("gate-expires-never", "id = \"tell\"", "id = \"tell\"\ngate = { ask = \"Tell them?\", expires = \"soon\" }"),
    ("gate-expires-at-once", "id = \"tell\"", "id = \"tell\"\ngate = { ask = \"Tell them?\", expires = \"0s\" }"),
    ("gate-without-question", "id = \"tell\"", "id = \"tell\"\ngate = { expires = \"10m\" }"),
    ("plugin-refuses-a-value", "path = \"/connectors/facebook\"", "path = \"connectors/facebook\""),
    ("plugin-refuses-a-key", "path = \"/connectors/facebook\"", "path = \"/connectors/facebook\", statuscode = 200"),
    ("plugin-misses-a-key", "with = { path = \"/connectors/facebook\" }", "with = {}"),
    ("bad-pattern", "pattern = \"[a-z][a-z0-9-]*\"", "pattern = \"[a-z\""),
    ("owner-unknown", "owner = \"analysis\"", "owner = \"analisys\""),
    ("owner-is-nobody", "owner = \"analysis\"", "owner = \"Luis\""),
    ("due-is-no-time", "owner = \"analysis\"", "due = \"soon\""),
    ("follow-up-says-nothing", "what = \"Find the cause\"", "what = \" \""),
    ("follow-up-of-people-with-a-gate", "what = \"Find the cause\"", "what = \"x\"\ngate = { ask = \"Sure?\" }"),
    ("follow-up-names-no-check", "ends = [\"off\"]", "ends = [\"of\"]"),
    ("follow-up-of-a-steps-name", "id = \"switch-on\"", "id = \"tell\""),
    ("check-as-a-follow-up", "use = \"http-switch\"", "use = \"http-check\""),
    ("drift-without-time", "for = \"24h\"", "interval = \"5m\""),
    ("drift-looks-once", "for = \"24h\"", "for = \"1m\"\ninterval = \"5m\""),
    ("notice-on-nothing", "on = [\"verified\", \"drifted\"]", "on = []"),
    ("notice-on-what-never-comes", "on = [\"verified\", \"drifted\"]", "on = [\"tripped\"]"),
    ("notice-on-an-unknown-occasion", "on = [\"verified\", \"drifted\"]", "on = [\"finished\"]"),
    ("notice-on-one-twice", "on = [\"verified\", \"drifted\"]", "on = [\"verified\", \"verified\"]"),
    (
        "notice-that-does-more",
        "on = [\"verified\", \"drifted\"]\nuse = \"notify-people\"",
        "on = [\"verified\"]\nuse = \"http-switch\"",
    ),
    ("notice-speaks-of-a-receipt", "{{ run.state }}", "{{ steps.disable.receipt }}"),
    ("notice-speaks-of-nothing", "incident.coordinator", "incident.coordinador"),
    ("step-speaks-of-a-notices-fact", "We are looking into it.", "It is {{ run.state }}."),
    ("scenario-is-empty", "timeout = \"10m\"", "timeout = \"10m\"\nscenario = \" \""),
    ("every-without-within", "id = \"off\"", "id = \"off\"\nevery = \"5s\""),
];

#[test]
fn a_wrong_plan() {
    let world = World::new();
    fs::write(world.path("steps.wasm"), guest("steps")).unwrap();
    let before = world.touched();
    let mut messages = Messages::about("plans");

    world.write("facebook.toml", SOUND);
    world.ripcord(&["check", "facebook.toml"]).expect(0);
    for (name, from, to) in WRONG {
        assert!(SOUND.contains(from), "{name}: there is no `{from}`");
        let file = format!("{name}.toml");
        world.write(&file, &SOUND.replacen(from, to, 1));
        let ran = messages.shows(&world, name, world.shipped(&["check", &file]));
        assert_eq!(ran.code(), Some(2), "{ran}");
    }

    let two = SOUND.replace("timeout = \"10m\"", "timeout = 10").replace("id = \"tell\"", "id = \"disable\"");
    world.write("two.toml", &two);
    messages.shows(&world, "two-mistakes", world.shipped(&["check", "two.toml"]));
    world.write(
        "two-plugins.toml",
        &SOUND.replace("\"connector-disable\"", "\"conector-disable\"").replace(
            "\"notify-people\"",
            "\"steps.wasm@sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
        ),
    );
    messages.shows(&world, "two-unusable-plugins", world.shipped(&["check", "two-plugins.toml"]));
    world.write("no-step.toml", "name = \"nothing\"\ntarget = \"nothing\"\n");
    messages.shows(&world, "no-step", world.shipped(&["check", "no-step.toml"]));
    world.write("empty.toml", "");
    messages.shows(&world, "empty", world.shipped(&["check", "empty.toml"]));
    messages.shows(&world, "missing-file", world.shipped(&["check", "facebok.toml"]));
    messages.shows(&world, "missing-plan", world.shipped(&["check", "payments.toml"]));
    messages.shows(&world, "missing-folder", world.shipped(&["check", "nowhere/payments.toml"]));
    messages.shows(&world, "folder", world.shipped(&["check", "genia"]));
    fs::write(world.path("binary.toml"), b"name = \"x\"\ntarget = \"caf\xe9\"\n").unwrap();
    messages.shows(&world, "binary", world.shipped(&["check", "binary.toml"]));
    let utf_16 = SOUND.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    fs::write(world.path("utf-16.toml"), utf_16).unwrap();
    messages.shows(&world, "utf-16", world.shipped(&["check", "utf-16.toml"]));
    fs::write(world.path("picture.toml"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    messages.shows(&world, "no-text", world.shipped(&["check", "picture.toml"]));
    world.write("huge.toml", &format!("{SOUND}\n# {}\n", "x".repeat(5 << 20)));
    messages.shows(&world, "huge", world.shipped(&["check", "huge.toml"]));
    messages.shows(&world, "operators-file-as-plan", world.shipped(&["check", "ripcord.toml"]));

    messages.shows(&world, "parameter-missing", world.shipped(&["preview", "facebook.toml"]));
    messages.shows(
        &world,
        "parameter-unknown",
        world.shipped(&["preview", "facebook.toml", "-p", "conector=facebook"]),
    );
    messages.shows(
        &world,
        "parameter-misses-its-pattern",
        world.shipped(&["preview", "facebook.toml", "-p", "connector=../../etc/passwd"]),
    );
    messages.shows(
        &world,
        "parameter-twice",
        world.shipped(&["preview", "facebook.toml", "-p", "connector=facebook", "-p", "connector=mailchimp"]),
    );

    assert_eq!(world.touched().requests, before.requests);
    assert!(!world.path("state/journal.sqlite").exists(), "nothing has begun");
    messages.end();
}
