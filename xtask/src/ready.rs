//! What has to be on this machine, and how it gets there.

use std::process::{Command, Stdio};

use crate::run;

const WASM_TARGET: &str = "wasm32-wasip2";

/// A program that the tests talk to.
struct Needed {
    /// Succeeds if it is there.
    probe: &'static [&'static str],
    /// Debian's package with it.
    package: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed { probe: &["git", "--version"], package: "git" },
    Needed { probe: &["node", "--version"], package: "nodejs" },
    Needed { probe: &["npm", "--version"], package: "npm" },
    Needed { probe: &["curl", "--version"], package: "curl" },
    // Network namespaces, clocks that are put back, and pseudo-terminals.
    Needed { probe: &["ip", "-V"], package: "iproute2" },
    Needed { probe: &["faketime", "--version"], package: "faketime" },
    Needed { probe: &["script", "--version"], package: "bsdutils" },
    // Debian's own Python: another one in PATH does not see Debian's packages.
    Needed { probe: &["/usr/bin/python3", "-c", "import aiosmtpd"], package: "python3-aiosmtpd" },
    // What a webhook's signature is checked with.
    Needed { probe: &["openssl", "version"], package: "openssl" },
    Needed { probe: &["chromium", "--version"], package: "chromium" },
    // Servers of the tests' own: the programs are not in PATH.
    Needed { probe: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb"], package: POSTGRESQL },
    // Its client, its engine, and what the tests' one image is made of: a program that needs no library.
    Needed { probe: &["sh", "-c", "dockerd --version && docker --version"], package: "docker.io" },
    Needed { probe: &["prometheus", "--version"], package: "prometheus" },
    Needed { probe: &["prometheus-alertmanager", "--version"], package: "prometheus-alertmanager" },
    Needed { probe: &["sh", "-c", "/bin/busybox true && ! ldd /bin/busybox"], package: "busybox-static" },
];

/// Its package would make a cluster of databases and start it, unless told not to.
const POSTGRESQL: &str = "postgresql";

/// The packages of Prometheus and its Alertmanager start services and have them started with the machine: no
/// service is started while packages are installed, and those two stay masked. What was there is left alone.
const DONT_START: &str = "if [ ! -e /usr/sbin/policy-rc.d ]; then \
    printf '#!/bin/sh\\n# of the tests of ripcord\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d; fi; \
    mkdir -p /etc/systemd/system && for unit in prometheus prometheus-alertmanager; do \
    [ -e /lib/systemd/system/$unit.service ] || [ -e /etc/systemd/system/$unit.service ] || \
    ln -s /dev/null /etc/systemd/system/$unit.service; done";

/// Takes back what [`DONT_START`] has done for the time of the installation.
const MAY_START: &str =
    "if grep -q 'of the tests of ripcord' /usr/sbin/policy-rc.d 2>/dev/null; then rm /usr/sbin/policy-rc.d; fi";

/// What the benchmarks need besides.
const MEASURING: &[Needed] = &[Needed { probe: &["strace", "--version"], package: "strace" }];

/// Rust's standard library for the plugins.
pub(crate) fn wasm_target() -> Result<(), String> {
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match listed {
        Ok(installed) if installed.lines().any(|target| target == WASM_TARGET) => Ok(()),
        Ok(_) => run(Command::new("rustup").args(["target", "add", WASM_TARGET])),
        // Rust may have come some other way; the build says so if the target is missing.
        Err(_) => Ok(()),
    }
}

/// The Debian packages that the tests need. Only what is missing is installed.
pub(crate) fn packages() -> Result<(), String> {
    install(NEEDED)
}

/// The Debian packages that the benchmarks need besides.
pub(crate) fn measuring() -> Result<(), String> {
    install(MEASURING)
}

fn install(needed: &[Needed]) -> Result<(), String> {
    let missing: Vec<&str> =
        needed.iter().filter(|needed| !is_there(needed.probe)).map(|needed| needed.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "tests and benchmarks need what is not here; run:  apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    );
    let Some(privileged) = privileged() else { return Err(by_hand) };
    eprintln!("installing Debian's {}", missing.join(", "));
    let as_root = |arguments: &[&str]| {
        let argv = [privileged.as_slice(), arguments].concat();
        let (program, arguments) = argv.split_first().ok_or("nothing to run")?;
        run(Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let apt = |arguments: &[&str]| as_root(&[&["apt-get"], arguments].concat());
    if missing.contains(&POSTGRESQL) {
        let folder = "/etc/postgresql-common/createcluster.d";
        let write = format!("mkdir -p {folder} && echo create_main_cluster=false > {folder}/ripcord-tests.conf");
        as_root(&["sh", "-c", &write])?;
    }
    as_root(&["sh", "-c", DONT_START])?;
    let install = [&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat();
    // The lists of packages may be older than the packages.
    let installed = apt(&install)
        .or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
        .map_err(|problem| format!("{problem}\n{by_hand}"));
    as_root(&["sh", "-c", MAY_START])?;
    installed
}

/// What goes before a command of root's: nothing for root, `sudo` where it asks for no password.
fn privileged() -> Option<Vec<&'static str>> {
    if !is_there(&["apt-get", "--version"]) {
        return None;
    }
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(Vec::new());
    }
    is_there(&["sudo", "-n", "true"]).then(|| vec!["sudo", "-n"])
}

fn is_there(probe: &[&str]) -> bool {
    let Some((program, arguments)) = probe.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
