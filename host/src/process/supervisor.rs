//! The supervisor's side: it stays with a program to its end.

use std::io::{BufRead, Write};
use std::pin::pin;
use std::process::{ExitCode, ExitStatus, Stdio};

use futures_util::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::alive::realm;
use super::output::Capture;
use super::record::{Line, Started, Writer};
use super::{Ending, Finished, GRACE, LINGER, Spec, Task};
use crate::secret::Scrubber;

/// What the supervisor says when it can be let go.
pub(super) const READY: &str = "ready\n";
/// What it says when the end is in the record.
pub(super) const ENDED: &str = "ended\n";
/// What lets it go.
pub(super) const GO: &str = "go\n";

/// The whole life of a supervisor: reads from standard input what to run and the empty record that
/// [`prepare`](super::Supervisors::prepare) has made for it, says `ready`, waits for `go` and carries it
/// out.
pub fn supervise() -> ExitCode {
    // The runtime of a single thread costs some ten microseconds, and its signal handlers are what
    // safe Rust has to survive a signal without the program inheriting that it is ignored.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let supervised = runtime
        .map_err(|error| format!("can't start the supervisor: {error}"))
        .and_then(|runtime| runtime.block_on(stay()));
    match supervised {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // The host may be gone, and its terminal with it.
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn stay() -> Result<(), String> {
    // Away from the host's terminal: Ctrl-C pauses the host and not the program. And whoever finds
    // this process killed finds the program by its session. It fails for the leader of a process
    // group, which a shell makes of it.
    rustix::process::setsid().map_err(|_| "`ripcord supervise` is for ripcord itself to start".to_owned())?;
    // When a service is stopped, the program gets the signal too, and its end is worth recording.
    let mut ignored = Vec::new();
    for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()] {
        ignored.push(signal(kind).map_err(|error| format!("can't handle signals: {error}"))?);
    }

    let mut input = std::io::stdin().lock();
    let mut task = String::new();
    if input.read_line(&mut task).map_err(|error| format!("can't read what to run: {error}"))? == 0 {
        // The host has had no use for it.
        return Ok(());
    }
    let Task { record, spec }: Task<Spec> =
        serde_json::from_str(&task).map_err(|error| format!("can't read what to run: {error}"))?;
    let mut record = Writer::open(record.as_ref())?;
    say(READY).map_err(|error| format!("the host is gone: {error}"))?;

    let mut go = String::new();
    match input.read_line(&mut go) {
        Ok(_) if go == GO => carry_out(&spec, &mut record).await,
        // The host has died, or has thought better of it.
        _ => Ok(()),
    }
}

async fn carry_out(spec: &Spec, record: &mut Writer) -> Result<(), String> {
    let written = |result: std::io::Result<()>| result.map_err(|error| format!("can't write the record: {error}"));
    let (program, arguments) = spec.argv.split_first().ok_or("nothing to run: argv is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&spec.cwd).env_clear().envs(&spec.env).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());

    let at = Timestamp::now();
    let timeout = SignedDuration::try_from(spec.timeout).unwrap_or(SignedDuration::MAX);
    let deadline = at.checked_add(timeout).unwrap_or(Timestamp::MAX);
    let started = Started { program: program.clone(), at, deadline, session: std::process::id(), realm: realm() };
    if let Err(error) = record.append(&Line::Started(started)) {
        // The line may be there, whole or in part, and nothing will be started.
        record.withdraw();
        return written(Err(error));
    }

    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let why = format!("can't start {program} in {}: {error}", spec.cwd.display());
            return written(record.append(&Line::NotStarted(why)).and_then(|()| record.sync()));
        }
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = group.ok_or("the program has no process id")?;
    let finished = watch(spec, &mut child, group).await;
    let finished = finished.map_err(|error| format!("can't wait for {program}: {error}"))?;
    written(record.append(&Line::Ended(finished)))?;
    // The host makes it durable in its own journal. The record's copy is for the case that it can't.
    let _ = say(ENDED);
    written(record.sync())
}

/// Tells the host, if it is still there.
fn say(word: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout();
    output.write_all(word.as_bytes())?;
    output.flush()
}

async fn watch(spec: &Spec, child: &mut Child, group: Pid) -> std::io::Result<Finished> {
    let scrubber = Scrubber::default();
    spec.redact.iter().for_each(|secret| scrubber.add(secret));
    // `\u00XX` for one byte is the longest that any form makes of it.
    let slack = 6 * spec.redact.iter().map(String::len).max().unwrap_or(0);
    let mut stdout = Capture::new(spec.output_bytes_max, slack);
    let mut stderr = Capture::new(spec.output_bytes_max, slack);

    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ending = {
        let reading = pin!(async {
            let out = async {
                if let Some(out) = out {
                    stdout.fill(out).await
                }
            };
            let err = async {
                if let Some(err) = err {
                    stderr.fill(err).await
                }
            };
            tokio::join!(out, err)
        });
        let ending = pin!(end(spec, child, group));
        match select(ending, reading).await {
            Either::Left((ending, reading)) => {
                // What left the group on purpose, as a daemon does, may hold the pipes for ever.
                let _ = timeout(LINGER, reading).await;
                ending?
            }
            Either::Right((_, ending)) => ending.await?,
        }
    };

    let (stdout, stdout_cut) = stdout.finish(&scrubber);
    let (stderr, stderr_cut) = stderr.finish(&scrubber);
    Ok(Finished { ending, stdout: stdout.into(), stderr: stderr.into(), truncated: stdout_cut || stderr_cut })
}

/// Waits for the program's end, at the latest at its deadline, which is the end of its group too.
async fn end(spec: &Spec, child: &mut Child, group: Pid) -> std::io::Result<Ending> {
    let ending = match timeout(spec.timeout, child.wait()).await {
        Ok(status) => Ending::from(status?),
        Err(_) => {
            // An error says that there is nothing left to be ended.
            let _ = kill_process_group(group, Signal::TERM);
            if timeout(GRACE, child.wait()).await.is_err() {
                let _ = kill_process_group(group, Signal::KILL);
                child.wait().await?;
            }
            Ending::TimedOut
        }
    };
    let _ = kill_process_group(group, Signal::KILL);
    Ok(ending)
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signalled(signal),
            // Neither is what wait(2) gives for a process that was stopped, which is not waited for.
            (None, None) => Self::Exited(-1),
        }
    }
}
