//! The driver for mail.
//!
//! The conversation is led step by step and not by lettre's transport, which reports a connection
//! that was lost before the text as it reports one that was lost after it. The server takes
//! responsibility for a mail with its answer to the text's end, and can't have it before the text
//! began (RFC 5321, 4.1.1.4 and 4.2.5): until then a notice certainly has not gone out.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use lettre::Message;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{self, Data, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use secrecy::ExposeSecret;

use super::channel::Deliver;
use super::connection::{Mail, Smtp, Tls};
use super::notice::Notice;
use super::{Address, Reply, mail};
use crate::capability::{Exactly, OpenError, Opening};

/// How long a server may take to say goodbye, once it has the notice.
pub(super) const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to a mail server.
pub(super) struct SmtpDriver {
    smtp: Smtp,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Address,
    to: Vec<Address>,
    timeout: Duration,
}

impl SmtpDriver {
    pub(super) async fn open(mail: &Mail, timeout: Duration, opening: &Opening) -> Result<Self, OpenError> {
        let Mail { smtp, from, to } = mail.clone();
        let credentials = match (&smtp.user, &smtp.password) {
            (Some(user), Some(password)) => {
                let password = opening.secrets.get(password).await?.expose_secret().to_owned();
                // What AUTH PLAIN sends (RFC 4616), which a server may repeat in its refusal.
                opening.secrets.scrubber().add(&format!("\0{user}\0{password}"));
                Some(Credentials::new(user.clone(), password))
            }
            _ => None,
        };
        let ca_file = smtp.ca_file.as_ref().map(|path| opening.base.join(path));
        let tls = match smtp.tls {
            Tls::None => None,
            Tls::Implicit | Tls::Starttls => Some(tls_parameters(&smtp.host, ca_file.as_deref())?),
        };
        Ok(Self { smtp, tls, credentials, from, to, timeout })
    }
}

fn tls_parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, OpenError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let unusable =
            |problem: String| OpenError::Unusable(format!("ca-file {} can't be used: {problem}", path.display()));
        let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificate = Certificate::from_pem(&text).map_err(|error| unusable(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| OpenError::Unusable(format!("TLS can't be set up for {host}: {error}")))
}

#[async_trait]
impl Deliver for SmtpDriver {
    fn place(&self) -> String {
        format!("mail to {} through {}", self.receivers(), self.server())
    }

    fn exactly(&self, notice: &Notice) -> Exactly {
        Exactly::new(format!("mail through {}", self.server()))
            .with("from", String::from(self.from.clone()))
            .with("to", self.receivers())
            .with("subject", mail::subject(notice))
            .with("text", mail::body(notice))
    }

    async fn deliver(&self, notice: &Notice) -> Reply {
        match mail::compose(notice, &self.from, &self.to) {
            Ok(mail) => self.send(&mail).await,
            Err(why) => Reply::NotSent(why),
        }
    }
}

/// A delivery under way.
struct Delivery {
    /// Set before the first byte of the text leaves.
    text_began: bool,
    /// Kept for the goodbye.
    connection: Option<AsyncSmtpConnection>,
}

impl SmtpDriver {
    fn server(&self) -> String {
        format!("{}:{}", self.smtp.host, self.smtp.port())
    }

    fn receivers(&self) -> String {
        self.to.iter().cloned().map(String::from).collect::<Vec<_>>().join(", ")
    }

    async fn send(&self, mail: &Message) -> Reply {
        let server = self.server();
        let mut delivery = Delivery { text_began: false, connection: None };
        let outcome = tokio::time::timeout(self.timeout, self.converse(&mut delivery, mail)).await;
        let why = match outcome {
            Ok(Ok(reply)) => {
                if let Some(connection) = &mut delivery.connection {
                    // The notice has been taken or refused: nothing that comes now changes that.
                    let _ = tokio::time::timeout(GOODBYE_TIMEOUT, connection.quit()).await;
                }
                return reply;
            }
            Ok(Err(why)) => format!("mail server {server}: {why}"),
            Err(_) => {
                format!("mail server {server} did not finish within {}", humantime::format_duration(self.timeout))
            }
        };
        if delivery.text_began { Reply::PerhapsSent(why) } else { Reply::NotSent(why) }
    }

