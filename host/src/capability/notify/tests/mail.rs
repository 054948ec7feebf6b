//! Against real SMTP conversations on the loopback interface.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::{PASSWORD, at, connection, notice, opening, send};
use crate::capability::notify::{Call, Connection, Reply};
use crate::capability::{CapabilityConnection, Judgement, OpenError, Repeat, Settlement};
use crate::lab::authority::Authority;
use crate::lab::mailbox::Mailbox;

#[tokio::test]
async fn a_notice_arrives_as_one_plain_mail_that_says_what_the_plugin_said() {
    let mailbox = Mailbox::start().await.unwrap();
    let notice = Call {
        subject: "Rückgängig: facebook".to_owned(),
        text: "The connector is off.\n.\nMore soon — we're on it.".to_owned(),
        fields: vec![("version".to_owned(), "v1.4.2".to_owned()), ("by".to_owned(), "ops".to_owned())],
        ..Call::default()
    };
    assert_eq!(send(&plain(mailbox.addr()), &notice).await, Reply::Sent);

    let mails = mailbox.messages();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].from, "ripcord@example.org");
    assert_eq!(mails[0].to, ["ops@example.org", "boss@example.org"]);
    let (headers, body) = mails[0].data.split_once("\r\n\r\n").unwrap();
    for header in [
        "From: ripcord <ripcord@example.org>",
        "To: ops@example.org, Boss <boss@example.org>",
        "Message-ID: <20261122-180312-k7qm-2-3@ripcord>",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(headers.lines().any(|line| line.eq_ignore_ascii_case(header)), "{header} is not in {headers}");
    }
    assert!(headers.contains("Date: ") && headers.contains("Subject: =?utf-8?"), "{headers}");
    let body = body.replace("=\r\n", "").replace("=E2=80=94", "—").replace("\r\n", "\n");
    assert_eq!(body.trim_end(), "The connector is off.\n.\nMore soon — we're on it.\n\nversion: v1.4.2\nby: ops");
}

#[tokio::test]
async fn no_line_break_of_a_plugin_becomes_a_header_or_a_field() {
    let mailbox = Mailbox::start().await.unwrap();
    let notice = Call {
        subject: "Done\r\nBcc: everybody@example.org\n\nX: y".to_owned(),
        text: "text\r\n.\r\nMAIL FROM:<evil@example.org>\u{7}".to_owned(),
        fields: vec![("a\nb".to_owned(), "c\r\nverified: yes".to_owned())],
        ..Call::default()
    };
    assert_eq!(send(&plain(mailbox.addr()), &notice).await, Reply::Sent);
    let mails = mailbox.messages();
    assert_eq!((mails.len(), mails[0].to.len()), (1, 2));
    let data = &mails[0].data;
    assert!(data.contains("Subject: Done Bcc: everybody@example.org X: y\r\n"), "{data}");
    assert!(!data.lines().any(|line| line.starts_with("Bcc") || line.starts_with("verified")), "{data}");
    assert!(
        data.contains("\r\n.\r\nMAIL FROM:<evil@example.org>\r\n") && data.contains("a b: c verified: yes"),
        "{data}"
    );
}

#[tokio::test]
async fn where_a_delivery_breaks_decides_whether_the_notice_may_be_out() {
    let down = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let nobody = Mailbox::start_refusing(&["ops@example.org", "boss@example.org"]).await.unwrap();
    let no_boss = Mailbox::start_refusing(&["boss@example.org"]).await.unwrap();
    for (case, address, outcome, why) in [
        ("nobody listens", down, "not-sent", "no connection"),
        ("every recipient refused", nobody.addr(), "not-sent", "ops@example.org: 550 Mailbox unavailable"),
        ("one of two recipients refused", no_boss.addr(), "perhaps-sent", "boss@example.org: 550"),
        ("hangs up at once", script(&[]).await, "not-sent", "no connection"),
        ("refuses the sender", script(&["220 x", "250 x", "550 no"]).await, "not-sent", "MAIL FROM: 550 no"),
        (
            "dies at DATA",
            script(&["220 x", "250 x", "250 x", "250 x", "250 x"]).await,
            "not-sent",
            "DATA: the server closed the connection",
        ),
        (
            "dies before it answers to the text",
            script(&["220 x", "250 x", "250 x", "250 x", "250 x", "354 go on"]).await,
            "perhaps-sent",
            "after the text was sent: the server closed",
        ),
        (
            "refuses the text",
            script(&["220 x", "250 x", "250 x", "250 x", "250 x", "354 go on", "554 spam"]).await,
            "not-sent",
            "554 spam",
        ),
        (
            "falls silent before the text",
            script(&["220 x", "250 x", "250 x", "…"]).await,
            "not-sent",
            "did not finish within 1s",
        ),
        (
            "falls silent after the text",
            script(&["220 x", "250 x", "250 x", "250 x", "250 x", "354 go on", "…"]).await,
            "perhaps-sent",
            "did not finish within 1s",
        ),
        (
            "takes the text and never says goodbye",
            script(&["220 x", "250 x", "250 x", "250 x", "250 x", "354 go on", "250 taken", "…"]).await,
            "sent",
            "",
        ),
    ] {
        let mut table = plain(address);
        table["timeout"] = if case.contains("silent") { "1s" } else { "20s" }.into();
        let reply = send(&table, &notice()).await;
        let as_json = serde_json::to_string(&reply).unwrap();
        assert!(
            as_json.starts_with(&format!("{{\"{outcome}\"")) || as_json == format!("\"{outcome}\""),
            "{case}: {as_json}"
        );
        assert!(as_json.contains(why), "{case}: {as_json}");
    }
    assert_eq!((nobody.messages().len(), no_boss.messages().len()), (0, 1));
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_to_a_server_that_offers_no_encryption() {
    let mailbox = Mailbox::start().await.unwrap();
    let mut table = plain(mailbox.addr());
    table["smtp"]["tls"] = "starttls".into();
    let reply = send(&table, &notice()).await;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("STARTTLS")), "{reply:?}");
    assert!(mailbox.messages().is_empty());
}

