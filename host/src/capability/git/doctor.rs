//! Examines a working copy and its remote.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{Access, access};

use super::connection::{self, Connection};
use super::network::Git;
use super::push::Remote;
use super::working_copy::WorkingCopy;
use super::{Call, Reply, read};
use crate::capability::Rule;
use crate::doctor::{Aspect, Exam, Grade, room_at};
use crate::failure::Failure;

/// The first `git` that knows all that a push asks of it (`--recurse-submodules=no`).
const GIT_MIN: (u32, u32) = (2, 7);

/// How long `git` may take to hear from the remote.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(15);

/// How many paths are named before it is only said how many there are.
const NAMED_MAX: usize = 3;

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    let path = exam.opening.base.join(&connection.path);
    let Ok(root) = path.canonicalize() else {
        let seen = format!("there is no folder {}", path.display());
        return exam.fault(Aspect::Folder, seen, "correct path in ripcord.toml, or clone the repository there");
    };
    exam.trying(Aspect::Folder, format!("the working copy {}", root.display()));
    let local = tokio::task::spawn_blocking({
        let (connection, root) = (connection.clone(), root.clone());
        move || Local::look(&connection, &root)
    });
    let local = match local.await {
        Ok(local) => local,
        Err(error) => {
            let seen = format!("the thread that looked at {} ended early: {error}", root.display());
            return exam.fault(Aspect::Folder, seen, "try again; if it ends again, report it");
        }
    };
    for (aspect, seen, grade) in local.findings {
        exam.found(aspect, seen, grade);
    }
    if let Some(remote) = local.remote {
        remote_side(connection, exam, root, remote).await;
    }
}

type Note = (Aspect, String, Grade);

/// What the working copy shows by itself.
#[derive(Default)]
struct Local {
    findings: Vec<Note>,
    /// If the working copy could be opened at all.
    remote: Option<RemoteSide>,
}

/// What has to be known to ask the remote.
struct RemoteSide {
    is_configured: bool,
    passwords: Vec<String>,
    /// The branch and the commit that are checked out.
    head: Option<(String, String)>,
}

impl Local {
    fn look(connection: &Connection, root: &Path) -> Self {
        let mut local = Self::default();
        let place = root.display();
        let copy = match WorkingCopy::open(root) {
            Ok(copy) => copy,
            Err(failure) => {
                let remedy = format!("see that `git -C {place} status` works for the user that runs ripcord");
                local.note(Aspect::Folder, failure.to_string(), Grade::fault(remedy));
                return local;
            }
        };
        let head = copy.head().map(|head| (head.reference.clone(), head.commit.id().to_string()));
        local.folder(connection, &copy);
        local.state(&copy, head.as_ref().err());
        if head.is_ok() {
            local.changes(connection, &copy);
            local.rules(connection, &copy);
        }
        local.author(connection, &copy);
        local.remote = Some(RemoteSide {
            is_configured: copy.repository.find_remote(&connection.remote).is_ok(),
            passwords: connection::passwords(&copy, &connection.remote),
            head: head.ok().and_then(|(reference, id)| Some((reference.strip_prefix("refs/heads/")?.to_owned(), id))),
        });
        local
    }

    fn note(&mut self, aspect: Aspect, seen: impl Into<String>, grade: Grade) {
        self.findings.push((aspect, seen.into(), grade));
    }

    fn folder(&mut self, connection: &Connection, copy: &WorkingCopy) {
        let place = copy.root.display();
        if !changes_files(connection) {
            return self.note(Aspect::Folder, format!("{place} is a working copy"), Grade::Good);
        }
        let folder = copy.repository.path();
        let needed =
            [copy.root.clone(), folder.to_owned(), folder.join("index"), copy.repository.commondir().join("objects")];
        let closed: Vec<_> =
            needed.iter().filter(|path| path.exists() && access(*path, Access::WRITE_OK).is_err()).collect();
        match closed.first() {
            None => self.note(Aspect::Folder, format!("{place} is a working copy, and can be written to"), Grade::Good),
            Some(path) => {
                let user = rustix::process::geteuid().as_raw();
                let seen = format!("user {user}, who runs ripcord, can't write to {}", path.display());
                let remedy = format!("run ripcord as the owner of {place}, or `chown -R {user} {place}`");
                self.note(Aspect::Folder, seen, Grade::fault(remedy));
            }
        }
        let (seen, grade) = room_at(&copy.root, "make room there: a rollback writes files");
        if grade != Grade::Good {
            self.note(Aspect::Disk, seen, grade);
        }
    }

