//! What the operator says of a working copy: `[git.NAME]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::driver::LiveDriver;
use super::network::Git;
use super::working_copy::WorkingCopy;
use super::{Call, Reply, doctor, names};
use crate::capability::{
    CapabilityCall, CapabilityConnection, Denial, Driver, Judgement, OpenError, Opening, Repeat, Rules,
};
use crate::doctor::Exam;
use crate::process::{GRACE, MARGIN};
use crate::schema::{DurationText, texts};

/// What takes longer hangs.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A working copy and its remote.
///
/// ```toml
/// [git.app]
/// path   = "/srv/app"
/// remote = "origin"
/// author = { name = "Rollback", email = "ops@example.org" }
/// write  = ["restore src/lib/connectors/**", "commit src/lib/**", "reset", "revert", "push main"]
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "GitConnection")]
pub struct Connection {
    /// The working copy's root; a relative path starts at the operator's file.
    pub path: PathBuf,
    /// The remote that `push` and `remote-head` speak to.
    #[serde(default = "origin")]
    pub remote: String,
    /// Who commits; the repository's own `user.name` and `user.email` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// What may be changed: `restore PATH`, `commit PATH`, `push BRANCH`, `reset`, `revert`. Reads are
    /// always allowed.
    #[serde(default, deserialize_with = "known_operations", skip_serializing_if = "Rules::is_empty")]
    #[schemars(schema_with = "rules_schema")]
    pub write: Rules,
    /// The longest that a local call, or `git` talking to the remote, may take; at most a day.
    #[serde(default = "two_minutes", with = "duration")]
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
}

/// Who commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "Person")]
pub struct Author {
    /// As in `user.name`.
    pub name: String,
    /// As in `user.email`.
    pub email: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Person {
    /// As in `user.name`.
    name: String,
    /// As in `user.email`.
    email: String,
}

impl TryFrom<Person> for Author {
    type Error = String;

    fn try_from(Person { name, email }: Person) -> Result<Self, String> {
        match git2::Signature::new(&name, &email, &git2::Time::new(0, 0)) {
            Ok(_) => Ok(Self { name, email }),
            Err(error) => Err(format!("`{name} <{email}>` can't be an author: {}", error.message())),
        }
    }
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    fn judge(&self, name: &str, call: &Call) -> Judgement {
        if let Err(reason) = names::check(call) {
            return Judgement::Denied(Denial { reason, remedy: String::new() });
        }
        let targets: Vec<&str> = match call {
            Call::Restore { paths, .. } | Call::Commit { paths, .. } => paths.iter().map(String::as_str).collect(),
            Call::Push { branch, .. } => vec![branch],
            Call::Reset { .. } | Call::Revert { .. } => vec![""],
            Call::Resolve { .. }
            | Call::Log { .. }
            | Call::Diff { .. }
            | Call::Show { .. }
            | Call::Status { .. }
            | Call::RemoteHead { .. } => return Judgement::Read,
        };
        let operation = call.operation();
        let missing: Vec<String> = targets
            .into_iter()
            .filter(|target| !self.write.allow(operation, target))
            .map(|target| format!("{operation} {}", globset::escape(target)).trim_end().to_owned())
            .collect();
        if missing.is_empty() {
            return Judgement::Mutation;
        }
        let rules = self.write.0.iter().map(|rule| String::from(rule.clone())).chain(missing.iter().cloned());
        let listed: Vec<String> = rules.map(|rule| toml::Value::from(rule).to_string()).collect();
        Judgement::Denied(Denial {
            reason: format!("no `write` rule of {name} allows `{}`", missing.join("`, `")),
            remedy: format!("[{name}]\nwrite = [{}]", listed.join(", ")),
        })
    }

    /// A second restore, reset or leased push ends where the first did. A second commit or revert may
    /// not, if somebody else has committed in between, and git carries no key.
    fn repeat(&self, call: &Call, claim: Repeat) -> Repeat {
        match (call, claim) {
            (Call::Restore { .. } | Call::Reset { .. } | Call::Push { .. }, Repeat::Idempotent) => Repeat::Idempotent,
            _ => Repeat::Once,
        }
    }

    fn deadline(&self, call: &Call) -> Duration {
        match call {
            // `git` under its supervisor keeps the time-out by itself.
            Call::Push { .. } | Call::RemoteHead { .. } => self.timeout + GRACE + MARGIN,
            _ => self.timeout,
        }
    }

