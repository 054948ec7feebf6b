//! The attempts. Every mutation carries an assumed reply, so that a preview goes on to the next one.

use ripcord_plugin::Result;
use ripcord_plugin::command::{Output, Program};
use ripcord_plugin::git::{ASSUMED_ID, Moved, Pushed, WorkingCopy};
use ripcord_plugin::http::{Response, Service};
use ripcord_plugin::notify::{Channel, Notice};
use ripcord_plugin::sql::{Database, Executed};
use serde_json::{Value, json};

type Attempt = fn() -> Result<Value>;

pub(crate) const SERVICE: Service = Service::role("service");
const CODE: WorkingCopy = WorkingCopy::role("code");
const DATABASE: Database = Database::role("database");

/// Their names and what they do.
pub(crate) const ATTEMPTS: &[(&str, Attempt)] = &[
    ("http-post", || post("/allowed")),
    ("http-put", || http(SERVICE, "PUT", "/allowed")),
    ("http-patch", || http(SERVICE, "PATCH", "/allowed")),
    ("http-delete", || http(SERVICE, "DELETE", "/allowed")),
    ("http-head", || http(SERVICE, "HEAD", "/allowed")),
    ("http-options", || http(SERVICE, "OPTIONS", "/allowed")),
    ("http-trace", || http(SERVICE, "TRACE", "/allowed")),
    ("http-connect", || http(SERVICE, "CONNECT", "/allowed")),
    ("http-own-method", || http(SERVICE, "BREAKOUT", "/allowed")),
    ("http-lower-case-method", || http(SERVICE, "get", "/allowed")),
    ("http-smuggled-method", || http(SERVICE, "GET /secret HTTP/1.1\r\nx: y\r\n\r\nPOST", "/allowed")),
    ("get-not-in-read", || http(SERVICE, "GET", "/secret")),
    ("get-redirected-to-secret", || http(SERVICE, "GET", "/redirect-to-secret")),
    ("get-redirected-elsewhere", || http(SERVICE, "GET", "/redirect-elsewhere")),
    ("path-dots", || http(SERVICE, "GET", "/allowed/../secret")),
    ("path-encoded-dots", || http(SERVICE, "GET", "/allowed/%2e%2e/secret")),
    ("path-encoded-slash", || http(SERVICE, "GET", "/allowed/..%2fsecret")),
    ("path-backslash", || http(SERVICE, "GET", "/allowed/..\\secret")),
    ("path-without-slash", || http(SERVICE, "GET", ".example.org/allowed")),
    ("path-userinfo", || http(SERVICE, "GET", "@example.org/allowed")),
    ("path-other-host", || http(SERVICE, "GET", "//example.org/allowed")),
    ("path-absolute-url", || http(SERVICE, "GET", "http://example.org/allowed")),
    ("path-fragment", || http(SERVICE, "GET", "/secret#/allowed")),
    ("path-query", || http(SERVICE, "GET", "/secret?/allowed")),
    ("path-newline", || http(SERVICE, "GET", "/allowed HTTP/1.1\r\nx: y\r\n\r\nGET /secret")),
    ("header-authorization", || header("authorization", "Bearer mine")),
    ("header-cookie", || header("cookie", "session=mine")),
    ("header-host", || header("Host", "example.org")),
    ("header-transfer-encoding", || header("transfer-encoding", "chunked")),
    ("header-newline", || header("x-note", "a\r\nauthorization: Bearer mine")),
    ("reader-post", || http(Service::role("reader"), "POST", "/allowed")),
    ("unbound-role", || http(Service::role("unbound"), "GET", "/allowed")),
    ("unknown-role", || http(Service::role("nobody-has-asked-for-this"), "GET", "/allowed")),
    ("role-of-another-capability", || http(Service::role("code"), "GET", "/allowed")),
    ("git-restore", || moved(CODE.restore("HEAD~1", &["file"]))),
    ("git-reset", || moved(CODE.reset("HEAD~1"))),
    ("git-revert", || moved(CODE.revert("HEAD"))),
    ("git-commit", || moved(CODE.commit("breakout", &["file"]))),
    ("git-push", push),
    ("git-restore-read-role", || moved(WorkingCopy::role("mirror").restore("HEAD~1", &["file"]))),
    ("git-restore-climbing", || moved(CODE.restore("HEAD", &["../outside"]))),
    ("git-restore-absolute", || moved(CODE.restore("HEAD", &["/etc/passwd"]))),
    ("git-restore-into-git", || moved(CODE.restore("HEAD", &[".git/config"]))),
    ("git-option-as-revision", || Ok(json!(CODE.resolve("--output=/tmp/ripcord-breakout")?))),
    ("git-option-as-branch", || Ok(json!(CODE.remote_head("--upload-pack=touch /tmp/ripcord-breakout")?))),
    ("git-show-outside", || Ok(json!(CODE.show("HEAD", "../../etc/passwd")?.len()))),
    ("sql-execute", || execute(DATABASE, "DELETE FROM kept")),
    ("sql-execute-read-role", || execute(Database::role("ledger"), "DELETE FROM kept")),
    ("sql-query-that-writes", || query("DELETE FROM kept RETURNING *")),
    ("sql-query-that-leaves", || query("DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM kept; END $$")),
    ("sql-query-of-two", || query("COMMIT; DELETE FROM kept")),
    ("sql-query-program", || query("COPY (SELECT 1) TO PROGRAM 'touch /tmp/ripcord-breakout'")),
    ("sql-query-file", || query("COPY (SELECT 1) TO '/tmp/ripcord-breakout'")),
    ("command", || run(Program::role("program"), &[])),
    ("command-no-read", || run(Program::role("probe"), &[])),
    ("command-unasked-argument", || run(Program::role("program"), &[("unasked", "x")])),
    ("command-shell", || run(Program::role("program"), &[("name", "x; touch /tmp/ripcord-breakout")])),
    ("command-option", || run(Program::role("program"), &[("name", "--help")])),
    ("notify", notify),
];

