//! `push` and `remote-head`: what the remote has to be asked for.

use std::time::Duration;

use async_trait::async_trait;
use git2::Oid;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::network::{Finished, Git};
use super::working_copy::{WorkingCopy, failed};
use super::{Pushed, Reply};
use crate::capability::{At, Prepared, Settlement};
use crate::failure::Failure;
use crate::process::{Held, Recovered};

/// After the connection is gone, the remote may still be running its own hooks and then take the push
/// over. Until then a branch that has not moved says nothing.
const REMOTE_SETTLES: SignedDuration = SignedDuration::from_secs(10);

/// How often the remote is asked until then.
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// A refusal is answered this long before the pipeline would give the push up, whatever more there is to
/// be found out for its message.
const ANSWERED_BEFORE: Duration = Duration::from_secs(1);

/// The remote of a connection.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) git: Git,
    pub(super) name: String,
}

/// A push that is ready to go.
pub(super) struct Push {
    remote: Remote,
    at: At,
    held: Held,
    marker: Marker,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    branch: String,
    head: String,
    lease: Option<String>,
    prepared: Timestamp,
    /// What finds the `git push` again.
    attempt: Value,
}

/// Gets a push ready. Whether the lease holds, the remote alone decides, when it is sent.
pub(super) async fn prepare(
    remote: Remote,
    at: &At,
    revision: &str,
    branch: &str,
    lease: Option<&str>,
) -> Result<Push, Failure> {
    let head = remote.with_copy({
        let revision = revision.to_owned();
        move |copy| copy.commit(&revision).map(|commit| commit.id().to_string())
    });
    let head = head.await?;
    // With nothing after the colon the branch must not exist.
    let lease_option = format!("--force-with-lease=refs/heads/{branch}:{}", lease.unwrap_or_default());
    let refspec = format!("{head}:refs/heads/{branch}");
    let has_ssh = remote.has_ssh_command().await?;
    let options = ["push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed"];
    let arguments = [&options[..], &[lease_option.as_str(), "--", &remote.name, &refspec]].concat();
    let held = remote.git.hold(at, has_ssh, &arguments).await?;
    let marker = Marker {
        branch: branch.to_owned(),
        head,
        lease: lease.map(str::to_owned),
        prepared: Timestamp::now(),
        attempt: held.marker(),
    };
    Ok(Push { remote, at: at.clone(), held, marker })
}

#[async_trait]
impl Prepared<Reply> for Push {
    fn marker(&self) -> Option<Value> {
        serde_json::to_value(&self.marker).ok()
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { remote, at, held, marker } = *self;
        let answered_by = Instant::now() + at.deadline.saturating_sub(ANSWERED_BEFORE);
        let finished = Finished::from(held.run().await?);
        let tried = format!("push {} to {} of `{}`", marker.head, marker.branch, remote.name);
        match Verdict::of(&finished) {
            Verdict::Taken => Ok(Reply::Pushed(marker.pushed())),
            Verdict::Stale => {
                let expected = marker.lease.as_deref().map_or("not to exist".to_owned(), |id| format!("at {id}"));
                let found = match timeout_at(answered_by, remote.head(&at, &marker.branch)).await {
                    Ok(Ok(Some(id))) => format!("it is at {id}"),
                    Ok(Ok(None)) => "there is no such branch".to_owned(),
                    Ok(Err(failure)) => format!("where it is can't be found out: {failure}"),
                    Err(_) => "where it is was not answered in time".to_owned(),
                };
                Err(Failure::permanent(format!(
                    "can't {tried}: the branch was expected {expected}, but {found}; somebody has pushed in between. \
                     Nothing was overwritten: look at their commits first"
                )))
            }
            Verdict::Refused(reason) => Err(Failure::permanent(format!(
                "can't {tried}: the remote refuses it: {reason}\n{}",
                finished.stderr.trim()
            ))),
            Verdict::NotReached => Err(remote.not_reached(&tried, &finished)),
            Verdict::Unclear => Err(Failure::unknown(format!("{tried}: {}", finished.said()))),
        }
    }
}

