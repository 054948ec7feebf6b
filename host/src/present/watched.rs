//! What is going to be watched, for the person who is asked whether it should be.

use std::time::Duration;

use crate::journal::{AlertShape, Then, TriggerShape, WatchShape};

use super::Style;
use super::page::{Page, Span};
use super::text::{count, pad, width};

/// The window, what happens when a trigger trips, and each trigger with its limits.
pub fn watched(watch: &WatchShape, style: &Style) -> String {
    let mut page = Page::new(style);
    let then = match (watch.then, watch.expires_ms) {
        (Then::Run, _) => "the changes are made at once when a trigger trips".to_owned(),
        (Then::Ask, None) => "when a trigger trips a person is asked".to_owned(),
        (Then::Ask, Some(ms)) => {
            format!("when a trigger trips a person is asked; no answer in {} counts as no", of(ms))
        }
    };
    page.labelled(0, Span::Title("Watches first"), &format!(", for {}: {then}", of(watch.window_ms)));
    let ids = watch.triggers.iter().map(|trigger| &trigger.id).chain(watch.alerts.iter().map(|trigger| &trigger.id));
    let columns = ids.map(|id| width(id)).max().unwrap_or(0);
    for trigger in &watch.triggers {
        page.labelled(2, Span::Plain(&format!("{}  ", pad(&trigger.id, columns))), &words(trigger));
    }
    for AlertShape { id, title, severity, labels } in &watch.alerts {
        let severity = severity.as_ref().map(|severity| format!(" (severity {severity})")).unwrap_or_default();
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let words = format!("{title}{severity}; trips at an alert with {}", labels.join(", "));
        page.labelled(2, Span::Plain(&format!("{}  ", pad(id, columns))), &words);
    }
    page.finish()
}

fn words(trigger: &TriggerShape) -> String {
    let TriggerShape { title, severity, interval_ms, initial_delay_ms, count: enough, failure_limit, .. } = trigger;
    let severity = severity.as_ref().map(|severity| format!(" (severity {severity})")).unwrap_or_default();
    let delay = if *initial_delay_ms == 0 { String::new() } else { format!(" after {}", of(*initial_delay_ms)) };
    let often = match enough {
        None => format!("every {}{delay}", of(*interval_ms)),
        Some(enough) => {
            let times = count(usize::try_from(*enough).unwrap_or(usize::MAX), "time", "times");
            format!("{times}, every {}{delay}", of(*interval_ms))
        }
    };
    let failures = usize::try_from(*failure_limit).unwrap_or(usize::MAX).saturating_add(1);
    format!("{title}{severity}; measured {often}, trips at failure {failures}")
}

fn of(ms: u64) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_millis(ms))
}
