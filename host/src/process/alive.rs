//! What still runs that was left behind by a supervisor.

use std::collections::HashSet;
use std::path::Path;

use rustix::process::Pid;

/// The process groups that run in the session of a supervisor that is gone: all that its program and
/// what that started has not taken out of it on purpose.
///
/// Process ids are reused, but not as long as they name a session or a group that has members. So
/// what is in the session is the supervisor's own, unless something runs under the supervisor's id:
/// that got it later.
pub(super) fn groups(session: u32) -> HashSet<Pid> {
    if Stat::of(session).is_some_and(|stat| stat.runs) {
        return HashSet::new();
    }
    let Ok(entries) = Path::new("/proc").read_dir() else { return HashSet::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let members = pids.filter_map(Stat::of).filter(|stat| stat.runs && stat.session == session);
    members.filter_map(|stat| Pid::from_raw(stat.group)).collect()
}

/// The machine's boot: what was written since then can be read, whether it is on the disk or not.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Where and since when process ids mean what they mean: the machine's boot, and the container.
pub(super) fn realm() -> String {
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot(), namespace.display())
}

/// What is needed of `/proc/PID/stat`; see proc_pid_stat(5).
struct Stat {
    /// A zombie does not.
    runs: bool,
    group: i32,
    session: u32,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        // The second field is the program's name, in parentheses, which may hold spaces, parentheses
        // and bytes that are no text.
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let after_name = bytes.rsplit(|&byte| byte == b')').next()?;
        let mut fields = std::str::from_utf8(after_name).ok()?.split_ascii_whitespace();
        let runs = !matches!(fields.next()?, "Z" | "X");
        let _parent = fields.next()?;
        Some(Self { runs, group: fields.next()?.parse().ok()?, session: fields.next()?.parse().ok()? })
    }
}
