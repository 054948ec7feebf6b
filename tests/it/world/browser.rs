//! A page in a headless Chromium: shown at a width and in a colour scheme, and measured there.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::runtime::Runtime;

const MEASURE: &str = include_str!("measure.html");

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which colours the reader prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// What can be seen of a page.
#[derive(Debug, Deserialize)]
pub(crate) struct Measured {
    /// The page takes it that its reader prefers dark colours.
    pub(crate) dark: bool,
    /// How wide the window is, and how wide the page would like it.
    pub(crate) width: f64,
    pub(crate) scrolls_to: f64,
    /// The elements that stick out to the right.
    pub(crate) wide: Vec<String>,
    /// The elements whose text has less contrast than WCAG 2.2 AA asks for.
    pub(crate) faint: Vec<String>,
    /// How many elements with a text there are.
    pub(crate) texts: usize,
    /// The levels of the headings, in order.
    pub(crate) headings: Vec<u8>,
    /// What the page has asked the network for.
    pub(crate) requests: Vec<String>,
    /// The timeline.
    pub(crate) lanes: Vec<Lane>,
    /// What the browser has complained about.
    #[serde(default)]
    pub(crate) console: Vec<String>,
    /// The paths that were asked for besides the page itself.
    #[serde(default)]
    pub(crate) asked: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Bar {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) inside: bool,
}

/// A server on loopback for the page and for what measures it, and a browser for each look.
pub(crate) struct Browser {
    _runtime: Runtime,
    port: u16,
    page: Arc<Mutex<String>>,
    width: Arc<Mutex<u32>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (page, width, asked) = (Arc::<Mutex<String>>::default(), Arc::default(), Arc::default());
        let (shown, at_width, heard) = (Arc::clone(&page), Arc::clone(&width), Arc::clone(&asked));
        let answer = move |request: Request| {
            let answered = answer(request.uri().path(), &shown, &at_width, &heard);
            async move { answered }
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { _runtime: runtime, port, page, width, asked }
    }

    /// Shows a page, with all its details opened, and looks at it.
    pub(crate) fn look(&self, page: &str, width: u32, scheme: Scheme) -> Measured {
        *self.page.lock().unwrap() = page.to_owned();
        *self.width.lock().unwrap() = width;
        self.asked.lock().unwrap().clear();
        let profile = tempfile::Builder::new().prefix("ripcord-chromium-").tempdir().unwrap();
        let mut command = Command::new("chromium");
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--window-size={},1200", width.max(500)))
            .env("HOME", profile.path())
            .stdin(Stdio::null());
        if scheme == Scheme::Dark {
            command.args(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]);
        }
        command.arg(format!("http://127.0.0.1:{}/measure.html", self.port));
        let (dom, log) = output(command);
        let measured = dom.split_once(r#"<pre id="measured">"#).and_then(|(_, rest)| rest.split_once("</pre>"));
        let Some((measured, _)) = measured else { panic!("nothing was measured:\n{dom}\n{log}") };
        let measured = STANDARD.decode(measured).unwrap();
        let measured: Measured = serde_json::from_slice(&measured)
            .unwrap_or_else(|error| panic!("{error}: {}\n{log}", String::from_utf8_lossy(&measured)));
        let console = log.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
        Measured { console, asked: self.asked.lock().unwrap().clone(), ..measured }
    }
}

fn answer(path: &str, page: &Mutex<String>, width: &Mutex<u32>, asked: &Mutex<Vec<String>>) -> Response {
    match path {
        "/measure.html" => Html(MEASURE.replace("WIDTH", &width.lock().unwrap().to_string())).into_response(),
        "/page.html" => Html(page.lock().unwrap().clone()).into_response(),
        other => {
            asked.lock().unwrap().push(other.to_owned());
            axum::http::StatusCode::NOT_FOUND.into_response()
        }
    }
}

/// stdout and stderr of a command that ends in time.
fn output(mut command: Command) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let create = |name: &str| std::fs::File::create(file(name)).unwrap();
    command.stdout(create("stdout")).stderr(create("stderr"));
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("chromium can't be started ({error}); run:  apt-get install -y --no-install-recommends chromium")
    });
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("chromium takes too long:\n{}", std::fs::read_to_string(file("stderr")).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(file(name)).unwrap()).into_owned();
    (read("stdout"), read("stderr"))
}