    /// Leads the conversation up to the server's answer to the text. An error is a connection that
    /// is of no more use.
    async fn converse(&self, delivery: &mut Delivery, mail: &Message) -> Result<Reply, String> {
        let connection = self.connect().await.map_err(|(step, error)| format!("{step}: {}", said(&error)))?;
        let connection = delivery.connection.insert(connection);
        let mut parameters = Vec::new();
        if !mail
            .envelope()
            .to()
            .iter()
            .chain(mail.envelope().from())
            .all(|address| AsRef::<str>::as_ref(address).is_ascii())
        {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err("it takes no addresses beyond ASCII (SMTPUTF8)".to_owned());
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let sender = mail.envelope().from().cloned();
        connection
            .command(commands::Mail::new(sender, parameters))
            .await
            .map_err(|error| format!("MAIL FROM: {}", said(&error)))?;
        let mut refusals = Vec::new();
        for recipient in mail.envelope().to() {
            match connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
                Ok(_) => {}
                // A refusal of one is none of the others: at 3 a.m. it is better to wake somebody.
                Err(error) if error.status().is_some() => refusals.push(format!("{recipient}: {}", said(&error))),
                Err(error) => return Err(format!("RCPT TO: {}", said(&error))),
            }
        }
        let refused = refusals.join("; ");
        if refusals.len() == mail.envelope().to().len() {
            return Ok(Reply::NotSent(format!("the mail server refused every recipient: {refused}")));
        }
        connection.command(Data).await.map_err(|error| format!("DATA: {}", said(&error)))?;
        delivery.text_began = true;
        match connection.command(Text(mail)).await {
            Ok(_) if refusals.is_empty() => Ok(Reply::Sent),
            Ok(_) => Ok(Reply::PerhapsSent(format!("sent, but not to everybody: {refused}"))),
            Err(error) if error.status().is_some() => {
                Ok(Reply::NotSent(format!("the mail server refused the text: {}", said(&error))))
            }
            Err(error) => Err(format!("after the text was sent: {}", said(&error))),
        }
    }

    /// Connects and logs in; if that fails, at which step.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, (Step, SmtpError)> {
        let address = (self.smtp.host.as_str(), self.smtp.port());
        let name = ClientId::default();
        let tls = |mode| self.tls.clone().filter(|_| self.smtp.tls == mode);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.timeout), &name, tls(Tls::Implicit), None)
                .await
                .map_err(|error| (Step::Greeting, error))?;
        if let Some(parameters) = tls(Tls::Starttls) {
            connection.starttls(parameters, &name).await.map_err(|error| (Step::Encryption, error))?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(|error| (Step::Login, error))?;
        }
        Ok(connection)
    }
}

/// What a conversation has to get through before a notice can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The connection, its TLS where that is implicit, and the server's first answers.
    Greeting,
    /// STARTTLS.
    Encryption,
    /// AUTH.
    Login,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "no connection",
            Self::Encryption => "STARTTLS",
            Self::Login => "login",
        })
    }
}

/// A mail's text as it follows `DATA`, its end included (RFC 5321, 4.5.2).
///
/// lettre's own `message` sends the end in a segment of its own. Nagle's algorithm keeps that back
/// until the text is acknowledged, and the server delays that acknowledgement by 40 ms, because it has
/// nothing to answer yet.
struct Text<'a>(&'a Message);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All parts of the mail are text of ours.
        let formatted = self.0.formatted();
        let text = String::from_utf8_lossy(&formatted);
        let text = text.strip_suffix("\r\n").unwrap_or(&text);
        for line in text.split("\r\n") {
            if line.starts_with('.') {
                f.write_str(".")?;
            }
            write!(f, "{line}\r\n")?;
        }
        f.write_str(".\r\n")
    }
}

/// What the server said, or what became of the connection, without lettre's classification.
pub(super) fn said(error: &SmtpError) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match error.status() {
        Some(code) => format!("{code} {cause}"),
        // What lettre makes of an end of the stream.
        None if cause.to_string() == "incomplete response" => "the server closed the connection".to_owned(),
        None => cause.to_string(),
    }
}
