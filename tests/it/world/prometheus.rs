//! A real Prometheus with a real Alertmanager, and an exporter of the test's own.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::served::{Watched, free_port, wait_for};

const INSTALL: &str = "Prometheus or its Alertmanager is not there; run:  apt-get install -y \
                       --no-install-recommends prometheus prometheus-alertmanager";

/// The token that Alertmanager sends along.
pub(crate) const ALERTS_TOKEN: &str = "al3rts-t0ken-do-not-show-51";

/// What is measured, who measures it, and who tells of it. They go away with the value.
pub(crate) struct Prometheus {
    pub(crate) port: u16,
    pub(crate) alertmanager: u16,
    /// Where Alertmanager sends its webhooks.
    pub(crate) watch: u16,
    metrics: Arc<Mutex<String>>,
    _servers: [Watched; 2],
}

impl Prometheus {
    /// Scrapes these metrics five times a second, and tells of alerts by this rule.
    pub(crate) fn start(folder: &Path, metrics: &str, rule: &str) -> Self {
        let metrics = Arc::new(Mutex::new(metrics.to_owned()));
        let exporter = export(Arc::clone(&metrics));
        let [port, alertmanager, watch] = [(); 3].map(|()| free_port());
        fs::create_dir_all(folder).unwrap();
        let write = |name: &str, text: String| {
            fs::write(folder.join(name), text).unwrap();
            folder.join(name).display().to_string()
        };
        let config = write(
            "prometheus.yml",
            format!(
                "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}\n\
                 rule_files: [rules.yml]\nalerting:\n  alertmanagers:\n  - static_configs: [{{ targets: ['127.0.0.1:{alertmanager}'] }}]\n\
                 scrape_configs:\n- job_name: andrea\n  static_configs: [{{ targets: ['127.0.0.1:{exporter}'] }}]\n"
            ),
        );
        write("rules.yml", format!("groups:\n- name: andrea\n  rules:\n{rule}"));
        let routes = write(
            "alertmanager.yml",
            format!(
                "route: {{ receiver: ripcord, group_by: [alertname], group_wait: 100ms, group_interval: 200ms, repeat_interval: 1h }}\n\
                 receivers:\n- name: ripcord\n  webhook_configs:\n  - url: http://127.0.0.1:{watch}/alerts\n    \
                 http_config: {{ authorization: {{ credentials: {ALERTS_TOKEN} }} }}\n"
            ),
        );
        let of = |flag: &str, value: String| format!("--{flag}={value}");
        let servers = [
            Watched::start(
                Command::new("prometheus-alertmanager").args([
                    of("config.file", routes),
                    of("storage.path", folder.join("alerts").display().to_string()),
                    of("web.listen-address", format!("127.0.0.1:{alertmanager}")),
                    "--cluster.listen-address=".to_owned(),
                ]),
                None,
            ),
            Watched::start(
                Command::new("prometheus").args([
                    of("config.file", config),
                    of("storage.tsdb.path", folder.join("tsdb").display().to_string()),
                    of("web.listen-address", format!("127.0.0.1:{port}")),
                    "--rules.alert.resend-delay=1s".to_owned(),
                ]),
                None,
            ),
        ];
        wait_for(alertmanager, INSTALL);
        wait_for(port, INSTALL);
        Self { port, alertmanager, watch, metrics, _servers: servers }
    }

    /// What the exporter says from now on.
    pub(crate) fn set(&self, metrics: &str) {
        metrics.clone_into(&mut self.metrics.lock().unwrap());
    }

    /// The names of the alerts that fire and are neither silenced nor inhibited.
    pub(crate) fn firing(&self) -> Vec<String> {
        let alerts = get(self.alertmanager, "/api/v2/alerts?silenced=false&inhibited=false");
        let alerts = alerts.as_array().cloned().unwrap_or_default();
        alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether Prometheus finds something.
    pub(crate) fn knows(&self, query: &str) -> bool {
        let found = get(self.port, &format!("/api/v1/query?query={query}"));
        found["data"]["result"].as_array().is_some_and(|series| !series.is_empty())
    }

    /// Silences an alert, as somebody would who knows of it already.
    pub(crate) fn silence(&self, name: &str) {
        let silence = serde_json::json!({
            "matchers": [{ "name": "alertname", "value": name, "isRegex": false }], "createdBy": "Iris", "comment": "known",
            "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z",
        });
        let (status, said) = send(self.alertmanager, "POST", "/api/v2/silences", &[], silence.to_string().as_bytes());
        assert_eq!(status, 200, "{said}");
    }
}

/// Serves the metrics; the port.
fn export(metrics: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut stream, body) = (stream, metrics.lock().unwrap().clone());
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    port
}

fn get(port: u16, path: &str) -> Value {
    serde_json::from_str(&send(port, "GET", path, &[], b"").1).unwrap_or_default()
}

/// One request; status and body of its answer. What can't be sent any more, because the other side has answered and
/// closed, does not count. 0 if nothing came back.
pub(crate) fn send(port: u16, method: &str, path: &str, headers: &[&str], body: &[u8]) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return (0, String::new()) };
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers.iter().copied().chain(["Content-Type: application/json"]) {
        head += &format!("{header}\r\n");
    }
    let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
