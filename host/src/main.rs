//! The `ripcord` program.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [command, record] if command == "supervise" => ripcord::process::supervise(Path::new(record)),
        _ => ExitCode::from(2),
    }
}