pub(crate) fn post(path: &str) -> Result<Value> {
    http(SERVICE, "POST", path)
}

fn http(service: Service, method: &str, path: &str) -> Result<Value> {
    let response = service.request(method, path).assume(Response::new(200)).send()?;
    Ok(json!({ "status": response.status, "body": response.body.text() }))
}

fn header(name: &str, value: &str) -> Result<Value> {
    let response = SERVICE.get("/allowed").header(name, value).send()?;
    Ok(json!({ "status": response.status, "body": response.body.text() }))
}

fn moved(moving: ripcord_plugin::git::Move) -> Result<Value> {
    let assumed = Moved { head: ASSUMED_ID.to_owned(), previous: ASSUMED_ID.to_owned(), changed: Vec::new() };
    Ok(json!(moving.assume(assumed).send()?))
}

fn push() -> Result<Value> {
    let assumed = Pushed { branch: "main".to_owned(), head: ASSUMED_ID.to_owned(), previous: None };
    Ok(json!(CODE.push("HEAD", "main", None).assume(assumed).send()?))
}

fn execute(database: Database, statement: &str) -> Result<Value> {
    Ok(json!(database.execute(statement).assume(Executed::default()).send()?))
}

fn query(statement: &str) -> Result<Value> {
    Ok(json!(DATABASE.query(statement).send()?))
}

fn run(program: Program, arguments: &[(&str, &str)]) -> Result<Value> {
    let mut run = program.run().assume(Output::exited(0));
    for (name, value) in arguments {
        run = run.argument(*name, *value);
    }
    Ok(json!(run.send()?))
}

fn notify() -> Result<Value> {
    let notice = Notice { subject: "breakout".to_owned(), text: "out".to_owned(), ..Notice::default() };
    Ok(json!(Channel::role("people").send(&notice)?))
}
