//! Whom a connection trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::capability::OpenError;

/// The TLS settings of a client: what this machine trusts, and the operator's own authority.
///
/// One configuration serves all clients of a connection, so that they share its sessions: a new
/// connection for each mutation costs no full handshake. Early data, which a third party can repeat,
/// is off.
pub(crate) fn client_config(ca_file: Option<&Path>, encrypted: bool) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    // Reading the machine's roots takes milliseconds, and a connection without TLS needs none.
    if encrypted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in ca_file.map(read_certificates).transpose()?.unwrap_or_default() {
            roots.add(certificate).map_err(|error| unusable(ca_file, &error))?;
        }
        if roots.is_empty() {
            return Err(OpenError::Unusable(
                "this machine trusts nobody: install its CA certificates (ca-certificates), or write  ca-file = \"…\""
                    .to_owned(),
            ));
        }
    }
    // Named here and not left to the process's default, which some other crate could have set.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Unusable(format!("TLS can't be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A connection speaks with one server, and each place for another one costs memory in each run.
    config.resumption = Resumption::in_memory_sessions(8);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(Some(path), &error))?;
    if certificates.is_empty() {
        return Err(unusable(Some(path), &"it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unusable(path: Option<&Path>, problem: &dyn std::fmt::Display) -> OpenError {
    OpenError::Unusable(format!("ca-file {} can't be used: {problem}", path.unwrap_or(Path::new("")).display()))
}
