//! `demo`: the story, told with this program's own commands.

use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser as _;

use super::args::{Arguments, DemoOptions};
use super::context::Context;
use super::exit::{Exit, Fault};
use super::output;
use crate::demo::{Cli, demo as tell};
use crate::runner::Seams;
use crate::telemetry::Log;

pub(super) async fn demo(context: &Context, options: DemoOptions) -> Result<Exit, Fault> {
    let program = super::context::program()?;
    let this = This { seams: Arc::clone(&context.seams), log: context.log.clone() };
    let say = |paragraph: &str| output::note(&format!("\n{paragraph}\n"));
    Ok(match tell(&this, &say, options.keep, &program.display().to_string()).await {
        0 => Exit::Done,
        2 => Exit::Wrong,
        _ => Exit::Faulty,
    })
}

/// This program.
struct This {
    seams: Arc<dyn Seams>,
    log: Log,
}

#[async_trait(?Send)]
impl Cli for This {
    async fn ripcord(&self, arguments: &[String]) -> u8 {
        let arguments = std::iter::once("ripcord").chain(arguments.iter().map(String::as_str));
        match Arguments::try_parse_from(arguments) {
            Ok(arguments) => super::dispatch(arguments, Arc::clone(&self.seams), self.log.clone()).await as u8,
            Err(error) => {
                output::note(&error.to_string());
                Exit::Wrong as u8
            }
        }
    }
}
