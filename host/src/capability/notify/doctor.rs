//! Examines a channel without sending anything through it. Each kind of channel has its own way.

use std::io;
use std::path::Path;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use rustix::fs::Access;
use url::Host;

use super::connection::{Channel, Connection, Mail, Smtp, Tls, Webhook, WebhookUrl};
use super::file;
use super::smtp::{GOODBYE_TIMEOUT, SmtpDriver, Step, said};
use super::webhook::WebhookDriver;
use crate::capability::{cause, http};
use crate::doctor::network::{self, distrust};
use crate::doctor::{Aspect, Exam};

/// How long a mail server may take from its greeting to the login.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    match &connection.channel {
        Channel::Mail(way) => mail(way, connection.timeout, exam).await,
        Channel::Webhook(way) => webhook(way, connection.timeout, exam).await,
        Channel::File(path) => local_file(&exam.opening.base.join(path), exam),
    }
}

/// A service: up to its TLS. Whoever asks it for more has sent a notice.
async fn webhook(way: &Webhook, timeout: Duration, exam: &Exam<'_>) {
    if !exam.has_secrets && matches!(way.url, WebhookUrl::Secret(_)) {
        return exam.untried(Aspect::Connection, "nothing was reached for, because the address is missing");
    }
    let way = match exam.has_secrets {
        true => way.clone(),
        // The way there is worth knowing without the key as well.
        false => Webhook { key: None, ..way.clone() },
    };
    let driver = match WebhookDriver::open(&way, timeout, exam.opening).await {
        Ok(driver) => driver,
        Err(error) => return exam.fault(Aspect::Settings, error.to_string(), "correct it in ripcord.toml"),
    };
    if http::examine_way(driver.url(), way.ca_file.as_deref(), &way.allow_addresses, exam).await {
        let service = way.format.service();
        exam.untried(Aspect::Login, format!("whether {service} takes a notice shows only when one is sent"));
    }
}

/// A file: whether a line could be appended, without creating it.
fn local_file(path: &Path, exam: &Exam<'_>) {
    let shown = path.display();
    match file::open(path, false) {
        Ok(_) => exam.good(Aspect::Settings, format!("{shown} can be appended to")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
            match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => exam.good(Aspect::Folder, format!("{shown} is not there yet, and can be created")),
                Err(error) => {
                    let seen = format!("{shown} is not there, and can't be created in {}: {error}", folder.display());
                    exam.fault(Aspect::Folder, seen, "create the folder for the user that runs ripcord");
                }
            }
        }
        Err(error) => {
            let remedy = "name a regular file that the user that runs ripcord may write to";
            exam.fault(Aspect::Settings, format!("{shown} can't be appended to: {error}"), remedy);
        }
    }
}

/// A mail server: up to the login, and then goodbye.
async fn mail(way: &Mail, timeout: Duration, exam: &Exam<'_>) {
    let mut way = way.clone();
    if !exam.has_secrets {
        way.smtp.user = None;
        way.smtp.password = None;
    }
    let driver = match SmtpDriver::open(&way, timeout, exam.opening).await {
        Ok(driver) => driver,
        Err(error) => return exam.fault(Aspect::Settings, error.to_string(), "correct it in ripcord.toml"),
    };
    let smtp = &way.smtp;
    let server = format!("{}:{}", smtp.host, smtp.port());
    let host = Host::parse(&smtp.host).map_or_else(|_| smtp.host.clone(), |host| host.to_string());
    if network::connect(exam, &host, smtp.port(), |_| Ok(())).await.is_none() {
        return;
    }
    exam.trying(Aspect::Answer, format!("a conversation with {server}"));
    let connected = match tokio::time::timeout(timeout.min(PATIENCE), driver.connect()).await {
        Ok(connected) => connected,
        Err(_) => {
            let within = humantime::format_duration(timeout.min(PATIENCE));
            let seen = format!("{server} does not lead a mail server's conversation to its end within {within}");
            return exam.fault(Aspect::Answer, seen, "see that this is a mail server's port for clients (587)");
        }
    };
    match connected {
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
