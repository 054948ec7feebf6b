//! A Coolify to test against, in a process of its own: `coolify-server VERSION FOLDER` prints its port and serves
//! until its standard input ends. Its state and the ledger of its requests are in the folder, and the tokens in
//! `$COOLIFY_TOKENS`: `{"TOKEN": ["read", "write", "deploy"]}`. A line on standard input is an order
//! ([`ripcord_tests::coolify::Order`], as JSON), answered by `done`; `down` and `up` stop and start listening.

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ripcord_tests::coolify::Server;
use tokio::runtime::Runtime;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(version), Some(folder), Ok(tokens)) =
        (arguments.next(), arguments.next(), std::env::var("COOLIFY_TOKENS"))
    else {
        return Err(io::Error::other("usage: COOLIFY_TOKENS=… coolify-server VERSION FOLDER"));
    };
    let version = version.parse().map_err(io::Error::other)?;
    let server = Server::open(version, Path::new(&folder), serde_json::from_str(&tokens)?)?;
    let (mut runtime, address) = serve(&server, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    say(&address.port().to_string())?;
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "down" => std::mem::replace(&mut runtime, Runtime::new()?).shutdown_timeout(Duration::from_secs(5)),
            "up" => runtime = serve(&server, address)?.0,
            line => server.order(serde_json::from_str(line)?).map_err(io::Error::other)?,
        }
        say("done")?;
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Serves on a runtime of its own: to shut it down cuts every connection.
fn serve(server: &Arc<Server>, address: SocketAddr) -> io::Result<(Runtime, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let address = runtime.block_on(server.serve(address))?;
    Ok((runtime, address))
}
