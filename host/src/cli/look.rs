//! `runs`, `show`, `report`, `audit`, `replay`: looking, without touching anything.

use super::args::{AuditOptions, RunName, ShowOptions};
use super::context::Context;
use super::exit::{Exit, Fault};
use super::follow::follow;
use super::output;
use super::run::kept;
use crate::id::RunId;
use crate::journal::{Journal, RunLock};
use crate::plan::Plan;
use crate::present::RunLine;
use crate::record::look;
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
        Ok((state, events, _)) => RunLine::of(run, &state, &events, is_held),
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
    let (state, events, head) = look(journal.as_ref(), &run).await?;
    output::run(context, &run, &state, &events, head);
    Ok(Exit::Done)
}

pub(super) async fn report(context: &Context, name: &RunName) -> Result<Exit, Fault> {
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), name).await?;
    let (state, events, head) = look(journal.as_ref(), &run).await?;
    output::report(context, &run, &state, &events, head)?;
    Ok(Exit::Done)
}

/// Reading checks the chain; what is left is to compare its end with one kept elsewhere.
pub(super) async fn audit(context: &Context, options: AuditOptions) -> Result<Exit, Fault> {
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (_, events, head) = look(journal.as_ref(), &run).await?;
    if let Some(kept) = &options.head
        && *kept != head.hash
    {
        return Err(Fault::faulty(format!(
            "the chain of run {run} is sound in itself, but ends with {}, not with {kept}",
            head.hash
        ))
        .hint("either the head is of an earlier state of the run, or all of the run's record was written anew"));
    }
    output::audited(context, &run, events.len(), head);
    Ok(Exit::Done)
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
