//! A guest that does its best to bring the host down, or to learn what it must not know:
//! `{"do": "loop"}` and so on. None of it is a bug in the guest.

mod wasi;

use std::hint::black_box;
use std::time::Duration;

use ripcord_plugin::{
    Action, Context, Effects, Manifest, Pending, Reconciliation, Result, Role, clock, command, export_action, http, log,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const SERVICE: http::Service = http::Service::role("service");
const PROGRAM: command::Program = command::Program::role("program");

struct Hostile;

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "do")]
    deed: Deed,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deed {
    /// Never gives the processor back.
    Loop,
    /// Takes memory until there is none.
    Allocate,
    /// Overflows its stack.
    Recurse,
    /// Logs a million lines.
    FloodLog,
    /// Calls without end.
    FloodCalls,
    /// Reads the clock without end: those calls reach no connection.
    FloodClock,
    /// A receipt of 100 MB.
    #[serde(rename = "return-100mb")]
    Return100Mb,
    /// A failure of 100 MB.
    #[serde(rename = "fail-100mb")]
    Fail100Mb,
    /// A request of 100 MB.
    #[serde(rename = "send-100mb")]
    Send100Mb,
    /// A receipt that is no object.
    ReturnNumber,
    /// Traps.
    Trap,
    /// Panics, with a message.
    Panic,
    /// Ends the process, as far as WASI lets it.
    Exit,
    /// Sleeps as long as it is let, again and again.
    SleepForever,
    /// Sleeps through WASI instead of the contract.
    WasiSleep,
    /// Naps through WASI, sixty times for 20 ms.
    WasiNaps,
    /// Polls several WASI timers at once, and mutates between.
    WasiTimers,
    /// `GET /hang`: a service that never answers.
    HangInCall,
    /// A program that never ends.
    HangInCommand,
    /// Mutates, then traps.
    MutateAndTrap,
    /// Mutates, then loops.
    MutateAndLoop,
    /// Reports what WASI gives it.
    Wasi,
}

impl Action for Hostile {
    type Config = Config;
    type Receipt = Value;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Hostile",
            description: "Does its best to bring the host down.",
            parameters: r#"{
                "type": "object",
                "properties": { "do": { "type": "string" } },
                "required": ["do"],
                "additionalProperties": false
            }"#,
            roles: vec![
                Role::write("service", "http", "to flood it").optional(),
                Role::write("program", "command", "to hang in it").optional(),
            ],
            can_undo: true,
        }
    }

    fn apply(_: &Context, config: Config) -> Result<Value> {
        perform(config.deed)
    }

    fn undo(_: &Context, config: Config, _: Effects, _: Option<Value>) -> Result<()> {
        perform(config.deed).map(drop)
    }

    fn reconcile(_: &Context, config: Config, _: Pending) -> Reconciliation {
        let done = perform(config.deed);
        Reconciliation::Unknown(format!("{done:?}"))
    }
}

fn perform(deed: Deed) -> Result<Value> {
    match deed {
        Deed::Loop => spin(),
        Deed::Allocate => {
            let mut held = Vec::new();
            loop {
                held.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        Deed::Recurse => return Ok(json!({ "depth": recurse(0) })),
        Deed::FloodLog => (0..1_000_000).for_each(|line| log::info(format!("line {line}"))),
        Deed::FloodCalls => loop {
            // A denial must count as well as a reply.
            drop(SERVICE.get("/flood").send());
        },
        Deed::FloodClock => loop {
            black_box(clock::now());
        },
        Deed::Return100Mb => return Ok(json!({ "big": big() })),
        Deed::Fail100Mb => return Err(ripcord_plugin::Failure::permanent(big())),
        Deed::Send100Mb => drop(SERVICE.post("/big").body(big()).assume(http::Response::new(200)).send()?),
        Deed::ReturnNumber => return Ok(json!(42)),
        Deed::Trap => std::process::abort(),
        Deed::Panic => deliberate_panic(),
        Deed::Exit => std::process::exit(0),
        Deed::SleepForever => loop {
            clock::sleep(Duration::MAX);
        },
        Deed::WasiSleep => std::thread::sleep(Duration::from_secs(24 * 3600)),
        Deed::WasiNaps => (0..60).for_each(|_| std::thread::sleep(Duration::from_millis(20))),
        Deed::WasiTimers => return wasi::timers(),
        Deed::HangInCall => drop(SERVICE.get("/hang").send()?),
        Deed::HangInCommand => drop(PROGRAM.run().assume(command::Output::exited(0)).send()?),
        Deed::MutateAndTrap => {
            mutate()?;
            std::process::abort()
        }
        Deed::MutateAndLoop => {
            mutate()?;
            spin()
        }
        Deed::Wasi => return Ok(wasi::report()),
    }
    Ok(Value::Object(Map::new()))
}

pub(crate) fn mutate() -> Result<http::Response> {
    SERVICE.post("/mutate").assume(http::Response::new(200)).send()
}

fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

#[allow(unconditional_recursion, reason = "this is what it is for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[0]
}

#[allow(clippy::panic, reason = "this is what it is for")]
fn deliberate_panic() -> ! {
    panic!("the guest panics on purpose")
}

fn big() -> String {
    "x".repeat(100 << 20)
}

export_action!(Hostile);
