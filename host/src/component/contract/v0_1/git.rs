//! `git`.

use super::{wit, wit_git};
use crate::capability::{Call, Invocation, Repeat, Reply, git};
use crate::component::guest::Guest;

impl Guest {
    async fn git<R>(
        &mut self,
        role: String,
        call: git::Call,
        take: fn(git::Reply) -> Option<R>,
    ) -> wasmtime::Result<Result<R, wit::Failure>> {
        self.git_mutation(role, call, Repeat::Once, None, take).await
    }

    async fn git_mutation<R>(
        &mut self,
        role: String,
        call: git::Call,
        repeat: Repeat,
        assume: Option<git::Reply>,
        take: fn(git::Reply) -> Option<R>,
    ) -> wasmtime::Result<Result<R, wit::Failure>> {
        match self.call(Invocation { role, call: Call::Git(call), repeat, assume: assume.map(Reply::Git) }).await? {
            Ok(Reply::Git(reply)) => take(reply)
                .map(Ok)
                .ok_or_else(|| wasmtime::Error::msg("internal: a reply of another kind than its call")),
            Ok(_) => Err(wasmtime::Error::msg("internal: a reply of another capability than its call")),
            Err(failure) => Ok(Err(failure.into())),
        }
    }

    async fn git_move(
        &mut self,
        role: String,
        call: git::Call,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        let assume = assume.map(|wit_git::Moved { head, previous, changed }| {
            git::Reply::Moved(git::Moved { head, previous, changed })
        });
        let take = |reply| match reply {
            git::Reply::Moved(git::Moved { head, previous, changed }) => {
                Some(wit_git::Moved { head, previous, changed })
            }
            _ => None,
        };
        self.git_mutation(role, call, repeat.into(), assume, take).await
    }
}

fn changed_paths(paths: Vec<git::ChangedPath>) -> Vec<wit_git::ChangedPath> {
    let change = |change| match change {
        git::Change::Added => wit_git::Change::Added,
        git::Change::Modified => wit_git::Change::Modified,
        git::Change::Deleted => wit_git::Change::Deleted,
    };
    paths
        .into_iter()
        .map(|changed| wit_git::ChangedPath { path: changed.path, change: change(changed.change) })
        .collect()
}

impl wit_git::Host for Guest {
    async fn resolve(&mut self, role: String, revision: String) -> wasmtime::Result<Result<String, wit::Failure>> {
        let take = |reply| if let git::Reply::Resolved(id) = reply { Some(id) } else { None };
        self.git(role, git::Call::Resolve { revision }, take).await
    }

    async fn log(
        &mut self,
        role: String,
        revision: String,
        paths: Vec<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<wit_git::CommitInfo>, wit::Failure>> {
        let take = |reply| match reply {
            git::Reply::Commits(commits) => {
                let info = |commit: git::Commit| {
                    let git::Commit { id, parents, author, committed_at, message } = commit;
                    wit_git::CommitInfo { id, parents, author, committed_at, message }
                };
                Some(commits.into_iter().map(info).collect())
            }
            _ => None,
        };
        self.git(role, git::Call::Log { revision, paths, limit }, take).await
    }

    async fn diff(
        &mut self,
        role: String,
        from: String,
        to: Option<String>,
        paths: Vec<String>,
    ) -> wasmtime::Result<Result<wit_git::Difference, wit::Failure>> {
        let take = |reply| match reply {
            git::Reply::Difference { paths, patch } => Some(wit_git::Difference { paths: changed_paths(paths), patch }),
            _ => None,
        };
        self.git(role, git::Call::Diff { from, to, paths }, take).await
    }

    async fn show(
        &mut self,
        role: String,
        revision: String,
        path: String,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Failure>> {
        let take = |reply| if let git::Reply::Content(content) = reply { Some(content.0) } else { None };
        self.git(role, git::Call::Show { revision, path }, take).await
    }

    async fn status(
        &mut self,
        role: String,
        paths: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<wit_git::ChangedPath>, wit::Failure>> {
        let take = |reply| if let git::Reply::Status(paths) = reply { Some(changed_paths(paths)) } else { None };
        self.git(role, git::Call::Status { paths }, take).await
    }

    async fn remote_head(
        &mut self,
        role: String,
        branch: String,
    ) -> wasmtime::Result<Result<Option<String>, wit::Failure>> {
        let take = |reply| if let git::Reply::RemoteHead(head) = reply { Some(head) } else { None };
        self.git(role, git::Call::RemoteHead { branch }, take).await
    }

    async fn restore(
        &mut self,
        role: String,
        revision: String,
        paths: Vec<String>,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, git::Call::Restore { revision, paths }, repeat, assume).await
    }

    async fn reset(
        &mut self,
        role: String,
        revision: String,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, git::Call::Reset { revision }, repeat, assume).await
    }

    async fn revert(
        &mut self,
        role: String,
        revision: String,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, git::Call::Revert { revision }, repeat, assume).await
    }

    async fn commit(
        &mut self,
        role: String,
        message: String,
        paths: Vec<String>,
        repeat: wit::Repeat,
        assume: Option<wit_git::Moved>,
    ) -> wasmtime::Result<Result<wit_git::Moved, wit::Failure>> {
        self.git_move(role, git::Call::Commit { message, paths }, repeat, assume).await
    }

    async fn push(
        &mut self,
        role: String,
        revision: String,
        branch: String,
        lease: Option<String>,
        repeat: wit::Repeat,
        assume: Option<wit_git::Pushed>,
    ) -> wasmtime::Result<Result<wit_git::Pushed, wit::Failure>> {
        let assume = assume.map(|wit_git::Pushed { branch, head, previous }| {
            git::Reply::Pushed(git::Pushed { branch, head, previous })
        });
        let take = |reply| match reply {
            git::Reply::Pushed(git::Pushed { branch, head, previous }) => {
                Some(wit_git::Pushed { branch, head, previous })
            }
            _ => None,
        };
        self.git_mutation(role, git::Call::Push { revision, branch, lease }, repeat.into(), assume, take).await
    }
}
