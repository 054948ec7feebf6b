//! `[watch]` and `[[trigger]]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{EVERY, EXPIRES, Reader, TIMEOUT, below};
use crate::diagnostic::Diagnostic;
use crate::document::{Segment, segments};
use crate::journal::{Then, WATCH};
use crate::plan::raw::{RawAlertTrigger, RawTrigger, RawWatch};
use crate::plan::{AlertTrigger, Trigger, WINDOW, Watch};

/// What the time before a first measurement may be.
const INITIAL_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 60 * 60);
/// How often a trigger is measured unless it says otherwise.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long one measurement may take unless it says otherwise: the others wait for it.
const MEASUREMENT: Duration = Duration::from_secs(60);
/// Argo Rollouts' own.
const CONSECUTIVE_ERROR_LIMIT: u32 = 4;

impl Reader<'_> {
    pub(super) fn watch(&mut self, raw: Option<RawWatch>, table: &DeTable<'_>) -> Watch {
        let Some(RawWatch { window, then, expires }) = raw else { return Watch::default() };
        let watch = Watch { window: window.unwrap_or(Watch::default().window), then, expires };
        self.in_range(&segments![WATCH, "window"], window, WINDOW);
        self.in_range(&segments![WATCH, "expires"], expires, EXPIRES);
        if watch.then == Then::Run && expires.is_some() {
            let help = "take `expires` out, or write `then = \"ask\"`".to_owned();
            self.note(&segments![WATCH, "expires"], "`expires` says nothing where nobody is asked".to_owned(), help);
        }
        if !table.contains_key("trigger") {
            let help = "add one: `[[trigger]]`; or take `[watch]` out";
            let diagnostic = Diagnostic::error("`[watch]` says nothing without a trigger");
            self.wrong.push(diagnostic.at(self.document.key(&segments![WATCH])).help(help));
        }
        watch
    }

    pub(super) fn trigger(&mut self, index: usize, value: &Spanned<DeValue<'_>>, window: Duration) -> Option<Trigger> {
        let at = segments!["trigger", index];
        let known = self.outline.known_before_the_steps();
        let with = self.with(&at, value, &known);
        let raw: RawTrigger = self.document.read(value.clone(), &mut self.wrong)?;

        self.id(&at, &raw.id);
        self.title(&at, &raw.title);
        self.in_range(&below(&at, ["interval"]), raw.interval, EVERY);
        self.in_range(&below(&at, ["initial-delay"]), raw.initial_delay, INITIAL_DELAY);
        self.in_range(&below(&at, ["timeout"]), raw.timeout, TIMEOUT);
        self.can_be_measured(&at, &raw, window);
        let expect = raw.expect.as_ref().and_then(|text| self.condition(&below(&at, ["expect"]), text, &known));
        let uses = self.uses(&below(&at, ["use"]), &raw.r#use)?;
        Some(Trigger {
            id: raw.id,
            title: raw.title.trim().to_owned(),
            severity: raw.severity,
            uses,
            bind: raw.bind,
            with: with?,
            expect,
            probe: raw.probe,
            interval: raw.interval.unwrap_or(INTERVAL),
            initial_delay: raw.initial_delay.unwrap_or_default(),
            count: raw.count,
            failure_limit: raw.failure_limit,
            inconclusive_limit: raw.inconclusive_limit,
            consecutive_error_limit: raw.consecutive_error_limit.unwrap_or(CONSECUTIVE_ERROR_LIMIT),
            timeout: raw.timeout.unwrap_or(MEASUREMENT),
            index,
        })
    }

    pub(super) fn alert_trigger(&mut self, index: usize, value: &Spanned<DeValue<'_>>) -> Option<AlertTrigger> {
        let at = segments!["trigger", index];
        let raw: RawAlertTrigger = self.document.read(value.clone(), &mut self.wrong)?;
        self.id(&at, &raw.id);
        self.title(&at, &raw.title);
        if raw.alert.is_empty() {
            let help = "write which one:  alert = { alertname = \"HighErrorRate\" }".to_owned();
            self.note(&below(&at, ["alert"]), "any alert at all would trip it".to_owned(), help);
        }
        let RawAlertTrigger { id, title, severity, alert } = raw;
        Some(AlertTrigger { id, title: title.trim().to_owned(), severity, labels: alert })
    }

    fn title(&mut self, at: &[Segment], title: &str) {
        if title.trim().is_empty() {
            let help = "write the condition that it stands for, in the words of the people who have to decide";
            self.note(&below(at, ["title"]), "`title` is empty".to_owned(), help.to_owned());
        }
    }

    fn can_be_measured(&mut self, at: &[Segment], raw: &RawTrigger, window: Duration) {
        if raw.initial_delay.is_some_and(|delay| delay >= window) {
            let message = "it would never be measured: the window is over by then".to_owned();
            let help = format!("the window is {}; write less, or a longer one in `[watch]`", in_words(window));
            self.note(&below(at, ["initial-delay"]), message, help);
        }
        match raw.count {
            Some(0) => {
                let help = "take `count` out to measure until the window is over".to_owned();
                self.note(&below(at, ["count"]), "0 measurements say nothing".to_owned(), help);
            }
            Some(count) if raw.failure_limit >= count => {
                let limit = raw.failure_limit;
                let message = format!("it can never trip: {limit} failures are allowed in {count} measurements");
                let help = "it trips with one failure more than `failure-limit`: write less, or a higher `count`";
                self.note(&below(at, ["failure-limit"]), message, help.to_owned());
            }
            _ => {}
        }
    }
}

fn in_words(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(duration)
}
