//! The preview: what somebody agrees to. Nothing in it is cut, and nothing in it changes from one time
//! to the next unless the run would, or what it rests on has.

mod call;
mod notices;
mod summary;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::journal::{CheckOutcome, GoodState, OnFailure};
use crate::runner::{
    Branch, BranchEnd, Outlook, PreviewReport, PreviewedCheck, PreviewedFollowUp, PreviewedGate, PreviewedPlugin,
    PreviewedProbe, PreviewedStep, When,
};

use super::Style;
use super::page::{Page, Span};

pub(super) use summary::changes;

/// How many of the target's good states are shown.
const GOOD_STATES_SHOWN: usize = 3;

/// How wide the column of labels is, where there is one.
const LABEL_COLUMNS: usize = 13;

/// How somebody looks at a preview.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Whether the answers to reads are shown whole.
    pub verbose: bool,
    /// The reader's time, for how long ago something was. Without it only dates are given, which stay
    /// the same: for texts that are compared.
    pub now: Option<Timestamp>,
    /// The command that runs exactly this, if there is one yet.
    pub run: Option<String>,
}

/// What a run would do, for the person who has to say yes to it.
pub fn preview(report: &PreviewReport, view: &View, style: &Style) -> String {
    let mut writer = Writer {
        page: Page::new(style),
        report,
        view,
        depths: BTreeMap::new(),
        told: BTreeMap::new(),
        step: "",
        number: 0,
    };
    writer.head();
    for branch in &report.branches {
        writer.branch(branch);
    }
    writer.probing_triggers();
    writer.verification();
    writer.notices();
    writer.summary();
    writer.page.finish()
}

struct Writer<'a> {
    page: Page<'a>,
    report: &'a PreviewReport,
    view: &'a View,
    /// How deep each step stands: a fallback below its step.
    depths: BTreeMap<&'a str, usize>,
    /// The texts of notices, with where each stood first: most often all channels get one.
    told: BTreeMap<&'a str, String>,
    /// Where it is: the step, and the number of the last change of this branch. Each branch counts for
    /// itself, so that one change more leaves the other branches' lines as they were.
    step: &'a str,
    number: usize,
}

impl<'a> Writer<'a> {
    fn field(&mut self, indent: usize, name: &str, text: &str) {
        self.page.column(indent, Span::Dim(name), LABEL_COLUMNS, text);
    }

    fn fields(&mut self, indent: usize, name: &str, items: &[String]) {
        if !items.is_empty() {
            self.page.list(indent, Span::Dim(name), LABEL_COLUMNS, items);
        }
    }

    fn head(&mut self) {
        let report = self.report;
        match &report.follow_up {
            None => self.page.note(0, Span::Title("Preview of "), &format!("{} on {}", report.plan, report.target)),
            Some(PreviewedFollowUp { run, item, what, .. }) => {
                let of = format!("{item} on {}, a follow-up of run {run}: {what}", report.target);
                self.page.note(0, Span::Title("Preview of "), &of);
            }
        }
        self.page.gap();
        let would = if report.follow_up.is_some() { "it would do" } else { "a run would do" };
        let about = format!(
            "Nothing has been changed. What is marked `reads` was really read just now; what is marked CHANGES is \
             what {would}."
        );
        self.page.prose(0, &about);
        self.page.gap();
        self.field(0, "plan", &report.plan_path);
        let behind = report.follow_up.as_ref().map_or(&[][..], |follow_up| follow_up.behind.as_slice());
        self.fields(
            0,
            "done before",
            &behind.iter().map(|done| format!("{done} (not done again)")).collect::<Vec<_>>(),
        );
        let params: Vec<_> = report.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        self.fields(0, "parameters", &params);
        let good = report.good_states.iter().take(GOOD_STATES_SHOWN).map(|good| self.good_state(good));
        let good: Vec<_> = good.collect();
        self.fields(0, "known good", &good);
        self.field(0, "rules", &report.operator_path);
    }

