//! Examines a channel without sending anything through it. Each kind of channel has its own way.

use lettre::transport::smtp::Error as SmtpError;
use url::Host;

use super::connection::{Connection, Smtp, Tls};
use super::smtp::{GOODBYE_TIMEOUT, SmtpDriver, Step, said};
use crate::capability::cause;
use crate::doctor::network::{self, distrust};
use crate::doctor::{Aspect, Exam};

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    mail(connection, exam).await;
}

/// A mail server: up to the login, and then goodbye.
async fn mail(connection: &Connection, exam: &Exam<'_>) {
    let mut connection = connection.clone();
    if !exam.has_secrets {
        connection.smtp.user = None;
        connection.smtp.password = None;
    }
    let driver = match SmtpDriver::open(&connection, exam.opening).await {
        Ok(driver) => driver,
        Err(error) => return exam.fault(Aspect::Settings, error.to_string(), "correct it in ripcord.toml"),
    };
    let smtp = &connection.smtp;
    let server = format!("{}:{}", smtp.host, smtp.port());
    let host = Host::parse(&smtp.host).map_or_else(|_| smtp.host.clone(), |host| host.to_string());
    if network::connect(exam, &host, smtp.port(), |_| Ok(())).await.is_none() {
        return;
    }
    exam.trying(Aspect::Answer, format!("a conversation with {server}"));
    match driver.connect().await {
        Ok(mut session) => {
            passed(smtp, exam, None);
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, session.quit()).await;
        }
        Err((step, error)) => {
            passed(smtp, exam, Some(step));
            failed(smtp, exam, step, &error);
        }
    }
    if !exam.has_secrets {
        exam.untried(Aspect::Login, "nobody logged in, because the password is missing");
    }
}

/// What went well before a step.
fn passed(smtp: &Smtp, exam: &Exam<'_>, before: Option<Step>) {
    let Smtp { host, user, tls, .. } = smtp;
    if before == Some(Step::Greeting) {
        return;
    }
    exam.good(Aspect::Answer, format!("{host} speaks SMTP"));
    if before == Some(Step::Encryption) {
        return;
    }
    match tls {
        Tls::Implicit => exam.good(Aspect::Encryption, format!("TLS; its certificate is for {host}, and trusted here")),
        Tls::Starttls => {
            exam.good(Aspect::Encryption, format!("STARTTLS; its certificate is for {host}, and trusted here"));
        }
        Tls::None => {}
    }
    if let (Some(user), None) = (user, before) {
        exam.good(Aspect::Login, format!("{user} is let in; no mail was sent"));
    }
}

fn failed(smtp: &Smtp, exam: &Exam<'_>, step: Step, error: &SmtpError) {
    let host = &smtp.host;
    let why = said(error);
    if let Some(tls) = cause::find::<rustls::Error>(error) {
        let (seen, remedy) = distrust(host, tls, "smtp.ca-file");
        return exam.fault(Aspect::Encryption, seen, remedy);
    }
    let (aspect, seen, remedy) = match step {
        Step::Greeting => (
            Aspect::Answer,
            format!("{host} does not greet as a mail server: {why}"),
            match smtp.tls {
                Tls::Implicit => {
                    "see that this is the port for TLS from the first byte (465), or write  tls = \"starttls\""
                }
                Tls::Starttls | Tls::None => "see that this is a mail server's port for clients (587)",
            }
            .to_owned(),
        ),
        Step::Encryption => (
            Aspect::Encryption,
            format!("{host} takes no STARTTLS: {why}"),
            "write  tls = \"implicit\"  and its port, or have the server offer it; without, nothing is sent".to_owned(),
        ),
        Step::Login if error.is_client() => (
            Aspect::Login,
            format!("{host} offers no login that ripcord knows (PLAIN, LOGIN, XOAUTH2): {why}"),
            "take user and password out if it needs none, or use its port for clients (587)".to_owned(),
        ),
        Step::Login => (
            Aspect::Login,
            format!("{host} does not let {} in: {why}", smtp.user.as_deref().unwrap_or("anybody")),
            match &smtp.password {
                Some(secret) => format!("correct smtp.user, or what `{}` holds", secret.name()),
                None => "correct smtp.user".to_owned(),
            },
        ),
    };
    exam.fault(aspect, seen, remedy);
}