/// Finds out what became of a push: from what the attempt itself has said, once nothing of it runs any
/// more, or else from the remote.
pub(super) async fn settle(remote: &Remote, at: &At, marker: &Value) -> Result<Settlement<Reply>, Failure> {
    let marker: Marker = serde_json::from_value(marker.clone())
        .map_err(|error| Failure::unknown(format!("the journal's marker can't be read: {error}")))?;
    let ended = match remote.git.recover(&marker.attempt).await {
        Recovered::NeverStarted => return Ok(Settlement::DidNotHappen),
        Recovered::Finished(finished) => match Verdict::of(&finished.into()) {
            Verdict::Taken => return Ok(Settlement::Happened(Reply::Pushed(marker.pushed()))),
            Verdict::Stale | Verdict::Refused(_) | Verdict::NotReached => return Ok(Settlement::DidNotHappen),
            // The record does not say when it ended, but it lived no longer than this.
            Verdict::Unclear => {
                let lived = SignedDuration::try_from(remote.git.lives_at_most()).unwrap_or(SignedDuration::MAX);
                marker.prepared.saturating_add(lived).map_or(Timestamp::MAX, |latest| latest.min(Timestamp::now()))
            }
        },
        // What was left of it may have been ended just now.
        Recovered::Lost(_) => Timestamp::now(),
    };
    let settled = ended.saturating_add(REMOTE_SETTLES).unwrap_or(Timestamp::MAX);
    let has_moved = |found: &Option<Oid>| found.map(|id| id.to_string()) != marker.lease;
    let found = loop {
        let found = remote.head(at, &marker.branch).await?;
        let rest = Timestamp::now().duration_until(settled);
        match Duration::try_from(rest.min(ASK_EVERY)) {
            Ok(pause) if !pause.is_zero() && !has_moved(&found) => sleep(pause).await,
            _ => break found,
        }
    };
    Ok(match found {
        Some(id) if id.to_string() == marker.head => Settlement::Happened(Reply::Pushed(marker.pushed())),
        found if !has_moved(&found) => Settlement::DidNotHappen,
        found => Settlement::Unknown(format!(
            "{} of `{}` is {}: neither {}, where it was, nor {}, which was pushed",
            marker.branch,
            remote.name,
            found.map_or("gone".to_owned(), |id| format!("at {id}")),
            marker.lease.as_deref().unwrap_or("absent"),
            marker.head
        )),
    })
}

impl Marker {
    fn pushed(self) -> Pushed {
        Pushed { branch: self.branch, head: self.head, previous: self.lease }
    }
}

impl Remote {
    /// The commit at a branch.
    pub(super) async fn head(&self, at: &At, branch: &str) -> Result<Option<Oid>, Failure> {
        let name = self.name.clone();
        // A push may go elsewhere than a fetch comes from, and it is the push that is asked about.
        let push_url = self.with_copy(move |copy| {
            let remote = copy.repository.find_remote(&name).ok();
            Ok(remote.and_then(|remote| remote.pushurl().ok().flatten().map(str::to_owned)))
        });
        let target = push_url.await?.unwrap_or_else(|| self.name.clone());
        let reference = format!("refs/heads/{branch}");
        let has_ssh = self.has_ssh_command().await?;
        let finished = self.git.look(at, has_ssh, &["ls-remote", "--refs", "--", &target, &reference]).await?;
        let tried = format!("ask `{}` for {branch}", self.name);
        if !finished.is_success() {
            return Err(self.not_reached(&tried, &finished));
        }
        if finished.truncated {
            return Err(Failure::permanent(format!("can't {tried}: it answers more than can be kept")));
        }
        // The pattern also matches longer names that end in the same way.
        let mut lines = finished.stdout.lines().filter_map(|line| line.split_once('\t'));
        lines
            .find(|(_, name)| *name == reference)
            .map(|(id, _)| Oid::from_str(id).map_err(failed(format_args!("understand what `{}` answers", self.name))))
            .transpose()
    }

