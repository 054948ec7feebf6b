//! One call of a preview: in words, exactly, and what it comes upon.

use jiff::Timestamp;

use crate::capability::{Call, Changed, Detail, Part, Repeat, Version};
use crate::journal::{Listed, Request};
use crate::pipeline::{Asked, Mutation, Previewed};
use crate::runner::BranchEnd;

use super::super::page::Span;
use super::super::time::{age, date_time};
use super::super::words;
use super::{LABEL_COLUMNS, Writer};

impl<'a> Writer<'a> {
    pub(super) fn calls(&mut self, indent: usize, calls: &'a [Previewed], end: &BranchEnd) {
        if calls.is_empty() && *end == BranchEnd::Whole {
            self.field(indent, "", "makes no call");
        }
        let mut calls = calls.iter().peekable();
        while let Some(call) = calls.next() {
            // A poll is one line, however often it asks.
            let mut times = 1;
            while !matches!(call, Previewed::Mutation(_)) && calls.peek() == Some(&call) {
                calls.next();
                times += 1;
            }
            self.call(indent, call, times);
        }
    }

    fn call(&mut self, indent: usize, call: &'a Previewed, times: usize) {
        let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
        match call {
            Previewed::Read { asked, outcome } => {
                let read = format!("{} → {}{times}", in_short(asked), words::answer_of(outcome));
                self.field(indent, "reads", &read);
                if let (true, Some(whole)) = (self.view.verbose, words::whole_answer(outcome)) {
                    self.block(indent, "answer", &whole);
                }
            }
            Previewed::NotSent { asked, assumed } => {
                let read = format!("{} → assumed, not sent: {}{times}", in_short(asked), words::reply(&assumed.reply));
                self.field(indent, "would read", &read);
            }
            Previewed::Denied { asked, why } => {
                let denied = format!("{}{times}\n{why}", in_short(asked));
                self.page.column(indent, Span::Bad("DENIED"), LABEL_COLUMNS, &denied);
            }
            Previewed::Says { message, .. } => self.field(indent, "says", &format!("\"{message}\"{times}")),
            Previewed::Mutation(mutation) => self.mutation(indent, mutation),
        }
    }

    fn mutation(&mut self, indent: usize, mutation: &'a Mutation) {
        let Mutation { asked, listed, exactly, detail, repeat, deadline, assumed } = mutation;
        self.number += 1;
        let label = format!("{:>2} CHANGES", self.number);
        self.page.column(indent, Span::Change(&label), LABEL_COLUMNS, &in_words(&asked.request, listed));
        self.block(indent, "exactly", &exactly.line);
        for part in &exactly.parts {
            self.part(indent, part, &asked.request.call);
        }
        if let Some(detail) = detail {
            self.detail(indent, detail);
        }
        let repeat = match repeat {
            Repeat::Once => "never sent twice".to_owned(),
            Repeat::Idempotent => "may be sent again if its answer is lost".to_owned(),
            Repeat::Keyed(key) => format!("may be sent again under the key {key} if its answer is lost"),
        };
        self.block(indent, "deadline", &format!("{}; {repeat}", humantime::format_duration(*deadline)));
        // That a notice is taken for sent decides nothing.
        if let Some(assumed) = assumed.as_ref().filter(|_| !asked.request.call.is_notice()) {
            let shown = serde_json::from_value(assumed.shown.clone()).unwrap_or_else(|_| assumed.reply.clone());
            self.block(indent, "assumes", &words::reply(&shown));
        }
    }

    fn part(&mut self, indent: usize, part: &'a Part, call: &Call) {
        if !matches!(call, Call::Notify(_)) || part.name != "text" {
            return self.block(indent, &part.name, &part.text);
        }
        match self.told.get(part.text.as_str()) {
            Some(first) => {
                let same = format!("the same as of {first}");
                self.block(indent, "text", &same);
            }
            None => {
                self.told.insert(&part.text, format!("change {} of {}", self.number, self.step));
                self.block(indent, "text", &part.text);
            }
        }
    }

    fn detail(&mut self, indent: usize, detail: &Detail) {
        let Detail { restores, notes, changes, takes_back, obstacle } = detail;
        if let Some(version) = restores {
            let version = self.version(version);
            self.block(indent, "restores", &version);
        }
        for note in notes {
            self.block(indent, "which is", note);
        }
        let more = |more: usize, what: &str| (more > 0).then(|| format!("and {more} more {what}"));
        let mut lines: Vec<_> = changes.first.iter().map(changed).collect();
        lines.extend(more(changes.more, "paths"));
        if lines.is_empty() && restores.is_some() && takes_back.is_empty() {
            lines.push("nothing: it is so already".to_owned());
        }
        self.items(indent, "differs", &lines);
        let mut lines: Vec<_> = takes_back.first.iter().map(|version| self.version(version)).collect();
        lines.extend(more(takes_back.more, "commits"));
        self.items(indent, "takes back", &lines);
        if let Some(obstacle) = obstacle {
            let indent = indent + self.inner();
            self.page.note(indent, Span::Bad("WOULD BE REFUSED: "), obstacle);
        }
    }

