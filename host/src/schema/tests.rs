#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;

use jsonschema::Validator;
use serde_json::json;

use super::*;
use crate::capability::Capability;
use crate::init::STARTERS;
use crate::operator::Operator;
use crate::plan::Plan;

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).expect("a schema that can be used")
}

/// What a schema is given of a file.
fn instance(text: &str) -> Value {
    toml::from_str(text).expect(text)
}

fn is_plan(text: &str) -> bool {
    Plan::parse("plan.toml", text).is_ok()
}

fn is_operator(text: &str) -> bool {
    Operator::parse("ripcord.toml", text).is_ok()
}

#[test]
fn both_schemas_are_schemas_of_the_draft_that_they_name() {
    for schema in [plan(), operator()] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
        let text = schema.to_string();
        // Nothing of Rust is left in them.
        for trace in ["\"null\"", "](", "[`", "```"] {
            assert!(!text.contains(trace), "{trace}");
        }
    }
}

#[test]
fn every_file_that_ripcord_brings_along_fits_its_schema() {
    let (plan, operator) = (validator(&plan()), validator(&operator()));
    let mut plans: Vec<String> = STARTERS.iter().map(|starter| starter.plan.to_owned()).collect();
    let mut operators: Vec<String> = STARTERS.iter().map(|starter| starter.operator.to_owned()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plans");
    for (into, folder) in [(&mut plans, folder.clone()), (&mut operators, folder.join("operator"))] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                into.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    plans.push(include_str!("../lab/plan.toml").to_owned());
    let lab = include_str!("../lab/ripcord.toml");
    operators.push(
        lab.replace("@BUILD@", "[\"x\"]").replace("@DEPLOY@", "[\"x\"]").replace("@MAILBOX@", "25").replace('@', "a@b"),
    );
    for (validator, texts) in [(plan, plans), (operator, operators)] {
        assert!(texts.len() >= STARTERS.len() * 2);
        for text in texts {
            let errors: Vec<_> = validator.iter_errors(&instance(&text)).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}\n{text}");
        }
    }
}

