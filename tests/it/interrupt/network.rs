//! A network that goes away in the middle: the service is on another host (a network namespace), and its
//! link is taken down. No packet comes back, not even a refusal.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::world::{TOKEN, Told};

/// A host with the service on it, behind a link.
struct Elsewhere {
    name: String,
    address: String,
    service: Told,
    port: u16,
}

impl Elsewhere {
    fn start(ledger: &Path, number: u32) -> Self {
        // Of this process alone; all of it is in private use.
        let net = (std::process::id() * 4 + number * 4) % 250;
        let name = format!("rc{}x{number}", std::process::id());
        let (here, there) = (format!("10.213.{net}.1/30"), format!("10.213.{net}.2"));
        let (outer, inner) = (format!("{name}o"), format!("{name}i"));
        ip(&["netns", "add", &name]);
        ip(&["link", "add", &outer, "type", "veth", "peer", "name", &inner, "netns", &name]);
        ip(&["addr", "add", &here, "dev", &outer]);
        ip(&["link", "set", &outer, "up"]);
        ip(&["-n", &name, "addr", "add", &format!("{there}/30"), "dev", &inner]);
        ip(&["-n", &name, "link", "set", &inner, "up"]);
        let mut service = Told::start(
            Command::new("ip")
                .args(["netns", "exec", &name, env!("CARGO_BIN_EXE_ledger-server")])
                .arg(ledger)
                .arg(&there)
                .env("LEDGER_TOKEN", TOKEN),
        );
        let port = service.hear().parse().unwrap();
        Self { name, address: there, service, port }
    }

    fn url(&self) -> String {
        format!("http://{}:{}/admin", self.address, self.port)
    }

    fn cut_off(&self) {
        ip(&["-n", &self.name, "link", "set", &format!("{}i", self.name), "down"]);
    }

    fn bring_back(&self) {
        ip(&["-n", &self.name, "link", "set", &format!("{}i", self.name), "up"]);
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // With the namespace goes its end of the link, and with that the other one.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    let status =
        Command::new("ip").args(arguments).status().expect("`ip` is not there; run:  apt-get install -y iproute2");
    assert!(status.success(), "ip {}", arguments.join(" "));
}

/// What was posted there, in order.
fn posts_at(ledger: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let posts = entries.filter(|entry| entry["method"] == "POST");
    posts.map(|entry| entry["path"].as_str().unwrap().replace("/admin/", "")).collect()
}

/// The plugin looks what became of the call, and that needs the network too.
fn looks(plan: &str) -> String {
    plan.replace(
        "reconcile = { happened = { http = { status = 200 } } }",
        "reconcile = { look = [{ call = { role = \"service\", http = { method = \"GET\", path = \"/switch\" } } }, \
         { call = { role = \"service\", http = { method = \"GET\", path = \"/echo\" }, assume = { http = { status = 200 } } } }] }",
    )
}

#[test]
fn a_network_that_is_lost_is_waited_for_by_retries_or_by_resume() {
    if !is_root("a network that is lost") {
        return;
    }
    let plan = step("a", "retry = { attempts = 4, backoff = \"500ms\" }", &["POST /one", "GET /look", "POST /two"]);
    let world = world(&plan);
    let ledger = world.path("elsewhere.jsonl");
    let mut elsewhere = Elsewhere::start(&ledger, 0);
    let service = patient_service(&world, &elsewhere.url()).replace("timeout = \"40s\"", "timeout = \"2s\"");
    world.allow(&service);

    // A read is tried again, and the link is back in time.
    elsewhere.service.tell("behave hold /admin/one");
    let running = world.ripcord(RUN).spawn();
    world.until("the first post", || posts_at(&ledger) == ["one"]);
    elsewhere.service.tell("behave hold /admin/look");
    elsewhere.service.tell("behave answer /admin/one");
    running.until_says("POST /one on http.service → 200");
    elsewhere.cut_off();
    elsewhere.service.tell("behave answer /admin/look");
    std::thread::sleep(std::time::Duration::from_millis(700));
    elsewhere.bring_back();
    let ran = running.wait();
    assert_eq!(ran.code(), Some(0), "{ran}");
    assert_eq!(posts_at(&ledger), ["one", "two"]);

    // An answer that can't come back is a doubt; with the link down nobody can tell, and with it up again
    // nothing is sent twice.
    world.write("plan.toml", &looks(&std::fs::read_to_string(world.path("plan.toml")).unwrap()));
    elsewhere.service.tell("behave hold /admin/two");
    let running = world.ripcord(RUN).spawn();
    world.until("the second post", || posts_at(&ledger) == ["one", "two", "one", "two"]);
    elsewhere.cut_off();
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("POST /two").says("ripcord resolve").says("ripcord resume");
    world.ripcord(&["resume", "last"]).expect(3);
    elsewhere.bring_back();
    let journal = world.journal();
    let asked = journal.state(&journal.last()).halted_on.expect("it asks about the post").to_string();
    world.ripcord(&["resolve", "last", &asked, "--happened"]).expect(0);
    resumes(&world, 0);
    assert_eq!(posts_at(&ledger), ["one", "two", "one", "two"]);
}
