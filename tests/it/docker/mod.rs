//! A plan on a real Docker engine: what it switches is switched once, what is not its own stays out of sight.

mod check;
mod faults;

use serde_json::{Value, json};

use crate::world::World;
use crate::world::docker::{Containers, IMAGE};

const RUN: &[&str] = &["run", "fix.toml", "--yes"];

/// Ends at once when it is told to.
const SERVES: &str = "trap 'exit 0' TERM; echo began; sleep 1000 & wait";

/// A world with containers. `@` in what is written stands for what their names begin with.
struct Fleet {
    world: World,
    containers: Containers,
}

impl Fleet {
    /// With these containers, each of which serves.
    fn new(names: &[&str]) -> Self {
        let fleet = Self { world: World::new(), containers: Containers::new() };
        for name in names {
            fleet.containers.run(name, &[], SERVES);
        }
        fleet
    }

    fn whole(&self, text: &str) -> String {
        text.replace('@', &self.containers.prefix)
    }

    /// The connection, with these of its keys.
    fn operate(&self, keys: &str) {
        self.operate_at(&self.containers.engine.host(), keys);
    }

    fn operate_at(&self, host: &str, keys: &str) {
        self.world.allow(&format!("[docker.app]\nhost = {host:?}\n{}\n", self.whole(keys)));
    }

    /// A step that makes these calls, each with what stands behind it. A preview assumes that they succeed.
    fn plan(&self, calls: &[(&str, &str)]) {
        let call = |(call, rest): &(&str, &str)| {
            let assumed = match call.split_whitespace().nth(1) {
                Some("stop" | "start" | "restart") => ", assume = { docker = { changed = [] } }",
                Some("exec") => {
                    ", assume = { docker = { output = { ending = { exited = 0 }, stdout = \"\", stderr = \"\" } } }"
                }
                _ => "",
            };
            format!("    {{ call = {{ role = \"containers\", docker = {call}{assumed}{rest} }} }},\n")
        };
        let calls: String = calls.iter().map(call).collect();
        let body = format!(
            "[[step]]\nid = \"fix\"\nuse = \"steps\"\nbind = {{ containers = \"app\" }}\nwith.apply = [\n{}]\n",
            self.whole(&calls)
        );
        self.world.plan("fix", &body);
    }

    /// Runs the plan, and gives the replies of its calls.
    fn replies(&self) -> Vec<Value> {
        let ran = self.world.ripcord(RUN).run();
        // Where all of them only look, the run ends as one that changed nothing.
        assert!(matches!(ran.code(), Some(0 | 4)), "{ran}");
        let journal = self.world.journal();
        let receipt = journal.state(&journal.last()).receipt("fix").unwrap().clone();
        receipt["replies"].as_array().unwrap().clone()
    }

    /// The reply of one call that may fail.
    fn reply(&self, call: &str) -> Value {
        self.plan(&[(call, CATCH)]);
        self.replies().remove(0)
    }

    /// How often a container has begun.
    fn began(&self, name: &str) -> usize {
        self.containers.engine.docker(&["logs", &self.containers.name(name)]).matches("began").count()
    }

    /// Waits until a container's log has this.
    fn until_said(&self, name: &str, text: &str) {
        let name = self.containers.name(name);
        self.world.until(text, || self.containers.engine.docker(&["logs", &name]).contains(text));
    }
}

const CATCH: &str = ", catch = true";

