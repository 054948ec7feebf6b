//! `push` and `remote-head`, against a bare repository by path and by a `git daemon`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ripcord::capability::Settlement;
use ripcord::capability::git::{Call, Pushed, Reply};
use ripcord::failure::Failure;
use serde_json::json;

use super::lab::{Lab, at};
use super::{plant_hooks, push};
use crate::wait_for;

impl Lab {
    pub(super) fn with_remote() -> Self {
        let lab = Self::new();
        let remote = lab.remote();
        lab.git(&["clone", "--quiet", "--bare", ".", remote.to_str().unwrap()]);
        lab.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
        lab
    }

    fn remote(&self) -> PathBuf {
        self.folder.path().join("remote.git")
    }

    pub(super) fn on_remote(&self, branch: &str) -> Option<String> {
        let remote = self.remote();
        let arguments = ["--git-dir", remote.to_str().unwrap(), "rev-parse", "--verify", "--quiet", branch];
        let (success, id) = self.try_git(&arguments);
        success.then_some(id)
    }

    fn remote_hook(&self, script: &str) {
        let hook = self.remote().join("hooks/pre-receive");
        std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn move_remote(&self, branch: &str, id: &str) {
        let remote = self.remote();
        self.git(&["--git-dir", remote.to_str().unwrap(), "update-ref", &format!("refs/heads/{branch}"), id]);
    }

    async fn remote_head(&self, branch: &str) -> Result<Reply, Failure> {
        self.read(Call::RemoteHead { branch: branch.to_owned() }).await
    }
}

pub(super) fn pushed(branch: &str, head: &str, previous: Option<&str>) -> Reply {
    let previous = previous.map(str::to_owned);
    Reply::Pushed(Pushed { branch: branch.to_owned(), head: head.to_owned(), previous })
}

/// A `git daemon` on loopback.
pub(super) struct Daemon(Child, u16);

impl Daemon {
    pub(super) fn serve(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("git")
            .args(["daemon", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", "--reuseaddr"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .stderr(Stdio::null())
            // `git daemon` works in a child of its own.
            .process_group(0)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "git daemon does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self(child, port)
    }

    pub(super) fn url(&self) -> String {
        format!("git://127.0.0.1:{}/remote.git", self.1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Makes the remote take its time, in a hook of its own.
pub(super) struct Slow(PathBuf);

impl Slow {
    pub(super) fn new(lab: &Lab) -> Self {
        let folder = lab.folder.path();
        let path = folder.display();
        lab.remote_hook(&format!("echo > '{path}/begun'\nwhile ! [ -e '{path}/may-end' ]; do sleep 0.01; done"));
        Self(folder.to_owned())
    }

    pub(super) fn wait_until_begun(&self) {
        wait_for(&self.0.join("begun"));
    }

    pub(super) fn go_on(&self) {
        std::fs::write(self.0.join("may-end"), "").unwrap();
    }
}

/// A remote that takes connections and never answers.
pub(super) struct Silence(TcpListener);

impl Silence {
    pub(super) fn new(lab: &Lab) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("git://127.0.0.1:{}/app.git", server.local_addr().unwrap().port());
        lab.git(&["remote", "set-url", "origin", &url]);
        Self(server)
    }

    pub(super) fn accept(&self) -> TcpStream {
        self.0.accept().unwrap().0
    }

    /// The other end is closed when nobody has it open any more.
    pub(super) fn wait_until_closed(mut connection: TcpStream) {
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        connection.read_to_end(&mut Vec::new()).expect("the other end is closed");
    }
}

#[tokio::test]
async fn a_push_moves_the_branch_only_from_where_the_lease_says() {
    for over_the_network in [false, true] {
        let lab = Lab::with_remote();
        let daemon = Daemon::serve(lab.folder.path());
        if over_the_network {
            lab.git(&["remote", "set-url", "origin", &daemon.url()]);
        }
        let witness = lab.folder.path().join("witness");
        plant_hooks(&lab.root().join(".git/hooks"), &witness);
        let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| lab.id(tag));

        // Back, as a rollback does; a new branch; and forward again.
        assert_eq!(lab.mutate(0, push("v1", "main", Some(&v3))).await, Ok(pushed("main", &v1, Some(&v3))));
        assert_eq!(lab.on_remote("main").as_ref(), Some(&v1));
        assert_eq!(lab.mutate(1, push("v2", "deep/new", None)).await, Ok(pushed("deep/new", &v2, None)));
        assert_eq!(lab.mutate(2, push("HEAD", "main", Some(&v1))).await, Ok(pushed("main", &v3, Some(&v1))));
        // What is there already is no failure: an earlier attempt may have brought it.
        assert_eq!(lab.mutate(2, push("HEAD", "main", Some(&v1))).await, Ok(pushed("main", &v3, Some(&v1))));
        assert_eq!(lab.remote_head("main").await, Ok(Reply::RemoteHead(Some(v3.clone()))));
        assert_eq!(lab.remote_head("new").await, Ok(Reply::RemoteHead(None)));

        for (call, branch, at) in [
            (push("v1", "main", Some(&v2)), "main", &v3),
            (push("v1", "main", None), "main", &v3),
            (push("v3", "deep/new", Some(&v1)), "deep/new", &v2),
        ] {
            match lab.mutate(3, call.clone()).await {
                Err(Failure::Permanent(problem)) => {
                    assert!(problem.message.contains(&format!("it is at {at}")), "{problem}")
                }
                other => panic!("{call:?}: {other:?}"),
            }
            assert_eq!(lab.on_remote(branch).as_ref(), Some(at), "{call:?}");
        }
        match lab.mutate(4, push("v1", "gone", Some(&v2))).await {
            Err(Failure::Permanent(problem)) => {
                assert!(problem.message.contains("there is no such branch"), "{problem}")
            }
            other => panic!("{other:?}"),
        }
        assert!(!witness.exists(), "{}", std::fs::read_to_string(&witness).unwrap());
    }
}

#[tokio::test]
async fn a_rule_of_the_remote_is_a_permanent_failure_in_its_words() {
    let lab = Lab::with_remote();
    lab.remote_hook("echo 'main is protected, and was not found'\nexit 1");
    let v3 = lab.id("v3");
    match lab.mutate(0, push("v1", "main", Some(&v3))).await {
        Err(Failure::Permanent(problem)) => assert!(problem.message.contains("main is protected"), "{problem}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(lab.on_remote("main"), Some(v3));
}

#[tokio::test]
async fn a_push_in_doubt_is_settled_by_what_it_said_itself() {
    let lab = Lab::with_remote();
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| lab.id(tag));
    let call = push("v1", "main", Some(&v3));
    let ready = || async { lab.driver().prepare(&at(0), &call).await.unwrap() };
    let (never, refused, taken) = (ready().await, ready().await, ready().await);
    let [never_marker, refused_marker, taken_marker] = [&never, &refused, &taken].map(|ready| ready.marker());
    drop(never);
    lab.remote_hook("exit 1");
    refused.perform().await.unwrap_err();
    lab.remote_hook("exit 0");
    taken.perform().await.unwrap();

    // Whatever has become of the remote since.
    lab.move_remote("main", &v2);
    let settle = async |marker: Option<_>| lab.driver().settle(&at(0), &call, marker.as_ref()).await;
    assert_eq!(settle(never_marker).await, Settlement::DidNotHappen);
    assert_eq!(settle(refused_marker).await, Settlement::DidNotHappen);
    assert_eq!(settle(taken_marker).await, Settlement::Happened(pushed("main", &v1, Some(&v3))));
}

#[tokio::test]
async fn a_push_that_could_not_say_what_became_of_it_is_settled_by_asking_the_remote() {
    let lab = Lab::with_remote();
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| lab.id(tag));
    let call = push("v1", "main", Some(&v3));
    lab.remote_hook("kill -9 $PPID");
    let prepared = lab.driver().prepare(&at(0), &call).await.unwrap();
    let mut marker = prepared.marker().unwrap();
    let failure = prepared.perform().await.unwrap_err();
    assert!(matches!(&failure, Failure::Unknown(_)), "{failure:?}");
    // Long enough ago that the remote has made up its mind.
    marker["prepared"] = json!("2026-01-01T00:00:00Z");
    let settle = || async { lab.driver().settle(&at(0), &call, Some(&marker)).await };

    assert_eq!(settle().await, Settlement::DidNotHappen);
    lab.move_remote("main", &v1);
    assert_eq!(settle().await, Settlement::Happened(pushed("main", &v1, Some(&v3))));
    lab.move_remote("main", &v2);
    assert!(matches!(settle().await, Settlement::Unknown(seen) if seen.contains(&v2)));
    std::fs::rename(lab.remote(), lab.folder.path().join("elsewhere")).unwrap();
    assert!(
        matches!(settle().await, Settlement::Unknown(seen) if seen.contains("does not appear to be a git repository"))
    );
}

#[tokio::test]
async fn a_remote_that_wants_a_password_or_is_not_there_fails_at_once() {
    let lab = Lab::with_remote();
    let v3 = lab.id("v3");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let locked = format!("http://127.0.0.1:{}/app.git", server.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (url, is_permanent, said) in [
        (locked, true, "Nothing asks for a password here"),
        (format!("git://127.0.0.1:{closed}/app.git"), false, "unable to connect"),
        (format!("http://127.0.0.1:{closed}/app.git"), false, "127.0.0.1"),
        ("/nowhere.git".to_owned(), true, "remote -v"),
    ] {
        lab.git(&["remote", "set-url", "origin", &url]);
        let began = Instant::now();
        for result in [lab.mutate(0, push("v1", "main", Some(&v3))).await, lab.remote_head("main").await] {
            match &result {
                Err(Failure::Permanent(problem)) if is_permanent => {
                    assert!(problem.message.contains(said), "{problem}")
                }
                Err(Failure::Transient(problem)) if !is_permanent => {
                    assert!(problem.message.contains(said), "{problem}")
                }
                other => panic!("{url}: {other:?}"),
            }
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{url}");
    }
}
