//! The journal in one SQLite file, which any number of processes use at once.

mod file;
mod tables;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::Mutex;

use super::chain::{self, Altered, Link};
use super::good_state;
use super::{AppendError, BeginError, Beginning, Dated, Head, Journal, Outline, ReadError, Recorded, StorageError};
use crate::id::{Digest, RunId};
use writer::Writer;

/// Where runs are recorded on this machine.
///
/// All writes go through one thread, which puts whatever waits into one transaction, so that runs
/// which share the file share its syncs. A call that is dropped before it returns may still be
/// carried out.
pub struct SqliteJournal {
    path: PathBuf,
    writer: Writer,
    /// Waited for before a thread is taken, or a thousand runs that read would take as many.
    reader: Arc<Mutex<Connection>>,
}

impl SqliteJournal {
    /// Opens the journal in this file, and makes it if it is not there: the file for its user alone,
    /// and its folder too if that is missing.
    ///
    /// # Errors
    /// If the file can't be written, is not a journal, is damaged, or is one of a newer ripcord.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let path = path.into();
        let file::Opened { writer, reader } = file::open(&path)?;
        Ok(Self { writer: Writer::start(writer, &path)?, reader: Arc::new(Mutex::new(reader)), path })
    }

    /// How often this journal has flushed to the disk for an append: as many appends as waited for it
    /// share one.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    fn failed(&self, problem: impl Into<String>) -> StorageError {
        StorageError { path: self.path.display().to_string(), problem: problem.into(), remedy: String::new() }
    }

    fn links(&self, run: &RunId, from: Head, events: &[Dated]) -> Result<(Vec<Link>, Head), StorageError> {
        chain::extend(run, from, events).map_err(|error| {
            self.failed(format!("an event of run {run} can't be kept as JSON ({error}), and was not recorded"))
        })
    }

    /// Appends, and does something else in the same transaction.
    async fn append_and(
        &self,
        run: &RunId,
        expected: Head,
        events: &[Dated],
        also: fn(&Connection, &RunId) -> rusqlite::Result<()>,
    ) -> Result<Head, AppendError> {
        let (links, head) = self.links(run, expected, events)?;
        let is_good_state_said = events.iter().any(|dated| good_state::is_said_by(&dated.event));
        let run = run.clone();
        let work = move |connection: &Connection| {
            match tables::head_of(connection, &run)? {
                None => return Ok(Err(AppendError::NoSuchRun(run))),
                Some(head) if head != expected => return Ok(Err(AppendError::Moved { run, head })),
                Some(_) => {}
            }
            tables::insert_events(connection, &run, &links)?;
            tables::set_head(connection, &run, head)?;
            if is_good_state_said {
                tables::enter_good_state(connection, &run)?;
            }
            also(connection, &run)?;
            Ok(Ok(head))
        };
        self.writer.write(work).await
    }

    async fn read_with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Path) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (reader, path) = (self.reader.clone().lock_owned().await, self.path.clone());
        let task = move || read(&reader, &path);
        match tokio::task::spawn_blocking(task).await {
            Ok(result) => result,
            Err(error) => Err(self.failed(format!("reading it was broken off: {error}")).into()),
        }
    }

    async fn query<T: Send + 'static>(
        &self,
        select: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.read_with(|connection, path| select(connection).map_err(|error| file::explain(path, &error).into())).await
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn begin(&self, beginning: Beginning) -> Result<Head, BeginError> {
        let Beginning { run, events, holds, blobs } = beginning;
        let (links, head) = self.links(&run, chain::genesis(&run), &events)?;
        let exists = self.failed(format!("there is a run {run} already; nothing was begun: start it again"));
        let work = move |connection: &Connection| {
            if tables::head_of(connection, &run)?.is_some() {
                return Ok(Err(exists.into()));
            }
            if let Err(held) = tables::hold(connection, &run, &holds)? {
                return Ok(Err(held));
            }
            for blob in &blobs {
                tables::keep(connection, blob.digest(), blob.bytes())?;
            }
            tables::insert_events(connection, &run, &links)?;
            tables::insert_run(connection, &run, head)?;
            Ok(Ok(head))
        };
        self.writer.write(work).await
    }

    async fn append(&self, run: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError> {
        self.append_and(run, expected, events, |_, _| Ok(())).await
    }

    async fn append_end(&self, run: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError> {
        self.append_and(run, expected, events, tables::release).await
    }

    async fn read(&self, run: &RunId, after: Option<Head>) -> Result<(Vec<Recorded>, Head), ReadError> {
        let run = run.clone();
        self.read_with(move |connection, path| tables::read_events(connection, path, &run, after)).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, ReadError> {
        self.query(tables::runs).await
    }

    async fn outlines(&self) -> Result<Vec<Outline>, ReadError> {
        let path = self.path.clone();
        self.query(move |connection| tables::outlines(connection, &path)).await
    }

    async fn with_good_states(&self, target: &str) -> Result<Vec<RunId>, ReadError> {
        let target = target.to_owned();
        self.query(move |connection| tables::with_good_states(connection, &target)).await
    }

    async fn blob(&self, digest: Digest) -> Result<Vec<u8>, ReadError> {
        self.read_with(move |connection, path| {
            let bytes = tables::blob(connection, digest).map_err(|error| file::explain(path, &error))?;
            let bytes = bytes.ok_or(ReadError::NoSuchBlob(digest))?;
            match Digest::of(&bytes) {
                found if found == digest => Ok(bytes),
                found => Err(Altered::Blob { digest, found }.into()),
            }
        })
        .await
    }

    async fn hold(&self, run: &RunId, resources: &[String]) -> Result<(), BeginError> {
        let no_run = self.failed(format!("there is no run {run} that could hold {}", resources.join(", ")));
        let (run, resources) = (run.clone(), resources.to_vec());
        let work = move |connection: &Connection| match tables::head_of(connection, &run)? {
            None => Ok(Err(no_run.into())),
            Some(_) => tables::hold(connection, &run, &resources),
        };
        self.writer.write(work).await
    }

    async fn release(&self, run: &RunId) -> Result<(), StorageError> {
        let run = run.clone();
        self.writer.write(move |connection: &Connection| tables::release(connection, &run).map(Ok)).await
    }

    async fn holder(&self, resource: &str) -> Result<Option<RunId>, ReadError> {
        let resource = resource.to_owned();
        self.query(move |connection| tables::holder(connection, &resource)).await
    }
}
