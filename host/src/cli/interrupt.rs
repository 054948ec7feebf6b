//! Wishes to stop: Ctrl-C, SIGTERM, a closed terminal, output that nobody reads.

use std::fmt;
use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit::Fault;
use super::screen;

/// What the person, or the system, wants of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing.
    GoOn,
    /// To pause at the next durable point.
    Pause(Cause),
    /// To stop at once; what is under way is left in doubt.
    StopNow,
}

/// Why a run is to pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Interrupted,
    Terminated,
    HungUp,
    Unread,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "it was interrupted (Ctrl-C)",
            Self::Terminated => "it was told to stop (SIGTERM)",
            Self::HungUp => "its terminal was closed",
            Self::Unread => "nobody reads what it says any more",
        })
    }
}

impl Wish {
    /// Ctrl-C and SIGTERM count each time. A terminal that closes sends its signal twice (the shell's and
    /// the kernel's) and nobody has asked for more than a pause.
    fn after(self, cause: Cause) -> Self {
        match (self, cause) {
            (Self::GoOn, cause) => Self::Pause(cause),
            (Self::Pause(_) | Self::StopNow, Cause::Interrupted | Cause::Terminated) => Self::StopNow,
            (wish, Cause::HungUp | Cause::Unread) => wish,
        }
    }
}

/// The wishes to stop that this process has got. From the first one of these on, a signal does not end
/// the process any more.
pub(super) struct Interrupts {
    wish: watch::Sender<Wish>,
}

impl Interrupts {
    /// Begins to listen. A signal that this process was started to ignore (`nohup`) stays ignored.
    pub(super) fn listen() -> Self {
        let wish = watch::Sender::new(Wish::GoOn);
        let kinds = [
            (SignalKind::interrupt(), Cause::Interrupted),
            (SignalKind::terminate(), Cause::Terminated),
            (SignalKind::hangup(), Cause::HungUp),
        ];
        for (kind, cause) in kinds.into_iter().filter(|(kind, _)| !is_ignored(*kind)) {
            // Without a handler the signal ends the process, which is what the journal is for.
            let Ok(mut signals) = signal(kind) else { continue };
            let wish = wish.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    wish.send_modify(|wish| *wish = wish.after(cause));
                }
            });
        }
        let unread = wish.clone();
        screen::when_unread(move || {
            unread.send_if_modified(|wish| {
                let before = std::mem::replace(wish, wish.after(Cause::Unread));
                before != *wish
            });
        });
        Self { wish }
    }

    /// Tells of each further wish, beginning with the one that holds.
    pub(super) fn wishes(&self) -> watch::Receiver<Wish> {
        let mut wishes = self.wish.subscribe();
        wishes.mark_changed();
        wishes
    }

    /// What is done before a run begins is given up at the first wish.
    pub(super) async fn before_the_run<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        let mut wishes = self.wish.subscribe();
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = wishes.wait_for(|wish| *wish != Wish::GoOn) => {
                let cause = match *self.wish.borrow() {
                    Wish::Pause(cause) => cause,
                    Wish::GoOn | Wish::StopNow => Cause::Interrupted,
                };
                Err(Fault::wrong(format!("{cause}, and no run has begun: nothing was touched")))
            }
        }
    }
}

/// Whether a signal was set to be ignored by whoever started this process. Only Linux tells.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (kind.as_raw_value() - 1) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_ctrl_c_stops_at_once_and_a_second_hangup_does_not() {
        use Cause::*;
        for (causes, wish) in [
            (&[][..], Wish::GoOn),
            (&[Interrupted], Wish::Pause(Interrupted)),
            (&[Interrupted, Interrupted], Wish::StopNow),
            (&[Terminated, Interrupted], Wish::StopNow),
            (&[HungUp, HungUp, Unread], Wish::Pause(HungUp)),
            (&[Unread, Terminated], Wish::StopNow),
            (&[Interrupted, HungUp], Wish::Pause(Interrupted)),
            (&[Interrupted, Interrupted, HungUp], Wish::StopNow),
        ] {
            assert_eq!(causes.iter().fold(Wish::GoOn, |wish, &cause| wish.after(cause)), wish, "{causes:?}");
        }
    }
}