    /// `commit 9c1f0d2 (v1.4.2) "Publish", Marta Vidal, 2026-11-10 14:03:22 +00:00, 12 days ago`
    fn version(&self, version: &Version) -> String {
        let Version { name, title, by, at } = version;
        let title = if title.is_empty() { String::new() } else { format!(" \"{title}\"") };
        let by = if by.is_empty() { String::new() } else { format!(", {by}") };
        let at = at.map(|at| self.when(at)).unwrap_or_default();
        format!("{name}{title}{by}{at}")
    }

    pub(super) fn when(&self, at: Timestamp) -> String {
        let date = date_time(at, &self.page.style.zone);
        match self.view.now {
            Some(now) => format!(", {date}, {}", age(at, now)),
            None => format!(", {date}"),
        }
    }

    /// Something of a call: beside its name, or below it if it has several lines.
    fn block(&mut self, indent: usize, name: &str, text: &str) {
        let indent = indent + self.inner();
        let text = text.trim_end();
        if text.contains('\n') {
            self.page.line(indent, &[Span::Dim(&format!("{name}:"))]);
            self.page.prose(indent + 2, text);
        } else {
            self.page.note(indent, Span::Dim(&format!("{name}: ")), text);
        }
    }

    /// Several things of a call: the first beside their name if it is the only one.
    fn items(&mut self, indent: usize, name: &str, items: &[String]) {
        match items {
            [] => {}
            [one] => self.block(indent, name, one),
            several => {
                let indent = indent + self.inner();
                self.page.line(indent, &[Span::Dim(&format!("{name}:"))]);
                for item in several {
                    self.page.note(indent + 2, Span::Plain(""), item);
                }
            }
        }
    }

    fn inner(&self) -> usize {
        if self.page.is_narrow() { 2 } else { LABEL_COLUMNS }
    }
}

/// A call that changes nothing, as one line.
fn in_short(asked: &Asked) -> String {
    words::request_as(&asked.request, &asked.summary)
}

/// `src/a.ts modified, +3 -1`
fn changed(changed: &Changed) -> String {
    let Changed { name, change, counts } = changed;
    match counts {
        Some((added, removed)) => format!("{name} {change}, +{added} -{removed}"),
        None => format!("{name} {change}"),
    }
}

/// A change as somebody would tell it. All that varies comes from what an approval binds, so that
/// nobody reads one thing and agrees to another.
fn in_words(request: &Request, listed: &Listed) -> String {
    let Listed { connection, operation, target } = listed;
    match (&request.call, operation.as_str()) {
        (Call::Http(_), _) => format!("sends {operation} {target} to {connection}"),
        (Call::Git(_), "restore") => format!("restores {target} in the working copy {connection}"),
        (Call::Git(_), "reset") => format!("moves branch, index and files of {connection} to {target}"),
        (Call::Git(_), "revert") => format!("commits the opposite of {target} in {connection}"),
        (Call::Git(_), "commit") => format!("commits {target} in {connection}"),
        (Call::Git(_), "push") => format!("moves the remote branch {target} from {connection}"),
        (Call::Git(_), _) => format!("{operation} {target} in {connection}"),
        (Call::Sql(_), "dump") => format!("dumps the database of {connection}"),
        (Call::Sql(_), "restore") => format!("restores {target} into a new database beside {connection}"),
        (Call::Sql(_), "swap") => format!("ends all sessions of {connection} and puts {target} in its place"),
        (Call::Sql(_), "drop-database") => format!("drops the database {target} beside {connection}"),
        (Call::Sql(_), "delete-backup") => format!("deletes the backup {target} of {connection}"),
        (Call::Docker(_), "stop") => format!("stops {target} by {connection}"),
        (Call::Docker(_), "start") => format!("starts {target} by {connection}"),
        (Call::Docker(_), "restart") => format!("restarts {target} by {connection}"),
        (Call::Docker(_), _) => format!("runs a program by {connection} in {target}"),
        // The statement stands below as it is.
        (Call::Sql(_), _) => {
            format!("executes {} in {connection}", target.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        (Call::Command(_), _) if target.is_empty() => format!("runs the program {connection}"),
        (Call::Command(_), _) => format!("runs the program {connection} with {target}"),
        (Call::Notify(_), _) => format!("tells people through {connection}: \"{target}\""),
    }
}
