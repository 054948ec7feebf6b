//! Examines a program without running it: whether it is there, and can be run as the file says.

use std::io::Read;
use std::path::Path;

use super::connection::{Connection, EnvValue};
use super::driver;
use crate::doctor::{Aspect, Exam};

/// The longest first line of a script that is read, as the kernel does.
const SHEBANG_BYTES_MAX: u64 = 256;

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    let settings = connection.settings();
    let base = &exam.opening.base;
    let cwd = settings.cwd.as_ref().map_or_else(|| base.clone(), |cwd| base.join(cwd));
    if cwd.is_dir() {
        exam.good(Aspect::Folder, format!("it runs in {}", cwd.display()));
    } else {
        let seen = format!("cwd is {}, and there is no such folder", cwd.display());
        exam.fault(Aspect::Folder, seen, "correct cwd, or make the folder");
    }
    for name in settings.inherit_env.iter().filter(|name| std::env::var(name).is_err()) {
        let seen = format!("inherit-env names {name}, and ripcord was started without it");
        exam.fault(Aspect::Settings, seen, format!("`export {name}=…` where ripcord is started, or take it out"));
    }
    let path = match settings.env.get("PATH") {
        Some(EnvValue::Text(path)) => Some(path.clone()),
        _ => std::env::var("PATH").ok(),
    };
    let Some(name) = settings.argv.first() else { return };
    let program = match driver::find(name, base, path.as_deref()) {
        Ok(program) => program,
        Err(problem) => return exam.fault(Aspect::Program, problem, "install it, or correct argv in ripcord.toml"),
    };
    match missing_interpreter(Path::new(&program)) {
        Some(interpreter) => {
            let seen = format!("{program} is a script for {interpreter}, which is not there");
            exam.fault(Aspect::Program, seen, format!("install {interpreter}, or correct the script's first line"));
        }
        None => exam.good(Aspect::Program, format!("{program} is there and can be run; it was not run")),
    }
}

/// The program that a script asks for in its first line, if it is not there.
fn missing_interpreter(script: &Path) -> Option<String> {
    let mut beginning = Vec::new();
    // A program that can be run and not be read is no script.
    std::fs::File::open(script).ok()?.take(SHEBANG_BYTES_MAX).read_to_end(&mut beginning).ok()?;
    let line = beginning.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next()?;
    (!crate::process::is_program(Path::new(interpreter))).then(|| interpreter.to_owned())
}