    fn state(&mut self, copy: &WorkingCopy, headless: Option<&Failure>) {
        let place = copy.root.display();
        let lock = copy.repository.path().join("index.lock");
        if let Some(failure) = headless {
            self.note(
                Aspect::State,
                failure.to_string(),
                Grade::fault("check out the branch that is to be rolled back"),
            );
        } else if let Err(failure) = copy.refuse_unfinished("roll anything back") {
            self.note(Aspect::State, failure.to_string(), Grade::fault(format!("see `git -C {place} status`")));
        } else if lock.exists() {
            let seen = format!("{} exists: another git is at work there, or one was killed", lock.display());
            self.note(Aspect::State, seen, Grade::fault("if none is at work (`ps -ef | grep git`), delete it"));
        }
    }

    /// Changed files that a rollback would have to overwrite: it refuses to.
    fn changes(&mut self, connection: &Connection, copy: &WorkingCopy) {
        let changed = match read::read(copy, &Call::Status { paths: Vec::new() }) {
            Ok(Reply::Status(changed)) => changed,
            Ok(_) => return,
            Err(failure) => {
                return self.note(
                    Aspect::State,
                    failure.to_string(),
                    Grade::fault("see that `git status` works there"),
                );
            }
        };
        let moves_all = connection.write.0.iter().any(|rule| matches!(rule.operation(), "reset" | "revert"));
        let in_the_way =
            |path: &str| moves_all || connection.write.allow("restore", path) || connection.write.allow("commit", path);
        let paths: Vec<&str> =
            changed.iter().map(|changed| changed.path.as_str()).filter(|path| in_the_way(path)).collect();
        if paths.is_empty() {
            return self.note(Aspect::State, "nothing is uncommitted that the rules speak of", Grade::Good);
        }
        let named = paths[..paths.len().min(NAMED_MAX)].join(", ");
        let more = match paths.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let seen = format!("uncommitted: {named}{more}; a rollback of these is refused");
        let remedy = format!("commit them or take them back: `git -C {} status`", copy.root.display());
        self.note(Aspect::State, seen, Grade::warning(remedy));
    }

    /// Patterns that nothing fits are probably mistyped, and found out when it is too late.
    fn rules(&mut self, connection: &Connection, copy: &WorkingCopy) {
        let Ok(index) = copy.index() else { return };
        let tracked: Vec<String> =
            index.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
        let on_paths = |rule: &&Rule| matches!(rule.operation(), "restore" | "commit");
        let empty: Vec<String> = connection
            .write
            .0
            .iter()
            .filter(on_paths)
            .filter(|rule| !tracked.iter().any(|path| rule.matches(rule.operation(), path)))
            .map(|rule| format!("`{}`", String::from(rule.clone())))
            .collect();
        if !empty.is_empty() {
            let seen = format!("no file that git knows fits {}", empty.join(", "));
            let remedy = "correct the pattern: paths begin at the working copy's root, and `*` stays within one folder";
            self.note(Aspect::Rules, seen, Grade::warning(remedy));
        } else if connection.write.0.iter().any(|rule| on_paths(&rule)) {
            self.note(Aspect::Rules, "each `restore` and `commit` rule fits some file", Grade::Good);
        }
    }

    fn author(&mut self, connection: &Connection, copy: &WorkingCopy) {
        let commits = connection.write.0.iter().any(|rule| matches!(rule.operation(), "commit" | "revert"));
        if commits && copy.author(connection.author.as_ref(), Timestamp::now()).is_err() {
            let seen = format!("nobody is configured to commit in {}", copy.root.display());
            let remedy = "add  author = { name = \"…\", email = \"…\" }  to this connection";
            self.note(Aspect::Settings, seen, Grade::fault(remedy));
        }
    }
}

/// Whether any rule lets something be changed in the working copy.
fn changes_files(connection: &Connection) -> bool {
    connection.write.0.iter().any(|rule| rule.operation() != "push")
}

