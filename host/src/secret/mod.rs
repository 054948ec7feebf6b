//! Secrets: where they come from, and how they are kept out of everything else.
//!
//! A secret is resolved when a connection is opened and goes to its driver alone. From then on the
//! [`Scrubber`] knows it, and the pipeline passes each reply and each failure through it once,
//! before the journal and before the guest.

mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::text_schema;
use tokio::sync::Mutex;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// A secret shorter than this could not be told from ordinary text, and is refused.
pub const SECRET_BYTES_MIN: usize = 8;

/// A secret's name in the operator's file, written `secret:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef(String);

impl SecretRef {
    /// The name in `[secrets]`.
    pub fn name(&self) -> &str {
        &self.0
    }
}

text_schema!(
    SecretRef,
    "SecretRef",
    "^secret:.+$",
    "A secret's name, whose source stands under [secrets]: `secret:NAME`."
);

impl TryFrom<String> for SecretRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("secret:") {
            Some(name) if !name.is_empty() => Ok(Self(name.to_owned())),
            // The text may be the secret itself: it is not repeated.
            _ => Err("a secret is never written here: name it as \"secret:NAME\" and say under [secrets] where NAME comes from".to_owned()),
        }
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        format!("secret:{}", reference.0)
    }
}

/// Where a secret comes from. One line break at its end, `\n` or `\r\n`, is not part of it; all other
/// white space is. It has 8 bytes to 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A regular file's content; a relative path starts at the operator's file.
    File(PathBuf),
    /// A systemd credential: a file below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// What a program prints on its standard output: the program and its arguments, with no shell in
    /// between. It runs in the folder of the operator's file, can't ask anybody (it has no input),
    /// and has 10 seconds.
    Command(#[schemars(length(min = 1))] Vec<String>),
}

/// For people: of a program only its name, because its arguments may say more than everybody should
/// read.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(variable) => write!(f, "${variable}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
            Self::Command(argv) => write!(f, "the program `{}`", argv.first().map(String::as_str).unwrap_or_default()),
        }
    }
}

/// Why a secret can't be had. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nobody has said where it comes from.
    #[error("no secret `{0}` under [secrets]: add  {0} = {{ env = \"…\" }}")]
    Unnamed(String),
    /// Its source has none.
    #[error("secret `{name}`: {problem}")]
    Unavailable {
        /// Its name.
        name: String,
        /// What was tried, and what came back.
        problem: String,
    },
}

/// The operator's secrets, resolved when first asked for.
pub struct Secrets {
    sources: BTreeMap<String, SecretSource>,
    base: PathBuf,
    asked: Mutex<BTreeMap<String, Asked>>,
    scrubber: Scrubber,
}

/// What came of asking a source.
enum Asked {
    Resolved(SecretString),
    Failed { at: Instant, problem: String },
}

/// Connections are opened one after the other, and several may need a secret whose program hangs: within this time it is
/// not asked again. A run that goes on for hours asks later.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

impl Secrets {
    /// Secrets from these sources; relative paths start at `base`.
    pub fn new(sources: BTreeMap<String, SecretSource>, base: impl Into<PathBuf>) -> Self {
        Self { sources, base: base.into(), asked: Mutex::default(), scrubber: Scrubber::default() }
    }

    /// The secret, from now on known to the scrubber.
    pub async fn get(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let name = reference.name();
        // Held while a program prints it, so that no program is asked twice.
        let mut asked = self.asked.lock().await;
        let unavailable = |problem| SecretError::Unavailable { name: name.to_owned(), problem };
        match asked.get(name) {
            Some(Asked::Resolved(secret)) => return Ok(secret.clone()),
            Some(Asked::Failed { at, problem }) if at.elapsed() < FAILURE_HOLDS => {
                return Err(unavailable(problem.clone()));
            }
            Some(Asked::Failed { .. }) | None => {}
        }
        let source = self.sources.get(name).ok_or_else(|| SecretError::Unnamed(name.to_owned()))?;
        match self.read(source).await {
            Ok(secret) => {
                self.scrubber.add(secret.expose_secret());
                asked.insert(name.to_owned(), Asked::Resolved(secret.clone()));
                Ok(secret)
            }
            Err(problem) => {
                asked.insert(name.to_owned(), Asked::Failed { at: Instant::now(), problem: problem.clone() });
                Err(unavailable(problem))
            }
        }
    }

    async fn read(&self, source: &SecretSource) -> Result<SecretString, String> {
        let secret = source.read(&self.base, source::COMMAND_TIMEOUT).await?;
        if secret.expose_secret().len() < SECRET_BYTES_MIN {
            return Err(format!(
                "it has fewer than {SECRET_BYTES_MIN} bytes, so it could not be kept out of logs; use a longer one"
            ));
        }
        Ok(secret)
    }

    /// What takes these secrets out of texts.
    pub fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }
}

/// Takes known secrets out of values, in the forms in which a server may echo them: as they are, in
/// base64 (alone or behind `user:`), in hexadecimal, percent-encoded, or escaped in JSON.
#[derive(Clone, Default)]
pub struct Scrubber {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    forms: Vec<Vec<u8>>,
    matcher: Option<AhoCorasick>,
}

impl Scrubber {
    /// From now on this text is taken out. Derived texts that contain it (`user:password` in
    /// base64) are added by whoever derives them.
    pub fn add(&self, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms(secret) {
            if !known.forms.contains(&form) {
                known.forms.push(form);
            }
        }
        known.matcher = matcher(&known.forms);
        assert!(known.matcher.is_some(), "a few short patterns always build");
    }

