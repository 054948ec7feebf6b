//! `watch RUN`: whether what a run has verified stays so.

use super::args::{RunName, WatchOptions};
use super::context::Context;
use super::exit::{Exit, Fault};
use super::output;
use super::take::{For, take};
use crate::id::RunId;
use crate::journal::{DriftOutcome, Event};
use crate::machine::{After, Drift, State};
use crate::plan::{DriftError, Plan};
use crate::record::look;

/// Whether what is to be watched is a run, and no plan.
pub(super) fn is_a_run(options: &WatchOptions) -> bool {
    let name = &options.run.plan.plan;
    let is_a_name = name.to_str().is_some_and(|name| !name.contains(['/', '.']));
    is_a_name && !name.is_file()
}

pub(super) async fn watch(context: &Context, options: WatchOptions) -> Result<Exit, Fault> {
    let WatchOptions { window, alertmanager, run: options } = options;
    let by = context.by(&options.by);
    let name = RunName { run: options.plan.plan.display().to_string() };
    let incident = super::report::noted(options.incident, by.clone());
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), &name).await.map_err(|fault| {
        fault.hint(format!("to watch a deploy, name its plan's file:  ripcord watch {}.toml", name.run))
    })?;
    if options.yes || options.approved.is_some() || !options.plan.params.is_empty() || !incident.is_empty() {
        return Err(Fault::wrong(format!("{run} is a run that has begun: it has its parameters and its approval"))
            .hint(format!("watch whether what it has verified stays so:  ripcord watch {run}")));
    }
    if alertmanager.is_some() {
        return Err(Fault::wrong(format!(
            "--alertmanager is for the triggers of a plan, and {run} is a run that has begun"
        ))
        .hint(format!("watch whether what it has verified stays so:  ripcord watch {run}")));
    }
    let (known, _, _) = look(journal.as_ref(), &run).await?;
    refuse_unless_verified(&run, &known)?;
    let mut taken = take(context, &name, |run| format!("ripcord watch {run}"), For::Drift).await?.taken()?;
    refuse_unless_verified(&run, taken.record.state())?;
    let now = jiff::Timestamp::now();
    let plan = Plan::parse(&taken.job.plan_path.display().to_string(), &taken.job.plan_text)?;
    let began = plan.drift_from(now, by, window).map_err(|error| cannot_watch(&run, &error));
    // One that was cut off goes on for what is left of its time, unless somebody says another.
    let goes_on = |drift: &&Drift| drift.ended.is_none() && window.is_none() && drift.wanted.until > now;
    let left = taken.record.state().drift.as_ref().filter(goes_on);
    let began = match left.map(|drift| drift.wanted.clone()) {
        Some(_) if taken.record.state().after == Some(After::Drift) => None,
        Some(wanted) => Some(wanted),
        None => Some(began?),
    };
    let interrupts = taken.attach().await?;
    if let Some(began) = began {
        taken.record.commit(Event::DriftBegan(began)).await?;
    }
    if let Some(drift) = &taken.record.state().drift {
        output::began_to_drift(&run, drift);
    }
    taken.drive(context, false, interrupts).await
}

/// What came of it, for the person and the exit code.
pub(super) fn ended(context: &Context, run: &RunId, state: &State) -> Exit {
    output::drift_ended(context, run, state);
    match state.drift.as_ref().and_then(|drift| drift.ended.as_ref()) {
        Some((_, DriftOutcome::Held, _)) => Exit::Done,
        _ => Exit::Halted,
    }
}

fn refuse_unless_verified(run: &RunId, state: &State) -> Result<(), Fault> {
    if let Some(After::FollowUp(item)) = &state.after {
        return Err(Fault::wrong(format!("follow-up {item} of run {run} is under way, or was cut off"))
            .hint(format!("go on with it:  ripcord resume {run}    or stop it first:  ripcord abort {run}")));
    }
    if state.can_drift() {
        return Ok(());
    }
    let stands = state.ended.as_ref().map_or("has not ended".to_owned(), |(outcome, _)| format!("ended {outcome}"));
    Err(Fault::wrong(format!("run {run} {stands}: only what was verified can be watched to stay so"))
        .hint(format!("where it stands:  ripcord show {run}")))
}

fn cannot_watch(run: &RunId, error: &DriftError) -> Fault {
    let fault = Fault::wrong(format!("run {run} can't be watched: {error}"));
    match error {
        DriftError::NotSaid => fault
            .hint(format!("say it here:  ripcord watch {run} --window 24h"))
            .hint("or in the plan, for the next run:  [drift]  for = \"24h\"  interval = \"5m\""),
        DriftError::OutOfRange(_) => fault.hint("give another one, like  --window 24h"),
        DriftError::NoCheck { probes: true } => {
            fault.hint("if each look may do what the probe does, write in the plan:  [drift]  probe = true")
        }
        DriftError::NoCheck { probes: false } => fault.hint("add one to the plan:  [[verify]]"),
    }
}
