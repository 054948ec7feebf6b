//! What somebody else measures: a real Prometheus that scrapes, a real Alertmanager that tells, and logs.

mod receiver;

use std::fs;

use crate::interrupt::{posts, step};
use crate::world::{ALERTS_TOKEN, Prometheus, World};

const WELL: &str = "calls_total 10\ncalls_failed_total 2\nzero 0\n";
const BADLY: &str = "calls_total 10\ncalls_failed_total 7\nzero 0\n";
const RULE: &str = "  - alert: HighErrorRate\n    expr: calls_failed_total / calls_total > 0.5\n    \
                    labels: { severity: critical }\n    annotations: { summary: '{{ $value }} of the calls fail' }\n";

/// A world with a Prometheus in it, and a plan with these triggers. What a program prints is a log.
fn world() -> (World, Prometheus) {
    let world = World::new();
    let prometheus = Prometheus::start(&world.path("prometheus"), WELL, RULE);
    let http = |name: &str, port: u16, read: &str| {
        format!("[http.{name}]\nurl = \"http://127.0.0.1:{port}\"\nread = [{read}]\ntimeout = \"5s\"\n")
    };
    let connections = [
        world.service("[\"GET /**\"]", "[\"POST /**\"]"),
        http("prometheus", prometheus.port, "\"GET /api/v1/query\", \"GET /api/v1/query_range\""),
        http("nobody", 1, "\"GET /**\""),
        http("alertmanager", prometheus.alertmanager, "\"GET /api/v2/alerts\""),
        format!("[command.log]\nargv = [\"cat\", {:?}]\neffect = \"read\"\n", world.path("app.log")),
        "[command.program]\nargv = [\"true\"]\n[alertmanager]\ntoken = \"secret:alerts\"\n".to_owned(),
    ];
    world.allow(&connections.join("\n"));
    let operator = fs::read_to_string(world.path("ripcord.toml")).unwrap();
    let operator =
        operator.replace("[secrets]", &format!("[secrets]\nalerts = {{ command = [\"printf\", {ALERTS_TOKEN:?}] }}"));
    world.write("ripcord.toml", &operator);
    world.write("app.log", "call 1 ok\nnoise\ncall 2 no data\ncall 3 no data\n");
    world.until("a scrape", || prometheus.knows("calls_total"));
    (world, prometheus)
}

/// Triggers that are measured once, each a plugin, its `with` and its `expect`.
fn plan(world: &World, triggers: &[(&str, &str, &str)]) {
    let mut body = format!("{}\n[watch]\nwindow = \"20s\"\nthen = \"run\"\n", step("a", "", &["POST /one"]));
    for (index, (plugin, with, expect)) in triggers.iter().enumerate() {
        let role = match *plugin {
            "prometheus-check" => "prometheus",
            "alert-check" => "alertmanager",
            _ => "command",
        };
        let connection = if with.contains("unreachable") {
            "nobody"
        } else if role == "command" {
            "log"
        } else {
            role
        };
        let expect = if expect.is_empty() { String::new() } else { format!("expect = {expect:?}\n") };
        body += &format!(
            "[[trigger]]\nid = \"t{index}\"\ntitle = \"T{index}\"\nuse = {plugin:?}\nbind = {{ {role} = {connection:?} }}\n\
             with = {{ {with} }}\n{expect}count = 1\ninterval = \"1s\"\ninconclusive-limit = 1\nconsecutive-error-limit = 0\n"
        );
    }
    world.plan("plan", &body);
}

/// What each trigger's one measurement came to.
fn measured(world: &World, code: i32) -> Vec<String> {
    let ran = world.ripcord(&["watch", "plan.toml", "--yes", "--json"]).run();
    assert_eq!(ran.code(), Some(code), "{ran}");
    world.ripcord(&["replay", "last"]).expect(0);
    let judged = ran.json().into_iter().filter(|event| event["event"] == "judged");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    judged.map(|event| format!("{}: {}", text(&event["outcome"]), text(&event["summary"]))).collect()
}