#[test]
fn a_plugin_sees_the_containers_in_scope_and_no_other() {
    let fleet = Fleet::new(&["vault"]);
    let project = fleet.whole("com.docker.compose.project=@shop");
    for (name, service) in [("web", "web"), ("worker-1", "worker"), ("worker-2", "worker")] {
        let service = format!("com.docker.compose.service={service}");
        let options = ["--label", &project, "--label", &service, "--env", "PASSWORD=pw-never-shown-81"];
        fleet.containers.run(name, &options, "echo to-out; echo to-err >&2; exec sleep 1000");
    }
    fleet.until_said("web", "to-out");
    for (scope, seen) in [
        ("containers = [\"@web\"]", vec!["web"]),
        ("containers = [\"@w*\"]", vec!["web", "worker-1", "worker-2"]),
        ("project = \"@shop\"", vec!["web", "worker-1", "worker-2"]),
        ("labels = { ripcord-test = \"@\" }\ncontainers = [\"@v*\", \"@*-2\"]", vec!["vault", "worker-2"]),
        ("project = \"@shop\"\ncontainers = [\"@*-1\", \"@vault\"]", vec!["worker-1"]),
        ("project = \"@nothing\"", vec![]),
    ] {
        fleet.operate(scope);
        let reply = fleet.reply("\"list\"");
        let listed = reply["docker"]["containers"].as_array().unwrap_or_else(|| panic!("{reply}"));
        let names: Vec<_> = listed.iter().map(|container| container["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, seen.iter().map(|name| fleet.containers.name(name)).collect::<Vec<_>>(), "{scope}");
    }

    // What is outside, and what is not there at all, are told in the same words.
    for scope in ["project = \"@shop\"", "containers = [\"@w*\"]", "containers = [\"@*\"]\nproject = \"@shop\""] {
        fleet.operate(scope);
        fleet.plan(&[
            ("{ inspect = { container = \"@vault\" } }", CATCH),
            ("{ inspect = { container = \"@nobody\" } }", CATCH),
        ]);
        let words: Vec<_> = fleet.replies().iter().map(|reply| reply["failure"]["denied"].to_string()).collect();
        assert_eq!(words[0].replace("vault", "nobody"), words[1], "{scope}");
        assert!(words[0].contains("there is no container"), "{words:?}");
    }
    // The line that would let it in, which goes into the connection's table as it is.
    for scope in ["project = \"@shop\"", "labels = { \"com.docker.compose.project\" = \"@shop\" }"] {
        fleet.operate(scope);
        let reply = fleet.reply("{ inspect = { container = \"@vault\" } }");
        let said = reply["failure"]["denied"].as_str().unwrap_or_else(|| panic!("{reply}"));
        let line = fleet.whole("containers = [\"@web\", \"@worker-1\", \"@worker-2\", \"@vault\"]");
        assert!(said.contains(&line), "no `{line}` in {said}");
        fleet.operate(&line);
        let reply = fleet.reply("{ inspect = { container = \"@vault\" } }");
        assert_eq!(reply["docker"]["container"]["state"], "running", "{reply}");
    }

    fleet.operate("project = \"@shop\"");
    fleet.plan(&[
        ("{ inspect = { container = \"web\" } }", ""),
        ("{ logs = { container = \"@web\", tail = 10 } }", ""),
        ("{ logs = { container = \"web\", tail = 1 } }", ""),
        ("{ stats = { container = \"worker\" } }", CATCH),
        ("{ stats = { container = \"@worker-1\" } }", ""),
    ]);
    let replies = fleet.replies();
    let web = &replies[0]["docker"]["container"];
    assert_eq!(
        json!([web["name"], web["service"], web["state"], web["image"], web["health"], web["restarts"]]),
        json!([fleet.containers.name("web"), "web", "running", IMAGE, "Health::None", 0])
    );
    let lines = replies[1]["docker"]["lines"].as_array().unwrap();
    let mut said: Vec<_> =
        lines.iter().map(|line| (line["is-stderr"] == true, line["text"].as_str().unwrap())).collect();
    said.sort_unstable();
    assert_eq!(said, [(false, "to-out"), (true, "to-err")]);
    // The engine notes a start a moment after the first lines.
    let started = web["started-at"].as_i64().unwrap();
    assert!(lines.iter().all(|line| line["at"].as_i64().unwrap().abs_diff(started) < 60_000), "{lines:?} {web}");
    assert_eq!(replies[2]["docker"]["lines"].as_array().unwrap().len(), 1);
    let several = replies[3]["failure"]["permanent"].as_str().unwrap();
    assert!(several.contains("has several containers") && several.contains("worker-2"), "{several}");
    assert!(replies[4]["docker"]["memory-bytes"].as_u64().unwrap() > 0, "{}", replies[4]);
    let shown = fleet.world.ripcord(&["show", "last", "--json"]).run().to_string();
    assert!(!shown.contains("pw-never-shown"), "{shown}");
}

#[test]
fn several_containers_are_stopped_started_and_restarted_at_once() {
    let fleet = Fleet::new(&["a1", "a2", "b1"]);
    let broken = fleet.containers.name("a3");
    let label = format!("ripcord-test={}", fleet.containers.prefix);
    fleet.containers.engine.docker(&[
        "create",
        "--network=host",
        "--name",
        &broken,
        "--label",
        &label,
        IMAGE,
        "/nothing",
    ]);
    fleet.operate("containers = [\"@*\"]\nwrite = [\"stop @a*\", \"start @a*\", \"restart @a*\"]");
    let began = |name: &str| fleet.containers.seen(name, "{{.State.StartedAt}}");
    let before = began("b1");
    fleet.plan(&[
        ("{ stop = { containers = [\"@a1\", \"@a2\"], grace = 5 } }", ""),
        ("{ stop = { containers = [\"@a1\"] } }", ""),
        ("{ start = { containers = [\"@a1\", \"@a3\"] } }", ""),
        ("{ restart = { containers = [\"@a1\", \"@a2\"], grace = 5 } }", ""),
        ("{ restart = { containers = [\"@a1\", \"@b1\"] } }", CATCH),
        ("{ stop = { containers = [\"@a1\", \"@nobody\"] } }", CATCH),
    ]);
    let replies = fleet.replies();
    let states = |reply: &Value| {
        let changed = reply["docker"]["changed"].as_array().unwrap_or_else(|| panic!("{reply}"));
        let state = |one: &Value| {
            let name = one["name"].as_str().unwrap().replace(&fleet.containers.prefix, "");
            let problem = if one["problem"].is_null() { "" } else { " problem" };
            format!("{name} {} {}{problem}", one["before"].as_str().unwrap(), one["after"].as_str().unwrap())
        };
        changed.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(&replies[0]), ["a1 running exited", "a2 running exited"]);
    assert_eq!(states(&replies[1]), ["a1 exited exited"]);
    assert_eq!(states(&replies[2]), ["a1 exited running", "a3 created created problem"]);
    assert!(replies[2].to_string().contains("/nothing"), "{}", replies[2]);
    assert_eq!(states(&replies[3]), ["a1 running running", "a2 exited running"]);
    let denied = replies[4]["failure"]["denied"].as_str().unwrap();
    assert!(denied.contains(&fleet.whole("`restart @b1`")), "{denied}");
    let denied = replies[5]["failure"]["denied"].as_str().unwrap();
    assert!(denied.contains(&fleet.whole("@nobody")), "{denied}");
    // Of a call that is denied in part nothing is done.
    assert_eq!(began("b1"), before);
    assert_eq!((fleet.began("a1"), fleet.began("a2"), fleet.began("b1")), (3, 2, 1));
}

#[test]
fn programs_run_in_containers_as_the_operator_allows() {
    let fleet = Fleet::new(&["db", "off"]);
    fleet.containers.engine.docker(&["stop", &fleet.containers.name("off")]);
    fleet.operate(
        "containers = [\"@*\"]\noutput-limit = 16\nexec = [\n\
         { container = \"@*\", argv = [\"echo\", \"*\"], effect = \"read\" },\n\
         { container = \"@db\", argv = [\"sh\", \"-c\", \"echo x >> /tmp/count; echo bad >&2; exit 3\"] },\n]",
    );
    fleet.plan(&[
        ("{ exec = { container = \"@db\", argv = [\"echo\", \"hello\"] } }", ""),
        ("{ exec = { container = \"@db\", argv = [\"echo\", \"more than sixteen bytes\"] } }", ""),
        ("{ exec = { container = \"@db\", argv = [\"sh\", \"-c\", \"echo x >> /tmp/count; echo bad >&2; exit 3\"] } }", ""),
        ("{ exec = { container = \"@db\", argv = [\"echo\", \"-n\"] } }", CATCH),
        ("{ exec = { container = \"@db\", argv = [\"rm\", \"/tmp/count\"] } }", CATCH),
        ("{ exec = { container = \"@off\", argv = [\"echo\", \"hello\"] } }", CATCH),
    ]);
    let replies = fleet.replies();
    let output = |reply: &Value| {
        let output = &reply["docker"]["output"];
        json!([output["ending"]["exited"], output["stdout"], output["stderr"], output["truncated"]])
    };
    assert_eq!(output(&replies[0]), json!([0, "hello\n", "", false]));
    assert_eq!(output(&replies[1]), json!([0, "more than sixtee", "", true]));
    assert_eq!(output(&replies[2]), json!([3, "", "bad\n", false]));
    for (reply, words) in [(&replies[3], "`echo -n`"), (&replies[4], "`rm /tmp/count`")] {
        let denied = reply["failure"]["denied"].as_str().unwrap_or_else(|| panic!("{reply}"));
        assert!(denied.contains("no `exec` rule of docker.app allows") && denied.contains(words), "{denied}");
    }
    let off = replies[5]["failure"]["permanent"].as_str().unwrap();
    assert!(off.contains("the container is exited, and has to run for that"), "{off}");
    let counted = fleet.containers.engine.docker(&["exec", &fleet.containers.name("db"), "cat", "/tmp/count"]);
    assert_eq!(counted, "x");
    // What only reads is no mutation.
    let journal = fleet.world.journal();
    assert_eq!(journal.mutations(&journal.last()).len(), 1);
}

#[test]
fn a_preview_says_what_runs_now_and_touches_nothing() {
    let fleet = Fleet::new(&["app", "off"]);
    fleet.containers.engine.docker(&["stop", &fleet.containers.name("off")]);
    fleet.operate(
        "containers = [\"@*\"]\nwrite = [\"stop\", \"start\"]\nexec = [{ container = \"@app\", argv = [\"touch\", \"/tmp/x\"] }]",
    );
    fleet.plan(&[
        ("{ stop = { containers = [\"@app\", \"@off\"], grace = 3 } }", ""),
        ("{ exec = { container = \"@app\", argv = [\"touch\", \"/tmp/x\"] } }", ""),
    ]);
    let format = "{{.State.Status}} {{.State.StartedAt}} {{.ExecIDs}}";
    let before = (fleet.containers.seen("app", format), fleet.containers.seen("off", format));
    let ran = fleet.world.ripcord(&["preview", "fix.toml"]).expect(0);
    for words in ["@app is running now", "@off is exited now: nothing to do", "docker stop --time=3 @app @off"] {
        ran.says(&fleet.whole(words));
    }
    assert_eq!((fleet.containers.seen("app", format), fleet.containers.seen("off", format)), before);
}

#[test]
fn the_doctor_says_what_is_in_scope_and_what_is_amiss() {
    let fleet = Fleet::new(&["app"]);
    let doctor = |code: i32, words: &[&str]| {
        let ran = fleet.world.ripcord(&["doctor"]).run();
        assert_eq!(ran.code(), Some(code), "{ran}");
        let said = ran.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        words.iter().for_each(|words| assert!(said.contains(&fleet.whole(words)), "no `{words}` in {ran}"));
    };
    fleet.operate("containers = [\"@app\"]");
    doctor(0, &["in scope: @app (running)", "of its API"]);
    fleet.operate("containers = [\"@app\", \"@web-*\"]");
    doctor(0, &["no container is called `@web-*` now"]);
    fleet.operate("project = \"@nothing\"");
    doctor(2, &["no container is in scope: compose project @nothing"]);
    let nobody = fleet.world.path("no.sock");
    let nobody = format!("unix://{}", nobody.display());
    fleet.operate_at(&nobody, "containers = [\"@app\"]");
    doctor(2, &[&format!("no Docker engine listens at {nobody}"), "systemctl start docker"]);
}
