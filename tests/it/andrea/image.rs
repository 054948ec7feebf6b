//! The one image of these tests, made of what this machine has: busybox, PostgreSQL, and the application.
//! There is no registry to pull from.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What it is called.
pub(crate) const IMAGE: &str = "andrea:test";

/// PostgreSQL's programs, in the image as on this machine.
pub(crate) fn postgres_bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let newest =
            versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("postgres").exists()).max();
        newest.expect("PostgreSQL is not there; run:  apt-get install -y postgresql")
    })
}

/// User and group that the database runs as, in the image as on this machine: it refuses to be root.
pub(crate) fn postgres_ids() -> (u32, u32) {
    let id = |option| {
        let output = Command::new("id").args([option, "postgres"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse().expect("there is no user `postgres`; run:  apt-get install -y postgresql")
    };
    (id("-u"), id("-g"))
}

/// Imports the image into the engine at `host`.
pub(crate) fn import(host: &str, scratch: &Path) {
    let root = scratch.join("image");
    for folder in ["bin", "etc", "tmp", "data", "code", "usr/share/zoneinfo"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("run:  apt-get install -y busybox-static");
    for tool in ["sh", "sleep", "cat", "echo", "true", "false", "gunzip", "timeout"] {
        symlink("busybox", root.join("bin").join(tool)).unwrap();
    }
    let (user, group) = postgres_ids();
    let passwd = format!("root:x:0:0::/:/bin/sh\npostgres:x:{user}:{group}::/:/bin/sh\n");
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    fs::copy("/usr/share/zoneinfo/UTC", root.join("usr/share/zoneinfo/UTC")).unwrap();

    let bin = postgres_bin();
    let version = bin.parent().and_then(Path::file_name).unwrap();
    copy_tree(&Path::new("/usr/share/postgresql").join(version), &root);
    let programs = ["postgres", "pg_dump", "pg_restore", "psql", "pg_isready"].map(|program| bin.join(program));
    let libraries = fs::read_dir(bin.parent().unwrap().join("lib")).unwrap().flatten().map(|entry| entry.path());
    // LLVM alone is larger than all the rest.
    let libraries = libraries.filter(|path| {
        path.extension().is_some_and(|extension| extension == "so")
            && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvmjit"))
    });
    let own = [PathBuf::from(env!("CARGO_BIN_EXE_andrea-app"))];
    // Where a container's PATH leads.
    for program in &programs {
        symlink(program, root.join("bin").join(program.file_name().unwrap())).unwrap();
    }
    for file in programs.into_iter().chain(libraries).chain(own) {
        for needed in needed_by(&file) {
            add(&needed, &root);
        }
        if file.starts_with("/usr") {
            add(&file, &root);
        } else {
            fs::copy(&file, root.join("bin").join(file.file_name().unwrap())).unwrap();
        }
    }
    let archive = scratch.join("image.tar");
    let packed = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(packed.success());
    let mut import = Command::new("docker");
    import.args(["--host", host, "import"]).arg(&archive).arg(IMAGE).stdout(Stdio::null());
    assert!(import.status().unwrap().success(), "can't import the image into {host}");
    fs::remove_dir_all(root).unwrap();
}

/// The libraries that a program or a library is linked with, the loader among them.
fn needed_by(file: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// At the same place in the image.
fn add(file: &Path, root: &Path) {
    let to = root.join(file.strip_prefix("/").unwrap());
    if !to.exists() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
}

fn copy_tree(folder: &Path, root: &Path) {
    let to = root.join(folder.strip_prefix("/").unwrap());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-R").arg(folder).arg(to).status().unwrap();
    assert!(copied.success());
}
