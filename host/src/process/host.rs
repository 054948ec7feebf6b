//! The host's side: it holds a supervisor, lets it go and waits for it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::alive::boot;
use super::record::{self, Record};
use super::supervisor::{ENDED, GO, READY};
use super::{Finished, ProcessError, Spec, Task};

/// How long a supervisor may take to get ready: it takes some milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How many supervisors are started ahead at most: one for a build, and one for a deployment.
const AHEAD_MAX: usize = 2;

/// Where supervisors come from: this executable, and some that were started ahead. Copies share them.
///
/// The start of a supervisor takes some milliseconds, and whoever waits for a program waits for it. One
/// that was started ahead and is not needed ends with the host.
#[derive(Clone)]
pub struct Supervisors {
    program: Arc<Path>,
    ahead: Arc<Mutex<Vec<Supervisor>>>,
}

/// A supervisor that does not know yet for what. It ends when its standard input does.
struct Supervisor {
    child: Child,
    input: ChildStdin,
}

/// A supervisor that has all it needs and waits. Dropped, it ends without having started anything.
/// Its record stays, empty: [`recover`](super::recover) then says so to whoever has the marker.
pub struct Held {
    supervisor: Supervisor,
    name: String,
    record: PathBuf,
}

impl Supervisors {
    /// `program` is this executable, by its absolute path.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self { program: Arc::from(program.as_ref()), ahead: Arc::default() }
    }

    /// Starts one ahead, unless enough are there, on a thread that has the time for it. Nothing depends
    /// on its success.
    pub fn start_ahead(&self) {
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut ahead = this.ahead();
            if ahead.len() < AHEAD_MAX {
                ahead.extend(this.start());
            }
        });
    }

    fn ahead(&self) -> MutexGuard<'_, Vec<Supervisor>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> io::Result<Supervisor> {
        let mut child = Command::new(self.program.as_ref())
            .arg("supervise")
            // It needs nothing of the host's, and outlives it: no secret stays in its environment, and
            // no file system is kept busy by its folder.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or_else(|| io::Error::other("it has no standard input"))?;
        Ok(Supervisor { child, input })
    }

    /// Brings a supervisor up to the last point before the program starts.
    ///
    /// `spool` is the folder of the records, which is made if need be; `key` names the call and is fit
    /// for a file name.
    ///
    /// # Errors
    /// [`ProcessError::Unsupervised`]: nothing was started.
    pub async fn prepare(&self, spool: &Path, key: &str, spec: &Spec) -> Result<Held, ProcessError> {
        let unsupervised = |error: io::Error| {
            let program = self.program.display();
            ProcessError::Unsupervised(format!(
                "can't start `{program} supervise` with a record in {}: {error}",
                spool.display()
            ))
        };
        let (name, record) = record::create(spool, key).map_err(unsupervised)?;
        let task = Task { record: record.clone().into_os_string(), spec };
        // One line: JSON has no newline outside of strings, and none inside them.
        let mut task = serde_json::to_vec(&task).map_err(io::Error::from).map_err(unsupervised)?;
        task.push(b'\n');
        let spare = self.ahead().pop();
        let ready = match spare {
            Some(spare) => spare.take_on(&task).await.ok(),
            None => None,
        };
        // A spare one that has died in the meantime is no reason to fail.
        let ready = match ready {
            Some(ready) => Ok(ready),
            None => match self.start() {
                Ok(new) => new.take_on(&task).await,
                Err(error) => Err(error),
            },
        };
        let supervisor = ready.map_err(unsupervised)?;
        Ok(Held { supervisor, name, record })
    }
}

impl Supervisor {
    /// Hands over what is to be run, and waits until all is ready for it.
    async fn take_on(mut self, task: &[u8]) -> io::Result<Self> {
        let handed_over = async {
            self.input.write_all(task).await?;
            let mut line = String::new();
            BufReader::new(self.child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line).await?;
            if line == READY { Ok(()) } else { Err(io::Error::other("it ended before it was ready")) }
        };
        let ready = timeout(READY_WITHIN, handed_over).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let Self { mut child, input } = self;
        match ready {
            Ok(()) => Ok(Self { child, input }),
            Err(error) => {
                drop(input);
                let _ = child.start_kill();
                let complaint = complaint(&mut child).await;
                Err(io::Error::other(format!("{error}{complaint}")))
            }
        }
    }
}

impl Held {
    /// What [`recover`](super::recover) needs. Durable before [`Held::run`], a crash loses nothing.
    pub fn marker(&self) -> Value {
        json!({ "record": self.name, "boot": boot() })
    }

    /// Lets the program start and waits for its end. Dropped, it stops waiting, and nothing else:
    /// the program goes on, and its supervisor keeps its deadline.
    ///
    /// # Errors
    /// [`ProcessError::NotStarted`] and [`ProcessError::Unsupervised`] say that the program was
    /// certainly not started.
    pub async fn run(mut self) -> Result<Finished, ProcessError> {
        // A supervisor that can't be told to go is gone: its record says what that means.
        let _ = self.supervisor.input.write_all(GO.as_bytes()).await;
        let mut line = String::new();
        if let Some(stdout) = self.supervisor.child.stdout.as_mut() {
            // The end of the stream says no less: there is nothing more to come.
            let _ = BufReader::new(stdout).read_line(&mut line).await;
        }
        let (status, complaint) = if line == ENDED {
            Default::default()
        } else {
            let status = self.supervisor.child.wait().await;
            (
                status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                complaint(&mut self.supervisor.child).await,
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
