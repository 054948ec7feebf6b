//! `follow-up`: what stays to be done after a run.

use super::args::{By, FollowUpOptions, RunName};
use super::context::{Context, append_as_person};
use super::exit::{Exit, Fault};
use super::output;
use super::take::{For, Taken, take};
use super::terminal;
use crate::diagnostic::{listed, nearest};
use crate::id::RunId;
use crate::journal::{Event, FollowUpNoted, FollowUpRequested, FollowUpShape, RunOutcome};
use crate::machine::{After, FollowUpState, State};
use crate::pipeline::Depth;
use crate::present::{FollowUp, clean};
use crate::record::look;
use crate::runner;

pub(super) async fn follow_up(context: &Context, options: FollowUpOptions) -> Result<Exit, Fault> {
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (state, _, _) = look(journal.as_ref(), &run).await?;
    let Some(item) = &options.item else {
        output::follow_ups(context, &run, &state);
        return Ok(Exit::Done);
    };
    let shape = find(&run, &state, item)?.clone();
    if options.done || options.note.is_some() {
        refuse_to_note(&run, &state, &shape, options.done)?;
        let by = context.by(&options.by);
        let noted = FollowUpNoted { item: item.clone(), by, done: options.done, note: options.note };
        append_as_person(journal.as_ref(), &run, Event::FollowUpNoted(noted)).await?;
        let what = if options.done { "noted as done" } else { "noted" };
        output::note(&format!("{what}; what is open still:  ripcord follow-up {run}"));
        return Ok(Exit::Done);
    }
    carry_out(context, options, run, &shape).await
}

/// How it came out, for the person and the exit code.
pub(super) fn ended(context: &Context, run: &RunId, item: &str, state: &State) -> Exit {
    let standing = state.follow_up(item).map(|shape| state.follow_up_state(shape));
    output::follow_up_ended(context, run, item, state);
    match standing {
        Some(FollowUpState::Done { .. }) => Exit::Done,
        Some(FollowUpState::Refused { .. }) => Exit::Unchanged,
        _ => Exit::Halted,
    }
}

fn find<'a>(run: &RunId, state: &'a State, item: &str) -> Result<&'a FollowUpShape, Fault> {
    let ids = || state.shape.follow_ups.iter().map(|shape| shape.id.as_str());
    state.follow_up(item).ok_or_else(|| {
        let fault = Fault::wrong(format!("run {run} has no follow-up `{item}`; it has {}", listed(ids(), "none")));
        match nearest(item, ids()) {
            Some(near) => fault.hint(format!("did you mean  ripcord follow-up {run} {near}")),
            None => fault.hint(format!("what there is, and how it stands:  ripcord follow-up {run}")),
        }
    })
}

/// What is over needs no word that it is done.
fn refuse_to_note(run: &RunId, state: &State, shape: &FollowUpShape, done: bool) -> Result<(), Fault> {
    if !done {
        return Ok(());
    }
    let id = &shape.id;
    let fault = match state.follow_up_state(shape) {
        FollowUpState::Open | FollowUpState::Failed { .. } | FollowUpState::Refused { .. } => return Ok(()),
        // By hand, where ripcord does not do it yet.
        FollowUpState::Waits if state.ended.is_some() => return Ok(()),
        FollowUpState::Waits => Fault::wrong(format!("run {run} has not ended: follow-up {id} is not due yet"))
            .hint(format!("where it stands:  ripcord show {run}")),
        FollowUpState::UnderWay => Fault::wrong(format!("follow-up {id} of run {run} is being carried out"))
            .hint(format!("go on with it:  ripcord resume {run}    or stop it first:  ripcord abort {run}")),
        FollowUpState::Done { at, by } => {
            Fault::wrong(format!("follow-up {id} of run {run} was done already: {by}, {at}"))
                .means("the first word counts; this one was not recorded")
                .hint(format!("to add something to it:  ripcord follow-up {run} {id} --note TEXT"))
        }
        closed @ (FollowUpState::Closed | FollowUpState::NotNeeded) => not_open(run, id, &closed),
    };
    Err(fault.means("nothing was recorded"))
}

fn not_open(run: &RunId, id: &str, state: &FollowUpState) -> Fault {
    Fault::wrong(match state {
        FollowUpState::Closed => {
            format!("follow-up {id} is closed: run {run} was taken back, and with it what this would take back")
        }
        _ => format!("follow-up {id} is not needed: run {run} has changed nothing"),
    })
}

