//! Taking over a run that another process has begun, or that has ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::args::RunName;
use super::context::{Context, host};
use super::drive::{Carried, drive};
use super::exit::{Exit, Fault, held, held_after_its_end, held_by_a_follow_up, held_by_a_watch};
use super::interrupt::Interrupts;
use super::output;
use super::terminal::Terminal;
use crate::alertmanager::Listening;
use crate::component::Components;
use crate::id::RunId;
use crate::journal::{BeginError, Blob, Event, Journal, LockError, Purpose, RunLock, RunStarted};
use crate::machine::{After, Execution, State};
use crate::operator::Operator;
use crate::plan::Plan;
use crate::record::{Record, look};
use crate::runner::{Job, Opens, Sources};
use crate::state::StateDir;

/// What a run is taken over for.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// To go on with whatever is under way.
    GoingOn,
    /// To take it back.
    Undoing,
    /// To carry this follow-up out.
    FollowUp(&'a str),
    /// To look whether what was verified is still so.
    Drift,
}

impl<'a> For<'a> {
    /// What has to be open for that.
    fn opens(self, known: &'a State) -> Opens<'a> {
        let doubts = known.doubts().filter_map(|(call, _)| known.executions.get(&call.execution));
        let mut in_doubt = doubts.filter_map(|execution| match &execution.purpose {
            Purpose::FollowUp(item) => Some(item.as_str()),
            _ => None,
        });
        match (self, &known.after) {
            (Self::FollowUp(item), _) => Opens::FollowUp(item),
            (Self::GoingOn, Some(After::FollowUp(item))) => Opens::FollowUp(item),
            (Self::Drift, _) | (Self::GoingOn, Some(After::Drift)) => Opens::Checks,
            (Self::Undoing, _) | (Self::GoingOn, None) => in_doubt.next().map_or(Opens::Run, Opens::RunAnd),
        }
    }
}

/// A run that this process has taken over.
pub(super) struct Taken {
    pub(super) components: Components,
    journal: Arc<dyn Journal>,
    pub(super) record: Record,
    pub(super) job: Job,
    pub(super) operator: Operator,
    pub(super) by: String,
    lock: RunLock,
    pub(super) listening: Option<Listening>,
}

/// What came of wanting to take a run over.
pub(super) enum Taking {
    Taken(Box<Taken>),
    /// Another process carries it.
    Carried {
        run: RunId,
        pid: String,
        journal: Arc<dyn Journal>,
        /// What it does with a run that has ended.
        after: Option<After>,
    },
}

impl Taking {
    /// The run, if nobody else carries it.
    pub(super) fn taken(self) -> Result<Box<Taken>, Fault> {
        match self {
            Self::Taken(taken) => Ok(taken),
            Self::Carried { run, pid, after: Some(After::Drift), .. } => Err(watched(&run, &pid)),
            Self::Carried { run, pid, .. } => {
                Err(Fault::wrong(format!("run {run} is carried by process {pid} right now"))
                    .hint(format!("follow it:  ripcord show {run} --follow"))
                    .hint(format!("stop it:  ripcord abort {run}    or press Ctrl-C where it runs")))
            }
        }
    }
}

/// Takes a run over: its lock, its plan and plugins as they were, the operator's file as it is today.
/// `command` is what somebody asks again for once what is in the way was put right.
pub(super) async fn take(
    context: &Context,
    name: &RunName,
    command: impl FnOnce(&RunId) -> String,
    wanted: For<'_>,
) -> Result<Taking, Fault> {
    let state = context.state()?;
    let journal = context.journal(&state)?;
    let run = context.run_id(journal.as_ref(), name).await?;
    let again = command(&run);
    take_over(context, &state, journal, &run, wanted).await.map_err(|fault| fault.leaves(&run, &again))
}

async fn take_over(
    context: &Context,
    state: &StateDir,
    journal: Arc<dyn Journal>,
    run: &RunId,
    wanted: For<'_>,
) -> Result<Taking, Fault> {
    let lock = match RunLock::acquire(state, run) {
        Ok(lock) => lock,
        Err(LockError::Locked { run, by }) => {
            let pid = by.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
            let (known, _, _) = look(journal.as_ref(), &run).await?;
            return Ok(Taking::Carried { run, pid, journal, after: known.after });
        }
        Err(error) => return Err(error.into()),
    };
    let components = context.components(state)?;
    let (started, kept) = kept(journal.as_ref(), run).await?;
    let (known, _, _) = look(journal.as_ref(), run).await?;
    let operator = context.operator(Some(started.operator_path.as_ref()))?;
    let plan_text = String::from_utf8_lossy(&journal.blob(started.plan).await?).into_owned();
    let plan = Plan::parse(&started.plan_path, &plan_text)?;
    let params: Vec<_> = started.params.clone().into_iter().collect();
    let sources = Sources {
        plan: &plan,
        plan_path: started.plan_path.as_ref(),
        plan_text: &plan_text,
        params: &params,
        operator: &operator,
        with_triggers: watches(&known),
        opens: wanted.opens(&known),
        kept: Some(&kept),
    };
    let mut job = context.job(&components, state, sources).await?;
    // What the guests were allowed and told is kept with the run, and so is what it watches, and for how long.
    job.limits = started.limits.clone();
    job.shape = started.shape.clone();
    job.good_states = started.good_states.clone();
    let record = Record::open(Arc::clone(&journal), run).await?;
    let by = context.by(&super::args::By { by: None });
    Ok(Taking::Taken(Box::new(Taken { components, journal, record, job, operator, by, lock, listening: None })))
}

/// Whether a run has to do with its triggers still. One that has gone on to its steps must not fail
/// because what was watched can't be reached.
fn watches(known: &State) -> bool {
    let mut doubts = known.doubts().filter_map(|(call, _)| known.executions.get(&call.execution));
    let is_of_a_trigger =
        |execution: &Execution| matches!(&execution.purpose, Purpose::Check(id) if known.trigger(id).is_some());
    known.is_watching() || doubts.any(is_of_a_trigger)
}

/// What a run began with.
pub(super) async fn kept(journal: &dyn Journal, run: &RunId) -> Result<(RunStarted, BTreeMap<String, Blob>), Fault> {
    let (_, events, _) = look(journal, run).await?;
    let started = events.into_iter().find_map(|recorded| match recorded.event {
        Event::RunStarted(started) => Some(*started),
        _ => None,
    });
    let started = started.ok_or_else(|| Fault::faulty(format!("run {run} has no beginning")))?;
    let mut kept = BTreeMap::new();
    for (id, digest) in &started.plugins {
        kept.insert(id.clone(), Blob::new(journal.blob(*digest).await?));
    }
    Ok((started, kept))
}

impl Taken {
    /// Records that this process carries the run from here on. Until then nothing of it has changed, and
    /// Ctrl-C simply ends the process.
    pub(super) async fn attach(&mut self) -> Result<Interrupts, Fault> {
        let interrupts = Interrupts::listen();
        self.record.commit(Event::HostAttached(host(&self.lock))).await?;
        if let Some(pid) = self.lock.taken_over_from() {
            let run = self.record.run();
            output::note(&format!("process {pid}, which carried run {run}, is gone; its lock was taken over"));
        }
        Ok(interrupts)
    }

