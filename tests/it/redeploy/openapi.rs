//! What is sent and what the stand-in answers, against Coolify's official description. The description is no part of
//! this repository: it is looked for beside it, where CI has it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::scene::{APP, Kind, RUN, Scene};
use crate::world::{COOLIFY_TOKEN, Exchange};

const DESCRIPTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/coolify-openapi.json");

/// Where Coolify does otherwise than its description says, and the answer is what its code gives.
const DEVIATIONS: &[(&str, u16, &str)] = &[
    ("GET /deployments/applications/{uuid}", 200, "{count, deployments: […]}; the description says applications"),
    ("GET /applications/{uuid}", 200, "an image application has the build pack `dockerimage`, which is not listed"),
    ("GET /deployments", 200, "can be a JSON object"),
    ("GET /deployments/applications/{uuid}", 422, "a bad `take`"),
    ("GET /deployments/applications/{uuid}", 404, "of an application that is not there"),
    ("PATCH /applications/{uuid}", 422, "unknown keys, and null or \"\" for the pin"),
    ("POST /deploy", 429, "the queue is full"),
    ("POST /deploy", 404, "of an application that is not there"),
    ("POST /deployments/{uuid}/cancel", 500, "through 4.3.6, after having cancelled"),
];

struct Description(Value);

impl Description {
    fn load() -> Option<Self> {
        let text = std::fs::read_to_string(Path::new(DESCRIPTION)).ok()?;
        let mut description: Value = serde_json::from_str(&text).unwrap();
        nullable(&mut description);
        Some(Self(description))
    }

    /// The described path that a request goes to.
    fn path(&self, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |described: &&String| {
            let described: Vec<&str> = described.split('/').collect();
            described.len() == parts.len()
                && described.iter().zip(&parts).all(|(one, part)| one == part || one.starts_with('{'))
        };
        let paths = self.0["paths"].as_object().unwrap();
        // A path that is named in full counts before one with a placeholder.
        let mut fitting: Vec<&String> = paths.keys().filter(fits).collect();
        fitting.sort_by_key(|described| described.matches('{').count());
        fitting.first().map(|described| described.as_str())
    }

    /// What is wrong with a value by a schema of the description.
    fn misfits(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        validator.iter_errors(value).map(|error| format!("{} at {}", error, error.instance_path())).collect()
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str().and_then(|reference| self.0.pointer(reference.strip_prefix('#')?)) {
            Some(resolved) => resolved,
            None => value,
        }
    }

    /// What is wrong with a request and its answer.
    fn wrong(&self, exchange: &Exchange) -> Vec<String> {
        let Some(path) = self.path(&exchange.path) else { return vec!["is not described".to_owned()] };
        let operation = &self.0["paths"][path][exchange.method.to_lowercase()];
        if operation.is_null() {
            return vec![format!("{} is not described there", exchange.method)];
        }
        let mut wrong = self.wrong_request(operation, exchange);
        // What was turned away for its shape was wrong on purpose.
        if exchange.status == Some(422) {
            wrong.clear();
        }
        wrong.extend(self.wrong_answer(path, operation, exchange));
        wrong
    }

    fn wrong_request(&self, operation: &Value, exchange: &Exchange) -> Vec<String> {
        let mut wrong = Vec::new();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for (name, value) in &exchange.query {
            let Some(parameter) = parameters.iter().find(|known| known["in"] == "query" && known["name"] == **name)
            else {
                wrong.push(format!("the query has `{name}`, which is not described"));
                continue;
            };
            // A query's values are texts.
            let text = value.as_str().unwrap_or_default();
            let typed = if parameter["schema"]["type"] == "string" {
                value.clone()
            } else {
                text.parse().unwrap_or(json!(text))
            };
            wrong.extend(self.misfits(&parameter["schema"], &typed));
        }
        let described = &operation["requestBody"]["content"]["application/json"]["schema"];
        match (described.is_null(), exchange.body.is_null()) {
            (false, false) => {
                wrong.extend(self.misfits(described, &exchange.body));
                let known = described["properties"].as_object().cloned().unwrap_or_default();
                let unknown =
                    exchange.body.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains_key(*key));
                wrong.extend(unknown.map(|key| format!("the body has `{key}`, which is not described")));
            }
            (true, false) if exchange.path != "/deploy" => wrong.push("a body is not described".to_owned()),
            _ => {}
        }
        wrong
    }

    fn wrong_answer(&self, path: &str, operation: &Value, exchange: &Exchange) -> Vec<String> {
        let mut wrong = Vec::new();
        if let (Some(status), Some(answer)) = (exchange.status, &exchange.answer) {
            let line = format!("{} {path}", exchange.method);
            let is_deviation = DEVIATIONS.iter().any(|(known, of, _)| *known == line && *of == status);
            let response = self.resolved(&operation["responses"][status.to_string()]);
            let schema = &response["content"]["application/json"]["schema"];
            // Whoever is not let in, or asks too often, is told so everywhere.
            let is_general = matches!(status, 401 | 403 | 429);
            match schema.is_null() {
                _ if is_deviation || is_general => {}
                true if response.is_null() => wrong.push(format!("the answer {status} is not described")),
                true => {}
                false => wrong.extend(self.misfits(schema, answer)),
            }
        }
        wrong
    }
}

