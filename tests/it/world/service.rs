//! A service that takes notices, on a thread of the test's own: it keeps what it is sent, and answers
//! what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// What a request is met with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// It is taken, as Slack does it.
    Takes,
    /// It is refused, and all that was asked is repeated.
    Repeats,
    /// It is kept, and never answered.
    Hangs,
}

pub(crate) struct Service {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, manner, &kept));
            }
        });
        Self { port, received }
    }

    /// The bodies, in the order in which they came.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.received.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, manner: Manner, kept: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
        let line = head[start..].to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    let (status, answer) = match manner {
        Manner::Takes => ("200 OK", "ok".to_owned()),
        Manner::Repeats => ("403 Forbidden", format!("no_service: {}", head.lines().next().unwrap())),
        Manner::Hangs => return std::thread::sleep(Duration::from_secs(600)),
    };
    let mut stream = stream;
    let _ =
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
}
