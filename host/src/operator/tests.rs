#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::ffi::OsString;

use insta::assert_snapshot;

use super::*;

/// The one value that must never be repeated.
const LITERAL: &str = "hunter2hunter2";

fn wrong(text: &str) -> String {
    match Operator::parse("ripcord.toml", text) {
        Ok(operator) => panic!("nothing is wrong with {operator:?}"),
        Err(wrong) => {
            let wrong = wrong.to_string();
            assert!(!wrong.contains(LITERAL), "{wrong}");
            wrong
        }
    }
}

const GOOD: &str = r#"
# Comments don't count.
[http.coolify]
url  = "https://coolify.example.org/api/v1"
auth = { bearer = "secret:coolify" }

[git.app]
path = "."

[secrets]
coolify = { env = "COOLIFY_TOKEN" }
app-db  = { command = ["op", "read", "op://app/db"] }

[limits]
memory-bytes-max = 67108864
"#;

#[test]
fn a_sound_file_is_read_with_its_limits_and_secrets() {
    let operator = Operator::parse("ripcord.toml", GOOD).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(operator.connections.names(Capability::Http), ["coolify"]);
    assert_eq!(operator.secrets["coolify"], SecretSource::Env("COOLIFY_TOKEN".to_owned()));
    assert_eq!(operator.limits, Limits { memory_bytes_max: 64 << 20, ..Limits::default() });
    assert_eq!(operator.base, Path::new(".").canonicalize().unwrap());
}

#[test]
fn an_approval_is_bound_to_what_the_rules_say_not_to_how_they_are_written() {
    let digest = |text: &str| Operator::parse("ripcord.toml", text).unwrap().rules_digest();
    let before = digest(GOOD);
    assert_eq!(digest(&GOOD.replace("# Comments don't count.", "")), before);
    assert_eq!(digest(&GOOD.replace("67108864", "134217728")), before);
    assert_ne!(digest(&GOOD.replace("git.app", "git.other")), before);
    assert_ne!(digest(&GOOD.replace("COOLIFY_TOKEN", "OTHER_TOKEN")), before);
}

