//! When it failed, as a person says it.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Why a point in time is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// It is none.
    #[error(
        "`{0}` is no point in time that is understood; write it like 17:45 (the last time that it was), \
         \"2026-11-22 17:45\", 2026-11-22T17:45:00+01:00, or 25m (so long ago)"
    )]
    Unknown(String),
    /// It is still to come.
    #[error("`{0}` is still to come; say when it failed, not when it will")]
    Future(String),
}

/// A point in time that is over: a time of the day (the last one that was), a date and a time in
/// `zone`, a timestamp with its offset, or how long ago it was, `25m` or `25m ago`.
///
/// # Errors
/// [`SinceError`], if it is none of these, or still to come.
pub fn since(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, SinceError> {
    let text = text.trim();
    let unknown = || SinceError::Unknown(text.to_owned());
    let local = |moment: DateTime| zone.to_timestamp(moment).map_err(|_| unknown());
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Some(time) = time_of_day(text) {
        let today = now.to_zoned(zone.clone()).date();
        let at = local(today.to_datetime(time))?;
        if at <= now { at } else { local(today.checked_sub(1.day()).map_err(|_| unknown())?.to_datetime(time))? }
    } else if let Some(moment) = text.contains(':').then(|| text.parse::<DateTime>().ok()).flatten() {
        local(moment)?
    } else {
        let ago = text.strip_suffix("ago").unwrap_or(text).trim();
        let ago: Duration = humantime::parse_duration(ago).map_err(|_| unknown())?;
        now.checked_sub(ago).map_err(|_| unknown())?
    };
    if at > now { Err(SinceError::Future(text.to_owned())) } else { Ok(at) }
}

/// A date alone is none.
fn time_of_day(text: &str) -> Option<Time> {
    let is_time = text.len() >= 4 && text.chars().all(|character| character.is_ascii_digit() || character == ':');
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    if is_time && text.contains(':') { padded.parse().ok() } else { None }
}
