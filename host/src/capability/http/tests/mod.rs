//! Against real servers on the loopback interface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod rules;
mod sending;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::{Call, Connection, Reply};
use crate::capability::{At, Driver, Opening};
use crate::failure::Failure;
use crate::id::{ExecutionId, RunId};
use crate::process::Supervisors;
use crate::secret::{SecretSource, Secrets};

const TOKEN: &str = "tok_0123456789";

fn connection(table: Value) -> Connection {
    serde_json::from_value(table).unwrap()
}

fn call(method: &str, path: &str) -> Call {
    Call { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None }
}

fn at() -> At {
    At {
        run: RunId::from("20261122-180312-k7qm".to_owned()),
        execution: ExecutionId(1),
        ordinal: 0,
        began: Timestamp::UNIX_EPOCH,
        deadline: Duration::from_secs(30),
        idempotency_key: None,
    }
}

fn opening() -> Opening {
    let print = |text: &str| SecretSource::Command(vec!["printf".into(), text.into()]);
    let sources = BTreeMap::from([
        ("token".to_owned(), print(TOKEN)),
        ("two-lines".to_owned(), print("first-line\\nsecond-line")),
    ]);
    let base = std::env::temp_dir();
    Opening {
        secrets: Arc::new(Secrets::new(sources, &base)),
        spool: base.clone(),
        base,
        supervisors: Supervisors::new("ripcord"),
    }
}

async fn send(
    driver: &dyn Driver<Call = Call, Reply = Reply>,
    method: &str,
    path: &str,
    mutation: bool,
) -> Result<Reply, Failure> {
    let call = call(method, path);
    if mutation { driver.prepare(&at(), &call).await?.perform().await } else { driver.read(&at(), &call).await }
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.0.clone()).unwrap()
}

fn gzip(zeros: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'0'; zeros]).unwrap();
    encoder.finish().unwrap()
}

/// Reads one request; empty if none comes.
async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> String {
    let mut request = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return request;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        request.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    request + &String::from_utf8(body).unwrap()
}

/// A server that answers each connection's first request with these bytes and hangs up.
async fn raw(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let request = read_request(&mut stream).await;
            let _ = stream.write_all(&answer(&request)).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

/// A server whose answers are made of the request: `STATUS`, headers, an empty line, the body.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<usize>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(0));
        let count = Arc::clone(&requests);
        let address = raw(move |request| {
            *count.lock().unwrap() += 1;
            format!("HTTP/1.1 {}", answer(request).replacen("\r\n", "\r\nconnection: close\r\n", 1)).into_bytes()
        })
        .await;
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> usize {
        *self.requests.lock().unwrap()
    }
}
