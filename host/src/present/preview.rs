//! The preview: what somebody agrees to. Nothing in it is cut, and nothing in it changes from one time
//! to the next unless the run would.

use std::collections::{BTreeMap, BTreeSet};

use crate::capability::Call;
use crate::journal::{Listed, Request};
use crate::pipeline::{HOLE, Previewed};
use crate::runner::{Branch, BranchEnd, PreviewReport, When};

use super::Style;
use super::page::{Page, Span};
use super::text::count;
use super::words;

/// What a run would do, for the person who has to say yes to it.
pub fn preview(report: &PreviewReport, style: &Style) -> String {
    let mut page = Page::new(style);
    page.line(0, &[Span::Title(&format!("Preview of {} on {}", report.plan, report.target))]);
    page.gap();
    page.prose(
        0,
        "Nothing has been changed. What is marked `reads` was really read just now; what is marked CHANGES is what a \
         run would do.",
    );
    let mut writer = Writer { page, number: 0, depths: BTreeMap::new(), told: BTreeMap::new() };
    for branch in &report.branches {
        writer.branch(branch);
    }
    summary(&mut writer.page, report);
    writer.page.finish()
}

struct Writer<'a> {
    page: Page<'a>,
    /// The number of the last change.
    number: usize,
    /// How deep each step stands: a fallback below its step.
    depths: BTreeMap<&'a str, usize>,
    /// The texts of notices, by the number of the first that has it: most often all channels get one.
    told: BTreeMap<&'a str, usize>,
}

impl<'a> Writer<'a> {
    fn branch(&mut self, branch: &'a Branch) {
        let depth = |step: &str| self.depths.get(step).copied().unwrap_or(0);
        let (depth, condition) = match &branch.when {
            When::Always => (0, String::new()),
            When::InsteadOf(step) => (depth(step) + 1, format!("if {step} fails: ")),
            When::Undone => (depth(&branch.step) + 1, String::new()),
        };
        let indent = 2 * depth;
        self.page.gap();
        if branch.when == When::Undone {
            self.page.line(indent, &[Span::Title(&format!("if {} is taken back:", branch.step))]);
        } else {
            self.depths.insert(&branch.step, depth);
            let step = format!("{condition}{}", branch.step);
            self.page.line(indent, &[Span::Title(&step), Span::Plain(": "), Span::Plain(&branch.title)]);
        }
        let indent = indent + 2;
        if let Some(ask) = &branch.gate {
            self.page.labelled(indent, Span::Change("   ASKS     "), ask);
        }
        for call in &branch.calls {
            self.call(indent, call);
        }
        if branch.calls.is_empty() && branch.end == BranchEnd::Whole {
            self.page.line(indent, &[Span::Dim("makes no call")]);
        }
        match &branch.end {
            BranchEnd::Whole => {}
            BranchEnd::Open(why) => {
                self.page.labelled(
                    indent,
                    Span::Bad("   UNKNOWN  "),
                    &format!("the preview could not see further: {why}"),
                );
            }
            BranchEnd::Fails(why) => {
                self.page.labelled(indent, Span::Bad("   FAILS    "), &format!("as things are now: {why}"));
            }
        }
    }

    fn call(&mut self, indent: usize, call: &'a Previewed) {
        match call {
            Previewed::Read { request, .. } => {
                self.page.line(indent, &[Span::Dim("   reads    "), Span::Dim(&words::request(request))]);
            }
            Previewed::Denied { request, why } => {
                self.page.line(indent, &[Span::Bad("   DENIED   "), Span::Plain(&words::request(request))]);
                self.page.prose(indent + 12, why);
            }
            Previewed::Mutation { request, listed, assumed, .. } => {
                self.number += 1;
                let number = format!("{:>2} ", self.number);
                self.page.line(
                    indent,
                    &[Span::Plain(&number), Span::Change("CHANGES  "), Span::Plain(&in_words(request, listed))],
                );
                let exactly = [&listed.operation, &listed.target, &listed.connection].map(String::as_str);
                let exactly = exactly.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
                let indent = indent + 12;
                self.page.line(indent, &[Span::Dim("exactly: "), Span::Plain(&exactly)]);
                self.payload(indent, request);
                // That a notice is taken for sent decides nothing.
                if let Some(assumed) = assumed.as_ref().filter(|_| !request.call.is_notice()) {
                    self.page.line(indent, &[Span::Dim("assumed reply: "), Span::Dim(&words::reply(assumed))]);
                }
            }
        }
    }

