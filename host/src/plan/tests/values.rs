//! Arguments, templates, conditions.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::super::*;
use super::*;

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