/// OpenAPI's older `nullable`, which this description still has, in JSON Schema's words.
fn nullable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.remove("nullable") == Some(json!(true)) {
                if let Some(kind) = fields.get("type").cloned().filter(Value::is_string) {
                    fields.insert("type".to_owned(), json!([kind, "null"]));
                }
                if let Some(Value::Array(known)) = fields.get_mut("enum") {
                    known.push(Value::Null);
                }
            }
            fields.values_mut().for_each(nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}

fn ask(scene: &Scene, method: &str, path: &str, body: Option<&str>) {
    let url = format!("{}{path}", scene.coolify.url());
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-X", method, "-H", "Accept: application/json"]);
    curl.args(["-H", &format!("Authorization: Bearer {COOLIFY_TOKEN}"), "-H", "Content-Type: application/json"]);
    assert!(curl.args(body.map(|body| ["-d", body]).into_iter().flatten()).arg(url).status().unwrap().success());
}

#[test]
fn what_is_sent_and_what_is_answered_are_as_coolify_describes_them() {
    let Some(description) = Description::load() else {
        let why = format!("there is no {DESCRIPTION}, Coolify's description, which is no part of this repository");
        // Not by `eprintln!`, which is held back of a test that passes: nobody may take it for checked.
        let _ = writeln!(std::io::stderr(), "NOT CHECKED, and counted as passed: {why}");
        return;
    };
    for (version, kind) in [
        ("4.1.2", Kind::Image),
        ("4.2.0", Kind::Git),
        ("4.2.0", Kind::Image),
        ("4.3.6", Kind::Git),
        ("4.3.10", Kind::Git),
        ("4.3.10", Kind::Image),
    ] {
        let scene = Scene::new(version, kind);
        scene.deployment("waits", kind.bad(), "queued");
        scene.ripcord(RUN).expect(0);
        scene.ripcord(&["undo", "last", "--yes"]).expect(1);
        // The rest of the endpoints, and what they answer to what is wrong.
        for (method, path, body) in [
            ("GET", "/health", None),
            ("GET", "/deployments", None),
            ("GET", "/deployments/nothing", None),
            ("GET", "/applications/nothing", None),
            ("GET", &format!("/deployments/applications/{APP}?take=0") as &str, None),
            ("POST", "/deployments/nothing/cancel", None),
            ("POST", &format!("/applications/{APP}/restart"), None),
            ("POST", &format!("/applications/{APP}/stop?docker_cleanup=false"), None),
            ("POST", &format!("/applications/{APP}/start?force=true"), None),
            ("PATCH", &format!("/applications/{APP}"), Some(r#"{"git_commit_sha": ""}"#)),
        ] {
            ask(&scene, method, path, body);
        }
        if version.starts_with("4.3") {
            ask(&scene, "GET", &format!("/applications/{APP}/rollback-images"), None);
        }
        let exchanges = scene.coolify.exchanges();
        assert!(exchanges.len() > 15, "{version}");
        for exchange in &exchanges {
            let wrong = description.wrong(exchange);
            assert!(wrong.is_empty(), "{version}: {exchange:#?}\n{}", wrong.join("\n"));
        }
    }
}