/// A plan or an operator's file, and whether it has the right shape. The parser and the schema agree.
#[test]
fn what_the_parser_refuses_for_its_shape_the_schema_refuses_too() {
    let plan_of = |rest: &str| format!("name = 'x'\ntarget = 'y'\n{rest}");
    let step_of = |rest: &str| plan_of(&format!("[[step]]\nid = 'a'\nuse = 'http-check'\n{rest}"));
    let verify_of = |rest: &str| step_of(&format!("[[verify]]\nid = 'b'\nuse = 'http-check'\n{rest}"));
    let validate = validator(&plan());
    for (text, fits) in [
        (step_of(""), true),
        (step_of("timeout = '1h 30m'\nretry = { attempts = 2, backoff = '0s' }\non-failure = 'undo'"), true),
        (step_of("gate = { ask = 'Go on?', expires = '10m' }\nbind = { a = 'b' }\nwith = { c = [1, 'd'] }"), true),
        (
            step_of("fallback = 'a'")
                .replace("[[step]]", "[[step]]\nid = 'z'\nuse = 'x'\n[[step]]")
                .replace("fallback = 'a'", "fallback = 'z'"),
            true,
        ),
        (verify_of("expect = 'true'\nwithin = '2m'\nevery = '100ms'\ntimeout = '1s'"), true),
        (plan_of("step = []"), true),
        (step_of("[params.a]\ndescription = 'b'\ndefault = 'c'\npattern = '[a-z]'\n[people]\nx = ''"), true),
        (plan_of(""), false),
        (step_of("").replace("name = 'x'", ""), false),
        (step_of("").replace("name = 'x'", "name = 1"), false),
        (step_of("").replace("name = 'x'", "name = ' '"), false),
        (step_of("").replace("target", "targt"), false),
        (step_of("").replace("[[step]]", "[step]"), false),
        (step_of("").replace("id = 'a'", ""), false),
        (step_of("").replace("use = 'http-check'", ""), false),
        (step_of("").replace("id = 'a'", "id = 'A'"), false),
        (step_of("").replace("http-check", "x.wasm"), false),
        (step_of("colour = 'red'"), false),
        (step_of("timeout = 30"), false),
        (step_of("timeout = 'soon'"), false),
        (step_of("timeout = '30'"), false),
        (step_of("on-failure = 'give-up'"), false),
        (step_of("on_failure = 'undo'"), false),
        (step_of("gate = 'Go on?'"), false),
        (step_of("gate = { expires = '1m' }"), false),
        (step_of("gate = { ask = 'x', colour = 'red' }"), false),
        (step_of("retry = { attempts = 0 }"), false),
        (step_of("retry = { attempts = '3' }"), false),
        (step_of("retry = { often = 3 }"), false),
        (step_of("with = 'x'"), false),
        (step_of("bind = { a = 1 }"), false),
        (step_of("expect = 'true'"), false),
        (verify_of("gate = { ask = 'x' }"), false),
        (verify_of("expect = true"), false),
        (step_of("[params.A]\n"), false),
        (step_of("[params]\na = 'b'"), false),
        (step_of("[params.a]\ndefault = 1"), false),
        (step_of("[params.a]\nkind = 'x'"), false),
        (step_of("[people]\nx = 1"), false),
    ] {
        assert_eq!(is_plan(&text), fits, "the parser: {text}");
        assert_eq!(validate.is_valid(&instance(&text)), fits, "the schema: {text}");
    }

    let http = |rest: &str| format!("[http.x]\nurl = 'https://host/api'\n{rest}\n[secrets]\ns = {{ env = 'S' }}");
    let git = |rest: &str| format!("[git.x]\npath = '.'\n{rest}");
    let command = |rest: &str| format!("[command.x]\nargv = ['npm', 'run']\n{rest}\n[secrets]\ns = {{ env = 'S' }}");
    let mail = "smtp = { host = 'mail' }\nfrom = 'a@b.c'\nto = ['Ops <a@b.c>']\n";
    let notify = |rest: &str| format!("[notify.x]\n{rest}\n[secrets]\ns = {{ env = 'S' }}");
    let validate = validator(&operator());
    for (text, fits) in [
        (String::new(), true),
        (
            http("auth = { bearer = 'secret:s' }\nread = ['GET /x/**', 'HEAD']\nwrite = ['POST **']\ntimeout = '1m'"),
            true,
        ),
        (
            http(
                "auth = { basic = { user = 'u', password = 'secret:s' } }\nheaders = { Accept = 'x' }\nbody-limit = 1",
            ),
            true,
        ),
        (http("auth = { header = { name = 'X-Key', value = 'secret:s' } }\nallow-addresses = ['fe80::/10']"), true),
        (
            http("repeat = 'keyed'\nidempotency-header = 'Idempotency-Key'\nca-file = 'x.pem'\nsettles-within = '0s'"),
            true,
        ),
        (
            git(
                "remote = 'up'\nauthor = { name = 'n', email = 'e' }\nwrite = ['restore src/**', 'commit', 'push main', 'reset']",
            ),
            true,
        ),
        (
            command(
                "env = { A = 'b', C = 'secret:s' }\ninherit-env = ['D']\neffect = 'read'\nrepeat = 'idempotent'\noutput-limit = 1",
            ),
            true,
        ),
        (command("cwd = '.'\ntimeout = '1h'"), true),
        (notify(mail), true),
        (notify("webhook = 'secret:s'\nformat = 'slack'\ntemplate = { text = 'x' }"), true),
        (notify("webhook = 'https://host/x?y=z'\nformat = 'json'\nkey = 'secret:s'\nca-file = 'x.pem'"), true),
        (notify("format = 'pagerduty'\nkey = 'secret:s'"), true),
        (notify("file = 'notices.jsonl'\ntimeout = '1s'"), true),
        (
            notify(
                "smtp = { host = 'm', port = 25, tls = 'implicit', user = 'u', password = 'secret:s' }\nfrom = 'a@b.c'\nto = ['a@b.c']",
            ),
            true,
        ),
        ("[secrets]\na = { file = 'x' }\nb = { credential = 'y' }\nc = { command = ['z'] }".to_owned(), true),
        ("[limits]\ncalls-max = 5".to_owned(), true),
        ("[secret]\na = { env = 'A' }".to_owned(), false),
        ("[podman.x]\nproject = 'x'".to_owned(), false),
        ("[http]\nurl = 'https://host'".to_owned(), false),
        (http("").replace("http.x", "http.'a b'"), false),
        (http("").replace("url = 'https://host/api'", ""), false),
        (http("").replace("https://", "ftp://"), false),
        (http("").replace("/api'", "/api?x=y'"), false),
        (http("colour = 'red'"), false),
        (http("auth = 'secret:s'"), false),
        (http("auth = { bearer = 'hunter2hunter2' }"), false),
        (http("auth = { bearer = 'secret:s', basic = { user = 'u', password = 'secret:s' } }"), false),
        (http("auth = { basic = { user = 'u' } }"), false),
        (http("read = 'GET /x'"), false),
        (http("read = ['FETCH /x']"), false),
        (http("read = ['GET x']"), false),
        (http("timeout = 30"), false),
        (http("body-limit = 0"), false),
        (http("repeat = 'always'"), false),
        (http("headers = { 'a b' = 'x' }"), false),
        (http("allow-addresses = ['metadata']"), false),
        (git("").replace("path", "paht"), false),
        (git("write = ['checkout x']"), false),
        (git("write = ['reset v1']"), false),
        (git("author = { name = 'n' }"), false),
        (git("timeout = 'soon'"), false),
        (command("").replace("['npm', 'run']", "'npm run'"), false),
        (command("").replace("['npm', 'run']", "[]"), false),
        (command("env = { A = 'secret:' }"), false),
        (command("env = { A = 1 }"), false),
        (command("effect = 'none'"), false),
        (command("output-limit = 99999999"), false),
        (command("shell = true"), false),
        (notify(&mail.replace("from", "form")), false),
        (notify("timeout = '1s'"), false),
        (notify("webhook = 'secret:s'"), false),
        (notify("webhook = 'secret:s'\nformat = 'smoke-signals'"), false),
        (notify("webhook = 'ftp://host'\nformat = 'json'"), false),
        (notify("webhook = 'secret:s'\nformat = 'slack'\ntemplate = { colour = 'red' }"), false),
        (notify("file = 'x'\nformat = 'slack'"), false),
        (notify("file = 'x'\nto = ['a@b.c']"), false),
        (notify(&format!("{mail}file = 'x'")), false),
        (notify(&format!("{mail}key = 'secret:s'")), false),
        (notify(&mail.replace("host = 'mail'", "host = 'mail', user = 'u'")), false),
        (notify(&mail.replace("host = 'mail'", "host = 'mail', tls = 'maybe'")), false),
        (notify(&mail.replace("'a@b.c'", "'nobody'")), false),
        (notify(&mail.replace("['Ops <a@b.c>']", "[]")), false),
        ("[secrets]\na = 'hunter2hunter2'".to_owned(), false),
        ("[secrets]\na = { env = 'A', file = 'b' }".to_owned(), false),
        ("[secrets]\na = { enw = 'A' }".to_owned(), false),
        ("[secrets]\na = { command = [] }".to_owned(), false),
        ("[limits]\ncalls-max = 'many'".to_owned(), false),
        ("[limits]\ncalls-max = 0".to_owned(), false),
        ("[limits]\nmemory-byte-max = 1".to_owned(), false),
    ] {
        assert_eq!(is_operator(&text), fits, "the parser: {text}");
        assert_eq!(validate.is_valid(&instance(&text)), fits, "the schema: {text}");
    }
}

