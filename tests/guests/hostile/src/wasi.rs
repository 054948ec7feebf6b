//! What WASI gives a guest that asks for everything. All of it should be nothing, and what is not
//! nothing (clocks, randomness) should be the run's.

use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{Pollable, poll};

pub(crate) fn report() -> Value {
    let now = Instant::now();
    let mut input = Vec::new();
    json!({
        "arguments": std::env::args().collect::<Vec<_>>(),
        "environment": std::env::vars().collect::<Vec<_>>(),
        "folder": attempt(std::env::current_dir()),
        "files": {
            "list-root": attempt(std::fs::read_dir("/").map(|entries| entries.count())),
            "list-here": attempt(std::fs::read_dir(".").map(|entries| entries.count())),
            "read-passwd": attempt(std::fs::read("/etc/passwd").map(|bytes| bytes.len())),
            "climb": attempt(std::fs::read("../../../../etc/passwd").map(|bytes| bytes.len())),
            "write": attempt(std::fs::write("/tmp/ripcord-hostile", b"here")),
        },
        "sockets": {
            "resolve": attempt(("localhost", 80).to_socket_addrs().map(Iterator::count)),
            "tcp-connect": attempt(TcpStream::connect(("127.0.0.1", 80)).map(drop)),
            "tcp-listen": attempt(TcpListener::bind(("127.0.0.1", 0)).map(drop)),
            "udp-bind": attempt(UdpSocket::bind(("127.0.0.1", 0)).map(drop)),
        },
        "stdin-bytes": attempt(std::io::stdin().read_to_end(&mut input)),
        "stdout": attempt(std::io::stdout().write_all(b"a line of the guest's on stdout\n")),
        "stderr": attempt(std::io::stderr().write_all(b"a line of the guest's on stderr\n")),
        "clocks": {
            "wall-ns": SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos().to_string(),
            // `Instant` has no zero, but prints its distance from one.
            "monotonic": format!("{now:?}"),
        },
        "random": RandomState::new().hash_one("the same key").to_string(),
    })
}

/// Polls several timers at once, a mutation between the polls. For each poll: which of its timers were
/// ready, and how much time of the guest's had passed by then, in milliseconds.
pub(crate) fn timers() -> ripcord_plugin::Result<Value> {
    let began = monotonic_clock::now();
    let milliseconds = |count: u64| count * 1_000_000;
    let timer = |count| monotonic_clock::subscribe_duration(milliseconds(count));
    let mut polls = Vec::new();
    let mut wait = |timers: &[&Pollable]| {
        let ready = poll(timers);
        polls.push(json!({ "ready": ready, "after-ms": (monotonic_clock::now() - began) / milliseconds(1) }));
    };
    let (long, short) = (timer(600), timer(100));
    wait(&[&long, &short]);
    crate::mutate()?;
    // One that is over already, beside one that is not: nobody sleeps.
    wait(&[&short, &long]);
    let (first, second) = (timer(50), timer(50));
    wait(&[&first, &long, &second]);
    crate::mutate()?;
    wait(&[&long]);
    Ok(json!({ "polls": polls }))
}

/// `{"got": …}` or `{"refused": …}`.
fn attempt<T: Debug, E: Debug>(outcome: Result<T, E>) -> Value {
    match outcome {
        Ok(got) => json!({ "got": format!("{got:?}") }),
        Err(error) => json!({ "refused": format!("{error:?}") }),
    }
}