    /// `version 1.4.2, commit 9c1f…: verified in run 20261119-101500-k7qm, 3 days ago`
    fn good_state(&self, good: &GoodState) -> String {
        let facts = good.state.as_object().into_iter().flatten().map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            value => format!("{name} {value}"),
        });
        let facts = facts.collect::<Vec<_>>().join(", ");
        format!("{facts}: verified in run {}{}", good.run, self.when(good.at))
    }

    fn branch(&mut self, branch: &'a Branch) {
        let Some(step) = self.report.step(&branch.step) else { return };
        let depth = |id: &str| self.depths.get(id).copied().unwrap_or(0);
        let depth = match &branch.when {
            When::Always => 0,
            When::InsteadOf(failed) => depth(failed) + 1,
            When::Undone => depth(&branch.step) + 1,
        };
        (self.step, self.number) = (&branch.step, 0);
        let indent = 2 * depth;
        self.page.gap();
        self.heading(indent, branch, step);
        let indent = indent + 2;
        if branch.when != When::Undone {
            self.depths.insert(&branch.step, depth);
            self.about(indent, step);
        }
        self.calls(indent, &branch.calls, &branch.end);
        self.end(indent, branch, step);
        if branch.when != When::Undone && !step.can_undo && branch.calls.iter().any(is_effect) {
            self.field(indent, "no way back", "its plugin can't take back what it did.");
        }
    }

    fn heading(&mut self, indent: usize, branch: &Branch, step: &PreviewedStep) {
        let id = &branch.step;
        if branch.when == When::Undone {
            let heading = format!("if {id} is taken back");
            let how = match branch.outlook {
                Outlook::Taken => ", as it is if things stay as they are:",
                Outlook::OnlyIf | Outlook::NotReached => ", by `ripcord undo` or `abort`:",
            };
            return self.page.note(indent, Span::Title(&heading), how);
        }
        self.page.note(indent, Span::Title(id), &format!(": {}", step.plugin.title));
        let indent = indent + 2;
        match (&branch.when, branch.outlook) {
            (_, Outlook::NotReached) => {
                let why = "as things are: a step before it fails. It is listed because it may be well by then.";
                self.page.column(indent, Span::Bad("NOT REACHED"), LABEL_COLUMNS, why);
            }
            (When::InsteadOf(failed), Outlook::Taken) => {
                let why = format!("{failed} fails as things are: so this is what a run would do.");
                self.page.column(indent, Span::Change("STANDS IN"), LABEL_COLUMNS, &why);
            }
            (When::InsteadOf(failed), Outlook::OnlyIf) => {
                self.field(indent, "only if", &format!("{failed} ends without success"));
            }
            (When::Always | When::Undone, _) => {}
        }
    }

    /// What the plan says of a step.
    fn about(&mut self, indent: usize, step: &PreviewedStep) {
        self.field(indent, "plugin", &format!("{}. {}", step.plugin.plugin, step.plugin.description));
        self.binds(indent, &step.plugin);
        let then = match step.on_failure {
            OnFailure::Halt => "it halts, and keeps what was done",
            OnFailure::Undo => "all that was done is taken back",
        };
        let stand_in = self.report.steps.iter().find(|other| other.fallback.as_deref() == Some(&step.id));
        let then = match stand_in {
            Some(stand_in) => format!("{} stands in for it", stand_in.id),
            None => then.to_owned(),
        };
        let within = humantime::format_duration(step.plugin.timeout);
        self.field(indent, "timeout", &format!("{within}. If it fails: {then}."));
        if let Some(gate) = &step.gate {
            self.page.column(indent, Span::Change("ASKS"), LABEL_COLUMNS, &gate_in_words(gate));
        }
    }

    fn binds(&mut self, indent: usize, plugin: &PreviewedPlugin) {
        let binds = plugin.binds.iter().map(|bound| format!("{} → {}: {}", bound.role, bound.connection, bound.place));
        self.fields(indent, "binds", &binds.collect::<Vec<_>>());
    }

    fn end(&mut self, indent: usize, branch: &Branch, step: &PreviewedStep) {
        match &branch.end {
            BranchEnd::Whole => {}
            BranchEnd::Open(why) => {
                let why = format!("the preview could not see further: {why}");
                self.page.column(indent, Span::Bad("UNKNOWN"), LABEL_COLUMNS, &why);
            }
            BranchEnd::Fails(why) => {
                let ends = self.report.failure().is_some_and(|(failed, _)| failed == step.id);
                let then = match (branch.outlook, step.on_failure) {
                    (Outlook::Taken, OnFailure::Halt) if ends => "\nA run would halt here, and keep what was done.",
                    (Outlook::Taken, OnFailure::Undo) if ends => "\nA run would take back here what was done.",
                    _ => "",
                };
                let why = format!("as things are now: {why}{then}");
                self.page.column(indent, Span::Bad("FAILS"), LABEL_COLUMNS, &why);
            }
        }
    }

    fn probing_triggers(&mut self) {
        if self.report.probing_triggers.is_empty() {
            return;
        }
        self.page.gap();
        self.page.note(0, Span::Title("While it is watched"), ": these triggers do more than look.");
        for trigger in &self.report.probing_triggers {
            self.page.gap();
            self.page.note(0, Span::Title(&trigger.id), &format!(": {}", trigger.plugin.title));
            self.check(trigger);
        }
    }

    fn verification(&mut self) {
        if self.report.checks.is_empty() {
            return;
        }
        self.page.gap();
        self.page.note(0, Span::Title("Then it is verified"), ": a run that does not pass all of this halts.");
        for check in &self.report.checks {
            self.page.gap();
            self.page.note(0, Span::Title(&check.id), &format!(": {}", check.plugin.title));
            self.check(check);
        }
    }

    /// A check that does more than look.
    fn probe(&mut self, check: &'a PreviewedCheck, probe: &'a PreviewedProbe) {
        let about = "it does more than look, as the plan wants it. Each try does it again; it is no part of the \
                     rollback, and no undo takes it back.";
        self.page.column(2, Span::Change("PROBE"), LABEL_COLUMNS, about);
        (self.step, self.number) = (&check.id, 0);
        self.calls(2, &probe.calls, &probe.end);
        match &probe.end {
            BranchEnd::Whole => {}
            BranchEnd::Open(why) => {
                let why = format!("the preview could not see further: {why}");
                self.page.column(2, Span::Bad("UNKNOWN"), LABEL_COLUMNS, &why);
            }
            BranchEnd::Fails(why) => {
                let why = format!("as things are now, and a run would halt here: {why}");
                self.page.column(2, Span::Bad("FAILS"), LABEL_COLUMNS, &why);
            }
        }
    }

    fn check(&mut self, check: &'a PreviewedCheck) {
        self.field(2, "plugin", &check.plugin.plugin);
        self.binds(2, &check.plugin);
        if let Some(expect) = &check.expect {
            self.field(2, "expects", expect);
        }
        let one = humantime::format_duration(check.plugin.timeout);
        let tries = if check.within == Duration::ZERO {
            format!("once, for at most {one}")
        } else {
            let (within, every) = (humantime::format_duration(check.within), humantime::format_duration(check.every));
            format!("for {within}, every {every}")
        };
        self.field(2, "tried", &tries);
        if let Some(probe) = &check.probe {
            return self.probe(check, probe);
        }
        let Some(now) = &check.now else {
            return self.field(2, "now", "not asked");
        };
        let (look, text) = match now.outcome {
            CheckOutcome::Pass => (Span::Good("now"), format!("passes already: {}", now.summary)),
            CheckOutcome::Fail => {
                (Span::Dim("now"), format!("does not pass, as may be before the rollback: {}", now.summary))
            }
            CheckOutcome::Inconclusive => {
                (Span::Bad("now"), format!("could NOT be observed; if it stays so, the run will halt: {}", now.summary))
            }
        };
        self.page.column(2, look, LABEL_COLUMNS, &text);
    }
}

fn gate_in_words(gate: &PreviewedGate) -> String {
    match gate.expires {
        Some(expires) => {
            format!("{} (no answer within {} counts as no)", gate.ask, humantime::format_duration(expires))
        }
        None => format!("{} (it waits for an answer as long as it takes)", gate.ask),
    }
}

/// Whether it is a change that people are not only told of.
fn is_effect(call: &crate::pipeline::Previewed) -> bool {
    call.mutation().is_some_and(|mutation| !mutation.asked.request.call.is_notice())
}
