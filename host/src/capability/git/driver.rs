//! Git, live: local work by libgit2 on a thread of its own, the network by the user's own `git`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::carry::Carrying;
use super::connection::Author;
use super::history::{self, Committer};
use super::kept::Begun;
use super::movement::{Move, Progress};
use super::network::Git;
use super::push::{self, Remote};
use super::working_copy::{Handles, WorkingCopy};
use super::{Call, Reply, detail, durable, kept, locks, read, restore};
use crate::capability::{At, CapabilityCall, Detail, Driver, Exactly, Prepared, Settlement};
use crate::failure::Failure;

/// The driver of one connection.
pub(super) struct LiveDriver {
    place: Arc<Place>,
    remote: Remote,
    /// Held by a mutation as long as its thread works, even when nobody waits for it any more.
    busy: Arc<Mutex<()>>,
}

struct Place {
    root: PathBuf,
    handles: Handles,
    author: Option<Author>,
}

impl LiveDriver {
    pub(super) fn new(copy: WorkingCopy, author: Option<Author>, remote: String, git: Git) -> Self {
        let remote = Remote { git, name: remote };
        let place = Place { root: copy.root.clone(), handles: Handles::new(copy), author };
        Self { place: Arc::new(place), remote, busy: Arc::default() }
    }
}

#[async_trait]
impl Driver for LiveDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        let Remote { name, .. } = &self.remote;
        match detail::remote_url(&self.place.root, name) {
            Some(url) => format!("{}, remote {name}: {url}", self.place.root.display()),
            None => format!("{}, which has no remote {name}", self.place.root.display()),
        }
    }

    fn exactly(&self, call: &Call) -> Exactly {
        detail::exactly(&self.place.root, self.place.author.as_ref(), &self.remote.name, call)
    }

    async fn detail(&self, _at: &At, call: &Call) -> Option<Detail> {
        let (place, call) = (self.place.clone(), call.clone());
        blocking(move || place.handles.with(|copy| detail::detail(copy, &call))).await.ok().flatten()
    }

    async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
        if let Call::RemoteHead { branch } = call {
            let head = self.remote.head(at, branch).await?;
            return Ok(Reply::RemoteHead(head.map(|id| id.to_string())));
        }
        let (place, call) = (self.place.clone(), call.clone());
        blocking(move || place.handles.with(|copy| read::read(copy, &call))).await
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        if let Call::Push { revision, branch, lease } = call {
            return Ok(Box::new(push::prepare(self.remote.clone(), at, revision, branch, lease.as_deref()).await?));
        }
        let turn = self.busy.clone().lock_owned().await;
        let (place, at, call) = (self.place.clone(), at.clone(), call.clone());
        let prepared = blocking(move || {
            let record = place.handles.with(|copy| plan(copy, place.author.as_ref(), &at, &call))?;
            Ok(LocalMutation { place, at, title: call.summary(), record, turn })
        });
        Ok(Box::new(prepared.await?))
    }

    async fn settle(&self, at: &At, call: &Call, marker: Option<&Value>) -> Settlement<Reply> {
        let Some(marker) = marker else {
            return Settlement::Unknown(format!("the journal does not say what `{}` was about to do", call.summary()));
        };
        let settled = if let Call::Push { .. } = call {
            push::settle(&self.remote, at, marker).await
        } else {
            // The first attempt's thread may still be at it.
            let turn = self.busy.clone().lock_owned().await;
            let (place, at, marker) = (self.place.clone(), at.clone(), marker.clone());
            blocking(move || {
                let _turn = turn;
                place.handles.with(|copy| settle(copy, &at, marker))
            })
            .await
        };
        settled.unwrap_or_else(|failure| Settlement::Unknown(failure.problem().message.clone()))
    }
}

/// A local mutation, with everything that it will write in the object store.
struct LocalMutation {
    place: Arc<Place>,
    at: At,
    title: String,
    record: Move,
    turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl Prepared<Reply> for LocalMutation {
    fn marker(&self) -> Option<Value> {
        serde_json::to_value(&self.record).ok()
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        blocking(move || {
            let Self { place, at, title, record, turn: _turn } = *self;
            let carry = |copy: &WorkingCopy| Carrying { copy, at: &at, record: &record, title: &title }.carry_out();
            place.handles.with(carry).map(Reply::Moved)
        })
        .await
    }
}

fn plan(copy: &WorkingCopy, author: Option<&Author>, at: &At, call: &Call) -> Result<Move, Failure> {
    match kept::begun(copy, at, &call.summary())? {
        Some(Begun { record, is_this: true }) => {
            return match record.progress(copy)? {
                Progress::Elsewhere(seen) => Err(Failure::permanent(format!(
                    "can't go on with `{}`, which was cut off: {seen}; what was there before is kept under {}",
                    call.summary(),
                    kept::reference(at)
                ))),
                _ => Ok(record),
            };
        }
        Some(Begun { record, is_this: false }) if record.progress(copy)? != Progress::Untouched => {
            return Err(Failure::permanent(format!(
                "can't begin `{}`: another change was begun in its place and not finished; what was there before \
                 that is kept under {}",
                call.summary(),
                kept::reference(at)
            )));
        }
        Some(_) | None => {}
    }
    copy.refuse_unfinished(call.operation())?;
    let committer = Committer { author, at: at.began };
    let record = match call {
        Call::Restore { revision, paths } => restore::plan(copy, &at.run, revision, paths)?,
        Call::Reset { revision } => history::reset(copy, &at.run, revision)?,
        Call::Revert { revision } => history::revert(copy, &at.run, revision, &committer)?,
        Call::Commit { message, paths } => history::commit(copy, message, paths, &committer)?,
        _ => return Err(Failure::permanent(format!("internal: `{}` is no local mutation", call.summary()))),
    };
    // The marker's ids mean something only as long as their objects are there. Those that a reset
    // moves to have been there before.
    if !matches!(call, Call::Reset { .. }) && !record.is_nothing() {
        let changes = record.changes(copy)?;
        durable::tree(copy, record.from, &changes)?;
        durable::tree(copy, record.to, &changes)?;
        durable::objects(copy, &[record.head])?;
    }
    Ok(record)
}

fn settle(copy: &WorkingCopy, at: &At, marker: Value) -> Result<Settlement<Reply>, Failure> {
    let record: Move = serde_json::from_value(marker)
        .map_err(|error| Failure::unknown(format!("the journal's marker can't be read: {error}")))?;
    locks::clear_index(copy, at)?;
    Ok(match record.progress(copy)? {
        Progress::Done => Settlement::Happened(Reply::Moved(record.moved(copy)?)),
        // A second attempt finds the first one's record under its own name, and goes on with it.
        Progress::Untouched | Progress::Half => Settlement::DidNotHappen,
        Progress::Elsewhere(seen) => Settlement::Unknown(format!(
            "{seen}; if the call has begun, what was there before is kept under {}",
            kept::reference(at)
        )),
    })
}

/// libgit2 blocks. The work goes on if nobody waits for it any more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::unknown(format!("the thread that worked on git ended early: {error}"))))
}