#[test]
fn metrics_alerts_and_logs_trip_and_do_not_trip() {
    const PROMETHEUS: &str = "prometheus-check";
    let (world, prometheus) = world();
    let share = (PROMETHEUS, "query = 'calls_failed_total / calls_total'", "value < 0.5");
    // What each says while all is well, in order.
    let cases = [
        (share, "pass: `calls_failed_total / calls_total` gives 0.2; value < 0.5 holds"),
        (
            (
                PROMETHEUS,
                "query = '{__name__=~\"calls_.*\"}'",
                "values.all(v, v > 1.0) && series[0].labels.job == 'andrea'",
            ),
            "pass: `{__name__=~\"calls_.*\"}` gives 2, 10; ",
        ),
        ((PROMETHEUS, "query = 'calls_total', last = '5s', step = '1s'", "value == 10"), "pass: `calls_total` gives "),
        ((PROMETHEUS, "query = 'calls_total / zero'", "value > 1000"), "pass: `calls_total / zero` gives +Inf; "),
        (
            (PROMETHEUS, "query = 'zero / zero'", "value < 0.5"),
            "inconclusive: `zero / zero` gives NaN: there was nothing to count",
        ),
        ((PROMETHEUS, "query = 'nothing'", "value < 0.5"), "inconclusive: `nothing` gives nothing"),
        (
            (PROMETHEUS, "query = 'nothing', empty = 0", "value < 0.5"),
            "pass: `nothing` gives nothing; the plan counts that as 0; ",
        ),
        ((PROMETHEUS, "query = 'nothing', empty = 'pass'", "values == []"), "pass: `nothing` gives nothing; "),
        ((PROMETHEUS, "query = 'unreachable'", ""), "inconclusive: "),
        ((PROMETHEUS, "query = 'sum('", ""), "inconclusive: Prometheus can't make anything of the query `sum(`: "),
        (("alert-check", "", "firing == []"), "pass: no alert fires; "),
        (
            ("alert-check", "alive = ['alertname=\"Watchdog\"']", ""),
            "inconclusive: no alert with alertname=\"Watchdog\" fires",
        ),
        (("alert-check", "filter = ['{x']", ""), "inconclusive: Alertmanager can't make anything of "),
        (
            ("log-check", "deny = ['no data'], percent-max = 70, among = ['^call']", "log.percent > 60.0"),
            "pass: the printed log has 4 lines",
        ),
        (
            ("log-check", "deny = ['no data'], per-minute-max = 3, since = '1m'", ""),
            "pass: the printed log has 4 lines",
        ),
        (
            ("log-check", "deny = ['no data'], container = 'app'", ""),
            "inconclusive: `container` needs the role `containers`",
        ),
    ];
    plan(&world, &cases.map(|(trigger, _)| trigger));
    let measured_well = measured(&world, 3);
    assert_eq!(measured_well.len(), cases.len(), "{measured_well:#?}");
    for ((_, says), came) in cases.iter().zip(&measured_well) {
        assert!(came.starts_with(says), "no `{says}` in {came}");
    }
    assert_eq!(posts(&world), [""; 0]);

    an_alert_leads_to_a_run(&world, &prometheus);
    let bad = [
        (share, "fail: `calls_failed_total / calls_total` gives 0.7; value < 0.5 does not hold"),
        ((PROMETHEUS, "query = 'nothing', empty = 'fail'", ""), "fail: `nothing` gives nothing"),
        (
            ("alert-check", "filter = ['severity=\"critical\"']", ""),
            "fail: an alert fires: HighErrorRate (critical) since ",
        ),
        (
            ("log-check", "deny = ['no data'], percent-max = 50, among = ['^call']", ""),
            "fail: 67 % of 3 lines of the printed log should not be there, expected at most 50 %; the newest: call 3 no data",
        ),
        (("log-check", "require = ['ready']", ""), "fail: the printed log has no line like `ready`"),
    ];
    for (trigger, says) in bad {
        plan(&world, &[trigger]);
        let came = measured(&world, 0);
        assert!(matches!(came.as_slice(), [one] if one.starts_with(says)), "no `{says}` in {came:?}");
    }
    assert_eq!(posts(&world).len(), 1 + bad.len(), "each has tripped, and led to a run");

    prometheus.silence("HighErrorRate");
    world.until("the silence", || prometheus.firing().is_empty());
    plan(&world, &[("alert-check", "", "silenced.size() == 1 && silenced[0].labels.severity == 'critical'")]);
    assert!(measured(&world, 4)[0].starts_with("pass: no alert fires (1 silenced); "));
}

/// From the metric by the real Alertmanager into the watch, and from there into a run.
fn an_alert_leads_to_a_run(world: &World, prometheus: &Prometheus) {
    let trigger = "[watch]\nwindow = \"1m\"\nthen = \"run\"\n[[trigger]]\nid = \"calls-fail\"\n\
                   title = \"Half of the calls fail\"\nalert = { alertname = \"High.*\", severity = \"critical|page\" }\n";
    world.plan("plan", &format!("{}\n{trigger}", step("a", "", &["POST /one"])));
    world.ripcord(&["check", "plan.toml"]).expect(0).says("triggers calls-fail (an alert)");
    world.ripcord(&["watch", "plan.toml", "--yes"]).expect(2).says("nobody would receive it").says("--alertmanager");
    let address = format!("127.0.0.1:{}", prometheus.watch);
    let running = world.ripcord(&["watch", "plan.toml", "--yes", "--alertmanager", &address]).spawn();
    running.until_says(&format!("alerts are received at http://{address}/alerts"));
    prometheus.set(BADLY);
    let ran = running.wait();
    assert_eq!(ran.code(), Some(0), "{ran}");
    ran.says("alerts: HighErrorRate firing")
        .says("TRIPPED: Half of the calls fail (severity critical): HighErrorRate fires: 0.7 of the calls fail");
    assert_eq!(posts(world), ["one"]);
    world.ripcord(&["audit", "last"]).expect(0);
    world.ripcord(&["replay", "last"]).expect(0);

    let report = world.ripcord(&["report", "last", "--json"]).expect(0).json().remove(0);
    assert_eq!(report["watch"]["tripped"]["trigger"], "calls-fail");
    let alert = &report["triggers"][0]["evidence"]["seen"]["alert"];
    assert_eq!((&alert["labels"]["job"], &alert["triggers"][0]), (&"andrea".into(), &"calls-fail".into()));
    let incident = &report["incident"];
    assert_eq!(incident["severity"]["value"], "critical", "as the alert says, because the plan does not");
    assert_eq!(incident["since"]["value"], alert["starts-at"], "since it fires");
    let symptom = "Half of the calls fail: HighErrorRate fires: 0.7 of the calls fail";
    assert_eq!(incident["symptoms"][0]["value"], symptom);
    world.ripcord(&["report", "last", "--language", "es"]).expect(0).says("ALERTA: HighErrorRate fires");
}
