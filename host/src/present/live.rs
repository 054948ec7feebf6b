//! Progress on a terminal: one line for each step and check, and what it does right now.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::Timestamp;

use crate::id::ExecutionId;
use crate::journal::{Answer, Event, GateId, Purpose, Recorded, Shape, WATCH};
use crate::machine::State;

use super::board::{Mark, stand, units};
use super::narrate::unit_of;
use super::text::{clean, pad, width};
use super::time::between;
use super::words;

const TICK: Duration = Duration::from_millis(120);

/// The steps of a run on the terminal behind stderr, as they go. Off a terminal it draws nothing:
/// [`Narrator`](super::Narrator) is for there.
pub struct Live {
    progress: MultiProgress,
    target: fn() -> ProgressDrawTarget,
    board: Mutex<Board>,
}

struct Board {
    state: State,
    bars: BTreeMap<String, ProgressBar>,
    /// What each step did last, in words.
    doing: BTreeMap<String, String>,
    columns: usize,
    /// Somebody else writes on the terminal.
    is_suspended: bool,
}

impl Live {
    /// Draws all steps and checks as to be done.
    pub fn new(shape: &Shape) -> Self {
        Self::on(shape, ProgressDrawTarget::stderr)
    }

    /// As [`Live::new`], on another terminal or none.
    pub(super) fn on(shape: &Shape, target: fn() -> ProgressDrawTarget) -> Self {
        let progress = MultiProgress::with_draw_target(target());
        let columns = rows(shape).map(|unit| width(&clean(unit))).max().unwrap_or(0);
        let mut state = State::default();
        state.shape.clone_from(shape);
        let bars = rows(shape).map(|unit| {
            let bar = progress.add(ProgressBar::new_spinner());
            bar.set_style(at_rest());
            (unit.to_owned(), bar)
        });
        let board = Board { state, bars: bars.collect(), doing: BTreeMap::new(), columns, is_suspended: false };
        board.draw_all();
        Self { progress, target, board: Mutex::new(board) }
    }

    /// Takes in what has happened before, for a run that is resumed.
    pub fn catch_up(&self, events: &[Recorded]) {
        events.iter().for_each(|recorded| self.event(recorded.at, &recorded.event));
    }

    /// One more event.
    pub fn event(&self, at: Timestamp, event: &Event) {
        self.board().event(at, event);
    }

    /// How far a call of an execution is.
    pub fn progress(&self, execution: ExecutionId, text: &str) {
        let mut board = self.board();
        if let Some(unit) = unit_of(&board.state, execution).map(str::to_owned) {
            board.doing.insert(unit, text.to_owned());
            if !board.is_suspended {
                board.draw_all();
            }
        }
    }

    /// Takes everything off the terminal, so that something else can be written to it: a question, a
    /// line. Nothing waits for whoever writes.
    ///
    /// Events go on meanwhile, and are drawn by [`Live::show`]: an answer from another terminal must
    /// get through while this one waits for somebody to type.
    pub fn hide(&self) {
        self.board().is_suspended = true;
        // A terminal that can't be cleared shows a line twice.
        let _ = self.progress.clear();
        self.progress.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Draws again, with what has happened meanwhile.
    pub fn show(&self) {
        self.progress.set_draw_target((self.target)());
        let mut board = self.board();
        board.is_suspended = false;
        board.draw_all();
    }

    /// Lets somebody write lines that stay, above what is drawn.
    pub fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.progress.suspend(write)
    }

    /// Leaves the lines as they are now and stops moving.
    pub fn finish(&self) {
        for bar in self.board().bars.values() {
            bar.disable_steady_tick();
            bar.set_style(at_rest());
            if bar.prefix().is_empty() {
                bar.set_prefix(Mark::Running.text());
            }
            bar.abandon();
        }
    }

    /// What is drawn, without what moves.
    #[cfg(test)]
    pub(super) fn rows(&self) -> Vec<String> {
        let board = self.board();
        let rows = rows(&board.state.shape).map(|unit| {
            let (mark, text) = board.row(unit);
            format!("{} {text}", mark.text())
        });
        rows.collect()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // A panic elsewhere leaves lines that are out of date at worst.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn event(&mut self, at: Timestamp, event: &Event) {
        // As with the narrator: what the state makes of an event only decides what is drawn.
        let _ = self.state.apply(at, event);
        if let Some((execution, doing)) = self.doing(event)
            && let Some(unit) = unit_of(&self.state, execution)
        {
            self.doing.insert(unit.to_owned(), doing);
        }
        // Drawing waits while the terminal is somebody else's, and whoever tells of events must not.
        if !self.is_suspended {
            self.draw_all();
        }
    }

