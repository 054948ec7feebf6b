//! `ripcord`, and a power cut where `$RIPCORD_KILL` says.

use std::process::ExitCode;
use std::sync::Arc;

use ripcord::runner::{Seams, Untouched};
use ripcord_tests::fault::{UnderFault, VARIABLE};

fn main() -> ExitCode {
    let seams: Arc<dyn Seams> = match std::env::var(VARIABLE) {
        Err(_) => Arc::new(Untouched),
        Ok(fault) => match fault.parse() {
            Ok(fault) => Arc::new(UnderFault::new(fault)),
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::from(2);
            }
        },
    };
    ripcord::cli::main(seams)
}
