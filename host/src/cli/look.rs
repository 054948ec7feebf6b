//! `runs`, `show`, `audit`, `replay`: looking, without touching anything.

use std::time::Duration;

use super::args::{AuditOptions, RunName, ShowOptions};
use super::context::Context;
use super::exit::{Exit, Fault};
use super::output;
use super::run::kept;
use crate::plan::Plan;
use crate::record::look;
use crate::runner::{self, offline};

/// How often `show --follow` looks.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);

pub(super) async fn runs(context: &Context) -> Result<Exit, Fault> {
    let journal = context.journal(&context.state()?)?;
    let outlines = journal.outlines().await?;
    output::runs(context, &outlines);
    Ok(Exit::Done)
}

pub(super) async fn show(context: &Context, options: ShowOptions) -> Result<Exit, Fault> {
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (mut state, events, mut head) = look(journal.as_ref(), &run).await?;
    if !options.follow {
        output::run(context, &run, &state, &events, head);
        return Ok(Exit::Done);
    }
    let mut follower = output::Follower::new(context, &run);
    follower.events(&events);
    while state.ended.is_none() {
        tokio::time::sleep(FOLLOW_EVERY).await;
        let (events, moved) = journal.read(&run, Some(head)).await?;
        head = moved;
        for recorded in &events {
            state.apply(recorded.at, &recorded.event).map_err(|error| Fault::faulty(error.to_string()))?;
        }
        follower.events(&events);
    }
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
