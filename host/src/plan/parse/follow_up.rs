//! `[[follow-up]]` and `[drift]`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{DAY, EVERY, EXPIRES, Reader, TIMEOUT, below};
use crate::diagnostic::{Diagnostic, listed, nearest};
use crate::document::{Segment, segments};
use crate::journal::Owner;
use crate::plan::follow_up::{DRIFT, INTERVAL};
use crate::plan::raw::{RawDrift, RawFollowUp};
use crate::plan::{Drift, FollowUp, FollowUpAction};

/// How long after the end something may be due.
const DUE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * DAY.as_secs());

impl Reader<'_> {
    pub(super) fn follow_up(
        &mut self,
        index: usize,
        value: &Spanned<DeValue<'_>>,
        people: &BTreeMap<String, String>,
    ) -> Option<FollowUp> {
        let at = segments!["follow-up", index];
        let outline = self.outline;
        let known = outline.known_in(outline.steps.len());
        let with = self.with(&at, value, &known);
        let raw: RawFollowUp = self.document.read(value.clone(), &mut self.wrong)?;

        self.id(&at, &raw.id);
        self.in_range(&below(&at, ["due"]), raw.due, DUE);
        if let Some(what) = &raw.what {
            let known = outline.known_before();
            self.template(&below(&at, ["what"]), what, &known);
        }
        let is_said = raw.what.as_ref().is_some_and(|what| !what.trim().is_empty());
        if raw.what.is_some() && !is_said {
            let help = "write what is to be done, in the words of the people who do it";
            self.note(&below(&at, ["what"]), "`what` is empty".to_owned(), help.to_owned());
        }
        let owner = raw.owner.as_ref().map(|owner| self.owner(&at, owner, people));
        let Some(uses) = &raw.r#use else {
            self.people_need_no_plugin(&at, value, raw.what.is_some());
            let what = raw.what.unwrap_or_default();
            return Some(FollowUp { id: raw.id, what, owner, due: raw.due, step: None });
        };
        self.in_range(&below(&at, ["timeout"]), raw.timeout, TIMEOUT);
        let retry = raw.retry.unwrap_or_default();
        self.retry(&at, &retry);
        if let Some(gate) = &raw.gate {
            self.in_range(&below(&at, ["gate", "expires"]), gate.expires, EXPIRES);
            self.template(&below(&at, ["gate", "ask"]), &gate.ask, &known);
        }
        let unread = outline.checks.is_empty() && outline.verifies;
        for (index, check) in raw.ends.iter().enumerate().filter(|_| !unread) {
            self.check_that_it_ends(&at, index, check);
        }
        let uses = self.uses(&below(&at, ["use"]), uses)?;
        let RawFollowUp { id, bind, gate, timeout, ends, due, .. } = raw;
        let what = raw.what.unwrap_or_else(|| id.clone());
        let step = Some(FollowUpAction { uses, bind, with: with?, gate, timeout, retry, ends });
        Some(FollowUp { id, what, owner, due, step })
    }

    pub(super) fn drift(&mut self, raw: Option<RawDrift>) -> Option<Drift> {
        let RawDrift { r#for: lasts, interval, failure_limit, probe } = raw?;
        self.in_range(&segments!["drift", "for"], Some(lasts), DRIFT);
        self.in_range(&segments!["drift", "interval"], interval, EVERY);
        if interval.is_some_and(|interval| interval >= lasts) {
            let help = "write less, or a longer `for`".to_owned();
            let message = "it would be looked only once: the time is over by then".to_owned();
            self.note(&segments!["drift", "interval"], message, help);
        }
        if !self.outline.verifies {
            let help = "add one: `[[verify]]`; or take `[drift]` out";
            let diagnostic = Diagnostic::error("`[drift]` says nothing without a check");
            self.wrong.push(diagnostic.at(self.document.key(&segments!["drift"])).help(help));
        }
        Some(Drift { lasts, interval: interval.unwrap_or(INTERVAL), failure_limit, probe })
    }

    /// A role of the plan's people, or a name that stands there: anything else is a slip.
    fn owner(&mut self, at: &[Segment], owner: &str, people: &BTreeMap<String, String>) -> Owner {
        if let Some(name) = people.get(owner) {
            let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            return Owner { role: Some(owner.to_owned()), name };
        }
        let named = || people.values().map(String::as_str).filter(|name| !name.trim().is_empty());
        if named().any(|name| name == owner) {
            return Owner { role: None, name: Some(owner.to_owned()) };
        }
        let known = || people.keys().map(String::as_str).chain(named());
        let message = format!("`{owner}` is no role of `[people]`, and no name that stands there");
        let help = match nearest(owner, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}; add whoever is missing to `[people]`", listed(known(), "none yet")),
        };
        self.note(&below(at, ["owner"]), message, help);
        Owner::default()
    }

    /// What people do has words, and nothing that only a plugin can do something with.
    fn people_need_no_plugin(&mut self, at: &[Segment], value: &Spanned<DeValue<'_>>, is_said: bool) {
        if !is_said {
            let diagnostic = Diagnostic::error("nobody knows what is to be done: it has neither `what` nor `use`");
            let help = "write `what = \"…\"` for people, or `use = \"…\"` for ripcord";
            self.wrong.push(diagnostic.at(self.document.value(&below(at, ["id"]))).help(help));
        }
        let table = value.get_ref().as_table();
        for key in ["bind", "with", "gate", "timeout", "retry", "ends"] {
            if table.is_some_and(|table| table.contains_key(key)) {
                let diagnostic = Diagnostic::error(format!("`{key}` says nothing where people do it"));
                let help = format!("add the plugin with which ripcord does it, `use = \"…\"`, or take `{key}` out");
                self.wrong.push(diagnostic.at(self.document.key(&below(at, [key]))).help(help));
            }
        }
    }

    fn check_that_it_ends(&mut self, at: &[Segment], index: usize, check: &str) {
        let checks = || self.outline.checks.iter().flatten().map(String::as_str);
        if checks().any(|known| known == check) {
            return;
        }
        let help = match nearest(check, checks()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the plan's checks: {}", listed(checks(), "none")),
        };
        let at = below(&below(at, ["ends"]), [index]);
        self.note(&at, format!("there is no check `{check}`"), help);
    }
}
