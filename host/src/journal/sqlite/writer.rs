//! The thread that writes. Whatever waits when it gets to the disk goes there together: one
//! transaction, one flush, and each request still all or nothing by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::file;
use crate::journal::StorageError;

/// As many requests as may wait or share a transaction. Who comes after waits before the channel.
const GROUP_MAX: usize = 1024;

/// The way to the thread. Dropping it waits for what is under way, and closes the file.
pub(super) struct Writer {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread on this connection; the path is for messages.
    pub(super) fn start(mut connection: Connection, path: &Path) -> Result<Self, StorageError> {
        let (jobs, mut waiting) = mpsc::channel::<Box<dyn Job>>(GROUP_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let (counter, owned_path) = (commits.clone(), path.to_owned());
        let write = move || {
            if let Err(error) = file::fold(&connection) {
                tracing::debug!(%error, "the journal's log was not folded into it");
            }
            let mut group = Vec::new();
            while waiting.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
                match commit(&mut connection, &owned_path, &mut group) {
                    Ok(kept) => _ = counter.fetch_add(u64::from(kept), Ordering::Relaxed),
                    Err(error) => {
                        let error = file::explain(&owned_path, &error);
                        group.iter_mut().for_each(|job| job.fail(&error));
                    }
                }
                group.drain(..).for_each(|job| job.answer());
            }
        };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(write).map_err(|error| StorageError {
                path: path.display().to_string(),
                problem: format!("can't start a thread to write: {error}"),
                remedy: String::new(),
            })?;
        Ok(Self { path: path.to_owned(), jobs: Some(jobs), thread: Some(thread), commits })
    }

    /// Carries out some work in a transaction. What the work returns comes back once it is durable; a
    /// refusal (the inner error) leaves nothing behind.
    pub(super) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Request { work: Some(work), outcome: None, answer });
        if let Some(jobs) = &self.jobs {
            // An error here is one below, too: the answer's other end is dropped with the job.
            _ = jobs.send(job).await;
        }
        answered.await.unwrap_or_else(|_| {
            let path = self.path.display().to_string();
            let problem = "the thread that writes the journal has ended".to_owned();
            Err(StorageError { path, problem, remedy: "start ripcord again".to_owned() }.into())
        })
    }

    /// See [`super::SqliteJournal::commits`].
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // Its panic, if it had one, has been printed, and its requests have been answered.
        _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A request of any type.
trait Job: Send {
    /// Does the work; whether there is something to commit.
    fn carry_out(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<bool>;

    /// The outcome is this error, whatever it was before.
    fn fail(&mut self, error: &StorageError);

    /// Sends the outcome off.
    fn answer(self: Box<Self>);
}

struct Request<W, T, E> {
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Job for Request<W, T, E>
where
    W: FnOnce(&Connection) -> rusqlite::Result<Result<T, E>> + Send,
    T: Send,
    E: From<StorageError> + Send,
{
    fn carry_out(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
        let Some(work) = self.work.take() else { return Ok(false) };
        // By hand: the library's savepoints are parsed anew each time, which takes as long as an insert.
        let step = |sql: &str| transaction.prepare_cached(sql)?.execute([]);
        step("SAVEPOINT request")?;
        let outcome = work(transaction);
        let kept = matches!(outcome, Ok(Ok(_)));
        if kept {
            step("RELEASE request")?;
        } else if !transaction.is_autocommit() {
            // Else an error has ended the whole transaction, and the savepoint with it.
            step("ROLLBACK TO request")?;
            step("RELEASE request")?;
        }
        self.outcome = Some(outcome?);
        Ok(kept)
    }

    fn fail(&mut self, error: &StorageError) {
        self.outcome = Some(Err(error.clone().into()));
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // Who asked may have gone.
            _ = self.answer.send(outcome);
        }
    }
}

/// Carries out a group in one transaction; whether something was written. An error is everybody's.
fn commit(connection: &mut Connection, path: &Path, group: &mut [Box<dyn Job>]) -> rusqlite::Result<bool> {
    // Immediate: a transaction that reads first and then finds that somebody else wrote in between
    // fails at once, without waiting for the lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut kept = false;
    for job in group {
        match job.carry_out(&transaction) {
            Ok(wrote) => kept |= wrote,
            // A full disk and the like end the whole transaction, with what others put in.
            Err(error) if transaction.is_autocommit() => return Err(error),
            Err(error) => job.fail(&file::explain(path, &error)),
        }
    }
    transaction.commit()?;
    Ok(kept)
}