/// Whether ripcord can do it now.
fn refuse_to_carry_out(run: &RunId, state: &State, shape: &FollowUpShape) -> Result<(), Fault> {
    let id = &shape.id;
    if shape.step.is_none() {
        return Err(Fault::wrong(format!("follow-up {id} is for people: ripcord can't do it"))
            .hint(format!("note that it is done:  ripcord follow-up {run} {id} --done --note TEXT")));
    }
    if let Some(After::FollowUp(other)) = &state.after {
        return Err(Fault::wrong(format!("follow-up {other} of run {run} is under way, or was cut off"))
            .hint(format!("go on with it:  ripcord resume {run}    or stop it first:  ripcord abort {run}")));
    }
    Err(match state.follow_up_state(shape) {
        FollowUpState::Open
        | FollowUpState::Failed { .. }
        | FollowUpState::Refused { .. }
        | FollowUpState::UnderWay => {
            return Ok(());
        }
        FollowUpState::Done { at, by } => {
            Fault::wrong(format!("follow-up {id} of run {run} was done already: {by}, {at}"))
        }
        FollowUpState::Waits => waits(run, state, id),
        closed @ (FollowUpState::Closed | FollowUpState::NotNeeded) => not_open(run, id, &closed),
    })
}

fn waits(run: &RunId, state: &State, id: &str) -> Fault {
    match &state.ended {
        None => Fault::wrong(format!("run {run} has not ended: follow-up {id} comes after it"))
            .hint(format!("go on with the run:  ripcord resume {run}")),
        Some((outcome, why)) => {
            let message =
                format!("run {run} is {outcome}, and follow-up {id} waits until it is verified: {}", clean(why));
            let fault = Fault::wrong(message);
            let fault = if *outcome == RunOutcome::Halted && state.can_verify_again() {
                fault.hint(format!("verify again:  ripcord resume {run}"))
            } else {
                fault.hint(format!("take the run back, which closes it:  ripcord undo {run}"))
            };
            fault.hint(format!("if people have done it by hand:  ripcord follow-up {run} {id} --done"))
        }
    }
}

async fn carry_out(
    context: &Context,
    options: FollowUpOptions,
    run: RunId,
    shape: &FollowUpShape,
) -> Result<Exit, Fault> {
    let FollowUpOptions { yes, approved, by, .. } = options;
    let name = RunName { run: run.to_string() };
    {
        let journal = context.journal(&context.state()?)?;
        let (state, _, _) = look(journal.as_ref(), &run).await?;
        // What was cut off goes on, by the preview that it began with.
        if state.after == Some(After::FollowUp(shape.id.clone())) {
            let agreed = yes.then(|| context.by(&by));
            return super::run::go_on(context, &name, agreed).await;
        }
        refuse_to_carry_out(&run, &state, shape)?;
    }
    let again = |run: &RunId| format!("ripcord follow-up {run} {}", shape.id);
    let mut taken = take(context, &name, again, For::FollowUp(&shape.id)).await?.taken()?;
    // It may have changed before this process had the run's lock.
    refuse_to_carry_out(&run, taken.record.state(), shape)?;
    let depth = if !yes && terminal::is_interactive() { Depth::Whole } else { Depth::Listed };
    let Taken { components, job, record, .. } = taken.as_ref();
    let previewed =
        runner::preview_follow_up(components, job, &context.seams, depth, (&run, record.state()), shape).await;
    let report = previewed.map_err(|error| Fault::wrong(error.to_string()))?;
    output::preview_for_run(&report);
    let digest = report.digest();
    if !yes && approved != Some(digest) {
        agree(&run, record.state(), shape, approved.is_some(), &digest.to_string()).await?;
    }
    let by = context.by(&By { by: by.by });
    taken.by.clone_from(&by);
    taken.hold(context).await?;
    let interrupts = taken.attach().await?;
    // Somebody may have noted that it is done while nobody had answered here.
    if let Err(fault) = refuse_to_carry_out(&run, taken.record.state(), shape) {
        taken.let_go().await?;
        return Err(fault);
    }
    let requested = FollowUpRequested { item: shape.id.clone(), approval: report.approval(by) };
    taken.record.commit(Event::FollowUpRequested(requested)).await?;
    taken.drive(context, yes, interrupts).await
}

async fn agree(run: &RunId, state: &State, shape: &FollowUpShape, differs: bool, digest: &str) -> Result<(), Fault> {
    let id = &shape.id;
    let stays = || format!("follow-up {id} of run {run} stays as it was");
    let differs = differs.then_some("what was approved is not what would be done now");
    if terminal::is_interactive() {
        differs.into_iter().for_each(output::note);
        let unknowable: Vec<_> = state.unknowable_of(id).map(|call| call.request.call.summary()).collect();
        if !unknowable.is_empty() {
            output::note(&format!("It may have happened, and is sent again: {}.", clean(&unknowable.join(", "))));
        }
        let agreed = terminal::confirm("Make these changes?").await.map_err(|fault| fault.means(stays()))?;
        return if agreed { Ok(()) } else { Err(Fault::wrong("nobody agreed to the preview").means(stays())) };
    }
    Err(Fault::wrong(differs.unwrap_or("nobody is here to agree to the preview"))
        .means(stays())
        .hint(format!("agree to exactly this preview:  ripcord follow-up {run} {id} --approved {digest}"))
        .hint("or to whatever is listed with  --yes"))
}

/// As people and programs are told of it.
pub(super) fn items(state: &State) -> Vec<FollowUp> {
    FollowUp::all_of(state, jiff::Timestamp::now())
}
