//! A real Docker engine, and one small image: one engine for all tests of the process, containers of its own
//! for each of them, and nothing of this machine's own engine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const INSTALL: &str = "Docker is not there; run:  apt-get install -y --no-install-recommends docker.io busybox-static";
const ROOT: &str =
    "an engine needs root: its containers are the kernel's. Run the tests as root:  sudo -E cargo xtask test";

/// The one image. Its programs are busybox's.
pub(crate) const IMAGE: &str = "busybox";
const PROGRAMS: [&str; 9] = ["cat", "touch", "echo", "false", "grep", "seq", "sh", "sleep", "true"];

/// An engine that ends with the test's process however that ends, with all of its containers.
pub(crate) struct Engine {
    folder: PathBuf,
    _watcher: Child,
}

pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        assert!(rustix::process::getuid().is_root(), "{ROOT}");
        // A socket's path has at most 108 bytes.
        let engine = Engine::start(Path::new("/tmp").join(format!("ripcord-docker-{}", std::process::id())));
        engine.import();
        engine
    })
}

impl Engine {
    fn start(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        // The engine is the first process of a namespace: the kernel ends all others in it (containers and
        // what watches over them) and takes back its mounts when that one ends. The shell ends it when its
        // own standard input does, even if the test is killed; what is left are a folder and empty cgroups.
        const SCRIPT: &str = r#"trap '' INT; folder=$1 cgroup=$2; shift 2
            "$@" </dev/null >"$folder/log" 2>&1 & engine=$!
            read -r _; kill -KILL $engine; wait $engine
            for attempt in 1 2 3 4 5 6 7 8 9 10; do
                rm -rf "$folder" && find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + && break
                sleep 0.3
            done"#;
        let cgroup = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let option = |name: &str, path: &str| format!("--{name}={}", folder.join(path).display());
        let watcher = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(&folder)
            .arg(&cgroup)
            .args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"])
            .arg("dockerd")
            .args([option("data-root", "data"), option("exec-root", "exec"), option("pidfile", "pid")])
            .arg(format!("--host=unix://{}", folder.join("docker.sock").display()))
            .arg(format!("--cgroup-parent=/{cgroup}"))
            .args(["--bridge=none", "--iptables=false", "--ip-masq=false"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let engine = Self { folder, _watcher: watcher };
        let until = Instant::now() + Duration::from_secs(60);
        while engine.try_docker(&["version"]).is_err() {
            let log = || fs::read_to_string(engine.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "the engine does not start:\n{}", log());
            assert!(!log().contains("failed to execute dockerd"), "{INSTALL}");
            std::thread::sleep(Duration::from_millis(50));
        }
        engine
    }

    /// An image of nothing but busybox, which needs no library.
    fn import(&self) {
        let root = self.folder.join("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("tmp")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect(INSTALL);
        for program in PROGRAMS {
            symlink("busybox", root.join("bin").join(program)).unwrap();
        }
        let archive = self.folder.join("root.tar");
        let tar = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status().unwrap();
        assert!(tar.success());
        self.docker(&["import", archive.to_str().unwrap(), IMAGE]);
    }

    /// A folder that goes away with the engine, for what else lasts as long as the tests.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it listens: `unix://…`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// What Docker's own client prints.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        self.try_docker(arguments).unwrap_or_else(|said| panic!("docker {}: {said}", arguments.join(" ")))
    }

    fn try_docker(&self, arguments: &[&str]) -> Result<String, String> {
        let ran = Command::new("docker").arg("--host").arg(self.host()).args(arguments).output().expect(INSTALL);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if ran.status.success() { Ok(said(&ran.stdout)) } else { Err(said(&ran.stderr)) }
    }
}

/// The containers of one test. They go away with the value.
pub(crate) struct Containers {
    pub(crate) engine: &'static Engine,
    /// What the names of all of them begin with.
    pub(crate) prefix: String,
}

impl Containers {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self { engine: engine(), prefix: format!("t{}-", COUNT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// The whole name of one.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Starts one, in which a shell runs this script.
    pub(crate) fn run(&self, name: &str, options: &[&str], script: &str) {
        let (name, label) = (self.name(name), self.label());
        let fixed = ["run", "--detach", "--network=host", "--name", &name, "--label", &label];
        self.engine.docker(&[&fixed, options, &[IMAGE, "sh", "-c", script]].concat());
    }

    /// What `docker inspect` says of one.
    pub(crate) fn seen(&self, name: &str, format: &str) -> String {
        self.engine.docker(&["inspect", "--format", format, &self.name(name)])
    }

    fn label(&self) -> String {
        format!("ripcord-test={}", self.prefix)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let filter = format!("label={}", self.label());
        let ids = self.engine.try_docker(&["ps", "--all", "--quiet", "--filter", &filter]).unwrap_or_default();
        let ids: Vec<&str> = ids.lines().collect();
        if !ids.is_empty() {
            let _ = self.engine.try_docker(&[&["rm", "--force"], ids.as_slice()].concat());
        }
    }
}

/// A way to the engine that can be cut under whoever talks to it.
pub(crate) struct Line {
    path: PathBuf,
    ends: std::sync::Arc<std::sync::Mutex<Vec<std::os::unix::net::UnixStream>>>,
}

impl Line {
    pub(crate) fn new(engine: &Engine, path: PathBuf) -> Self {
        use std::os::unix::net::{UnixListener, UnixStream};
        let listener = UnixListener::bind(&path).unwrap();
        let (ends, socket) = (std::sync::Arc::default(), engine.socket());
        let line = Self { path, ends: std::sync::Arc::clone(&ends) };
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, UnixStream::connect(&socket)) else { return };
                let copies = [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())];
                ends.lock().unwrap().extend([near, far]);
                for (from, to) in copies {
                    let (mut from, mut to) = (from.unwrap(), to.unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    });
                }
            }
        });
        line
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Nobody can connect any more, and whoever was is cut off.
    pub(crate) fn cut(&self) {
        let _ = fs::remove_file(&self.path);
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(std::net::Shutdown::Both);
        }
    }
}
