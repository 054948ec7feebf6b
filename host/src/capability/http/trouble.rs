//! What an error of the HTTP client says about the target.

use rustls::CertificateError;

use super::address::RefusedAddress;
use super::driver::Outgoing;
use crate::capability::cause::{causes, find};
use crate::failure::Failure;

/// The failure for a request that got no answer.
pub(super) fn before_answer(outgoing: &Outgoing, error: &reqwest::Error, is_mutation: bool) -> Failure {
    let line = outgoing.line();
    let what = chain(error);
    if let Some(refused) = find::<RefusedAddress>(error) {
        return Failure::denied(format!("{line}: {refused}"));
    }
    if error.is_builder() {
        return Failure::permanent(format!("{line} can't be sent: {what}"));
    }
    // Name, TCP and TLS: no byte of the request has left before all three are done.
    if error.is_connect() {
        return match find::<rustls::Error>(error) {
            Some(rustls::Error::InvalidCertificate(why)) => Failure::permanent(format!(
                "{line}: nothing was sent, because the server's certificate is not trusted: {what}; {}",
                remedy(why)
            )),
            _ => Failure::transient(format!("{line}: no connection, nothing was sent: {what}")),
        };
    }
    if is_mutation {
        return Failure::unknown(format!("{line}: the connection was lost before the answer came: {what}"));
    }
    Failure::transient(format!("{line}: no answer: {what}"))
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
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
