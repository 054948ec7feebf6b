//! What the operator's file says.

use std::time::Duration;

use serde_json::json;

use super::super::{Call, Connection};
use super::{call, connection};
use crate::capability::{CapabilityConnection, Judgement, Repeat};

#[test]
fn the_rules_say_what_is_a_read_and_what_a_mutation_and_nothing_else_is_allowed() {
    let connection = connection(json!({
        "url": "https://host/api/v1",
        "read": ["GET /**", "POST /search"],
        "write": ["POST /applications/*", "GET /deploy"],
        "auth": { "header": { "name": "X-Api-Key", "value": "secret:token" } },
        "idempotency-header": "Idempotency-Key",
        "headers": { "X-Tenant": "genia" },
    }));
    let judge = |method: &str, path: &str| connection.judge("http.x", &call(method, path));
    for (method, path) in [("GET", "/applications/u1?x=y"), ("POST", "/search?q=1"), ("GET", "/deploys")] {
        assert_eq!(judge(method, path), Judgement::Read, "{method} {path}");
    }
    for (method, path) in [("POST", "/applications/u1"), ("GET", "/deploy"), ("GET", "/deploy?uuid=1")] {
        assert_eq!(judge(method, path), Judgement::Mutation, "{method} {path}");
    }
    for (method, path) in [
        ("POST", "/applications/u1/envs"),
        ("DELETE", "/applications/u1"),
        ("get", "/deploy"),
        ("TRACE", "/x"),
        ("GET\r\nX: y", "/x"),
        // A read by the letter, and perhaps a deployment to the server.
        ("GET", "/deploy/"),
        ("GET", "/%64eploy"),
        ("GET", "/x/../deploy"),
        ("GET", "//deploy"),
        ("GET", "/deploy;x"),
    ] {
        assert!(matches!(judge(method, path), Judgement::Denied(_)), "{method} {path}");
    }
    let Judgement::Denied(denial) = judge("PATCH", "/applications/u1") else { panic!("denied") };
    assert_eq!(denial.remedy, r#"[http.x]  write = ["PATCH /applications/u1"]"#);

    for name in [
        "Authorization",
        "cookie",
        "Proxy-Authorization",
        "proxy-connection",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Upgrade",
        "Trailer",
        "Expect",
        "X-HTTP-Method-Override",
        "X-Forwarded-Host",
        "Idempotency-Key",
        "x-api-key",
        "x-tenant",
        "no name",
    ] {
        let call = Call { headers: vec![(name.to_owned(), "value".to_owned())], ..call("GET", "/x") };
        assert!(matches!(connection.judge("http.x", &call), Judgement::Denied(_)), "{name}");
    }
    let smuggled = Call { headers: vec![("x".into(), "y\r\nauthorization: z".into())], ..call("GET", "/x") };
    assert!(matches!(connection.judge("http.x", &smuggled), Judgement::Denied(_)));
    let plain = Call { headers: vec![("Content-Type".into(), "text/plain".into())], ..call("GET", "/x") };
    assert_eq!(connection.judge("http.x", &plain), Judgement::Read);
}

#[test]
fn the_table_is_written_as_the_handbook_writes_it() {
    let table = r#"
        url   = "https://coolify.example.org/api/v1"
        auth  = { bearer = "secret:coolify" }
        read  = ["GET /applications/**", "GET /deployments/**", "GET /version"]
        write = ["PATCH /applications/*", "POST /applications/*/rollback", "POST /deploy"]
        timeout = "1m 30s"
    "#;
    let connection: Connection = toml::from_str(table).unwrap();
    assert_eq!(connection.deadline(&call("GET", "/version")), Duration::from_secs(90));
    let written = toml::to_string(&connection).unwrap();
    assert_eq!(toml::to_string(&toml::from_str::<Connection>(&written).unwrap()).unwrap(), written);
}

#[test]
fn what_could_not_be_kept_is_refused_when_the_file_is_read() {
    let url = "https://host/";
    for (table, wrong) in [
        (json!({ "url": url, "colour": "red" }), "colour"),
        (json!({ "url": "https://user:hunter2hunter2@host/" }), "credentials"),
        (json!({ "url": url, "read": ["FETCH /x"] }), "FETCH"),
        (json!({ "url": url, "read": ["GET x"] }), "GET x"),
        (json!({ "url": url, "timeout": "0s" }), "timeout"),
        (json!({ "url": url, "timeout": 30 }), "duration in quotes"),
        (json!({ "url": url, "repeat": "keyed" }), "idempotency-header"),
        (json!({ "url": url, "auth": { "bearer": "hunter2hunter2" } }), "secret:NAME"),
        (json!({ "url": url, "auth": { "basic": { "user": "a:b", "password": "secret:x" } } }), "user"),
        (json!({ "url": url, "headers": { "Authorization": "x" } }), "auth ="),
        (json!({ "url": url, "headers": { "X-Key": "secret:x" } }), "auth ="),
        (json!({ "url": url, "headers": { "Host": "x" } }), "host"),
        (json!({ "url": "http://host/", "ca-file": "ca.pem" }), "https"),
        (json!({ "url": "http://169.254.169.254/latest" }), "allow-addresses = [\"169.254.169.254\"]"),
        (json!({ "url": "http://[::ffff:169.254.169.254]/" }), "metadata"),
        (json!({ "url": "http://2852039166/" }), "metadata"),
        (json!({ "url": "http://0xa9.254.0251.0xfe/" }), "metadata"),
        (json!({ "url": "http://[fd00:ec2::254]/" }), "metadata"),
    ] {
        let error = serde_json::from_value::<Connection>(table.clone()).expect_err(&table.to_string()).to_string();
        assert!(error.contains(wrong) && !error.contains("hunter2"), "{table}: {error}");
    }
    let allowed = connection(json!({ "url": "http://169.254.169.254/", "allow-addresses": ["169.254.169.254"] }));
    let written = serde_json::to_value(&allowed).unwrap();
    assert_eq!(serde_json::to_value(connection(written.clone())).unwrap(), written);
}

#[test]
fn the_operator_lowers_what_a_plugin_claims_about_repeating() {
    let keyed = Repeat::Keyed("k-1".to_owned());
    for (table, claim, policy) in [
        (json!({}), Repeat::Idempotent, Repeat::Idempotent),
        (json!({}), keyed.clone(), Repeat::Once),
        (json!({ "repeat": "once" }), Repeat::Idempotent, Repeat::Once),
        (json!({ "idempotency-header": "Key" }), keyed.clone(), keyed.clone()),
        (json!({ "idempotency-header": "Key" }), Repeat::Keyed("a b\r\n".to_owned()), Repeat::Once),
        (json!({ "idempotency-header": "Key", "repeat": "idempotent" }), keyed, Repeat::Once),
        (json!({ "idempotency-header": "Key", "repeat": "keyed" }), Repeat::Idempotent, Repeat::Idempotent),
        (json!({ "idempotency-header": "Key", "repeat": "keyed" }), Repeat::Once, Repeat::Once),
    ] {
        let mut whole = table.clone();
        whole["url"] = "https://host/".into();
        assert_eq!(connection(whole).repeat(&call("POST", "/x"), claim.clone()), policy, "{table} {claim:?}");
    }
}
