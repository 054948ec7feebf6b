//! Builds components from a build script, so that a crate can embed them.
//!
//! A build script can't depend on an artifact for another target with stable cargo, so it runs cargo
//! itself. All callers share one target directory beside the outer build's, never the outer one:
//! that one is locked for as long as the build script runs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TARGET: &str = "wasm32-wasip2";

/// What every component is made of, beside its own folder.
const SHARED_SOURCES: &[&str] = &["Cargo.toml", "Cargo.lock", "wit", "plugins/sdk", "plugins/switch-off"];

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The package's name.
    pub name: String,
    /// Where it is: a copy of the caller's own in `OUT_DIR`.
    pub path: PathBuf,
}

/// Builds packages of this workspace as components, and has cargo run the build script again when
/// one of their sources changes. To be called from a build script.
///
/// A package is named by its folder, relative to the workspace's root; the folder bears the
/// package's name.
///
/// # Errors
///
/// One text for the person who builds: the target is not installed, or what cargo printed.
pub fn components(packages: &[&str]) -> Result<Vec<Component>, String> {
    let workspace = workspace()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for source in SHARED_SOURCES.iter().chain(packages) {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let sysroot = require_target()?;
    let names = packages.iter().map(|package| name(package)).collect::<Result<Vec<_>, _>>()?;
    let target_dir = outer_target_dir(&out).join("components");
    run_cargo(&workspace, &sysroot, &target_dir, &names)?;

    let built = target_dir.join(TARGET).join("plugin");
    names
        .into_iter()
        .map(|name| {
            let path = out.join(format!("{name}.wasm"));
            copy_if_different(&built.join(format!("{}.wasm", name.replace('-', "_"))), &path)?;
            Ok(Component { name: name.to_owned(), path })
        })
        .collect()
}

/// [`components`] for a build script's `main`: what goes wrong is cargo's one error line, and the
/// build ends.
pub fn components_or_exit(packages: &[&str]) -> Vec<Component> {
    components(packages).unwrap_or_else(|problem| {
        let mut lines = problem.lines();
        println!("cargo::error={}", lines.next().unwrap_or_default());
        for line in lines {
            eprintln!("{line}");
        }
        std::process::exit(1)
    })
}

fn run_cargo(workspace: &Path, sysroot: &Path, target_dir: &Path, names: &[&str]) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--locked", "--profile", "plugin", "--target", TARGET, "--target-dir"]).arg(target_dir);
    for name in names {
        cargo.args(["-p", name]);
    }
    for (name, _) in env::vars_os().filter(|(name, _)| !is_passed_on(name)) {
        cargo.env_remove(name);
    }
    // Set even if it were empty: it shuts out the flags of the machine's own cargo configuration.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", remappings(workspace, sysroot));
    cargo.current_dir(workspace);

    let Output { status, stderr, .. } = cargo.output().map_err(|error| format!("can't start {cargo:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("cargo could not build {} for {TARGET}\n{}", names.join(", "), String::from_utf8_lossy(&stderr)))
}

/// Whether the inner cargo sees a variable of the outer build's. What the outer one was told about
/// profiles, flags, wrappers (clippy is one) and features must not change a component.
fn is_passed_on(name: &OsStr) -> bool {
    const KEPT: &[&str] =
        &["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let name = name.to_string_lossy();
    let of_cargo = name.starts_with("CARGO_") || name.starts_with("RUSTC_W") || name == "RUSTFLAGS";
    !of_cargo || KEPT.iter().any(|kept| name.starts_with(kept))
}

/// Flags that keep this machine's folders out of the component: the same sources give the same bytes
/// wherever they are built.
fn remappings(workspace: &Path, sysroot: &Path) -> OsString {
    let cargo_home =
        env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let folders = [
        (Some(workspace.to_owned()), "/ripcord"),
        (cargo_home, "/cargo"),
        // The standard library's own sources, if `rust-src` is installed.
        (Some(sysroot.join("lib/rustlib/src/rust")), "/rust"),
    ];
    let mut flags = OsString::new();
    for (folder, name) in folders.into_iter().filter_map(|(folder, name)| Some((folder?, name))) {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    flags
}

/// The compiler's root, if it has the target's standard library.
fn require_target() -> Result<PathBuf, String> {
    let print = |arguments: &[&str]| {
        let output = Command::new(variable("RUSTC")?)
            .args(arguments)
            .output()
            .map_err(|error| format!("can't start rustc: {error}"))?;
        Ok::<_, String>(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    if !print(&["--print", "target-libdir", "--target", TARGET])?.is_dir() {
        return Err(format!("Rust's target {TARGET} is not installed; run:  rustup target add {TARGET}"));
    }
    print(&["--print", "sysroot"])
}

/// The target directory of the build that runs this build script: the folder above `OUT_DIR` that
/// cargo marked as its own. Without a mark each caller builds in its `OUT_DIR`: slower, but right.
fn outer_target_dir(out: &Path) -> PathBuf {
    out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(out).to_owned()
}

/// The root of the workspace of the package whose build script this is.
fn workspace() -> Result<PathBuf, String> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.map(Path::to_owned).ok_or_else(|| format!("there is no Cargo.lock above {}", package.display()))
}

fn name(package: &str) -> Result<&str, String> {
    Path::new(package).file_name().and_then(OsStr::to_str).ok_or_else(|| format!("`{package}` is no package's folder"))
}

/// Leaves an equal file alone, so that what embeds it is not compiled again.
fn copy_if_different(from: &Path, to: &Path) -> Result<(), String> {
    let bytes = fs::read(from).map_err(|error| format!("can't read {}: {error}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).map_err(|error| format!("can't write {}: {error}", to.display()))
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("${name} is not set: this runs in a build script only"))
}