    /// What is sent along.
    fn payload(&mut self, indent: usize, request: &'a Request) {
        match &request.call {
            Call::Http(call) => {
                if let Some(body) = call.body.as_ref().filter(|body| !body.0.is_empty()) {
                    match std::str::from_utf8(&body.0) {
                        Ok(text) => self.page.line(indent, &[Span::Dim("with body: "), Span::Plain(text)]),
                        Err(_) => {
                            let bytes = count(body.0.len(), "byte", "bytes");
                            self.page.line(indent, &[Span::Dim("with body: "), Span::Plain(&bytes)]);
                        }
                    }
                }
            }
            Call::Notify(call) => match self.told.get(call.text.as_str()) {
                Some(first) => self.page.line(indent, &[Span::Dim(&format!("the same text as {first}"))]),
                None => {
                    self.told.insert(&call.text, self.number);
                    self.page.labelled(indent, Span::Dim("text: "), call.text.trim_end());
                }
            },
            Call::Git(_) | Call::Command(_) => {}
        }
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
        (Call::Command(_), _) if target.is_empty() => format!("runs the program {connection}"),
        (Call::Command(_), _) => format!("runs the program {connection} with {target}"),
        (Call::Notify(_), _) => format!("tells people through {connection}: \"{target}\""),
    }
}

/// How many changes, on how many connections.
pub(super) struct Changes {
    pub(super) always: usize,
    pub(super) only_if: usize,
    /// Of the changes that are made in any case, sorted.
    pub(super) connections: Vec<String>,
}

pub(super) fn changes(report: &PreviewReport) -> Changes {
    let (mut always, mut only_if, mut connections) = (0, 0, BTreeSet::new());
    for branch in &report.branches {
        for call in &branch.calls {
            let Previewed::Mutation { listed, .. } = call else { continue };
            if branch.when == When::Always {
                always += 1;
                connections.insert(listed.connection.clone());
            } else {
                only_if += 1;
            }
        }
    }
    Changes { always, only_if, connections: connections.into_iter().collect() }
}

fn summary(page: &mut Page<'_>, report: &PreviewReport) {
    let Changes { always, only_if, connections } = changes(report);
    let is_open = |branch: &Branch| branch.when == When::Always && matches!(branch.end, BranchEnd::Open(_));
    let at_least = if report.branches.iter().any(is_open) { "At least " } else { "" };
    let mut line = match always {
        0 => "No change".to_owned(),
        _ => {
            let on = count(connections.len(), "connection", "connections");
            format!("{at_least}{} on {on} ({})", count(always, "change", "changes"), connections.join(", "))
        }
    };
    if only_if == 0 {
        line.push('.');
    } else {
        line.push_str(&format!(" in any case, {only_if} more only if a step fails or is taken back."));
    }
    page.gap();
    page.prose(0, &line);
    if report.listed().iter().any(|listed| listed.target.contains(HOLE)) {
        page.prose(0, &format!("{HOLE} stands for a value that is known only once the changes before it are made."));
    }
    let open = report.branches.iter().any(|branch| matches!(branch.end, BranchEnd::Open(_)));
    if open || always + only_if > 0 {
        page.prose(0, "A change that is not on this list is not made without asking first.");
    }
    if let Some((step, _)) = report.failure() {
        page.labelled(0, Span::Bad("FAILS  "), &format!("as things are now, step {step} fails: see above."));
    }
    page.line(0, &[Span::Title("approval: "), Span::Plain(&report.digest().to_string())]);
}
