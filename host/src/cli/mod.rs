//! The command line: it parses, asks and prints, and leaves all decisions to the library.

mod answer;
mod args;
mod context;
mod decision;
mod demo;
mod doctor;
mod drift;
mod drive;
mod examined;
mod exit;
mod follow;
mod follow_up;
mod init;
mod inspect;
mod interrupt;
mod look;
mod output;
mod progress;
mod report;
mod run;
mod schema;
mod screen;
mod take;
mod terminal;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use crate::runner::Seams;
use crate::telemetry::Log;
use args::{Arguments, Command};
use context::Context;
use exit::{Exit, Fault};

/// Runs the program with the process's arguments. `seams` is [`Untouched`](crate::runner::Untouched)
/// but in tests.
pub fn main(seams: Arc<dyn Seams>) -> ExitCode {
    // A supervisor has to be ready in a millisecond, and has its own way with signals.
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(command), None) = (arguments.next(), arguments.next())
        && command == "supervise"
    {
        return crate::process::supervise();
    }
    let arguments = Arguments::parse();
    let log = match begin_log(&arguments) {
        Ok(log) => log,
        Err(fault) => {
            output::error(&fault);
            return fault.exit.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&Fault::wrong(format!("can't start: {error}")));
            return Exit::Wrong.into();
        }
    };
    let exit = runtime.block_on(dispatch(arguments, seams, log));
    // A prompt that nobody has answered must not keep the process.
    runtime.shutdown_background();
    exit.into()
}

async fn dispatch(arguments: Arguments, seams: Arc<dyn Seams>, log: Log) -> Exit {
    match carry_out(arguments, seams, log).await {
        Ok(exit) => exit,
        Err(fault) => {
            output::error(&fault);
            fault.exit
        }
    }
}

async fn carry_out(arguments: Arguments, seams: Arc<dyn Seams>, log: Log) -> Result<Exit, Fault> {
    let Arguments { global, command } = arguments;
    let context = Context::new(global, seams, log);
    match command {
        Command::Demo(options) => demo::demo(&context, options).await,
        Command::Init(options) => init::init(&context, &options),
        Command::Doctor(options) => doctor::doctor(&context, options).await,
        Command::Check(plan) => run::check(&context, &plan).await,
        Command::Preview(options) => run::preview(&context, &options).await,
        Command::Run(options) => run::run(&context, options).await,
        Command::Watch(options) => watch::watch(&context, options).await,
        Command::FollowUp(options) => follow_up::follow_up(&context, options).await,
        Command::Resume(run) => run::resume(&context, &run).await,
        Command::Abort(options) => run::abort(&context, options).await,
        Command::Undo(options) => run::undo(&context, options).await,
        Command::Approve(options) => answer::approve(&context, options).await,
        Command::Resolve(options) => answer::resolve(&context, options).await,
        Command::Runs => look::runs(&context).await,
        Command::Show(options) => look::show(&context, options).await,
        Command::Report(options) => report::report(&context, options).await,
        Command::Audit(options) => look::audit(&context, options).await,
        Command::Replay(run) => look::replay(&context, &run).await,
        Command::Schema { of } => Ok(schema::schema(of)),
        Command::Completions { shell } => Ok(schema::completions(shell)),
        Command::Plugin(args::Plugin::Inspect { plugin }) => inspect::inspect(&context, &plugin).await,
    }
}

/// `RIPCORD_LOG` says how much of the program's own log goes to stderr; warnings and errors unless set.
fn begin_log(arguments: &Arguments) -> Result<Log, Fault> {
    let filter = match std::env::var("RIPCORD_LOG") {
        Ok(filter) => Some(filter),
        Err(std::env::VarError::NotPresent) => None,
        Err(error) => return Err(Fault::wrong(format!("RIPCORD_LOG can't be read: {error}"))),
    };
    Log::begin(filter.as_deref(), arguments.global.log_format, screen::err).map_err(|error| {
        Fault::wrong(format!("RIPCORD_LOG: {error}"))
            .hint("write a level (error, warn, info, debug, trace, off), or levels of modules:  RIPCORD_LOG=warn,ripcord::pipeline=debug")
    })
}
