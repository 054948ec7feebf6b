//! The way to a server, one step at a time: its name, somebody who listens, and the encryption. Each
//! of them fails of something else, and is put right by somebody else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Aspect, Exam};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds the addresses of a host and connects to the first that answers. `allow` says why an address
/// may not be reached, if it may not. `None` if there is no connection; why is reported by then.
pub(crate) async fn connect(
    exam: &Exam<'_>,
    host: &str,
    port: u16,
    allow: impl Fn(IpAddr) -> Result<(), String>,
) -> Option<TcpStream> {
    let addresses = addresses(exam, host, port).await?;
    let (mut allowed, mut refusals) = (Vec::new(), Vec::new());
    for address in addresses {
        match allow(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if allowed.is_empty() {
        let remedy = "name another host, or allow the address in ripcord.toml if it is meant";
        exam.fault(Aspect::Name, refusals.join("; "), remedy);
        return None;
    }
    let mut problems = Vec::new();
    for address in allowed {
        exam.trying(Aspect::Connection, format!("a connection to {address}"));
        let began = Instant::now();
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let took = milliseconds(began.elapsed());
                exam.good(Aspect::Connection, format!("{address} accepts connections ({took})"));
                return Some(stream);
            }
            Ok(Err(error)) => problems.push(Unreached::of(address, &error)),
            Err(_) => problems.push(Unreached::silent(address)),
        }
    }
    let seen: Vec<_> = problems.iter().map(|problem| problem.seen.as_str()).collect();
    // The last one is as good as any.
    let remedy = problems.last().map(|problem| problem.remedy.clone()).unwrap_or_default();
    exam.fault(Aspect::Connection, seen.join("; "), remedy);
    None
}

async fn addresses(exam: &Exam<'_>, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    exam.trying(Aspect::Name, format!("the name {host}"));
    let found = tokio::net::lookup_host((host, port)).await.map(Iterator::collect::<Vec<_>>);
    let problem = match found {
        Ok(found) if !found.is_empty() => {
            let listed: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
            exam.good(Aspect::Name, format!("{host} is {}", listed.join(", ")));
            return Some(found);
        }
        Ok(_) => "it has no address".to_owned(),
        Err(error) => error.to_string(),
    };
    let remedy = format!("correct the name, or this machine's name service: `getent hosts {host}` has to find it");
    exam.fault(Aspect::Name, format!("nobody knows the name {host}: {problem}"), remedy);
    None
}

/// Why an address was not reached.
struct Unreached {
    seen: String,
    remedy: String,
}

impl Unreached {
    fn of(address: SocketAddr, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Self {
                seen: format!("nobody listens at {address}: the connection is refused"),
                remedy: "start the service, or correct the port".to_owned(),
            },
            _ => Self {
                seen: format!("{address} can't be reached: {error}"),
                remedy: format!("see that this machine has a route to {}: `ip route get {0}`", address.ip()),
            },
        }
    }

    fn silent(address: SocketAddr) -> Self {
        let after = humantime::format_duration(CONNECT_TIMEOUT);
        Self {
            seen: format!("{address} does not answer within {after}"),
            remedy: "see whether the machine is up, and whether a firewall lets this one in".to_owned(),
        }
    }
}

/// Greets a server that is to speak TLS from here on, and says whether it could be trusted. `authority`
/// names the setting for certificates of an authority of the operator's own.
pub(crate) async fn handshake(
    exam: &Exam<'_>,
    stream: TcpStream,
    host: &str,
    config: ClientConfig,
    authority: &str,
) -> bool {
    exam.trying(Aspect::Encryption, format!("TLS with {host}"));
    let name = match ServerName::try_from(host.trim_matches(['[', ']']).to_owned()) {
        Ok(name) => name,
        Err(error) => {
            exam.fault(Aspect::Encryption, format!("{host} can't stand in a certificate: {error}"), "correct the name");
            return false;
        }
    };
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
            exam.good(Aspect::Encryption, format!("{version}; its certificate is for {host}, and trusted here"));
            true
        }
        Err(error) => {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let (seen, remedy) = match tls {
                Some(tls) => distrust(host, tls, authority),
                None => (
                    format!("{host} breaks the connection off when it is greeted with TLS: {error}"),
                    "see that it speaks TLS on this port".to_owned(),
                ),
            };
            exam.fault(Aspect::Encryption, seen, remedy);
            false
        }
    }
}

/// What an error of TLS means, and what to do about it.
pub(crate) fn distrust(host: &str, error: &rustls::Error, authority: &str) -> (String, String) {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet};
    use CertificateError::{NotValidYetContext, UnknownIssuer};
    let (seen, remedy) = match error {
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => (
            "is for another name",
            format!("write the name that the certificate is for, or give the server one for {host}"),
        ),
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            ("has expired", "renew it on the server; if it has not, this machine's clock is wrong".to_owned())
        }
        rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => (
            "is not valid yet",
            "set this machine's clock; if it is right, look at the server's certificate".to_owned(),
        ),
        rustls::Error::InvalidCertificate(UnknownIssuer) => (
            "comes from an authority that nobody here trusts",
            format!("if the authority is your own, write  {authority} = \"its-certificate.pem\""),
        ),
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => (
            "is signed by another key than that of the authority that is trusted here",
            format!("put the authority's certificate of today into the file that {authority} names"),
        ),
        rustls::Error::InvalidCertificate(_) => ("is not trusted", "look at the server's certificate".to_owned()),
        rustls::Error::InvalidMessage(_) => {
            return (
                format!("{host} does not answer with TLS: {error}"),
                "see that it speaks TLS on this port; if it is meant to be reached without, say so in ripcord.toml"
                    .to_owned(),
            );
        }
        _ => {
            return (
                format!("{host} and ripcord do not agree on TLS: {error}"),
                "look at the server's log, and at which versions of TLS it offers (1.2 or 1.3 is needed)".to_owned(),
            );
        }
    };
    (format!("the certificate of {host} {seen} ({error})"), remedy)
}

/// How long something took, for people.
pub(crate) fn milliseconds(took: Duration) -> String {
    match took.as_millis() {
        0 => "under 1 ms".to_owned(),
        more => format!("{more} ms"),
    }
}
