//! A run as it goes on: a live list of its steps on a terminal, plain lines elsewhere, JSON on request.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::Context;
use super::output::{self, object};
use super::screen;
use crate::id::{ExecutionId, RunId};
use crate::journal::{Event, Question, Recorded};
use crate::machine::State;
use crate::present::live::Live;
use crate::present::{self, Narrator};

/// How often a line says how far a long call is, where nothing is drawn.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Shows a run.
#[derive(Clone)]
pub(super) struct Progress {
    shown: Arc<Shown>,
}

struct Shown {
    run: RunId,
    json: bool,
    live: Option<Arc<Live>>,
    telling: Mutex<Telling>,
    /// Where plain lines go, if they do.
    line: Option<fn(&str)>,
}

struct Telling {
    narrator: Narrator,
    /// For the questions to a person, if the list of steps has no room for them.
    asking: Option<State>,
    /// When a line last said how far a long call is.
    said: Option<Instant>,
}

impl Progress {
    /// For a run that this process carries; what has happened before is told in JSON only.
    pub(super) fn carrying(context: &Context, run: &RunId, state: &State, events: &[Recorded]) -> Self {
        // The list is of the run's own steps and checks.
        let is_live = std::io::stderr().is_terminal() && state.after.is_none();
        let progress = Self::new(context, run, state, is_live, Some(screen::err));
        progress.shown.catch_up(events);
        let shown = Arc::downgrade(&progress.shown);
        crate::progress::listen(move |run, execution, text| {
            if let Some(shown) = shown.upgrade().filter(|shown| shown.run == *run) {
                shown.progress(execution, text);
            }
        });
        if context.global.json {
            events.iter().for_each(|recorded| object(&present::event_json(run, recorded)));
        }
        progress
    }

    /// For a run that another process carries: it is data, so plain lines go to stdout, and all of them
    /// are told.
    pub(super) fn following(context: &Context, run: &RunId, state: &State, events: &[Recorded]) -> Self {
        let is_live = std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && state.after.is_none();
        // With objects on stdout there is nothing else to be told.
        let line = (!context.global.json).then_some(screen::out as fn(&str));
        let progress = Self::new(context, run, state, is_live, line);
        if is_live && !context.global.json {
            progress.shown.catch_up(events);
            progress.shown.telling().asking = Some(state.clone());
            progress.shown.ask_what_is_open(state);
        } else {
            events.iter().for_each(|recorded| progress.event(recorded));
        }
        progress
    }

    fn new(context: &Context, run: &RunId, state: &State, is_live: bool, line: Option<fn(&str)>) -> Self {
        let json = context.global.json;
        // Objects and a list on one terminal would be neither.
        let is_live = is_live && !(json && std::io::stdout().is_terminal());
        let live = is_live.then(|| Arc::new(Live::new(&state.shape)));
        live.iter().for_each(screen::draw);
        let telling =
            Mutex::new(Telling { narrator: Narrator::new(output::stderr_style().zone), asking: None, said: None });
        Self { shown: Arc::new(Shown { run: run.clone(), json, live, telling, line }) }
    }

    /// One more event.
    pub(super) fn event(&self, recorded: &Recorded) {
        self.shown.event(recorded);
    }

    /// Takes the live list off the terminal until the guard is dropped.
    pub(super) fn hide(&self) -> Hidden {
        if let Some(live) = &self.shown.live {
            live.hide();
        }
        Hidden(self.shown.live.clone())
    }

    /// Leaves the list as it is now.
    pub(super) fn finish(&self) {
        if let Some(live) = &self.shown.live {
            live.finish();
            screen::leave();
        }
    }
}

/// Brings the live list back when it is dropped.
pub(super) struct Hidden(Option<Arc<Live>>);

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(live) = &self.0 {
            live.show();
        }
    }
}

impl Shown {
    fn telling(&self) -> std::sync::MutexGuard<'_, Telling> {
        // A panic elsewhere leaves lines untold at worst.
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catch_up(&self, events: &[Recorded]) {
        if let Some(live) = &self.live {
            live.catch_up(events);
        }
        self.telling().narrator.catch_up(events);
    }

    fn event(&self, recorded: &Recorded) {
        if self.json {
            object(&present::event_json(&self.run, recorded));
        }
        let line = self.telling().narrator.line(recorded.at, &recorded.event);
        if self.live.is_some() && matches!(recorded.event, Event::Tripped { .. }) {
            screen::ring();
        }
        match (&self.live, line, self.line) {
            (Some(live), ..) => {
                live.event(recorded.at, &recorded.event);
                self.ask(recorded);
            }
            (None, Some(line), Some(write)) => write(&line),
            (None, ..) => {}
        }
    }

    /// How far a long call is.
    fn progress(&self, execution: ExecutionId, text: &str) {
        if let Some(live) = &self.live {
            return live.progress(execution, text);
        }
        let mut telling = self.telling();
        if telling.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            telling.said = Some(Instant::now());
            drop(telling);
            if let Some(write) = self.line {
                write(text);
            }
        }
    }

    /// What a person is asked, with the command that answers it.
    fn ask(&self, recorded: &Recorded) {
        let mut telling = self.telling();
        let Some(state) = &mut telling.asking else { return };
        // As with the narrator: what the state makes of an event only decides what is told.
        let _ = state.apply(recorded.at, &recorded.event);
        let asked = match &recorded.event {
            Event::GateOpened(opened) => Some(output::gate(&self.run, opened)),
            Event::Halted { question: Question::DidItHappen { call, seen } } => {
                state.mutation(*call).map(|mutation| output::doubt(&self.run, *call, mutation, seen))
            }
            _ => None,
        };
        drop(telling);
        if let Some(asked) = asked {
            screen::err(&format!("\n{asked}"));
        }
    }

    fn ask_what_is_open(&self, state: &State) {
        for gate in state.gates.iter().filter(|gate| gate.answer.is_none() && state.ended.is_none()) {
            screen::err(&format!("\n{}", output::gate(&self.run, &gate.opened)));
        }
        if let Some((call, mutation)) = state.halted_on.and_then(|call| Some((call, state.mutation(call)?))) {
            let seen = state.seen(call).unwrap_or_default();
            screen::err(&format!("\n{}", output::doubt(&self.run, call, mutation, seen)));
        }
    }
}