#[test]
fn a_mistake_is_shown_where_it_stands_with_what_to_write() {
    // A table that is nearly right, and one that this ripcord does not have
    assert_snapshot!(wrong("[secret]\na = { env = \"A\" }"), @r"
    error: unknown table `secret`
     --> ripcord.toml:1:2
      |
    1 | [secret]
      |  ^^^^^^

    hint: did you mean `secrets`?
    ");
    assert_snapshot!(wrong("[podman.app]\nproject = \"app\""), @r"
    error: unknown table `podman`
     --> ripcord.toml:1:2
      |
    1 | [podman.app]
      |  ^^^^^^

    hint: known here: `http`, `git`, `docker`, `sql`, `command`, `notify`, `secrets`, `limits`, `alertmanager`
    ");
    // A connection without a name, and one with a name that can't be
    assert_snapshot!(wrong("[http]\nurl = \"https://x\""), @r#"
    error: a connection of `http` needs a name
     --> ripcord.toml:2:1
      |
    2 | url = "*********"
      | ^^^

    hint: write its settings below `[http.NAME]`
    "#);
    assert_snapshot!(wrong("[http.\"a b\"]\nurl = \"https://x\""), @r#"
    error: `a b` can't be the name of a connection
     --> ripcord.toml:1:7
      |
    1 | [http."a b"]
      |       ^^^^^

    hint: write letters, digits, `-` and `_`, beginning with a letter
    "#);
    // Keys, types and values
    assert_snapshot!(wrong("[limits]\nmemory-byte-max = 1\ncalls-max = \"many\""), @r#"
    error: expected a whole number that is not negative, and not so large, found a string
     --> ripcord.toml:3:13
      |
    3 | calls-max = "****"
      |             ^^^^^^
    "#);
    assert_snapshot!(wrong("[limits]\ncpu-ms-max = 0\nlog-lines-max = -1"), @r"
    error: `cpu-ms-max` is 0: no plugin could run
     --> ripcord.toml:2:14
      |
    2 | cpu-ms-max = *
      |              ^

    hint: leave it out for the default

    error: expected a whole number that is not negative, and not so large, found a negative number
     --> ripcord.toml:3:17
      |
    3 | log-lines-max = **
      |                 ^^
    ");
    assert_snapshot!(wrong("[secrets]\na = { enw = \"A\" }\nb = { command = [] }"), @r#"
    error: unknown key `enw`
     --> ripcord.toml:2:7
      |
    2 | a = { enw = "*" }
      |       ^^^

    hint: did you mean `env`?

    error: `command` names no program
     --> ripcord.toml:3:5
      |
    3 | b = { command = [] }
      |     ^^^^^^^^^^^^^^^^

    hint: write { command = ["PROGRAM", "ARGUMENT"] }
    "#);
    // A mistake in the words of a notice
    assert_snapshot!(wrong("[notify.x]\nfile = \"n.jsonl\"\n[notify.x.template]\nsubject = \"Hola {{ sbject }}\"\ntext = \"\"\"\n{{ text }}\n{{ fields | shout }}\n\"\"\""), @r#"
    error: a notice has no `sbject`
     --> ripcord.toml:4:20
      |
    4 | subject = "*****************"
      |                    ^^^^^^

    hint: did you mean `subject`?

    error: this template can't be understood: filter shout is unknown
     --> ripcord.toml:7:13
      |
    7 | ********************
      |             ^^^^^

    hint: write {{ subject }}, {{ text }}, or {% for field in fields %}{{ field.name }}: {{ field.value }}{% endfor %}
    "#);
    // A secret that nobody has named
    assert_snapshot!(wrong("[http.x]\nurl = \"https://x\"\nauth = { bearer = \"secret:coolfy\" }\n[secrets]\ncoolify = { env = \"C\" }"), @r#"
    error: no secret `coolfy` under [secrets]
     --> ripcord.toml:3:19
      |
    3 | auth = { bearer = "secret:coolfy" }
      |                   ^^^^^^^^^^^^^^^

    hint: did you mean `secret:coolify`?
    hint: or add to [secrets]:  coolfy = { env = "VARIABLE" }
    "#);
}

#[test]
fn a_secret_in_the_wrong_place_is_never_repeated() {
    assert_snapshot!(wrong(&format!("[secrets]\napi = \"{LITERAL}\"")), @r#"
    error: secret `api` is written here itself, or is no secret
     --> ripcord.toml:2:7
      |
    2 | api = "**************"
      |       ^^^^^^^^^^^^^^^^

    hint: say where it comes from: { env = "VARIABLE" }, { file = "PATH" }, { credential = "NAME" } (systemd) or { command = ["PROGRAM", "ARGUMENT"] }
    "#);
    assert_snapshot!(wrong(&format!("[secrets]\napi = {{ envv = \"{LITERAL}\" }} # was {LITERAL}")), @r#"
    error: unknown key `envv`
     --> ripcord.toml:2:9
      |
    2 | api = { envv = "**************" } # *** **************
      |         ^^^^

    hint: did you mean `env`?
    "#);
    assert_snapshot!(wrong(&format!("[http.x]\nauth = {{ bearer = \"{LITERAL} }}")), @r#"
    error: this is not TOML: unclosed inline table, expected `}`
     --> ripcord.toml:2:36
      |
    2 | auth = { ****** = "************** }
      |                                    ^
    "#);
    for text in [
        format!("[http.x]\nurl = \"https://x\"\nauth = {{ bearer = \"{LITERAL}\" }}\n[secret]"),
        format!("[limits]\ncalls-max = \"{LITERAL}\""),
        format!("[http.x]\nbearer \"{LITERAL}\""),
        LITERAL.to_owned(),
        format!("[secrets]\na = \"\"\"\n{LITERAL}==\n\"\"\"\n[secrets]"),
        format!("[secrets]\na = \"\"\"\n{LITERAL}==\n"),
        format!("[http.x]\nauth = \"{LITERAL}\"\n[http]\nx = 1"),
        format!("[secrets]\na = {{ \"env\" = '{LITERAL}', file = '{LITERAL}' }}"),
    ] {
        wrong(&text);
    }
}

proptest::proptest! {
    #[test]
    fn a_mask_keeps_every_place(text in "([\\[\\]{}=,#.\"' \na-z\u{e9}]|\"\"\"|secret:a|[0-9]{1,3}){0,40}") {
        if let Err(wrong) = Operator::parse("ripcord.toml", &text) {
            for diagnostic in &wrong.0 {
                let Some(place) = &diagnostic.place else { continue };
                assert_eq!(place.text.len(), text.len());
                assert_eq!(place.text.matches('\n').count(), text.matches('\n').count());
            }
            assert!(!wrong.to_string().is_empty());
        }
    }
}

#[test]
fn the_file_is_looked_for_where_it_was_named_then_here_then_at_home() {
    let folder = tempfile::tempdir().unwrap();
    let (here, home) = (folder.path().join("here"), folder.path().join("home"));
    let write = |path: &Path| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    };
    let at_home = home.join("ripcord/ripcord.toml");
    let named = folder.path().join("named.toml");
    let look = |config: Option<&Path>, variable: Option<&Path>| {
        find(config, &here, |name| match name {
            "RIPCORD_CONFIG" => variable.map(OsString::from),
            "XDG_CONFIG_HOME" => Some(home.clone().into()),
            _ => None,
        })
        .map_err(|error| error.render(false).replace(&folder.path().display().to_string(), "/tmp"))
    };
    assert_snapshot!(look(None, None).unwrap_err(), @r"
    error: there is no operator's file; looked for /tmp/here/ripcord.toml and /tmp/home/ripcord/ripcord.toml

    hint: write one with `ripcord init`, or name it with --config or $RIPCORD_CONFIG
    ");
    write(&at_home);
    assert_eq!(look(None, None), Ok(at_home));
    write(&here.join("ripcord.toml"));
    assert_eq!(look(None, None), Ok(here.join("ripcord.toml")));
    // What was named is not replaced by what happens to be there.
    assert_snapshot!(look(None, Some(&named)).unwrap_err(), @r"
    error: the operator's file /tmp/named.toml is not there; $RIPCORD_CONFIG names it

    hint: name another one; `ripcord init` writes one
    ");
    write(&named);
    assert_eq!(look(None, Some(&named)), Ok(named.clone()));
    assert_snapshot!(look(Some(Path::new("other.toml")), Some(&named)).unwrap_err(), @r"
    error: the operator's file /tmp/here/other.toml is not there; --config names it

    hint: name another one; `ripcord init` writes one
    ");
}
