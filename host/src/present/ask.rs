//! The questions that only a person can answer, with the commands that answer them.

use crate::capability::{Call, sql};
use crate::id::{CallId, RunId};
use crate::journal::GateOpened;
use crate::machine::Mutation;

use super::page::{Page, Span};
use super::text::pad;
use super::time::date_time;
use super::{Style, words};

/// The one question that a halted run asks: did this happen?
pub fn doubt(run: &RunId, call: CallId, mutation: &Mutation, seen: &str, style: &Style) -> String {
    let mut page = Page::new(style);
    let request = &mutation.request;
    page.line(0, &[Span::Change("Did this happen? "), Span::Title(&words::request(request))]);
    page.gap();
    let fields = [
        ("call", format!("{call} of run {run}, for role {}", request.role)),
        (
            "sent",
            format!("{}; no reply came that tells whether it happened", date_time(mutation.intended, &style.zone)),
        ),
        ("seen", if seen.is_empty() { "nothing".to_owned() } else { seen.to_owned() }),
        ("look", where_to_look(mutation)),
    ];
    for (name, value) in fields {
        page.labelled(2, Span::Dim(&pad(name, 6)), &value);
    }
    page.gap();
    page.prose(0, "Answer with what you have seen at the target, not with what you hope:");
    let reply = if mutation.assume.is_some() { "" } else { " --reply JSON" };
    let happened = match &mutation.assume {
        Some(assume) => format!("The run goes on as if the reply had come: {}.", words::reply(assume)),
        None => {
            "The run goes on with the reply that you give: the plugin has not said which one it expects.".to_owned()
        }
    };
    let answers = [
        ("it happened", format!("--happened{reply}"), happened.as_str()),
        (
            "it did not, and will not",
            "--did-not-happen".to_owned(),
            "The run sends it again, if it still goes that way.",
        ),
        (
            "it can't be found out",
            "--unknowable".to_owned(),
            "The plugin is told so. Most fail then, and it counts as something that may have changed.",
        ),
    ];
    for (answer, option, then) in answers {
        page.line(2, &[Span::Title(answer)]);
        page.line(4, &[Span::Plain(&format!("ripcord resolve {run} {call} {option}"))]);
        page.prose(4, then);
    }
    page.finish()
}

fn where_to_look(mutation: &Mutation) -> String {
    let connection = &mutation.request.connection;
    match &mutation.request.call {
        Call::Http(call) => format!(
            "in the service behind {connection}: is what {} {} does already so, or does its own log show the request?",
            call.method, call.path
        ),
        Call::Git(crate::capability::git::Call::Push { branch, .. }) => {
            format!("`git ls-remote` of {connection}: where is {branch} now?")
        }
        Call::Git(_) => format!("`git status` and `git reflog` in the working copy of {connection}"),
        Call::Sql(sql::Call::Dump(_) | sql::Call::DeleteBackup { .. }) => {
            format!("in the folder `backups` of {connection}: is the file there?")
        }
        Call::Sql(sql::Call::Restore { .. } | sql::Call::Swap { .. } | sql::Call::DropDatabase { .. }) => {
            format!(
                "`psql -l` on the server of {connection}: which databases are there, and what do their comments say (`\\l+`)?"
            )
        }
        Call::Docker(crate::capability::docker::Call::Exec { container, .. }) => {
            format!(
                "`docker top {container}` and `docker logs {container}` at the engine of {connection}: does the program still run, and is what it does done?"
            )
        }
        Call::Docker(_) => {
            format!("`docker ps -a` at the engine of {connection}: which of the containers run, and since when?")
        }
        Call::Sql(_) => {
            format!("in the database behind {connection}: does it hold already what the statement would leave?")
        }
        Call::Command(_) => format!(
            "whether what the program of {connection} does is done, and whether it still runs (`ps`); while it runs, wait"
        ),
        Call::Notify(call) => format!("ask somebody who gets {connection} whether \"{}\" has arrived", call.subject),
    }
}

/// The question of a gate.
pub fn gate(run: &RunId, opened: &GateOpened, style: &Style) -> String {
    let mut page = Page::new(style);
    let name = &opened.gate;
    page.labelled(0, Span::Change("A person has to say yes: "), &opened.ask);
    page.gap();
    page.labelled(2, Span::Dim("before   "), &words::behind(&opened.before));
    if let Some(expires) = opened.expires {
        let expires = format!("{}; no answer until then counts as no", date_time(expires, &style.zone));
        page.labelled(2, Span::Dim("expires  "), &expires);
    }
    page.line(2, &[Span::Dim("yes      "), Span::Plain(&format!("ripcord approve {run} {name}"))]);
    page.line(2, &[Span::Dim("no       "), Span::Plain(&format!("ripcord approve {run} {name} --no"))]);
    page.finish()
}
