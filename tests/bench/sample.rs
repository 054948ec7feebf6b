//! Measuring two sides by turns.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What one side took, in the order of measuring.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted
    }

    pub(crate) fn median(&self) -> Duration {
        self.sorted()[self.0.len() / 2]
    }

    /// As `median (min–max) ms`, with units of this size.
    pub(crate) fn show(&self, unit: Unit) -> String {
        let sorted = self.sorted();
        let number = |took: &Duration| unit.number(*took);
        format!(
            "{} ({}–{}) {}",
            number(&self.median()),
            number(sorted.first().unwrap()),
            number(sorted.last().unwrap()),
            unit.name()
        )
    }
}

/// In what a duration is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
        }
    }

    pub(crate) fn number(self, took: Duration) -> String {
        let number = match self {
            Self::Milliseconds => took.as_secs_f64() * 1e3,
            Self::Microseconds => took.as_secs_f64() * 1e6,
        };
        if number >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") }
    }
}

/// Lets each side take its turn, so many rounds, after one that does not count. A side measures itself:
/// what it has to put in order before is nobody's time.
pub(crate) fn by_turns<const SIDES: usize>(
    what: &str,
    rounds: usize,
    mut sides: [&mut dyn FnMut() -> Duration; SIDES],
) -> [Sample; SIDES] {
    let mut samples = std::array::from_fn(|_| Sample::default());
    for round in 0..=rounds {
        progress(&format!("{what}: round {round} of {rounds}"));
        for (side, sample) in sides.iter_mut().zip(&mut samples) {
            let took = side();
            if round > 0 {
                sample.add(took);
            }
        }
    }
    progress("");
    samples
}

/// What something takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// One line on a terminal that is written over by the next.
pub(crate) fn progress(line: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{line}");
        let _ = stderr.flush();
    }
}
