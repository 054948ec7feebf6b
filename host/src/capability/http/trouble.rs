//! What an error of the HTTP client says about the target.

use rustls::CertificateError;

use super::address::RefusedAddress;
use super::driver::Outgoing;
use crate::capability::cause::{causes, find};
use crate::failure::{Failure, Problem};

/// What became of a request that got no answer, and why, without the URL: that may be a secret.
#[derive(Debug)]
pub(in crate::capability) enum Trouble {
    /// The server's address may not be reached; nothing was sent.
    Refused(String),
    /// It can't be written as a request; nothing was sent.
    Unfit(String),
    /// The server's certificate is not trusted, for this reason, and this may be done about it; nothing was
    /// sent.
    Untrusted(String, &'static str),
    /// There was no connection; nothing was sent.
    NoConnection(String),
    /// It was sent, in part at least.
    Lost(String),
}

impl Trouble {
    pub(in crate::capability) fn of(error: &reqwest::Error) -> Self {
        let what = chain(error);
        if let Some(refused) = find::<RefusedAddress>(error) {
            return Self::Refused(refused.to_string());
        }
        if error.is_builder() {
            return Self::Unfit(what);
        }
        // Name, TCP and TLS: no byte of the request has left before all three are done.
        if error.is_connect() {
            return match find::<rustls::Error>(error) {
                Some(rustls::Error::InvalidCertificate(why)) => Self::Untrusted(what, remedy(why)),
                _ => Self::NoConnection(what),
            };
        }
        Self::Lost(what)
    }
}

/// The failure for a request that got no answer.
pub(super) fn before_answer(outgoing: &Outgoing, error: &reqwest::Error, is_mutation: bool) -> Failure {
    let line = outgoing.line();
    match Trouble::of(error) {
        Trouble::Refused(why) => Failure::denied(format!("{line}: {why}")),
        Trouble::Unfit(why) => Failure::permanent(format!("{line} can't be sent: {why}")),
        Trouble::Untrusted(why, remedy) => Failure::permanent(format!(
            "{line}: nothing was sent, because the server's certificate is not trusted: {why}; {remedy}"
        )),
        Trouble::NoConnection(why) => Failure::transient(format!("{line}: no connection, nothing was sent: {why}")),
        Trouble::Lost(why) if is_mutation => Failure::Unknown(Problem::no_answer(format!(
            "{line}: the connection was lost before the answer came: {why}"
        ))),
        Trouble::Lost(why) => Failure::Transient(Problem::no_answer(format!("{line}: no answer: {why}"))),
    }
}

/// What to do about a certificate that is not trusted.
fn remedy(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the `url` with a name that the certificate is for, or have the server get the right one"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has to be renewed on the server, unless this machine's clock is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is this machine's clock right?",
        _ => "if it comes from an authority of your own, write  ca-file = \"…\"",
    }
}

/// An error with all its causes in one line. The URL is left out: the message names it already.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error).skip(1) {
        let text = cause.to_string();
        // Neither hyper-util's "client error (Connect)" nor a wrapper that ends with its cause says
        // anything to a person.
        if !text.starts_with("client error (") && !texts.last().is_some_and(|last| last.ends_with(&text)) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        // Only reqwest's own words name the URL, in " for url (…)".
        let text = error.to_string();
        return text.split(" for url (").next().unwrap_or_default().to_owned();
    }
    texts.join(": ")
}