/// `git` itself, and what the remote answers.
async fn remote_side(connection: &Connection, exam: &Exam<'_>, root: PathBuf, known: RemoteSide) {
    let name = &connection.remote;
    let pushes: Vec<String> = connection
        .write
        .0
        .iter()
        .filter(|rule| rule.operation() == "push")
        .map(|rule| String::from(rule.clone()).trim_start_matches("push").trim().to_owned())
        .collect();
    if !known.is_configured {
        let seen = format!("the working copy has no remote `{name}`");
        if pushes.is_empty() {
            return exam.untried(Aspect::Remote, format!("{seen}, and no rule pushes anything"));
        }
        let remedy = format!("name one of `git -C {} remote` as `remote`, or add this one", root.display());
        return exam.fault(Aspect::Remote, seen, remedy);
    }
    known.passwords.iter().for_each(|password| exam.opening.secrets.scrubber().add(password));
    let timeout = connection.timeout.min(REMOTE_TIMEOUT);
    let git = Git::find(root.clone(), exam.opening, timeout, known.passwords);
    if !version(exam, &git, timeout, !pushes.is_empty()).await {
        return;
    }
    let remote = Remote { git, name: name.clone() };
    let is_exact = |branch: &&String| !branch.is_empty() && !branch.contains(['*', '?', '[', '{', '\\']);
    let mut branches: Vec<String> = pushes.iter().filter(is_exact).take(NAMED_MAX).cloned().collect();
    let checked_out = known.head.as_ref().map(|(branch, _)| branch.clone());
    if branches.is_empty() {
        branches.push(checked_out.unwrap_or_else(|| "main".to_owned()));
    }
    for branch in &branches {
        exam.trying(Aspect::Remote, format!("{branch} of `{name}`"));
        match remote.head(&exam.at(timeout), branch).await {
            Ok(Some(id)) => {
                let id = id.to_string();
                let seen = format!("`{name}` is reached; its {branch} is at {}", &id[..10]);
                match &known.head {
                    Some((own, at)) if own == branch && *at != id && pushes.contains(branch) => {
                        let remedy =
                            format!("bring both to one commit (`git -C {} pull`): a push begins there", root.display());
                        exam.warning(Aspect::Remote, format!("{seen}, the working copy at {}", &at[..10]), remedy);
                    }
                    _ => exam.good(Aspect::Remote, seen),
                }
            }
            Ok(None) if pushes.contains(branch) => {
                let seen = format!("`{name}` is reached, and has no branch {branch}, which `push {branch}` speaks of");
                exam.warning(Aspect::Remote, seen, "correct the rule, unless the branch is to be made by the push");
            }
            Ok(None) => exam.good(Aspect::Remote, format!("`{name}` is reached")),
            Err(failure) => {
                let command = format!("git -C {} ls-remote {name}", root.display());
                let remedy = format!("see that `{command}` works without a question for the user that runs ripcord");
                return exam.fault(Aspect::Remote, failure.to_string(), remedy);
            }
        }
    }
}

/// Whether there is a `git` that is new enough.
async fn version(exam: &Exam<'_>, git: &Git, timeout: Duration, is_needed: bool) -> bool {
    exam.trying(Aspect::Version, "git --version");
    let (major, minor) = GIT_MIN;
    let install = format!("install git {major}.{minor} or later, or start ripcord with a PATH that has it");
    let said = match git.look(&exam.at(timeout), true, &["--version"]).await {
        Ok(finished) => finished.stdout.trim().to_owned(),
        Err(failure) if is_needed => {
            exam.fault(Aspect::Program, failure.to_string(), install);
            return false;
        }
        Err(failure) => {
            exam.untried(Aspect::Remote, failure.to_string());
            return false;
        }
    };
    match parse_version(&said) {
        Some(version) if version < GIT_MIN => {
            exam.fault(Aspect::Version, format!("{said} does not know all that a push needs"), install);
            false
        }
        _ => {
            exam.good(Aspect::Version, said);
            true
        }
    }
}

/// `git version 2.39.5 (Apple Git-154)`
fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_whatever_a_distribution_appends() {
        for (said, version) in [
            ("git version 2.39.5", Some((2, 39))),
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("git version 1.8.3.1", Some((1, 8))),
            ("git version 2.46.0.windows.1", Some((2, 46))),
            ("hub version 2.14", None),
        ] {
            assert_eq!(parse_version(said), version, "{said}");
        }
    }
}
