//! How ripcord logs in to a service: by a header that is always the same, or by a signature of each
//! request.
//!
//! A request is signed when it leaves, for each attempt and each redirect anew: what is recorded,
//! previewed and compared in a replay knows nothing of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::base::BaseUrl;
use super::connection::{Auth, Connection};
use crate::capability::{OpenError, Opening};

const TWILIO: HeaderName = HeaderName::from_static("x-twilio-signature");
const TELNYX: HeaderName = HeaderName::from_static("telnyx-signature-ed25519");
const TELNYX_AT: HeaderName = HeaderName::from_static("telnyx-timestamp");

/// What shows a service who is asking.
pub(super) enum Login {
    /// A header that is always the same.
    Header(HeaderName, HeaderValue),
    /// Twilio's signature.
    Twilio {
        /// Twilio's auth token.
        key: Box<hmac::Key>,
        /// Where requests go.
        sent_to: Box<BaseUrl>,
        /// What the application takes for its own URL.
        public: Box<BaseUrl>,
    },
    /// Telnyx' signature.
    Telnyx(Ed25519KeyPair),
}

impl Login {
    pub(super) async fn open(connection: &Connection, opening: &Opening) -> Result<Option<Self>, OpenError> {
        let (scrubber, secrets) = (opening.secrets.scrubber(), &opening.secrets);
        let Some(auth) = &connection.auth else { return Ok(None) };
        let (name, text) = match auth {
            Auth::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", secrets.get(token).await?.expose_secret())),
            Auth::Basic { user, password } => {
                let pair = format!("{user}:{}", secrets.get(password).await?.expose_secret());
                scrubber.add(&pair);
                (AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)))
            }
            Auth::Header { name, value } => {
                let secret = secrets.get(value).await?;
                // "Token abc": a service that repeats the token leaves out the word before it.
                if let Some((_, token)) = secret.expose_secret().rsplit_once(' ')
                    && token.len() >= crate::secret::SECRET_BYTES_MIN
                {
                    scrubber.add(token);
                }
                (name.name().clone(), secret.expose_secret().to_owned())
            }
            Auth::Twilio { token, public_url } => {
                let token = secrets.get(token).await?;
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose_secret().as_bytes());
                let sent_to = connection.url.clone();
                let public = public_url.clone().unwrap_or_else(|| sent_to.clone());
                return Ok(Some(Self::Twilio {
                    key: Box::new(key),
                    sent_to: Box::new(sent_to),
                    public: Box::new(public),
                }));
            }
            Auth::Telnyx { private_key } => {
                let secret = secrets.get(private_key).await?;
                let pair = key_pair(secret.expose_secret()).map_err(|problem| {
                    let name = private_key.name();
                    OpenError::Unusable(format!(
                        "the secret `{name}` is no Ed25519 key ({problem}): it has to be what  \
                         openssl genpkey -algorithm ed25519  prints, all lines of it"
                    ))
                })?;
                // The lines between the first and the last are the key, too.
                let body = secret.expose_secret().lines().filter(|line| line.len() > 20 && !line.starts_with('-'));
                body.for_each(|line| scrubber.add(line));
                return Ok(Some(Self::Telnyx(pair)));
            }
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            OpenError::Unusable(format!(
                "the secret for the header {name} has a line break or a control character in it: is it all of one line?"
            ))
        })?;
        value.set_sensitive(true);
        Ok(Some(Self::Header(name, value)))
    }

    /// Adds to a request what shows who sends it.
    pub(super) fn add_to(&self, url: &mut Url, headers: &mut HeaderMap, body: &[u8]) {
        match self {
            Self::Header(name, value) => _ = headers.insert(name, value.clone()),
            Self::Twilio { key, sent_to, public } => {
                let is_form = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded");
                let form = headers.get(CONTENT_TYPE).is_some_and(is_form).then_some(body);
                if form.is_none() && !body.is_empty() {
                    url.query_pairs_mut().append_pair("bodySHA256", &hex::encode(Sha256::digest(body)));
                }
                let url = sent_to.at(public, url);
                set(headers, TWILIO, twilio_signature(key, &url, form.unwrap_or_default()));
            }
            Self::Telnyx(pair) => {
                let at = Timestamp::now().as_second().to_string();
                set(headers, TELNYX, telnyx_signature(pair, &at, body));
                set(headers, TELNYX_AT, at);
            }
        }
    }
}

/// Whether a header is a part of a signature.
pub(super) fn is_twilios(name: &str) -> bool {
    TWILIO == name
}

/// Whether a header is a part of a signature.
pub(super) fn is_telnyxs(name: &str) -> bool {
    TELNYX == name || TELNYX_AT == name
}

/// `X-Twilio-Signature`: the URL as Twilio was told it, then each field of the form with its value, sorted
/// by their bytes; a field that is there twice has each of its values once
/// (<https://www.twilio.com/docs/usage/security#validating-requests>). A body that is no form is vouched
/// for by `bodySHA256` in the URL.
fn twilio_signature(key: &hmac::Key, url: &str, form: &[u8]) -> String {
    let mut fields: Vec<_> = url::form_urlencoded::parse(form).collect();
    fields.sort();
    fields.dedup();
    let signed: String =
        std::iter::once(url).chain(fields.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()])).collect();
    STANDARD.encode(hmac::sign(key, signed.as_bytes()))
}

/// `telnyx-signature-ed25519`: of the time in seconds, a `|`, and the body
/// (<https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>).
fn telnyx_signature(pair: &Ed25519KeyPair, at: &str, body: &[u8]) -> String {
    STANDARD.encode(pair.sign(&[at.as_bytes(), b"|", body].concat()))
}

fn key_pair(pem: &str) -> Result<Ed25519KeyPair, String> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    // openssl writes the private key alone, without the public one that it could be checked with.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()).map_err(|error| error.to_string())
}

/// Digits and base64 are fit for a header.
fn set(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Twilio's own library (twilio/twilio-python, tests/unit/test_request_validator.py).
    #[test]
    fn a_twilio_signature_is_the_one_that_twilio_s_own_library_computes() {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let call = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
        let with_port = "http://mycompany.com:1234/myapp.php?foo=1&bar=2";
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let with_body = format!("{url}&bodySHA256={hash}");
        for (url, form, signature) in [
            (url, call, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (with_port, call, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            (url, "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234", "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
            (&with_body, "", "a9nBmqA0ju/hNViExpshrM61xv4="),
        ] {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"12345");
            assert_eq!(twilio_signature(&key, url, form.as_bytes()), signature, "{url} {form}");
        }
    }
}
