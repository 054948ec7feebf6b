//! `ripcord demo`: the whole story on this machine, with nothing to configure.
//!
//! It is told with the program's own commands against a [`Lab`], and believes none of them: what each
//! has done is looked up in the services. So the demo is also a test.

mod story;
#[cfg(test)]
mod tests;

use std::path::Path;

use async_trait::async_trait;

use crate::lab::{CONNECTOR, GOOD, Lab};
use crate::shell::quoted;

pub use story::{StoryError, story};

/// The exit code of a demo whose claims all hold.
const HELD: u8 = 0;
/// That of a demo that could not begin.
const NOT_BEGUN: u8 = 2;
/// That of a demo in which a claim did not hold.
const FAULT: u8 = 5;

/// The program itself.
///
/// Its futures may stay on their thread: a command line has one.
#[async_trait(?Send)]
pub trait Cli {
    /// Does what `ripcord` with these arguments does, and returns its exit code.
    async fn ripcord(&self, arguments: &[String]) -> u8;
}

/// What the demo says between the commands: one paragraph at a time, in lines of at most 100
/// characters but for what a service has answered.
pub type Say<'a> = &'a dyn Fn(&str);

/// Tells the story in a lab of its own, which is gone afterwards, and returns the exit code. With
/// `keep` the lab stays up until Ctrl-C, for `program` to be tried on it.
pub async fn demo(cli: &dyn Cli, say: Say<'_>, keep: bool, program: &str) -> u8 {
    let folder = match tempfile::Builder::new().prefix("ripcord-demo-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            let place = std::env::temp_dir();
            say(&format!("the demo can't make a folder in {}: {error}; set TMPDIR to another place", place.display()));
            return NOT_BEGUN;
        }
    };
    let lab = match Lab::start(folder.path()).await {
        Ok(lab) => lab,
        Err(error) => {
            say(&error.to_string());
            return NOT_BEGUN;
        }
    };
    let code = match story(&lab, cli, say).await {
        Ok(()) => HELD,
        Err(error) => {
            say(&error.to_string());
            FAULT
        }
    };
    if keep {
        say(&things_to_try(&lab, program));
        if let Err(error) = tokio::signal::ctrl_c().await {
            say(&format!("Ctrl-C can't be waited for: {error}"));
        }
    } else if code == HELD {
        say("To try it by hand, keep all of this alive with `ripcord demo --keep`. For your own systems,\n\
             begin with `ripcord init`; `ripcord init --from genia-connector` writes this very rollback.");
    }
    code
}

/// The commands to try on a lab after its story, ready to be pasted into a shell.
pub fn things_to_try(lab: &Lab, program: &str) -> String {
    let program = quoted(program);
    let parameters = format!("-p connector={CONNECTOR} -p version={GOOD}");
    let hold = lab.hold().strip_prefix(lab.folder()).map(Path::to_owned).unwrap_or(lab.hold());
    let hold = quoted(&hold.display().to_string());
    let url = lab.url();
    format!(
        "The lab stays up until Ctrl-C. In another terminal:

    cd {folder}
    export RIPCORD_STATE=$PWD/state

Read the report in a browser, and add what has come to light since.

    {program} report last -o report.html
    {program} report last -o report.html --since 25m --symptom 'posts pile up'

Take the rollback back: the bad version is deployed again, the connector on, users get errors.

    {program} undo last --yes
    curl -s {url}/health

See what a rollback would do, and do it. ripcord.toml and plan.toml are yours to change.

    {program} preview plan.toml {parameters}
    {program} run plan.toml {parameters}

Kill it in the middle. While there is a file `{hold}`, GENIA's administration does what it is asked
and never answers; so the run dies not knowing whether the connector is off. Then let it go on.

    {program} undo last --yes
    touch {hold}
    {program} run plan.toml {parameters} --yes & sleep 2; kill -9 $!
    rm {hold}
    {program} resume last
    curl -s {url}/ledger       # what GENIA was asked for: no disabling twice
    {program} audit last",
        folder = quoted(&lab.folder().display().to_string()),
    )
}
