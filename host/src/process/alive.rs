//! Whether a process that somebody else started is still the one that it was.

use serde::{Deserialize, Serialize};

/// A process: its id, and when it began. The id alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// In clock ticks since the machine's boot.
    began_ticks: u64,
}

impl Process {
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        Some(Self { pid, began_ticks: stat.began_ticks })
    }

    /// A zombie has ended.
    pub(super) fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.runs && stat.began_ticks == self.began_ticks)
    }
}

/// Whether anything runs in a session whose leader is gone. It may be told of another session that
/// got the same id later: enough to wait for, not enough to end it.
pub(super) fn session_lives(session: u32) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else { return false };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Stat::of).any(|stat| stat.runs && u32::try_from(stat.session) == Ok(session))
}

/// A name for the time since the machine was started; empty where there is none.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What is needed of `/proc/PID/stat`; see proc_pid_stat(5).
struct Stat {
    runs: bool,
    session: i32,
    began_ticks: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        // The second field is the program's name, in parentheses, which may hold spaces, parentheses
        // and bytes that are no text.
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let after_name = bytes.rsplit(|&byte| byte == b')').next()?;
        let fields: Vec<&str> = std::str::from_utf8(after_name).ok()?.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            runs: !matches!(field(3)?, "Z" | "X"),
            session: field(6)?.parse().ok()?,
            began_ticks: field(22)?.parse().ok()?,
        })
    }
}
