//! A service on the loopback interface: it writes down what it is sent, and answers what it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request, as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// `POST /path?query`
    pub(super) line: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What a request is met with.
#[derive(Debug, Clone)]
pub(super) enum Behaviour {
    /// Status line's end, headers and body: `202 Accepted`, `[]`, `{}`.
    Answer(&'static str, Vec<(&'static str, String)>, &'static str),
    /// The connection is cut after so many bytes of an answer of 200.
    Cut(usize),
    /// Nothing ever comes.
    Hang,
}

pub(super) fn answer(status: &'static str, body: &'static str) -> Behaviour {
    Behaviour::Answer(status, Vec::new(), body)
}

pub(super) struct Service {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Service {
    /// Meets each request with the next of these, and all that come after with the last.
    pub(super) async fn start(behaviours: Vec<Behaviour>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, behaviours) = (Arc::clone(&kept), behaviours.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let Some(request) = read(&mut stream).await else { return };
                    let place = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request);
                        (kept.len() - 1).min(behaviours.len() - 1)
                    };
                    meet(stream, behaviours[place].clone()).await;
                });
            }
        });
        Self { address, received }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn meet(mut stream: BufReader<TcpStream>, behaviour: Behaviour) {
    let bytes = match behaviour {
        Behaviour::Answer(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        }
        Behaviour::Cut(bytes) => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..bytes].to_owned(),
        Behaviour::Hang => return std::future::pending().await,
    };
    let _ = stream.write_all(bytes.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    Some(Received { line, headers, body: serde_json::from_slice(&body).expect("a service is sent JSON") })
}
