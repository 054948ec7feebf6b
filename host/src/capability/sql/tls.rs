//! How a connection to a database is encrypted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::TlsMode;
use crate::capability::OpenError;
use crate::capability::http::tls;

/// What carries the connection, and how much of it is needed.
pub(super) fn connector(mode: TlsMode, ca_file: Option<&Path>) -> Result<(MakeRustlsConnect, SslMode), OpenError> {
    let config = config(mode, ca_file)?;
    let ssl_mode = match mode {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
    };
    Ok((MakeRustlsConnect::new(config), ssl_mode))
}

pub(super) fn config(mode: TlsMode, ca_file: Option<&Path>) -> Result<ClientConfig, OpenError> {
    let mut config = tls::client_config(ca_file, mode == TlsMode::VerifyFull)?;
    if matches!(mode, TlsMode::Prefer | TlsMode::Require) {
        let unseen = Unseen(config.crypto_provider().clone());
        config.dangerous().set_certificate_verifier(Arc::new(unseen));
    }
    // PostgreSQL 17 turns away a client that offers other protocols only.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

/// Takes any certificate: what `sslmode=require` means, and says in the file.
#[derive(Debug)]
struct Unseen(Arc<CryptoProvider>);

impl ServerCertVerifier for Unseen {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