    /// One event may move several steps: with a step that is done its fallback is not needed.
    fn draw_all(&self) {
        rows(&self.state.shape).for_each(|unit| self.draw(unit));
    }

    /// What somebody does right now.
    fn doing(&self, event: &Event) -> Option<(ExecutionId, String)> {
        let asked = |call| self.state.mutation(call).map(|known| words::request(&known.request)).unwrap_or_default();
        Some(match event {
            Event::ExecutionBegan { execution, purpose: Purpose::Reconcile(call), .. } => {
                (*execution, format!("looks what became of {}", asked(*call)))
            }
            Event::ExecutionBegan { execution, .. } => (*execution, String::new()),
            Event::Called { call, request, outcome, took_us } => {
                (call.execution, words::entry(request, outcome, Some(*took_us)))
            }
            Event::Intended { call, request, .. } => (call.execution, format!("{} …", words::request(request))),
            Event::Answered { call, outcome, took_us } => {
                (call.execution, format!("{} → {}", asked(*call), words::result(outcome, Some(*took_us))))
            }
            Event::Doubted { call, seen } => (call.execution, format!("in doubt: {} ({seen})", asked(*call))),
            Event::SleepBegan { call, .. } => (call.execution, "waits".to_owned()),
            _ => return None,
        })
    }

    fn draw(&self, unit: &str) {
        let Some(bar) = self.bars.get(unit) else { return };
        let (mark, text) = self.row(unit);
        let is_moving = mark == Mark::Running;
        match (is_moving, bar.prefix().is_empty()) {
            // A spinner stands in the place of the mark, with the time since it began to turn.
            (true, false) => {
                bar.set_style(match self.state.watches_until() {
                    Some(until) if unit == WATCH => counting_down(until),
                    _ => moving(),
                });
                bar.set_prefix("");
                bar.reset_elapsed();
                bar.enable_steady_tick(TICK);
            }
            (false, _) => {
                bar.disable_steady_tick();
                bar.set_style(at_rest());
                bar.set_prefix(mark.text());
            }
            (true, true) => {}
        }
        bar.set_message(text);
        bar.tick();
    }

    /// How the watching stands.
    fn watch(&self) -> (Mark, String) {
        let window_ms = self.state.shape.watch.as_ref().map_or(0, |watch| watch.window_ms);
        let window = humantime::format_duration(Duration::from_millis(window_ms));
        let gate = self.state.gate(&GateId::watch()).map(|gate| &gate.answer);
        match (gate, &self.state.tripped) {
            (Some(Some((answer, by))), _) => {
                let mark = if *answer == Answer::Yes { Mark::Good } else { Mark::Bad };
                (mark, clean(&words::answer(*answer, by)).into_owned())
            }
            (Some(None), _) if self.state.ended.is_none() => (Mark::Asking, "WAITS for a person to say yes".to_owned()),
            (_, Some(_)) => (Mark::Bad, "a trigger has tripped".to_owned()),
            // Before the first event nobody knows when it ends.
            (_, None) if self.state.watches_until().is_none() => (Mark::Waiting, format!("for {window}")),
            (_, None) if self.state.is_watching() => (Mark::Running, format!("for {window}")),
            (_, None) => (Mark::Waiting, "over, and no trigger tripped".to_owned()),
        }
    }

    fn row(&self, unit: &str) -> (Mark, String) {
        if unit == WATCH {
            let (mark, words) = self.watch();
            return (mark, format!("{}  {words}", pad(WATCH, self.columns)));
        }
        let stand = stand(&self.state, unit);
        let doing = self.doing.get(unit).filter(|doing| stand.mark() == Mark::Running && !doing.is_empty());
        let words = match doing {
            Some(doing) => format!("{}: {doing}", stand.words()),
            None => stand.words(),
        };
        (stand.mark(), format!("{}  {}", pad(&clean(unit), self.columns), clean(&words)))
    }
}

/// What is watched stands below a row that says how long there is left.
fn rows(shape: &Shape) -> impl Iterator<Item = &str> {
    shape.watch.iter().map(|_| WATCH).chain(units(shape))
}

fn at_rest() -> ProgressStyle {
    styled("{prefix} {wide_msg}")
}

fn moving() -> ProgressStyle {
    styled("{spinner} {wide_msg} {elapsed}")
}

/// A spinner with the time that is left.
fn counting_down(until: Timestamp) -> ProgressStyle {
    styled("{spinner} {wide_msg} {left} left").with_key("left", move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let left = Duration::from_secs(between(Timestamp::now(), until).as_secs());
        // A text takes whatever is written into it.
        let _ = write!(out, "{}", humantime::format_duration(left));
    })
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}