/// The keys that a table may have, as the parser itself lists them when it is given another one.
#[test]
fn the_keys_of_each_table_are_the_same_for_the_parser_and_the_schema() {
    const OTHER: &str = "no-such-key";
    let known_to_the_parser = |error: &str| -> BTreeSet<String> {
        let (_, known) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let keys =
        |schema: &Value| -> BTreeSet<String> { schema["properties"].as_object().unwrap().keys().cloned().collect() };
    let operator = operator();
    for capability in Capability::ALL {
        let table = json!({ capability.name(): { "x": { OTHER: 1 } } });
        let error = serde_json::from_value::<crate::capability::Connections>(table).unwrap_err().to_string();
        let reference = &operator["properties"][capability.name()]["additionalProperties"]["$ref"];
        let definition = reference.as_str().unwrap().strip_prefix("#").unwrap();
        let schema = operator.pointer(definition).unwrap();
        // What may be written inside each other (`smtp`, `auth`) is among the cases above.
        assert_eq!(keys(schema), known_to_the_parser(&error), "{capability}");
    }
    let error = toml::from_str::<crate::journal::Limits>(&format!("{OTHER} = 1")).unwrap_err().to_string();
    assert_eq!(keys(&operator["$defs"]["Limits"]), known_to_the_parser(&error));
    let plan = plan();
    for (text, definition) in [
        (format!("{OTHER} = 1"), ""),
        (format!("[[step]]\n{OTHER} = 1"), "/$defs/Step"),
        (format!("[[verify]]\n{OTHER} = 1"), "/$defs/Check"),
        (format!("[params.x]\n{OTHER} = 1"), "/$defs/Param"),
    ] {
        let wrong = Plan::parse("plan.toml", &format!("{text}\n")).unwrap_err();
        let unknown = wrong.0.iter().find(|diagnostic| diagnostic.message.contains(OTHER)).expect("it is unknown");
        // "known here: …"
        let known = unknown.help.first().unwrap();
        let known: BTreeSet<String> = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert_eq!(keys(plan.pointer(definition).unwrap()), known, "{text}");
    }
}

#[test]
fn an_editor_shows_the_sentence_that_documents_a_key() {
    let operator = operator();
    let auth = &operator["$defs"]["HttpConnection"]["properties"]["auth"];
    assert_eq!(auth["description"], "How ripcord logs in.");
    assert_eq!(operator["$defs"]["GitConnection"]["properties"]["timeout"]["default"], "2m");
    let undocumented: Vec<_> = [&operator, &plan()]
        .into_iter()
        .flat_map(|schema| std::iter::once(schema).chain(schema["$defs"].as_object().unwrap().values()))
        .flat_map(|schema| schema["properties"].as_object().cloned().unwrap_or_default())
        .filter(|(_, property)| property["description"].as_str().is_none_or(str::is_empty))
        .map(|(key, _)| key)
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}
