//! `runs`, `show`, `audit`, `replay`: looking, without touching anything.

use super::args::{AuditOptions, RunName, ShowOptions};
use super::context::Context;
use super::exit::{Exit, Fault};
use super::follow::follow;
use super::output;
use super::take::kept;
use crate::id::{Digest, RunId};
use crate::journal::{Head, Journal, ReadError, RunLock};
use crate::plan::Plan;
use crate::present::RunLine;
use crate::record::{RecordError, look};
use crate::runner::{self, offline};
use crate::state::StateDir;

pub(super) async fn runs(context: &Context) -> Result<Exit, Fault> {
    let state_dir = context.state()?;
    let journal = context.journal(&state_dir)?;
    let mut lines = Vec::new();
    for outline in journal.outlines().await? {
        lines.push(match RunLine::known(&outline) {
            Some(line) => line,
            None => line(&state_dir, journal.as_ref(), &outline.run).await?,
        });
    }
    output::runs(context, &lines);
    Ok(Exit::Done)
}

/// A run that has not ended with its last event: how it stands is the fold of all of them.
async fn line(state_dir: &StateDir, journal: &dyn Journal, run: &RunId) -> Result<RunLine, Fault> {
    // Before the events are read: a run that ends in between is then seen to have ended.
    let is_held = RunLock::is_held(state_dir, run)?;
    Ok(match look(journal, run).await {
        Ok((state, events, _)) => RunLine::of(run, &state, &events, is_held, jiff::Timestamp::now()),
        Err(error) => RunLine::damaged(run, &error.to_string()),
    })
}

pub(super) async fn show(context: &Context, options: ShowOptions) -> Result<Exit, Fault> {
    let state_dir = context.state()?;
    let journal = context.journal(&state_dir)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    if options.follow {
        return follow(context, &state_dir, journal.as_ref(), &run).await;
    }
    match look(journal.as_ref(), &run).await {
        Ok((state, events, head)) => output::run(context, &run, &state, &events, head),
        Err(error) => {
            sound_part(context, &run, &error);
            return Err(error.into());
        }
    }
    Ok(Exit::Done)
}

/// Of a record that was altered, what was not: somebody has to finish that rollback by hand. It is told
/// event by event, because nobody knows how the run stands.
fn sound_part(context: &Context, run: &RunId, error: &RecordError) {
    if let RecordError::Read(ReadError::Altered(_, sound)) = error {
        output::told_so_far(context, run, &sound.events);
    }
}

/// Reading checks the chain; what is left is to compare its end with one kept elsewhere.
pub(super) async fn audit(context: &Context, options: AuditOptions) -> Result<Exit, Fault> {
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (_, events, head) = look(journal.as_ref(), &run).await?;
    if let Some(kept) = &options.head
        && *kept != head.hash
    {
        return match place_of(journal.as_ref(), &run, *kept, head).await {
            Some(place) => {
                output::audited_since(context, &run, events.len(), head, place);
                Ok(Exit::Done)
            }
            None => Err(Fault::faulty(format!("no event of run {run} has the hash {kept}: all events fit together, and are not those that were written"))
                .means("nothing of this record can be believed: it was written anew, or the head is another run's")
                .hint(format!("was it the head of run {run}? Its report names both"))
                .hint("keep a copy of the state folder as it is, and find out who can write to it")
                .hint("what was really done, the services' own logs say")),
        };
    }
    output::audited(context, &run, events.len(), head);
    Ok(Exit::Done)
}

/// The place of the event with this hash, if the chain leads from it to its end: a report may be older
/// than the run's last events.
async fn place_of(journal: &dyn Journal, run: &RunId, hash: Digest, end: Head) -> Option<u64> {
    for sequence in (1..end.sequence).rev() {
        if journal.read(run, Some(Head { sequence, hash })).await.is_ok() {
            return Some(sequence);
        }
    }
    None
}

pub(super) async fn replay(context: &Context, name: &RunName) -> Result<Exit, Fault> {
    let state_dir = context.state()?;
    let journal = context.journal(&state_dir)?;
    let run = context.run_id(journal.as_ref(), name).await?;
    let (state, _, _) = look(journal.as_ref(), &run).await?;
    let (started, kept) = kept(journal.as_ref(), &run).await?;
    let plan_text = String::from_utf8_lossy(&journal.blob(started.plan).await?).into_owned();
    let plan = Plan::parse(&started.plan_path, &plan_text)?;
    let components = context.components(&state_dir)?;
    let job = offline(&components, &plan, &plan_text, &started, &kept).await?;
    let replayed =
        runner::replay(&components, &job, &run, &state).await.map_err(|error| Fault::faulty(error.to_string()))?;
    output::replayed(context, &run, &replayed);
    Ok(if replayed.iter().any(|replayed| replayed.difference.is_some()) { Exit::Faulty } else { Exit::Done })
}