    async fn has_ssh_command(&self) -> Result<bool, Failure> {
        self.with_copy(|copy| {
            let config = copy.repository.config().map_err(failed("read git's configuration"))?;
            Ok(config.get_string("core.sshCommand").is_ok())
        })
        .await
    }

    async fn with_copy<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WorkingCopy) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let root = self.git.root().to_owned();
        tokio::task::spawn_blocking(move || work(&WorkingCopy::open(&root)?)).await.unwrap_or_else(|error| {
            Err(Failure::permanent(format!("the thread that read the repository ended: {error}")))
        })
    }

    /// A failure before anything was sent, in git's words.
    fn not_reached(&self, tried: &str, finished: &Finished) -> Failure {
        let stderr = finished.stderr.trim();
        let (folder, remote) = (self.git.root().display(), &self.name);
        let advice = if LOCKED_OUT.iter().any(|sign| stderr.contains(sign)) {
            format!(
                ". Nothing asks for a password here: see that `git -C {folder} ls-remote {remote}` works without a question \
                 for the user that runs ripcord (a credential helper, a deploy key)"
            )
        } else if ABSENT.iter().any(|sign| stderr.contains(sign)) {
            format!(". See `git -C {folder} remote -v`")
        } else {
            return Failure::transient(format!("can't {tried}: {}", finished.said()));
        };
        Failure::permanent(format!("can't {tried}: {stderr}{advice}"))
    }
}

/// What `git push --porcelain` says of the one branch.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// The lease did not hold.
    Stale,
    /// By the remote's rules or hooks.
    Refused(String),
    /// It ended before it sent anything.
    NotReached,
    /// Sending had begun, or may have.
    Unclear,
}

/// Git's words (`LC_ALL=C`) for a connection that was lost after sending had begun.
const LOST: [&str; 3] = ["RPC failed", "unexpected disconnect", "hung up unexpectedly"];

/// Git's words for a remote that lets nobody in.
const LOCKED_OUT: [&str; 8] = [
    "unable to get password",
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "Permission denied",
    "Host key verification failed",
    "The requested URL returned error: 401",
    "The requested URL returned error: 403",
];

/// Git's words for a remote that is not there.
const ABSENT: [&str; 5] = [
    "does not appear to be a git repository",
    "does not exist",
    "not found",
    "No such remote",
    "access denied or repository not exported",
];

/// Git's words for a network that is not there, before anything was sent.
const OFFLINE: [&str; 7] = [
    "Could not resolve host",
    "Couldn't connect to server",
    "Failed to connect to",
    "unable to connect to",
    "Connection refused",
    "Connection timed out",
    "No route to host",
];

impl Verdict {
    fn of(finished: &Finished) -> Self {
        // <flag> TAB <from>:<to> TAB <summary> (<reason>)
        let line = finished.stdout.lines().find_map(|line| {
            let mut fields = line.splitn(3, '\t');
            let flag = fields.next().filter(|flag| flag.len() == 1)?;
            fields.next()?;
            Some((flag, fields.next()?))
        });
        // What the remote's own programs say (`remote: …`) are not git's words.
        let signs = |signs: &[&str]| {
            let own = finished.stderr.lines().filter(|line| !line.starts_with("remote: "));
            own.into_iter().any(|line| signs.iter().any(|sign| line.contains(sign)))
        };
        match line {
            // `=`: it is there already, by an earlier attempt or by somebody else; the same commit.
            Some((" " | "+" | "*" | "=", _)) if finished.is_success() => Self::Taken,
            Some(("!", summary)) if summary.contains("(stale info)") => Self::Stale,
            Some(("!", summary)) if summary.starts_with("[rejected]") || summary.starts_with("[remote rejected]") => {
                Self::Refused(summary.to_owned())
            }
            None if signs(&LOST) => Self::Unclear,
            None if signs(&LOCKED_OUT) || signs(&ABSENT) || signs(&OFFLINE) => Self::NotReached,
            _ => Self::Unclear,
        }
    }
}
