//! `container-check` on containers that do well, and on those that don't.

use super::{Fleet, SERVES};

/// Ends again and again, after it has run for a moment.
const CRASHES: &str = "echo ERROR: no configuration; sleep 0.2; exit 7";

impl Fleet {
    /// Code and words of a run with one `container-check`.
    fn checked(&self, with: &str, expect: &str) -> (Option<i32>, String) {
        let expect = if expect.is_empty() { String::new() } else { format!("expect = {expect:?}\n") };
        let body = format!(
            "[[step]]\nid = \"do\"\nuse = \"steps\"\nwith.apply = [\"now\"]\n\
             [[verify]]\nid = \"runs\"\nuse = \"container-check\"\nbind = {{ containers = \"app\" }}\n{expect}with = {with}\n"
        );
        self.world.plan("look", &self.whole(&body));
        let ran = self.world.ripcord(&["run", "look.toml", "--yes"]).run();
        // The step changes nothing, and what passes then says so.
        (ran.code().map(|code| if code == 4 { 0 } else { code }), ran.to_string())
    }
}

#[test]
fn a_container_that_runs_is_told_from_one_that_crashes_again_and_again() {
    let fleet = Fleet::new(&["quiet", "off"]);
    fleet.containers.engine.docker(&["stop", &fleet.containers.name("off")]);
    fleet.containers.run("crashing", &["--restart=always"], CRASHES);
    fleet.containers.run("talking", &[], &format!("echo ERROR: one; echo ready; echo ERROR: two; {SERVES}"));
    fleet.operate("containers = [\"@*\"]");
    fleet.until_said("talking", "began");
    // Long enough for the engine's count, which a quiet one with such a past may have too.
    fleet.world.until("a restart", || fleet.containers.seen("crashing", "{{.RestartCount}}") != "0");
    for (with, expect, code, says) in [
        ("{ container = \"@quiet\" }", "", 0, ""),
        ("{ container = \"@quiet\", window = \"300ms\" }", "", 0, ""),
        (
            "{ container = \"@quiet\", logs = { deny = [\"ERROR\"], require = [\"^began$\"] } }",
            "container.image == 'busybox' && container.restarts == 0 && container.running_seconds > 0.0 \
             && logs.lines == ['began']",
            0,
            "",
        ),
        (
            "{ container = \"@quiet\", cpu-percent-max = 400.0, memory-bytes-max = 1000000000 }",
            "usage.memory_bytes > 0",
            0,
            "",
        ),
        ("{ container = \"@quiet\", memory-bytes-max = 1 }", "", 3, "bytes of memory, expected at most 1"),
        ("{ container = \"@quiet\", state = \"exited\" }", "", 3, "@quiet is running, expected exited"),
        ("{ container = \"@off\" }", "", 3, "@off is exited, expected running: it exited with 0"),
        ("{ container = \"@off\", state = \"exited\" }", "container.exit_code == 0", 0, ""),
        ("{ container = \"@crashing\" }", "", 3, "@crashing"),
        ("{ container = \"@crashing\", window = \"5s\" }", "", 3, "@crashing"),
        (
            "{ container = \"@talking\", logs = { deny = [\"^ERROR\"] } }",
            "",
            3,
            "2 lines that should not be there, expected at most 0; the newest: ERROR: two",
        ),
        ("{ container = \"@talking\", logs = { deny = [\"^ERROR\"], max = 2 } }", "size(logs.denied) == 2", 0, ""),
        ("{ container = \"@talking\", logs = { deny = [\"^ERROR\"], lines = 1 } }", "", 0, ""),
        (
            "{ container = \"@talking\", logs = { require = [\"ready\", \"listening on [0-9]+\"] } }",
            "",
            3,
            "no line like `listening on [0-9]+`",
        ),
        ("{ container = \"@talking\", logs = { deny = [\"(\"] } }", "", 3, "is no regular expression"),
        ("{ container = \"@nobody\" }", "", 3, "there is no container `@nobody`"),
    ] {
        let (came, said) = fleet.checked(with, expect);
        assert_eq!(came, Some(code), "{with}: {said}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&said).contains(&words(&fleet.whole(says))), "no `{says}` in {said}");
    }
}

#[test]
fn a_container_with_a_past_is_quiet_once_it_runs_for_long_enough() {
    let fleet = Fleet::new(&[]);
    // Ends twice, and then never again.
    let script = "echo x >> /tmp/starts; [ $(cat /tmp/starts | grep -c x) -gt 2 ] || exit 1; exec sleep 1000";
    fleet.containers.run("shaken", &["--restart=always"], script);
    fleet.operate("containers = [\"@*\"]");
    fleet.world.until("two restarts", || {
        fleet.containers.seen("shaken", "{{.RestartCount}} {{.State.Status}}") == "2 running"
    });
    for (with, code, says) in [
        ("{ container = \"@shaken\" }", 3, "restarted @shaken 2 times"),
        ("{ container = \"@shaken\", restarts = 2 }", 0, ""),
        ("{ container = \"@shaken\", settled = \"1ms\" }", 0, ""),
        ("{ container = \"@shaken\", window = \"200ms\" }", 0, ""),
    ] {
        let (came, said) = fleet.checked(with, "");
        assert_eq!(came, Some(code), "{with}: {said}");
        assert!(said.contains(&fleet.whole(says)), "no `{says}` in {said}");
    }
}

#[test]
fn a_health_check_has_to_pass_where_there_is_one() {
    let fleet = Fleet::new(&[]);
    let check = ["--health-cmd", "cat /tmp/well", "--health-interval=300ms", "--health-retries=1"];
    fleet.containers.run("app", &check, "trap 'exit 0' TERM; sleep 1000 & wait");
    fleet.operate("containers = [\"@*\"]");
    let health = |wanted: &str| {
        fleet.world.until(wanted, || fleet.containers.seen("app", "{{.State.Health.Status}}") == wanted);
    };
    health("unhealthy");
    let (code, said) = fleet.checked("{ container = \"@app\" }", "");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("health check of"), "{said}");
    assert_eq!(fleet.checked("{ container = \"@app\", health = \"any\" }", "").0, Some(0));
    fleet.containers.engine.docker(&["exec", &fleet.containers.name("app"), "sh", "-c", "echo > /tmp/well"]);
    health("healthy");
    assert_eq!(fleet.checked("{ container = \"@app\" }", "container.health == 'healthy'").0, Some(0));
}