    /// A run that had ended has let go of its target.
    pub(super) async fn hold(&self, context: &Context) -> Result<(), Fault> {
        let state = context.state()?;
        loop {
            match self.journal.hold(self.record.run(), &self.job.holds()).await {
                Ok(()) => return Ok(()),
                Err(BeginError::Held { resource, holder }) => {
                    free_or_refuse(&state, self.journal.as_ref(), &resource, &holder).await?;
                }
                Err(BeginError::Storage(error)) => return Err(error.into()),
            }
        }
    }

    /// Lets go again of what [`Taken::hold`] has taken, because nothing is done with it.
    pub(super) async fn let_go(&self) -> Result<(), Fault> {
        Ok(self.journal.release(self.record.run()).await?)
    }

    pub(super) async fn drive(self, context: &Context, yes: bool, interrupts: Interrupts) -> Result<Exit, Fault> {
        let Self { components, journal, record, job, by, lock: _lock, listening, .. } = self;
        let carried = Carried { components, journal, job, record, listening };
        drive(context, carried, Terminal::new(by, yes), interrupts).await
    }
}

/// Frees what a run holds that has ended, and was cut off before it had let go; says who holds it if it is
/// needed still.
pub(super) async fn free_or_refuse(
    state: &StateDir,
    journal: &dyn Journal,
    resource: &str,
    holder: &RunId,
) -> Result<(), Fault> {
    let (known, _, _) = look(journal, holder).await?;
    let is_carried_out = matches!(known.after, Some(After::FollowUp(_)));
    match (&known.ended, RunLock::acquire(state, holder)) {
        (Some(_), Ok(_lock)) if !is_carried_out => Ok(journal.release(holder).await?),
        (Some(_), _) if is_carried_out => Err(held_by_a_follow_up(resource, holder)),
        (Some(_), _) => Err(held_after_its_end(resource, holder)),
        (None, _) if known.is_watching() => Err(held_by_a_watch(resource, holder, &known)),
        (None, _) => Err(held(resource, holder.as_str())),
    }
}

/// Another process looks whether what the run has verified stays so, and has nothing else to do with it.
pub(super) fn watched(run: &RunId, pid: &str) -> Fault {
    Fault::wrong(format!("process {pid} looks whether what run {run} has verified stays so"))
        .hint(format!("end that first, with Ctrl-C where it runs, or with  kill -INT {pid}"))
        .hint(format!("it goes on later with  ripcord watch {run}"))
}
