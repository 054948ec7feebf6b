//! Carrying a run: as far as it goes, or as far as somebody lets it go.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::context::Context;
use super::exit::{Exit, Fault, broken_off};
use super::interrupt::{Interrupts, Wish};
use super::output;
use super::progress::Progress;
use super::terminal::Terminal;
use crate::alertmanager::Listening;
use crate::component::Components;
use crate::id::RunId;
use crate::journal::{Journal, Recorded};
use crate::machine::After;
use crate::record::{Record, look};
use crate::runner::{Job, RunError, Runner, Stand};
use crate::telemetry::Export;

/// How long a run that is over waits for the collector of its trace.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// The same for somebody who does not want to wait.
const FLUSH_AT_ONCE: Duration = Duration::from_millis(100);

/// All that it takes to carry a run.
pub(super) struct Carried {
    pub(super) components: Components,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) job: Job,
    pub(super) record: Record,
    /// Where alerts are received, if they are.
    pub(super) listening: Option<Listening>,
}

/// Takes a run as far as it goes, shows it, and says where it stands.
pub(super) async fn drive(
    context: &Context,
    carried: Carried,
    terminal: Terminal,
    interrupts: Interrupts,
) -> Result<Exit, Fault> {
    let Carried { components, journal, job, mut record, listening } = carried;
    let run = record.run().clone();
    let (state, events, _) = look(journal.as_ref(), &run).await?;
    let after = state.after.clone();
    let progress = Progress::carrying(context, &run, &state, &events);
    let export = export(&run, &job, &events).map(Arc::new);
    let (shown, exported) = (progress.clone(), export.clone());
    record.listen(Arc::new(move |recorded| {
        shown.event(recorded);
        exported.iter().for_each(|export| export.event(recorded));
    }));
    let terminal = Arc::new(terminal.with(run.clone(), progress.clone()));
    let mut runner = Runner::new(components, Arc::new(job), record, terminal, Arc::clone(&context.seams));
    // Dropped, the set closes the door.
    let mut door = JoinSet::new();
    if let Some(listening) = listening {
        let (notifications, serving) = listening.serve();
        runner.receive(notifications);
        door.spawn(serving);
    }
    let (stand, wish) = until_it_stands(&runner, &run, &interrupts).await;
    progress.finish();
    drop(runner);
    if let Some(export) = export {
        export.finish(if wish == Wish::StopNow { FLUSH_AT_ONCE } else { FLUSH_WITHIN });
    }
    let known = look(journal.as_ref(), &run).await;
    let stand = match stand {
        Ok(stand) => stand,
        Err(error) => return Err(broken_off(run.as_str(), error, known.ok().map(|(state, ..)| state).as_ref())),
    };
    let (state, _, _) = known?;
    match (&stand, &after) {
        (Stand::Ended(..), Some(After::FollowUp(item))) => {
            return Ok(super::follow_up::ended(context, &run, item, &state));
        }
        (Stand::Ended(..), Some(After::Drift)) => return Ok(super::drift::ended(context, &run, &state)),
        _ => {}
    }
    match (&stand, wish) {
        (Stand::Paused, Wish::Pause(cause)) => output::paused(context, &run, cause, &state),
        _ => output::stand(context, &run, &stand, &state),
    }
    Ok(Exit::from(&stand))
}

/// Carries a run as far as it goes, or as far as somebody lets it go.
async fn until_it_stands(runner: &Runner, run: &RunId, interrupts: &Interrupts) -> (Result<Stand, RunError>, Wish) {
    let mut wishes = interrupts.wishes();
    let mut driven = pin!(runner.drive());
    loop {
        tokio::select! {
            biased;
            _ = wishes.changed() => {
                let wish = *wishes.borrow_and_update();
                match wish {
                    Wish::GoOn => {}
                    Wish::Pause(cause) => {
                        output::pausing(run, cause, runner.under_way().as_ref());
                        runner.pause().ask();
                    }
                    // What is under way is left as a crash would leave it.
                    Wish::StopNow => return (Ok(Stand::Paused), wish),
                }
            }
            stand = &mut driven => return (stand, *wishes.borrow()),
        }
    }
}

/// The export of the run's trace, if somebody wants it. It is no reason not to run.
fn export(run: &RunId, job: &Job, events: &[Recorded]) -> Option<Export> {
    match Export::from_env(run, job.servers()) {
        Ok(export) => {
            export.iter().for_each(|export| export.catch_up(events));
            export
        }
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    }
}
