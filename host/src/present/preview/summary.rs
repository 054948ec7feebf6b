//! The end of a preview: what somebody agrees to, in a few lines.

use std::collections::BTreeMap;

use crate::runner::{BranchEnd, Outlook, PreviewReport, When};

use super::super::page::Span;
use super::super::text::count;
use super::super::words;
use super::{Writer, gate_in_words, is_effect};

/// How many changes, on which connections.
pub(in super::super) struct Changes {
    /// As things are now.
    pub(in super::super) taken: usize,
    /// If a step fails or is taken back.
    pub(in super::super) only_if: usize,
    /// Behind a step that fails as things are now.
    pub(in super::super) not_reached: usize,
    /// By checks that are probes.
    pub(in super::super) probes: usize,
    /// Notices of the plan, on all their occasions together.
    pub(in super::super) notices: usize,
    /// Of those that are made as things are now, how many on each connection.
    pub(in super::super) connections: BTreeMap<String, usize>,
}

pub(in super::super) fn changes(report: &PreviewReport) -> Changes {
    let probes = report.probes().flat_map(|probe| &probe.calls).filter(|call| call.listed().is_some()).count();
    let sent = report.sendings().flat_map(|sending| &sending.calls);
    let notices = sent.filter(|call| call.listed().is_some()).count();
    let mut changes = Changes { taken: 0, only_if: 0, not_reached: 0, probes, notices, connections: BTreeMap::new() };
    for branch in &report.branches {
        for listed in branch.calls.iter().filter_map(|call| call.listed()) {
            match branch.outlook {
                Outlook::Taken => {
                    changes.taken += 1;
                    *changes.connections.entry(listed.connection.clone()).or_default() += 1;
                }
                Outlook::OnlyIf => changes.only_if += 1,
                Outlook::NotReached => changes.not_reached += 1,
            }
        }
    }
    changes
}

impl Writer<'_> {
    pub(super) fn summary(&mut self) {
        let report = self.report;
        let Changes { taken, only_if, not_reached, probes, notices, connections } = changes(report);
        self.page.gap();
        self.page.line(0, &[Span::Title("In short")]);
        let is_open = |end: &BranchEnd| matches!(end, BranchEnd::Open(_));
        let open = report.branches.iter().any(|branch| branch.outlook == Outlook::Taken && is_open(&branch.end));
        let mut lines = vec![match taken {
            0 => "none, as things are".to_owned(),
            _ => {
                let at_least = if open { "at least " } else { "" };
                format!("{at_least}{taken}, as things are")
            }
        }];
        lines.extend(connections.iter().map(|(connection, number)| format!("  {number} on {connection}")));
        if only_if > 0 {
            lines.push(format!("{only_if} more only if a step fails or is taken back"));
        }
        if not_reached > 0 {
            lines.push(format!("{not_reached} more behind a step that fails as things are"));
        }
        if probes > 0 {
            lines.push(format!("{probes} more by probes, each time that one is made"));
        }
        if notices > 0 {
            lines.push(format!("{} to people, each on its occasion", count(notices, "notice", "notices")));
        }
        self.fields(2, "changes", &lines);
        let asks: Vec<_> = report
            .steps
            .iter()
            .filter_map(|step| Some(format!("before {}: {}", step.id, gate_in_words(step.gate.as_ref()?))))
            .collect();
        self.fields(2, "asks", &asks);
        if !report.secrets.is_empty() {
            self.field(2, "secrets", &report.secrets.join(", "));
        }
        let holds: Vec<_> = report.holds.iter().map(|resource| words::resource(resource)).collect();
        self.fields(2, "holds", &holds);
        let for_good = self.for_good();
        self.fields(2, "no way back", &for_good);
        if let Some((step, why)) = report.failure() {
            let fails = format!("as things are now, at step {step}: {why}");
            self.page.column(2, Span::Bad("FAILS"), super::LABEL_COLUMNS, &fails);
        }
        self.page.gap();
        if self.page.says("‹") {
            self.page.prose(0, "‹…› stands for a value that only the run itself will know.");
        }
        if report.branches.iter().any(|branch| is_open(&branch.end))
            || taken + only_if + not_reached + probes + notices > 0
        {
            self.page.prose(0, "A change that is not on this list is not made without asking first.");
        }
        self.page.line(0, &[Span::Title("approval: "), Span::Plain(&report.digest().to_string())]);
        if let Some(run) = &self.view.run {
            // To be pasted: in one piece.
            self.page.line(0, &[Span::Title("to run exactly this:")]);
            self.page.line(0, &[Span::Plain(run)]);
        }
    }

    /// What `ripcord undo` does not take back.
    fn for_good(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let branches = &self.report.branches;
        let notices = branches.iter().filter(|branch| branch.when != When::Undone).flat_map(|branch| &branch.calls);
        let notices = notices.filter_map(|call| call.mutation()).filter(|call| call.asked.request.call.is_notice());
        match notices.count() + changes(self.report).notices {
            0 => {}
            number => lines.push(format!("{}: nobody unreads a message", count(number, "notice", "notices"))),
        }
        for step in self.report.steps.iter().filter(|step| !step.can_undo) {
            let own = branches.iter().filter(|branch| branch.step == step.id).flat_map(|branch| &branch.calls);
            if own.clone().any(is_effect) {
                lines.push(format!("{}: {} has no undo", step.id, step.plugin.plugin));
            }
        }
        let undone = branches.iter().filter(|branch| branch.when == When::Undone);
        for branch in undone.filter(|branch| branch.end != BranchEnd::Whole) {
            lines.push(format!("{}: perhaps not all of it, see there", branch.step));
        }
        lines
    }
}
