//! How a secret is read from where the operator's file says it is.
//!
//! Nothing here may hold a run up: a file is read up to a bound and only if it is a regular one, and a
//! program that does not end is ended.

use std::env::VarError;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::{SECRET_BYTES_MIN, Scrub, Scrubber, SecretSource};

/// No secret is longer: what is, is the wrong file or the wrong program.
const SECRET_BYTES_MAX: usize = 64 << 10;

/// How long a program may take to print a secret.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what a program has left behind may keep its output open.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// How much of what a program says last on its standard error is kept.
const STDERR_BYTES_MAX: usize = 4 << 10;

/// How much of its last line is shown.
const COMPLAINT_CHARS_MAX: usize = 200;

impl SecretSource {
    /// The secret, without the line break that ends it: one `\n` or `\r\n`, no other white space. A
    /// program gets `timeout`.
    pub(super) async fn read(&self, base: &Path, timeout: Duration) -> Result<SecretString, String> {
        let text = match self {
            Self::Env(variable) => std::env::var(variable).map_err(|error| match error {
                VarError::NotPresent => format!("the environment variable {variable} is not set"),
                VarError::NotUnicode(_) => format!("what is in the environment variable {variable} is not UTF-8"),
            })?,
            Self::File(path) => read_file(&base.join(path))?,
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(
                    "$CREDENTIALS_DIRECTORY is not set: ripcord was not started by a systemd unit with LoadCredential=",
                )?;
                read_file(&Path::new(&folder).join(name))?
            }
            Self::Command(argv) => print(argv, base, timeout).await?,
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).into())
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("can't read {}: {error}", path.display());
    // A named pipe that nobody writes to would be waited for, already while it is opened.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(format!("{} is no regular file", path.display()));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(format!("{} has more than {} KiB: is it the right file?", path.display(), SECRET_BYTES_MAX >> 10));
    }
    String::from_utf8(bytes).map_err(|_| format!("what is in {} is not UTF-8", path.display()))
}

/// What a program prints. It runs in a process group of its own, without a terminal's input, and all
/// of the group is ended if it takes too long or prints too much.
async fn print(argv: &[String], base: &Path, timeout: Duration) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or("`command` names no program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(base)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("can't start `{program}`: {error}"))?;
    let mut group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(timeout, async {
        let mut reading = pin!(async { tokio::try_join!(whole(stdout, &mut said), tail(stderr, &mut complained)) });
        let mut ending = pin!(child.wait());
        let status = tokio::select! {
            read = &mut reading => {
                read?;
                ending.await
            }
            status = &mut ending => {
                // What it left running in the background may hold its output open for ever.
                if let Ok(read) = tokio::time::timeout(OUTPUT_GRACE, reading).await {
                    read?;
                }
                status
            }
        };
        status.map_err(|error| format!("could not be waited for: {error}"))
    })
    .await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(problem)) => return Err(format!("`{program}` {problem}")),
        Err(_) => {
            return Err(format!(
                "`{program}` did not end within {}, and was stopped: it has to do without a question to anybody{}",
                humantime::format_duration(timeout),
                last_line(&complained, &said)
            ));
        }
    };
    group.let_go();
    if !status.success() {
        return Err(format!("`{program}` ended with {status}{}", last_line(&complained, &said)));
    }
    String::from_utf8(said).map_err(|_| format!("what `{program}` printed is not UTF-8"))
}

async fn whole(output: Option<impl AsyncRead + Unpin>, said: &mut Vec<u8>) -> Result<(), String> {
    let Some(output) = output else { return Ok(()) };
    let unreadable = |error| format!("could not be read: {error}");
    output.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(said).await.map_err(unreadable)?;
    if said.len() > SECRET_BYTES_MAX {
        return Err(format!("printed more than {} KiB: is that a secret?", SECRET_BYTES_MAX >> 10));
    }
    Ok(())
}

async fn tail(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) -> Result<(), String> {
    let Some(mut output) = output else { return Ok(()) };
    let mut buffer = [0; 1024];
    // An error here only means that there is nothing more to show.
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(STDERR_BYTES_MAX));
    }
    Ok(())
}

/// ": the last line", fit to be shown; empty if there is none. Should the program have repeated there
/// what it printed, that is taken out.
fn last_line(complained: &[u8], said: &[u8]) -> String {
    let text = String::from_utf8_lossy(complained);
    let Some(line) = text.lines().map(str::trim).rfind(|line| !line.is_empty()) else { return String::new() };
    let mut line: String = line.chars().filter(|character| !character.is_control()).collect();
    let said = String::from_utf8_lossy(said);
    if said.trim().len() >= SECRET_BYTES_MIN {
        let scrubber = Scrubber::default();
        scrubber.add(said.trim());
        line.scrub(&scrubber);
    }
    match line.char_indices().nth(COMPLAINT_CHARS_MAX) {
        Some((end, _)) => format!(": {}…", &line[..end]),
        None => format!(": {line}"),
    }
}

