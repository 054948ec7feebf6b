//! `demo`: stand-in until the lab is wired.

use super::args::DemoOptions;
use super::context::Context;
use super::exit::{Exit, Fault};

pub(super) async fn demo(_context: &Context, _options: DemoOptions) -> Result<Exit, Fault> {
    Err(Fault::wrong("internal: the demo is not wired"))
}