    fn resources(&self, base: &Path) -> Vec<String> {
        let path = base.join(&self.path);
        // A folder that is not there is `open`'s to complain about.
        let path = path.canonicalize().unwrap_or(path);
        vec![format!("git:{}", path.display())]
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        let path = opening.base.join(&self.path);
        let root = path
            .canonicalize()
            .map_err(|error| OpenError::Unusable(format!("the working copy {}: {error}", path.display())))?;
        if self.remote.is_empty() || self.remote.starts_with('-') {
            return Err(OpenError::Unusable(format!(
                "`remote = {:?}` is no remote: write the name of one, as `git remote` lists them",
                self.remote
            )));
        }
        let copy = WorkingCopy::open(&root).map_err(|failure| OpenError::Unusable(failure.to_string()))?;
        let passwords = passwords(&copy, &self.remote);
        passwords.iter().for_each(|password| opening.secrets.scrubber().add(password));
        let git = Git::find(root, opening, self.timeout, passwords);
        Ok(Arc::new(LiveDriver::new(copy, self.author.clone(), self.remote.clone(), git)))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}

/// A remote's URL may hold a password or a token, and git repeats URLs in its messages.
pub(super) fn passwords(copy: &WorkingCopy, remote: &str) -> Vec<String> {
    let Ok(remote) = copy.repository.find_remote(remote) else { return Vec::new() };
    let urls = [remote.url().ok(), remote.pushurl().ok().flatten()].into_iter().flatten();
    let parsed = urls.filter_map(|url| url::Url::parse(url).ok());
    let held = parsed.flat_map(|url| {
        // A token may stand where the user's name does: `https://TOKEN@host/…`.
        let user = url.scheme().starts_with("http").then(|| url.username().to_owned());
        [user, url.password().map(str::to_owned)]
    });
    let decoded = |held: String| {
        let plain = percent_encoding::percent_decode_str(&held).decode_utf8_lossy().into_owned();
        [held, plain]
    };
    held.flatten().flat_map(decoded).filter(|held| held.len() >= crate::secret::SECRET_BYTES_MIN).collect()
}

fn origin() -> String {
    "origin".to_owned()
}

fn two_minutes() -> Duration {
    Duration::from_secs(120)
}

/// As [`known_operations`] has it.
fn rules_schema(_: &mut SchemaGenerator) -> Schema {
    texts(r"^(restore|commit|push)( .*\S.*)?$|^(reset|revert)$")
}

fn known_operations<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    let rules = Rules::deserialize(deserializer)?;
    for rule in &rules.0 {
        let text = String::from(rule.clone());
        match rule.operation() {
            "restore" | "commit" | "push" => {}
            // A pattern could only speak of the revision, which has many spellings.
            "reset" | "revert" if text == rule.operation() => {}
            operation @ ("reset" | "revert") => {
                return Err(serde::de::Error::custom(format!(
                    "`{text}`: write `{operation}` alone, it takes no target"
                )));
            }
            operation => {
                return Err(serde::de::Error::custom(format!(
                    "`{text}`: there is no operation `{operation}`: write restore PATH, commit PATH, push BRANCH, reset \
                     or revert"
                )));
            }
        }
    }
    Ok(rules)
}

mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(duration) if duration > super::TIMEOUT_MAX => {
                Err(serde::de::Error::custom(format!("`{text}` is too long: write at most \"24h\"")))
            }
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(serde::de::Error::custom(format!("`{text}` is no time: write it like \"30s\" or \"2m\""))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn connection(text: &str) -> Result<Connection, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    fn restore(paths: &[&str]) -> Call {
        Call::Restore { revision: "v1".into(), paths: paths.iter().map(|path| (*path).to_owned()).collect() }
    }

    #[test]
    fn every_path_and_branch_needs_a_rule() {
        let connection = connection(
            r#"path = "."
                          write = ["restore src/*", "restore lib/**", "push release/*", "reset"]"#,
        )
        .unwrap();
        let push = |branch: &str| Call::Push { revision: "HEAD".into(), branch: branch.into(), lease: None };
        for (call, allowed) in [
            (restore(&["src/a"]), true),
            (restore(&["src/a", "lib/deep/b"]), true),
            (restore(&["src/a", "other"]), false),
            (restore(&["src/deep/a"]), false),
            (restore(&["src/../other"]), false),
            (restore(&[]), false),
            (Call::Commit { message: "m".into(), paths: vec!["src/a".into()] }, false),
            (push("release/1"), true),
            (push("main"), false),
            (Call::Reset { revision: "HEAD~1".into() }, true),
            (Call::Reset { revision: "--hard".into() }, false),
            (Call::Revert { revision: "HEAD".into() }, false),
        ] {
            let judgement = connection.judge("git.app", &call);
            assert_eq!(judgement == Judgement::Mutation, allowed, "{call:?}: {judgement:?}");
        }
        let status = Call::Status { paths: vec![] };
        assert_eq!(connection.judge("git.app", &status), Judgement::Read);
    }

    #[test]
    fn what_a_denial_prints_allows_the_call_when_pasted() {
        let call = restore(&["src/a[1].ts", "with \"quotes\" and space"]);
        let strict = connection("path = \".\"\nwrite = [\"push main\"]").unwrap();
        let Judgement::Denied(denial) = strict.judge("git.app", &call) else { panic!("it is not allowed") };
        insta::assert_snapshot!(format!("{}\n\n{}", denial.reason, denial.remedy), @r#"
        no `write` rule of git.app allows `restore src/a[[]1[]].ts`, `restore with "quotes" and space`

        [git.app]
        write = ["push main", "restore src/a[[]1[]].ts", 'restore with "quotes" and space']
        "#);
        let pasted = denial.remedy.replace("[git.app]", "path = \".\"");
        assert_eq!(connection(&pasted).unwrap().judge("git.app", &call), Judgement::Mutation, "{pasted}");
    }

    #[test]
    fn a_key_or_a_rule_that_says_nothing_is_an_error_that_says_what_to_write() {
        for (text, expected) in [
            ("path = '.'\nbranch = 'main'", "unknown field `branch`"),
            ("path = '.'\nwrite = ['checkout x']", "write restore PATH"),
            ("path = '.'\nwrite = ['reset v1']", "write `reset` alone"),
            ("path = '.'\ntimeout = 'soon'", "write it like \"30s\""),
            ("path = '.'\ntimeout = '0s'", "write it like \"30s\""),
            ("path = '.'\ntimeout = '25h'", "write at most \"24h\""),
            ("path = '.'\nauthor = { name = '', email = 'x@example.org' }", "can't be an author"),
            ("path = '.'\nauthor = { name = 'X' }", "missing field `email`"),
        ] {
            let error = connection(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn two_spellings_of_one_folder_are_one_resource() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("app")).unwrap();
        let resources = |path: &str| connection(&format!("path = {path:?}")).unwrap().resources(base.path());
        assert_eq!(resources("app"), resources("./app/../app/"));
    }
}