/// A program with all that it has started, as far as it has stayed together.
struct Group(Option<Pid>);

impl Group {
    /// The group of a program that was started as the leader of one.
    fn of(leader: Option<u32>) -> Self {
        Self(leader.and_then(|leader| Pid::from_raw(leader.cast_signed())))
    }

    /// The program has ended by itself: what it left running on purpose may go on.
    fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Gone already is what is wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::time::Instant;

    use secrecy::ExposeSecret;

    use super::*;

    async fn read(source: SecretSource, base: &Path) -> Result<String, String> {
        source.read(base, Duration::from_secs(20)).await.map(|secret| secret.expose_secret().to_owned())
    }

    fn sh(script: &str) -> SecretSource {
        SecretSource::Command(vec!["sh".into(), "-c".into(), script.into()])
    }

    #[tokio::test]
    async fn one_line_break_at_the_end_is_not_part_of_a_secret_and_all_else_is() {
        let folder = tempfile::tempdir().unwrap();
        for (written, secret) in [
            ("0123456789", "0123456789"),
            ("0123456789\n", "0123456789"),
            ("0123456789\r\n", "0123456789"),
            ("0123456789\n\n", "0123456789\n"),
            (" 0123456789 \n", " 0123456789 "),
            ("first line\nsecond line\n", "first line\nsecond line"),
        ] {
            std::fs::write(folder.path().join("token"), written).unwrap();
            assert_eq!(read(SecretSource::File("token".into()), folder.path()).await.as_deref(), Ok(secret));
            assert_eq!(read(sh("cat token"), folder.path()).await.as_deref(), Ok(secret));
        }
    }

    #[tokio::test]
    async fn only_a_regular_file_of_a_sensible_length_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::write(place("longest"), "x".repeat(SECRET_BYTES_MAX)).unwrap();
        std::fs::write(place("too-long"), "x".repeat(SECRET_BYTES_MAX + 1)).unwrap();
        std::fs::write(place("binary"), b"\xff\xfe0123456789").unwrap();
        std::os::unix::fs::symlink("longest", place("link")).unwrap();
        std::fs::create_dir(place("folder")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(place("pipe")).status().unwrap();
        assert!(pipe.success());
        for name in ["longest", "link"] {
            let secret = read(SecretSource::File(name.into()), folder.path()).await.unwrap();
            assert_eq!(secret.len(), SECRET_BYTES_MAX, "{name}");
        }
        for (name, problem) in [
            ("too-long", "more than 64 KiB"),
            ("binary", "not UTF-8"),
            ("folder", "no regular file"),
            ("pipe", "no regular file"),
            ("/dev/zero", "no regular file"),
            ("absent", "can't read"),
        ] {
            let error = read(SecretSource::File(name.into()), folder.path()).await.expect_err(name);
            assert!(error.contains(problem) && error.contains(name), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let source = sh("sleep 1000 & echo $! > pid; echo waiting for a tap on the key >&2; wait");
        let began = Instant::now();
        let error = source.read(folder.path(), Duration::from_secs(1)).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(error.contains("within 1s") && error.ends_with(": waiting for a tap on the key"), "{error}");
        let sleeper = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        let stat = format!("/proc/{}/stat", sleeper.trim());
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while runs() {
            assert!(began.elapsed() < Duration::from_secs(20), "the program's child goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_stopped() {
        let error = read(sh("yes"), Path::new(".")).await.unwrap_err();
        assert!(error.contains("more than 64 KiB"), "{error}");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_holds_nothing_up() {
        let began = Instant::now();
        assert_eq!(read(sh("sleep 15 & echo 0123456789"), Path::new(".")).await.as_deref(), Ok("0123456789"));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted_with_its_last_line_and_without_the_secret() {
        for (script, ending) in [
            ("exit 3", "`sh` ended with exit status: 3"),
            ("echo one >&2; echo you are not logged in >&2; echo >&2; exit 1", "exit status: 1: you are not logged in"),
            ("printf '\\033[31mred\\007\\n' >&2; exit 1", "exit status: 1: [31mred"),
            ("echo 0123456789; echo got 0123456789 >&2; exit 1", "exit status: 1: got [redacted]"),
            ("kill -9 $$", "signal: 9 (SIGKILL)"),
        ] {
            let error = read(sh(script), Path::new(".")).await.expect_err(script);
            assert!(error.ends_with(ending), "{script}: {error}");
        }
        let error = read(sh("yes x | head -c 5000 | tr -d '\\n' >&2; exit 1"), Path::new(".")).await.unwrap_err();
        assert!(error.ends_with(&format!(": {}…", "x".repeat(COMPLAINT_CHARS_MAX))), "{error}");
        let absent = SecretSource::Command(vec!["ripcord-has-no-such-program".into()]);
        let error = read(absent, Path::new(".")).await.unwrap_err();
        assert!(error.starts_with("can't start `ripcord-has-no-such-program`"), "{error}");
    }
}
