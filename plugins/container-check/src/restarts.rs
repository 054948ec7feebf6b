//! Whether a container stays up.

use ripcord_plugin::Span;
use ripcord_plugin::docker::Container;

use crate::Finding;

/// How long one that was restarted has to run to count as quiet: the longest that the engine waits before a
/// restart.
pub(crate) const SETTLED: Span = Span::seconds(60);

/// Whether it was restarted too often between two looks.
pub(crate) fn within(first: &Container, second: &Container, window: Span, max: u64) -> Option<Finding> {
    let name = &second.name;
    if first.id != second.id {
        return Some(Finding::Unsettled(format!("{name} was replaced by another container within {window}")));
    }
    // A start by hand sets the engine's count back.
    let began_anew = u64::from(first.started_at != second.started_at);
    let seen = second.restarts.saturating_sub(first.restarts).max(began_anew);
    (seen > max).then(|| {
        Finding::Wrong(format!("{name} was restarted {} within {window}, expected {}", times(seen), at_most(max)))
    })
}

/// Whether it was restarted too often before its last start, and has not run for long since.
pub(crate) fn before(container: &Container, ran: Option<f64>, settled: Span, max: u64) -> Option<Finding> {
    let ran = ran.unwrap_or(0.0);
    if container.restarts <= max || ran >= settled.0.as_secs_f64() {
        return None;
    }
    let (name, seen) = (&container.name, times(container.restarts));
    Some(Finding::Wrong(format!(
        "the engine has restarted {name} {seen}, and it runs for {ran:.0} s since: expected {}, or {settled} of quiet",
        at_most(max)
    )))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn at_most(max: u64) -> String {
    match max {
        0 => "never".to_owned(),
        max => format!("at most {}", times(max)),
    }
}
