//! `show --follow`: a run that another process carries, as it goes on.

use std::time::Duration;

use tokio::sync::Notify;

use super::context::Context;
use super::exit::{Exit, Fault};
use super::progress::Progress;
use super::{output, screen};
use crate::id::RunId;
use crate::journal::{Journal, Question, RunLock};
use crate::machine::{Next, State};
use crate::record::look;
use crate::runner::Stand;
use crate::state::StateDir;

/// How often the journal is looked at. A look that finds nothing reads one row, and keeps nobody waiting.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After so many looks that found nothing it is asked whether anybody carries the run at all.
const QUIET_LOOKS: u32 = 10;

/// Follows a run until it has ended, or nobody carries it any more. Ctrl-C ends the following alone.
pub(super) async fn follow(
    context: &Context,
    state_dir: &StateDir,
    journal: &dyn Journal,
    run: &RunId,
) -> Result<Exit, Fault> {
    // Whoever has read enough closes the pipe.
    let unread = std::sync::Arc::new(Notify::new());
    let notify = std::sync::Arc::clone(&unread);
    screen::when_unread(move || notify.notify_one());

    let (mut state, events, mut head) = look(journal, run).await?;
    let progress = Progress::following(context, run, &state, &events);
    // The first look asks at once: nothing may happen any more.
    let mut quiet = QUIET_LOOKS;
    loop {
        if let (Some((outcome, why)), None) = (state.ended.clone(), &state.after) {
            progress.finish();
            let stand = Stand::Ended(outcome, why);
            output::stand(context, run, &stand, &state);
            return Ok(Exit::from(&stand));
        }
        let is_carried = quiet < QUIET_LOOKS || RunLock::is_held(state_dir, run)?;
        let (events, moved) = journal.read(run, Some(head)).await?;
        head = moved;
        for recorded in &events {
            state.apply(recorded.at, &recorded.event).map_err(|error| Fault::faulty(error.to_string()))?;
            progress.event(recorded);
        }
        if !events.is_empty() {
            quiet = 0;
            continue;
        }
        // What its host wrote last was there before its lock was free, and has been read by now.
        if !is_carried {
            progress.finish();
            let stand = stand(&state);
            output::left(context, run, &stand, &state);
            return Ok(Exit::Halted);
        }
        quiet = if quiet < QUIET_LOOKS { quiet + 1 } else { 1 };
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = unread.notified() => return Ok(Exit::Halted),
        }
    }
}

/// Where a run stands that nobody carries.
fn stand(state: &State) -> Stand {
    match (state.halted_on, state.next()) {
        (Some(call), _) => {
            let seen = state.seen(call).unwrap_or_default().to_owned();
            Stand::Asks(Question::DidItHappen { call, seen })
        }
        (None, Next::AwaitGate(gate)) => Stand::AtGate(gate),
        (None, _) => Stand::Paused,
    }
}