#[tokio::test]
async fn a_login_goes_through_tls_to_a_server_that_the_operator_trusts() {
    let authority = Authority::new();
    let acceptor = authority.localhost.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let answers = ["220 x", "250-x\r\n250 AUTH PLAIN", "535 no", "221 bye"];
                follow_script(stream, &answers.map(str::to_owned)).await;
            }
        }
    });
    let table = |ca_file: Value| {
        let smtp = json!({
            "host": "localhost", "port": port, "tls": "implicit",
            "user": "ops", "password": "secret:mail", "ca-file": ca_file,
        });
        json!({ "smtp": smtp, "from": "a@example.org", "to": ["b@example.org"] })
    };
    let stranger = Authority::new();
    for (ca_file, why) in
        [(authority.file(), "login: 535 no"), (stranger.file(), "no connection: invalid peer certificate")]
    {
        let reply = send(&table(json!(ca_file)), &notice()).await;
        assert!(matches!(&reply, Reply::NotSent(text) if text.contains(why)), "{reply:?}");
        assert!(!format!("{reply:?}").contains(PASSWORD), "{reply:?}");
    }
    let missing = connection(&table(json!("absent.pem")));
    assert!(matches!(missing.open(&opening()).await, Err(OpenError::Unusable(_))));
}

#[tokio::test]
async fn preparing_a_notice_contacts_nobody_and_a_lost_one_is_perhaps_sent() {
    let mailbox = Mailbox::start().await.unwrap();
    let driver = connection(&plain(mailbox.addr())).open(&opening()).await.unwrap();
    drop(driver.prepare(&at(), &notice()).await.unwrap());
    assert!(mailbox.messages().is_empty());
    let settlement = driver.settle(&at(), &notice(), None).await;
    assert!(matches!(settlement, Settlement::Happened(Reply::PerhapsSent(_))), "{settlement:?}");
}

#[test]
fn a_connection_is_checked_when_the_file_is_read_and_lets_every_notice_through_once() {
    let good = json!({ "smtp": { "host": "mail.example.org" }, "from": "a@example.org", "to": ["b@example.org"] });
    for (path, value, wrong) in [
        ("/colour", json!("red"), "colour"),
        ("/smtp/colour", json!("red"), "colour"),
        ("/from", json!("nobody"), "write \"ops@example.org\""),
        ("/from", json!("a@example.org\r\nBcc: x@example.org"), "no mail address"),
        ("/to", json!([]), "nobody would get"),
        ("/timeout", json!("0s"), "timeout"),
        ("/smtp/host", json!("mail example"), "no name of a host"),
        ("/smtp/user", json!("ops"), "smtp.password"),
        ("/smtp/password", json!(PASSWORD), "secret:NAME"),
        ("/smtp/tls", json!("maybe"), "starttls"),
    ] {
        let mut table = good.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        table.pointer_mut(parent).unwrap()[key] = value;
        let error = serde_json::from_value::<Connection>(table).expect_err(path).to_string();
        assert!(error.contains(wrong) && !error.contains(PASSWORD), "{path}: {error}");
    }
    let smtp = json!({ "host": "mail.example.org", "tls": "none", "user": "ops", "password": "secret:mail" });
    let clear = json!({ "smtp": smtp, "from": "a@example.org", "to": ["b@example.org"] });
    assert!(serde_json::from_value::<Connection>(clear).unwrap_err().to_string().contains("in the clear"));

    let connection = connection(&good);
    assert_eq!(connection.judge("notify.x", &notice()), Judgement::Mutation);
    assert_eq!(connection.repeat(&notice(), Repeat::Idempotent), Repeat::Once);
    assert!(connection.deadline(&notice()) > Duration::from_secs(30));
    let written = serde_json::to_value(&connection).unwrap();
    assert_eq!(serde_json::to_value(super::connection(&written)).unwrap(), written);
}

// Helpers

/// Two recipients, at a server without TLS.
fn plain(address: SocketAddr) -> Value {
    json!({
        "smtp": { "host": address.ip().to_string(), "port": address.port(), "tls": "none" },
        "from": "ripcord <ripcord@example.org>",
        "to": ["ops@example.org", "Boss <boss@example.org>"],
    })
}

/// A mail server that gives these answers, whatever it is told, and then hangs up. After `354` it
/// reads the whole text; at `…` it falls silent.
async fn script(answers: &[&str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers: Vec<String> = answers.iter().copied().map(str::to_owned).collect();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        follow_script(stream, &answers).await;
    });
    address
}

async fn follow_script(stream: impl AsyncRead + AsyncWrite + Unpin, answers: &[String]) {
    let mut stream = BufReader::new(stream);
    let mut last = "";
    for answer in answers {
        if answer == "…" {
            return std::future::pending().await;
        }
        // The greeting comes unasked; each other answer follows a line, or the text.
        let end = if last.starts_with("354") { ".\r\n" } else { "" };
        let mut line = String::new();
        while !last.is_empty() && stream.read_line(&mut line).await.unwrap_or(0) > 0 && !end.is_empty() && line != end {
            line.clear();
        }
        let _ = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
        last = answer;
    }
    if last.starts_with("354") {
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 0 && line != ".\r\n" {
            line.clear();
        }
    } else if !last.is_empty() {
        // One more command is read, so that it is the answer that is missing.
        let _ = stream.read_line(&mut String::new()).await;
    }
    let _ = stream.shutdown().await;
}
