//! Whatever comes in between: each interruption leaves a run that `resume` continues, says so, and repeats
//! or loses nothing.

mod disk;
mod network;
mod power;
mod signals;
pub(crate) mod terminal;

use std::fs;

use rustix::process::geteuid;

use crate::world::{Running, World};

pub(crate) const RUN: &[&str] = &["run", "plan.toml", "--yes"];

/// A service that takes its time if it is told to.
const PATIENT: &str = "[\"GET /**\"]\nwrite = [\"POST /**\"]\ntimeout = \"40s\"\nsettles-within = \"100ms\"\n";

/// A world whose plan is this.
pub(crate) fn world(body: &str) -> World {
    let world = World::new();
    world.allow(&patient_service(&world, &format!("http://127.0.0.1:{}/admin", world.ledger.port())));
    world.plan("plan", body);
    world
}

fn patient_service(world: &World, url: &str) -> String {
    // A program that ends when somebody makes a file, writes down that it began and ended, and says more
    // than a block of a disk holds.
    let script = "echo begins >> record; while [ ! -e go ]; do sleep 0.02; done; echo ends >> record; \
                  head -c 9000 /dev/zero | tr '\\0' x";
    let cwd = world.path("");
    format!(
        "[http.service]\nurl = {url:?}\nauth = {{ bearer = \"secret:genia\" }}\nread = {PATIENT}\n\
         [command.program]\nargv = [\"sh\", \"-c\", {script:?}]\ncwd = {cwd:?}\ntimeout = \"60s\"\n"
    )
}

/// A step of the `steps` guest that makes these calls: `GET /x`, `POST /x`, `run`, `sleep 100`. What it has
/// posted it takes back by `POST /undo-x`; asked what became of a call, it says that it happened.
pub(crate) fn step(id: &str, keys: &str, calls: &[&str]) -> String {
    let status = "assume = { http = { status = 200 } }";
    let operation = |call: &&str| match call.split_once(' ') {
        Some(("GET", path)) => {
            format!(
                "[[step.with.apply]]\ncall = {{ role = \"service\", http = {{ method = \"GET\", path = {path:?} }} }}\n"
            )
        }
        Some(("POST", path)) => {
            let undo = path.replace('/', "/undo-");
            format!(
                "[[step.with.apply]]\ncall = {{ role = \"service\", http = {{ method = \"POST\", path = {path:?} }}, {status}, \
                 undo = [{{ call = {{ role = \"service\", http = {{ method = \"POST\", path = {undo:?} }}, {status} }} }}] }}\n"
            )
        }
        Some((_, milliseconds)) => format!("[[step.with.apply]]\nsleep-ms = {milliseconds}\n"),
        None => "[[step.with.apply]]\ncall = { role = \"program\", command = { arguments = [] }, \
                 assume = { command = { ending = { exited = 0 }, stdout = \"\", stderr = \"\" } } }\n"
            .to_owned(),
    };
    let calls: String = calls.iter().map(operation).collect();
    format!(
        "[[step]]\nid = {id:?}\nuse = \"steps\"\nbind = {{ service = \"service\", program = \"program\" }}\n{keys}\n\
         [step.with]\nreconcile = {{ happened = {{ http = {{ status = 200 }} }} }}\n{calls}"
    )
}

/// What was posted, in order.
pub(crate) fn posts(world: &World) -> Vec<String> {
    world.ledger.mutations().into_iter().map(|post| post.replace("POST /admin/", "")).collect()
}

/// How often something was asked for.
fn gets(world: &World, path: &str) -> usize {
    world.ledger.entries().iter().filter(|entry| entry.method == "GET" && entry.path == path).count()
}

pub(crate) fn hold(world: &World, path: &str) {
    world.ledger.tell(&format!("behave hold /admin/{path}"));
}

pub(crate) fn answer(world: &World, path: &str) {
    world.ledger.tell(&format!("behave answer /admin/{path}"));
}

pub(crate) fn until_posted(world: &World, path: &str) {
    world.until(&format!("POST {path}"), || posts(world).iter().any(|post| post == path));
}

/// What the program has written down.
fn record(world: &World) -> Vec<String> {
    fs::read_to_string(world.path("record")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn until_begun(world: &World) {
    world.until("the program", || !record(world).is_empty());
}

fn let_go(world: &World) {
    world.write("go", "");
}

/// It is resumed and ends with this code, and its record is whole.
fn resumes(world: &World, code: i32) {
    world.ripcord(&["resume", "last"]).expect(code);
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);
}

/// It has paused, and has said how to go on.
fn paused(running: Running) -> crate::world::Ran {
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("paused").says("ripcord resume");
    ran
}

/// Mounts and namespaces are root's.
fn is_root(what: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("not tried, because it takes root: {what}");
    }
    is_root
}
