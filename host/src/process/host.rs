//! The host's side: it holds a supervisor, lets it go and waits for it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::record::{self, Record};
use super::supervisor::{ENDED, GO, READY};
use super::{Finished, ProcessError, Spec};

/// How long a supervisor may take to get ready: it takes some milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A supervisor that has all it needs and waits. Dropped, it ends without having started anything.
/// Its record stays, empty: [`recover`](super::recover) then says so to whoever has the marker.
pub struct Held {
    child: Child,
    go: ChildStdin,
    name: String,
    record: PathBuf,
}

/// Starts a supervisor, up to the last point before the program starts.
///
/// `program` is this executable, by its absolute path; `spool` is the folder of the records, which
/// is made if need be; `key` names the call and is fit for a file name.
///
/// # Errors
/// [`ProcessError::Unsupervised`]: nothing was started.
pub async fn prepare(program: &Path, spool: &Path, key: &str, spec: &Spec) -> Result<Held, ProcessError> {
    let unsupervised = |error: io::Error| {
        let program = program.display();
        ProcessError::Unsupervised(format!(
            "can't start `{program} supervise` with a record in {}: {error}",
            spool.display()
        ))
    };
    // One line: JSON has no newline outside of strings, and none inside them.
    let mut spec = serde_json::to_vec(spec).map_err(io::Error::from).map_err(unsupervised)?;
    spec.push(b'\n');

    let (name, record) = record::create(spool, key).map_err(unsupervised)?;
    let mut child = Command::new(program)
        .arg("supervise")
        .arg(&record)
        // It needs nothing of the host's, and outlives it: no secret stays in its environment, and
        // no file system is kept busy by its folder.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unsupervised)?;
    let mut go = child.stdin.take().ok_or_else(|| unsupervised(io::Error::other("it has no standard input")))?;
    let folder = spool.to_owned();
    let durable = tokio::task::spawn_blocking(move || record::sync_folder(&folder));

    let handed_over = async {
        go.write_all(&spec).await?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line).await?;
        if line == READY { Ok(()) } else { Err(io::Error::other("it ended before it was ready")) }
    };
    let ready = timeout(READY_WITHIN, handed_over).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    durable.await.map_err(io::Error::other).flatten().map_err(unsupervised)?;
    match ready {
        Ok(()) => Ok(Held { child, go, name, record }),
        Err(error) => {
            drop(go);
            let _ = child.start_kill();
            let complaint = complaint(&mut child).await;
            Err(unsupervised(io::Error::other(format!("{error}{complaint}"))))
        }
    }
}

impl Held {
    /// What [`recover`](super::recover) needs. Durable before [`Held::run`], a crash loses nothing.
    pub fn marker(&self) -> Value {
        json!({ "record": self.name })
    }

    /// Lets the program start and waits for its end. Dropped, it stops waiting, and nothing else:
    /// the program goes on, and its supervisor keeps its deadline.
    ///
    /// # Errors
    /// [`ProcessError::NotStarted`] and [`ProcessError::Unsupervised`] say that the program was
    /// certainly not started.
    pub async fn run(mut self) -> Result<Finished, ProcessError> {
        // A supervisor that can't be told to go is gone: its record says what that means.
        let _ = self.go.write_all(GO.as_bytes()).await;
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.as_mut() {
            // The end of the stream says no less: there is nothing more to come.
            let _ = BufReader::new(stdout).read_line(&mut line).await;
        }
        let (status, complaint) = if line == ENDED {
            Default::default()
        } else {
            let status = self.child.wait().await;
            (
                status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                complaint(&mut self.child).await,
            )
        };
        let record = Record::read(&self.record).map_err(|problem| {
            ProcessError::Lost(format!("its record can't be read, so it may have been started: {problem}"))
        })?;
        match (record.end, record.started) {
            (Some(Ok(finished)), _) => Ok(finished),
            (Some(Err(why)), _) => Err(ProcessError::NotStarted(why)),
            (None, Some(started)) => Err(ProcessError::Lost(format!(
                "{} was started at {:.0} and its end was not recorded: its supervisor ended with {status}{complaint}",
                started.program, started.at
            ))),
            (None, None) => Err(ProcessError::Unsupervised(format!(
                "it was not started: its supervisor ended with {status}{complaint}"
            ))),
        }
    }

    /// As [`Held::run`], for what changes nothing: it leaves no record.
    pub async fn run_unrecorded(self) -> Result<Finished, ProcessError> {
        let record = self.record.clone();
        let finished = self.run().await;
        // What is left behind here is swept later.
        let _ = std::fs::remove_file(record);
        finished
    }
}

/// What a supervisor has said on its standard error, to be put behind a sentence.
async fn complaint(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.as_mut() {
        let _ = timeout(Duration::from_secs(1), stderr.take(4096).read_to_end(&mut text)).await;
    }
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}
