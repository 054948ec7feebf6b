//! What WASI gives a guest that asks for everything. All of it should be nothing, and what is not
//! nothing (clocks, randomness) should be the run's.

use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

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

/// `{"got": …}` or `{"refused": …}`.
fn attempt<T: Debug, E: Debug>(outcome: Result<T, E>) -> Value {
    match outcome {
        Ok(got) => json!({ "got": format!("{got:?}") }),
        Err(error) => json!({ "refused": format!("{error:?}") }),
    }
}
