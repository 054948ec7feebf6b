//! What a guest may write for a path, a revision, a branch and an object id: checked as text, before
//! git sees any of it.

use super::Call;

/// Commits that one `log` may ask for.
pub(super) const LOG_COMMITS_MAX: u32 = 1_000;

/// Why a call's names are refused, in one sentence; the same for every connection.
pub(super) fn check(call: &Call) -> Result<(), String> {
    match call {
        Call::Resolve { revision: name } | Call::Reset { revision: name } | Call::Revert { revision: name } => {
            revision(name)
        }
        Call::Log { revision: name, paths, limit } => {
            if *limit > LOG_COMMITS_MAX {
                return Err(format!("a log of {limit} commits is too long: ask for at most {LOG_COMMITS_MAX}"));
            }
            revision(name)?;
            paths.iter().try_for_each(|name| path(name))
        }
        Call::Diff { from, to, paths } => {
            revision(from)?;
            to.iter().try_for_each(|name| revision(name))?;
            paths.iter().try_for_each(|name| path(name))
        }
        Call::Show { revision: name, path: file } => revision(name).and_then(|()| path(file)),
        Call::Status { paths } => paths.iter().try_for_each(|name| path(name)),
        Call::RemoteHead { branch: name } => branch(name),
        Call::Restore { revision: name, paths } => revision(name).and_then(|()| some_paths("restore", paths)),
        Call::Commit { message, paths } => {
            if message.trim().is_empty() || message.contains('\0') {
                return Err("a commit needs a message, of text".to_owned());
            }
            some_paths("commit", paths)
        }
        Call::Push { revision: name, branch: target, lease } => {
            revision(name)?;
            branch(target)?;
            lease.iter().try_for_each(|id| object_id(id))
        }
    }
}

fn some_paths(operation: &str, paths: &[String]) -> Result<(), String> {
    if paths.is_empty() {
        return Err(format!("`{operation}` names no path"));
    }
    paths.iter().try_for_each(|name| path(name))
}

/// A path has one spelling, so that a rule, an approval and git all speak of the same file. `:` begins
/// git's pathspec magic; `git~1` is `.git` on file systems with short names.
fn path(path: &str) -> Result<(), String> {
    let outside = |segment: &str| {
        matches!(segment, "" | "." | "..")
            || segment.eq_ignore_ascii_case(".git")
            || segment.eq_ignore_ascii_case("git~1")
    };
    if path.starts_with(':')
        || path.contains(|letter: char| letter == '\\' || letter.is_control())
        || path.split('/').any(outside)
    {
        return Err(format!(
            "{path:?} is no path inside the working copy: write it from the root, with `/`, without `.`, `..`, `.git` \
             or a leading `:`"
        ));
    }
    Ok(())
}

/// A revision is one commit, the same one whenever it is asked for. Left out are options, ranges
/// (`a..b`, `^@`, `^!`, `^-`), files (`rev:path`), searches (`:/text`, `^{/text}`), and what depends on
/// this machine's reflog or on the time (`@{…}`).
fn revision(revision: &str) -> Result<(), String> {
    const ELSEWHERE: [&str; 8] = ["..", ":", "@{", "^{/", "^@", "^!", "^-", "\\"];
    if revision.is_empty()
        || revision.starts_with(['-', '^'])
        || revision.contains(|letter: char| letter.is_control() || letter.is_whitespace())
        || ELSEWHERE.iter().any(|form| revision.contains(form))
    {
        return Err(format!(
            "{revision:?} names no single commit: write a tag, a branch, an object id or something like `HEAD~1`"
        ));
    }
    Ok(())
}

fn branch(branch: &str) -> Result<(), String> {
    if branch.starts_with(['-', '+'])
        || branch.starts_with("refs/")
        || branch == "HEAD"
        || !git2::Reference::is_valid_name(&format!("refs/heads/{branch}"))
    {
        return Err(format!("{branch:?} is no branch: write its bare name, like `main`"));
    }
    Ok(())
}

fn object_id(id: &str) -> Result<(), String> {
    if id.len() == 40 && id.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)) {
        return Ok(());
    }
    Err(format!("{id:?} is no object id: a lease is the 40 hexadecimal digits that `remote-head` answered"))
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling_and_stays_inside() {
        for good in ["a", "src/lib/connectors/x.ts", "with space/é", ".gitignore", ".github/x", "a..b", "*", "[x]"] {
            assert_eq!(path(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/..",
            ".",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            ".git",
            ".git/config",
            ".GIT/hooks/x",
            "sub/.git/config",
            "git~1/config",
            ":/",
            ":(top)x",
            ":!x",
            "a\0b",
            "a\nb",
            "a\\b",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_revision_is_one_commit_and_never_an_option() {
        for good in ["HEAD", "HEAD~1", "v1.0", "main^2", "origin/main", "v1^{commit}", "v1.0-3-gabcdef0", "4b825dc6"] {
            assert_eq!(revision(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "-f",
            "--all",
            "^main",
            "a..b",
            "a...b",
            "HEAD:src/x",
            ":/fix",
            ":0:x",
            "HEAD@{1}",
            "main@{yesterday}",
            "@{u}",
            "HEAD^{/fix}",
            "HEAD^@",
            "HEAD^!",
            "HEAD^-",
            "a b",
            "a\nb",
            "a\\b",
        ] {
            assert!(revision(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_branch_is_a_bare_name() {
        for good in ["main", "release/1.2"] {
            assert_eq!(branch(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "-d",
            "+main",
            "refs/heads/main",
            "HEAD",
            "a..b",
            "a b",
            "a:b",
            "a^",
            "a~1",
            "x.lock",
            "@{u}",
            "a/",
            "*",
        ] {
            assert!(branch(bad).is_err(), "{bad:?}");
        }
    }
}
