//! A run executed again, offline: the same bytes against what the journal knows must end the same.

use tokio::sync::watch;

use super::execute::{end_of, export, unit_of};
use super::job::seed;
use super::{Job, RunError};
use crate::component::{Components, Ended};
use crate::id::{ExecutionId, RunId};
use crate::journal::End;
use crate::machine::State;
use crate::pipeline::{Mode, Pipeline, Stop};

/// What came of replaying one execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// Which.
    pub execution: ExecutionId,
    /// Its step or check.
    pub unit: String,
    /// How many calls the journal knows of.
    pub calls: usize,
    /// What was different, if anything.
    pub difference: Option<String>,
}

/// Replays all executions of a run. Nothing is reached and nothing is written.
pub async fn replay(components: &Components, job: &Job, run: &RunId, state: &State) -> Result<Vec<Replayed>, RunError> {
    let mut replayed = Vec::new();
    for (&id, execution) in &state.executions {
        let name = unit_of(state, &execution.purpose).to_owned();
        let unit = job.units.get(&name).ok_or_else(|| RunError::NoSuchUnit(name.clone()))?;
        let never = watch::Sender::new(false).subscribe();
        let setting = job.setting(run, id, execution.began, &execution.purpose, unit, never);
        let pipeline = Pipeline::new(setting, Mode::Replay, execution.calls.clone());
        let export = export(state, execution, run, job, unit);
        let seed = seed(run, id, execution.began);
        let ran =
            components.execute(&unit.component, &export, Box::new(pipeline), &job.limits, execution.began, seed).await;
        replayed.push(Replayed {
            execution: id,
            unit: name,
            calls: execution.calls.len(),
            difference: difference(execution.end.as_ref(), ran),
        });
    }
    Ok(replayed)
}

fn difference(recorded: Option<&End>, ran: Result<crate::component::Returned, Ended>) -> Option<String> {
    let now = match ran {
        Ok(returned) => end_of(returned),
        Err(Ended::Trapped(why)) => End::Trapped(why),
        Err(Ended::Stopped(Stop::Limit(why))) => End::LimitExceeded(why),
        Err(Ended::Stopped(Stop::Diverged(divergence))) => return Some(divergence.to_string()),
        // The execution was ended from outside, or is not over; all that is known was the same.
        Err(Ended::Stopped(Stop::RecordEnds | Stop::Doubt(_))) => {
            return match recorded {
                Some(End::Returned(_) | End::Failed(_)) => {
                    Some("it asks for more than the journal has, and had ended there".to_owned())
                }
                _ => None,
            };
        }
        Err(Ended::Stopped(stop)) => return Some(stop.to_string()),
    };
    match recorded {
        Some(recorded) if *recorded == now => None,
        // What ended it from outside came before it could return.
        None | Some(End::TimedOut(_) | End::InDoubt | End::Refused | End::Abandoned) => None,
        Some(recorded) => Some(format!("it ended with {now:?}, and with {recorded:?} the first time")),
    }
}
