//! Servers in processes of their own, which end with the test's process however that ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The servers that all tests share: each test has its own repository and its own recipients there.
pub(crate) struct Servers {
    pub(crate) git: u16,
    /// What the tests share; it goes away with their process.
    pub(crate) folder: PathBuf,
    /// The folder of the remotes.
    pub(crate) remotes: PathBuf,
    pub(crate) smtp: u16,
    /// A Maildir.
    pub(crate) mailbox: PathBuf,
    _git: Watched,
    _smtp: Watched,
}

pub(crate) fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("ripcord-it-servers-{}", std::process::id()));
        let remotes = folder.join("remotes");
        let mailbox = folder.join("mailbox");
        fs::create_dir_all(&remotes).unwrap();
        let (git, smtp) = (free_port(), free_port());
        let base_path = format!("--base-path={}", remotes.display());
        let _git = Watched::start(
            Command::new("git").args(["daemon", "--export-all", "--enable=receive-pack", "--reuseaddr"]).args([
                "--listen=127.0.0.1",
                &format!("--port={git}"),
                &base_path,
            ]),
            Some(&folder),
        );
        // Debian's own Python: another one in PATH does not see Debian's packages.
        let _smtp =
            Watched::start(
                Command::new("/usr/bin/python3")
                    .args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{smtp}")])
                    .args(["-c", "aiosmtpd.handlers.Mailbox", mailbox.to_str().unwrap()]),
                None,
            );
        wait_for(git, "git daemon is not there; run:  apt-get install -y git");
        wait_for(smtp, "aiosmtpd is not there; run:  apt-get install -y python3-aiosmtpd");
        Servers { git, folder, remotes, smtp, mailbox, _git, _smtp }
    })
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub(super) fn wait_for(port: u16, otherwise: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "{otherwise}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server that a shell watches over: it ends the server when its own standard input does, which
/// the kernel sees to even if the test is killed.
pub(crate) struct Watched {
    _watcher: Child,
}

impl Watched {
    pub(super) fn start(server: &Command, clean_up: Option<&Path>) -> Self {
        const SCRIPT: &str = r#"folder=$1; shift; "$@" </dev/null >/dev/null 2>&1 & server=$!
            read -r _; kill $server; wait $server; [ -z "$folder" ] || rm -rf "$folder""#;
        let watcher = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(clean_up.unwrap_or(Path::new("")))
            .arg(server.get_program())
            .args(server.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        Self { _watcher: watcher }
    }
}

/// A server of this crate's that is told what to do on its standard input.
pub(crate) struct Told {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Told {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { stdin: child.stdin.take(), stdout, child }
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
        assert_eq!(self.hear(), "done", "{line}");
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
