//! A mail server that keeps what it gets: one process, loopback only, plain SMTP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use mailin::response::{NO_MAILBOX, OK};
use mailin::{Action, Handler, Response, Session, SessionBuilder};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The longest line that is read, far over the 1,000 bytes of RFC 5321.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A mail, as the server took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The sender's address, of the envelope.
    pub from: String,
    /// The recipients' addresses, of the envelope.
    pub to: Vec<String>,
    /// Headers and body as they were sent.
    pub data: String,
}

/// A running mail server. It stops when it is dropped.
pub struct Mailbox {
    address: SocketAddr,
    messages: Messages,
    server: AbortHandle,
}

type Messages = Arc<Mutex<Vec<Mail>>>;

impl Mailbox {
    /// Starts one on a free port of the loopback interface. It takes mail for everybody.
    pub async fn start() -> io::Result<Self> {
        Self::start_refusing(&[]).await
    }

    /// Starts one that does not know these recipients.
    pub async fn start_refusing(unknown: &[&str]) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let messages = Messages::default();
        let unknown: Arc<[String]> = unknown.iter().copied().map(str::to_owned).collect();
        let server = tokio::spawn(accept(listener, Arc::clone(&messages), unknown)).abort_handle();
        Ok(Self { address, messages, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What it got so far, in order.
    pub fn messages(&self) -> Vec<Mail> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, messages: Messages, unknown: Arc<[String]>) {
    // Conversations end with the server: dropping the set aborts them.
    let mut conversations = tokio::task::JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let envelope = Envelope { messages: Arc::clone(&messages), unknown: Arc::clone(&unknown), mail: None };
        let session = SessionBuilder::new("mailbox.ripcord").build(peer.ip(), envelope);
        // A conversation that breaks off is the client's to report.
        conversations.spawn(async move { converse(stream, session).await.ok() });
        while conversations.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, mut session: Session<Envelope>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    answer(&mut stream, &session.greeting()).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        let response = session.process(&line);
        match response.action {
            Action::NoReply => {}
            Action::Reply => answer(&mut stream, &response).await?,
            Action::Close | Action::UpgradeTls => return answer(&mut stream, &response).await,
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, response: &Response) -> io::Result<()> {
    let mut text = Vec::new();
    response.write_to(&mut text)?;
    stream.write_all(&text).await?;
    stream.flush().await
}

/// The mail of a conversation, kept once its text is complete.
struct Envelope {
    messages: Messages,
    unknown: Arc<[String]>,
    mail: Option<(Mail, Vec<u8>)>,
}

impl Handler for Envelope {
    fn rcpt(&mut self, to: &str) -> Response {
        if self.unknown.iter().any(|unknown| unknown == to) { NO_MAILBOX } else { OK }
    }

    fn data_start(&mut self, _domain: &str, from: &str, _is8bit: bool, to: &[String]) -> Response {
        self.mail = Some((Mail { from: from.to_owned(), to: to.to_vec(), data: String::new() }, Vec::new()));
        OK
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some((_, data)) = &mut self.mail {
            data.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        if let Some((mut mail, data)) = self.mail.take() {
            mail.data = String::from_utf8_lossy(&data).into_owned();
            self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        }
        OK
    }

    fn helo(&mut self, _ip: IpAddr, _domain: &str) -> Response {
        OK
    }
}