    /// The bytes without secrets; `None` if there are none in them.
    fn clean(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let matcher = known.matcher.as_ref().filter(|matcher| bytes.len() >= matcher.min_pattern_len())?;
        matcher.is_match(bytes).then(|| matcher.replace_all_bytes(bytes, &vec![REDACTED.as_bytes(); known.forms.len()]))
    }
}

/// Tables of this many bytes of secrets take some hundred kilobytes; those of a private key would take
/// megabytes.
const TABLED_BYTES_MAX: usize = 1_024;

fn matcher(forms: &[Vec<u8>]) -> Option<AhoCorasick> {
    let tabled = forms.iter().map(Vec::len).sum::<usize>() <= TABLED_BYTES_MAX;
    let kind = if tabled { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
    // Longest first, so that no form leaves the tail of a longer one behind. Most texts are short, and to look
    // for rare bytes first takes longer there than to look at all of them.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).kind(Some(kind)).prefilter(false).build(forms).ok()
}

fn forms(secret: &str) -> Vec<Vec<u8>> {
    let escaped = serde_json::to_string(secret).unwrap_or_default();
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [
        secret.to_owned(),
        escaped.trim_matches('"').to_owned(),
        percent.replace('+', "%20"),
        percent,
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hex::encode(secret),
        hex::encode_upper(secret),
    ]
    .map(String::into_bytes)
    .into()
}

/// Values that secrets can be taken out of. Implementations take their fields apart without `..`, so
/// that a new field can't be forgotten.
pub trait Scrub {
    /// Takes all known secrets out.
    fn scrub(&mut self, scrubber: &Scrubber);
}

impl Scrub for String {
    fn scrub(&mut self, scrubber: &Scrubber) {
        if let Some(clean) = scrubber.clean(self.as_bytes()) {
            *self = String::from_utf8_lossy(&clean).into_owned();
        }
    }
}

impl Scrub for Vec<u8> {
    fn scrub(&mut self, scrubber: &Scrubber) {
        if let Some(clean) = scrubber.clean(self) {
            *self = clean;
        }
    }
}

impl<T: Scrub> Scrub for Option<T> {
    fn scrub(&mut self, scrubber: &Scrubber) {
        self.iter_mut().for_each(|value| value.scrub(scrubber));
    }
}

impl Scrub for Vec<String> {
    fn scrub(&mut self, scrubber: &Scrubber) {
        self.iter_mut().for_each(|value| value.scrub(scrubber));
    }
}

impl Scrub for Value {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::String(text) => text.scrub(scrubber),
            Self::Array(values) => values.iter_mut().for_each(|value| value.scrub(scrubber)),
            Self::Object(map) => {
                for (mut key, mut value) in std::mem::take(map) {
                    key.scrub(scrubber);
                    value.scrub(scrubber);
                    map.insert(key, value);
                }
            }
            Self::Null | Self::Bool(_) | Self::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_taken_out_of_every_kind_of_value() {
        let secret = "s3cr\"et töken+/";
        let scrubber = Scrubber::default();
        scrubber.add(secret);
        for form in forms(secret) {
            let mut bytes = [b"\xff before ".as_slice(), &form, b" after"].concat();
            bytes.scrub(&scrubber);
            assert_eq!(bytes, b"\xff before [redacted] after");
            let text = String::from_utf8(form).unwrap_or_default();
            let mut value = serde_json::json!({ text.clone(): [text.clone()], "n": 1 });
            value.scrub(&scrubber);
            assert_eq!(value, serde_json::json!({ "[redacted]": ["[redacted]"], "n": 1 }));
        }
    }

    #[test]
    fn a_secret_written_into_the_file_is_refused_without_repeating_it() {
        let error = SecretRef::try_from("hunter2hunter2".to_owned()).expect_err("no reference");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_secret_comes_from_where_the_file_says_and_its_absence_is_explained() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "from-a-file\n").expect("written");
        let sources = BTreeMap::from([
            ("file".to_owned(), SecretSource::File("token".into())),
            ("command".to_owned(), SecretSource::Command(vec!["echo".into(), "from-a-program".into()])),
            ("short".to_owned(), SecretSource::Command(vec!["echo".into(), "short".into()])),
            ("failing".to_owned(), SecretSource::Command(vec!["false".into()])),
            ("absent".to_owned(), SecretSource::Env("RIPCORD_TEST_ABSENT".into())),
        ]);
        let secrets = Secrets::new(sources, folder.path());
        let get = async |name: &str| {
            let secret = secrets.get(&SecretRef(name.to_owned())).await;
            secret.map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(get("file").await.as_deref(), Ok("from-a-file"));
        assert_eq!(get("command").await.as_deref(), Ok("from-a-program"));
        for name in ["short", "failing", "absent", "unnamed"] {
            let error = get(name).await.expect_err(name);
            assert!(error.contains(name), "{error}");
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_is_not_asked_again_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = ["sh", "-c", "echo asked >> asked; exit 1"].map(str::to_owned).to_vec();
        let sources = BTreeMap::from([("token".to_owned(), SecretSource::Command(program))]);
        let secrets = Secrets::new(sources, folder.path());
        let get = || async { secrets.get(&SecretRef("token".to_owned())).await.expect_err("it fails").to_string() };
        assert_eq!(get().await, get().await);
        assert_eq!(std::fs::read_to_string(folder.path().join("asked")).expect("read"), "asked\n");
        if let Some(Asked::Failed { at, .. }) = secrets.asked.lock().await.get_mut("token") {
            *at -= FAILURE_HOLDS;
        }
        get().await;
        assert_eq!(std::fs::read_to_string(folder.path().join("asked")).expect("read"), "asked\nasked\n");
    }
}
