//! Points in time and durations, for people.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the machine's own zone stands.
const LOCALTIME: &str = "/etc/localtime";

/// The zone of whoever sits at this machine.
///
/// Unless `TZ` names another one, the machine's own file says all of it. Asked for the zone of the
/// system, jiff takes only the file's name, and walks through the whole database of zones to find that:
/// some hundreds of system calls at each start.
pub(crate) fn local_zone() -> TimeZone {
    static LOCAL: LazyLock<TimeZone> = LazyLock::new(|| {
        let is_named = std::env::var_os("TZ").is_some();
        let own = || TimeZone::tzif("Local", &std::fs::read(LOCALTIME).ok()?).ok();
        (!is_named).then(own).flatten().unwrap_or_else(TimeZone::system)
    });
    LOCAL.clone()
}

/// `18:03:12`
pub(crate) fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `2026-11-22 18:03`, for lists.
pub(crate) fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-22 18:03:12 +01:00`: readers of a report may be elsewhere.
pub fn date_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// How long it is from one to the other; nothing if a clock was put back in between.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// How long ago that was, in the one unit that matters: `12 days ago`.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = between(at, now).as_secs();
    let (number, unit) = match seconds {
        0..120 => return "just now".to_owned(),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        172_800..63_072_000 => (seconds / 86_400, "days"),
        _ => (seconds / 31_536_000, "years"),
    };
    format!("{number} {unit} ago")
}

/// As exact as a person needs it: `0.4 ms`, `34 ms`, `2.1 s`, `2m 5s`.
pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match duration.as_secs() {
        0 if micros < 1_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        0 => format!("{} ms", micros / 1_000),
        1..60 => format!("{:.1} s", (duration.as_millis() / 100) as f64 / 10.0),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}
