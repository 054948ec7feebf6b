//! ripcord

use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    ripcord::cli::main(Arc::new(ripcord::runner::Untouched))
}
