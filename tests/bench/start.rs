//! From the start of a process to its plugin's first host call.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::fixture;
use crate::process::{ripcord, whole};
use crate::sample::{Unit, by_turns};
use crate::table::Row;

const ROUNDS: usize = 100;

/// At most so much more than a process that does nothing.
const AIM: Duration = Duration::from_millis(3);

pub(crate) fn measure() -> Vec<Row> {
    let folder = fixture::folder();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let operator = format!("[http.service]\nurl = \"http://127.0.0.1:{port}\"\nread = [\"GET /**\"]\n");
    fs::write(folder.path().join("ripcord.toml"), operator).unwrap();
    fixture::write_steps_plan(
        folder.path(),
        r#"apply = [{ call = { role = "service", http = { method = "GET", path = "/" } } }]"#,
    );

    let to_first_call = || {
        let mut run = Command::new(ripcord());
        run.args(["run", "plan.toml", "--yes"]).current_dir(folder.path());
        run.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).env("USER", "ada");
        run.env("RIPCORD_STATE", folder.path().join("state"));
        run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        thread::scope(|scope| {
            // The preview makes the call, and then the run does.
            let server = scope.spawn(|| {
                let arrived: Vec<Instant> = (0..2).map(|_| answer(&listener)).collect();
                arrived[0]
            });
            let began = Instant::now();
            let mut child = run.spawn().unwrap();
            let arrived = server.join().unwrap();
            assert!(child.wait().unwrap().code().is_some());
            arrived.duration_since(began)
        })
    };
    let nothing = || whole(&mut Command::new("/bin/true"));
    let [ours, nothing] = by_turns("start", ROUNDS, [&mut { to_first_call }, &mut { nothing }]);
    let more = ours.median().saturating_sub(nothing.median());
    vec![Row {
        figure: "start of `run --yes` to the plugin's first host call (an HTTP GET reaching its server)".to_owned(),
        ripcord: ours.show(Unit::Milliseconds),
        beside: format!("`/bin/true`, whole: {}", nothing.show(Unit::Milliseconds)),
        result: format!("+{} ms", Unit::Milliseconds.number(more)),
        aim: format!("< +{} ms", AIM.as_millis()),
        met: more < AIM,
    }]
}

/// Answers one request, and says when its connection came.
fn answer(listener: &TcpListener) -> Instant {
    let (mut stream, _) = listener.accept().unwrap();
    let arrived = Instant::now();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        request.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").unwrap();
    arrived
}
