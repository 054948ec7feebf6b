//! A plan against plugins and the operator's rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::super::*;
use super::*;
use crate::diagnostic::Diagnostics;
use crate::manifest::{Access, Kind, Manifest, Role};
use crate::operator::Operator;

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
