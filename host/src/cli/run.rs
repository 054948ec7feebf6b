//! `check`, `preview`, `run`, `resume`, `abort`, `undo`.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::args::{ByOptions, PlanOptions, PreviewOptions, RunName, RunOptions, UndoOptions};
use super::context::{Context, Files, append_as_person, host};
use super::exit::{Exit, Fault, broken_off, held, held_by_a_follow_up, held_by_a_watch};
use super::interrupt::{Interrupts, Wish};
use super::output;
use super::progress::Progress;
use super::report::noted;
use super::terminal::{self, Terminal};
use super::watch::{Watching, listen};
use crate::alertmanager::Listening;
use crate::component::Components;
use crate::id::RunId;
use crate::journal::{
    BeginError, Blob, Event, Journal, LockError, Purpose, Recorded, RunLock, RunOutcome, RunStarted, Then,
};
use crate::ledger::good_states;
use crate::machine::{After, Execution, State};
use crate::operator::Operator;
use crate::pipeline::Depth;
use crate::plan::{Plan, resolve_params};
use crate::present::clean;
use crate::record::{Record, look};
use crate::runner::{self, Agreement, Job, Opens, PreviewReport, RunError, Runner, Sources, Stand};
use crate::state::StateDir;
use crate::telemetry::Export;

/// How long a run that is over waits for the collector of its trace.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// The same for somebody who does not want to wait.
const FLUSH_AT_ONCE: Duration = Duration::from_millis(100);

/// Everything that can be known without a network and without a secret.
pub(super) async fn check(context: &Context, options: &PlanOptions) -> Result<Exit, Fault> {
    let files = context.files(options)?;
    let state = context.state()?;
    let components = context.components(&state)?;
    if !options.params.is_empty() {
        resolve_params(&files.plan, &options.params)?;
    }
    let checked = runner::check(&components, sources(&files, options, true)).await?;
    output::warnings(&checked.warnings);
    output::checked(context, &files.plan, &checked);
    Ok(Exit::Done)
}

pub(super) async fn preview(context: &Context, options: &PreviewOptions) -> Result<Exit, Fault> {
    let files = context.files(&options.plan)?;
    let state = context.state()?;
    let components = context.components(&state)?;
    let mut job = context.job(&components, &state, sources(&files, &options.plan, false)).await?;
    job.good_states = good_states(context.journal(&state)?.as_ref(), &job.target).await?;
    let report = previewed(context, &components, &job, Depth::Whole).await?;
    // For whoever runs it later, and finds that something is another one by then.
    if let Err(error) = Agreement::of(&job, &report).keep(&state.previews(), report.digest()) {
        tracing::warn!(%error, "what this preview lists can't be kept in {}", state.previews().display());
    }
    output::preview(context, &report, options.verbose, &run_exactly(context, &options.plan, &report));
    Ok(Exit::Done)
}

/// The command that runs exactly what was previewed, with the options that this one was given.
fn run_exactly(context: &Context, options: &PlanOptions, report: &PreviewReport) -> String {
    let mut words = vec!["ripcord".to_owned(), "run".to_owned(), options.plan.display().to_string()];
    for (name, value) in &options.params {
        words.extend(["-p".to_owned(), format!("{name}={value}")]);
    }
    for (option, path) in [("--config", &context.global.config), ("--state", &context.global.state)] {
        words.extend(path.iter().flat_map(|path| [option.to_owned(), path.display().to_string()]));
    }
    words.extend(["--approved".to_owned(), report.digest().to_string()]);
    crate::shell::line(words.iter().map(String::as_str))
}

pub(super) async fn run(context: &Context, options: RunOptions) -> Result<Exit, Fault> {
    carry(context, options, None).await
}

/// Begins a run and carries it; first it watches what is given here.
pub(super) async fn carry(context: &Context, options: RunOptions, watch: Option<Watching>) -> Result<Exit, Fault> {
    let Begun { carried, terminal, interrupts, lock: _lock } =
        begin(context, options, watch).await.map_err(Fault::before_the_run)?;
    match &carried.job.shape.watch {
        None => output::began(carried.record.run()),
        Some(watch) => output::began_to_watch(carried.record.run(), watch),
    }
    drive(context, carried, terminal, interrupts).await
}

/// A run that has begun, in this process's hands.
struct Begun {
    carried: Carried,
    terminal: Terminal,
    interrupts: Interrupts,
    lock: RunLock,
}

/// All that it takes to carry a run.
struct Carried {
    components: Components,
    journal: Arc<dyn Journal>,
    job: Job,
    record: Record,
    /// Where alerts are received, if they are.
    listening: Option<Listening>,
}

async fn begin(context: &Context, options: RunOptions, watch: Option<Watching>) -> Result<Begun, Fault> {
    let files = context.files(&options.plan)?;
    let watch = watch.map(|watching| watching.shape(&files)).transpose()?;
    let state = context.state()?;
    let components = context.components(&state)?;
    let journal = context.journal(&state)?;
    let sources = sources(&files, &options.plan, watch.is_some());
    let mut job = context.job(&components, &state, sources).await?;
    job.shape.watch = watch;
    job.good_states = good_states(journal.as_ref(), &job.target).await?;
    refuse_if_held(&state, journal.as_ref(), &job).await?;
    let listening = listen(&job, &files.operator).await?;
    if let (Some(watch), Some(listening)) = (&mut job.shape.watch, &listening) {
        watch.listen = Some(listening.address());
    }

    let interrupts = Interrupts::listen();
    // Where nobody is asked, nobody waits for what only they would want to know.
    let asks = !options.yes && terminal::is_interactive();
    let depth = if asks { Depth::Whole } else { Depth::Listed };
    let report = interrupts.before_the_run(previewed(context, &components, &job, depth)).await??;
    output::preview_for_run(&report);
    job.shape.watch.iter().for_each(output::watched);
    let by = context.by(&options.by);
    interrupts.before_the_run(agree(&state, &job, &report, &options)).await??;

    let run = RunId::new(jiff::Timestamp::now());
    let lock = RunLock::acquire(&state, &run)?;
    let noted = noted(options.incident, by.clone());
    let record = runner::begin(&journal, &run, &job, report.approval(by.clone()), noted, host(&lock)).await?;
    let terminal = Terminal::new(by, options.yes);
    let carried = Carried { components, journal, job, record, listening };
    Ok(Begun { carried, terminal, interrupts, lock })
}

/// Goes on with a run.
pub(super) async fn resume(context: &Context, name: &RunName) -> Result<Exit, Fault> {
    let mut taken = take(context, name, "resume", For::GoingOn).await?.taken()?;
    match &taken.record.state().after {
        Some(After::FollowUp(_)) => {
            taken.hold().await?;
            let interrupts = taken.attach().await?;
            return taken.drive(context, false, interrupts).await;
        }
        Some(After::Drift) => {
            let interrupts = taken.attach().await?;
            return taken.drive(context, false, interrupts).await;
        }
        None => {}
    }
    if let Some((outcome, why)) = taken.record.state().ended.clone() {
        if outcome != RunOutcome::Halted || !taken.record.state().can_verify_again() {
            let stand = Stand::Ended(outcome, why);
            output::note("the run has ended; there is nothing to resume");
            output::stand(context, taken.record.run(), &stand, taken.record.state());
            return Ok(Exit::from(&stand));
        }
        taken.hold().await?;
    }
    if taken.record.state().is_watching() {
        let again = format!("ripcord resume {}", taken.record.run());
        let listening = listen(&taken.job, &taken.operator).await;
        taken.listening = listening.map_err(|fault| fault.leaves(taken.record.run(), &again))?;
        taken.listening.iter().for_each(|listening| output::receives(listening.address()));
    }
    let interrupts = taken.attach().await?;
    if taken.record.state().ended.is_some() {
        taken.record.commit(Event::VerificationRequested { by: taken.by.clone() }).await?;
    }
    taken.drive(context, false, interrupts).await
}

/// Stops a run and takes back what it did; a running host does it itself.
pub(super) async fn abort(context: &Context, options: ByOptions) -> Result<Exit, Fault> {
    let by = context.by(&options.by);
    let event = Event::AbortRequested { by };
    let mut taken = match take(context, &options.run, "abort", For::GoingOn).await? {
        Taking::Taken(taken) => taken,
        Taking::Carried { run, pid, after: Some(After::Drift), .. } => return Err(watched(&run, &pid)),
        Taking::Carried { run, pid, journal, .. } => {
            append_as_person(journal.as_ref(), &run, event).await?;
            output::note(&format!("run {run} is carried by process {pid}, which takes it back now"));
            output::note(&format!("follow it:  ripcord show {run} --follow"));
            return Ok(Exit::Done);
        }
    };
    if let (Some((outcome, _)), None | Some(After::Drift)) = (&taken.record.state().ended, &taken.record.state().after)
    {
        let run = taken.record.run();
        return Err(Fault::wrong(format!("run {run} has ended ({outcome}); there is nothing to stop")).hint(
            if taken.record.state().has_effects() {
                format!("take back what it did:  ripcord undo {run}")
            } else {
                format!("there is nothing of it to take back; what it did:  ripcord show {run}")
            },
        ));
    }
    let interrupts = taken.attach().await?;
    taken.record.commit(event).await?;
    taken.drive(context, false, interrupts).await
}

/// Takes back what a finished run did.
pub(super) async fn undo(context: &Context, options: UndoOptions) -> Result<Exit, Fault> {
    let by = context.by(&options.by);
    let mut taken = take(context, &options.run, "undo", For::Undoing).await?.taken()?;
    let run = taken.record.run().clone();
    let state = taken.record.state();
    match &state.ended {
        None => {
            return Err(Fault::wrong(format!("run {run} has not ended"))
                .hint(format!("go on with it:  ripcord resume {run}"))
                .hint(format!("stop it and take it back:  ripcord abort {run}")));
        }
        Some((RunOutcome::Undone, _)) => {
            return Err(Fault::wrong(format!("run {run} was already taken back"))
                .hint(format!("what was done, and what was taken back:  ripcord show {run}")));
        }
        Some(_) if !state.has_effects() => {
            return Err(Fault {
                exit: Exit::Unchanged,
                ..Fault::wrong(format!("run {run} has changed nothing that could be taken back"))
                    .hint(format!("what it did:  ripcord show {run}"))
            });
        }
        Some(_) => {}
    }
    let stays = || format!("run {run} stays as it was");
    if !options.yes && !terminal::confirm(&question(&run, state)).await.map_err(|fault| fault.means(stays()))? {
        return Err(Fault::wrong("nobody agreed to take it back")
            .means(stays())
            .hint("say yes at the prompt, or give --yes"));
    }
    taken.hold().await?;
    let interrupts = taken.attach().await?;
    taken.record.commit(Event::UndoRequested { by }).await?;
    taken.drive(context, options.yes, interrupts).await
}

/// Another process looks whether what the run has verified stays so, and has nothing else to do with it.
fn watched(run: &RunId, pid: &str) -> Fault {
    Fault::wrong(format!("process {pid} looks whether what run {run} has verified stays so"))
        .hint(format!("end that first, with Ctrl-C where it runs, or with  kill -INT {pid}"))
        .hint(format!("it goes on later with  ripcord watch {run}"))
}

fn question(run: &RunId, state: &State) -> String {
    let unknowable: Vec<_> = state.unknowable_undos().map(|mutation| mutation.request.call.summary()).collect();
    let warning = if unknowable.is_empty() {
        String::new()
    } else {
        format!("It may have happened, and is sent again: {}.\n", clean(&unknowable.join(", ")))
    };
    format!("{warning}Take back what run {run} did?")
}

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
        match (self, &known.after) {
            (Self::FollowUp(item), _) => Opens::FollowUp(item),
            (Self::GoingOn, Some(After::FollowUp(item))) => Opens::FollowUp(item),
            (Self::Drift, _) | (Self::GoingOn, Some(After::Drift)) => Opens::Checks,
            (Self::Undoing, Some(After::FollowUp(item))) => Opens::RunAnd(item),
            (Self::Undoing, _) | (Self::GoingOn, None) => Opens::Run,
        }
    }
}

/// A run that this process has taken over.
pub(super) struct Taken {
    pub(super) components: Components,
    journal: Arc<dyn Journal>,
    pub(super) record: Record,
    pub(super) job: Job,
    operator: Operator,
    pub(super) by: String,
    lock: RunLock,
    listening: Option<Listening>,
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
pub(super) async fn take(context: &Context, name: &RunName, command: &str, wanted: For<'_>) -> Result<Taking, Fault> {
    let state = context.state()?;
    let journal = context.journal(&state)?;
    let run = context.run_id(journal.as_ref(), name).await?;
    let again = format!("ripcord {command} {run}");
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
    pub(super) async fn hold(&self) -> Result<(), Fault> {
        match self.journal.hold(self.record.run(), &self.job.holds()).await {
            Ok(()) => Ok(()),
            Err(BeginError::Held { resource, holder }) => Err(held(&resource, holder.as_str())),
            Err(BeginError::Storage(error)) => Err(error.into()),
        }
    }

    pub(super) async fn drive(self, context: &Context, yes: bool, interrupts: Interrupts) -> Result<Exit, Fault> {
        let Self { components, journal, record, job, by, lock: _lock, listening, .. } = self;
        let carried = Carried { components, journal, job, record, listening };
        drive(context, carried, Terminal::new(by, yes), interrupts).await
    }
}

/// Takes a run as far as it goes, shows it, and says where it stands.
async fn drive(context: &Context, carried: Carried, terminal: Terminal, interrupts: Interrupts) -> Result<Exit, Fault> {
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

async fn previewed(
    context: &Context,
    components: &Components,
    job: &Job,
    depth: Depth,
) -> Result<PreviewReport, Fault> {
    runner::preview(components, job, &context.seams, depth).await.map_err(|error| Fault::wrong(error.to_string()))
}

/// Early, so that nobody reads a preview for nothing. The journal decides when the run begins.
async fn refuse_if_held(state: &StateDir, journal: &dyn Journal, job: &Job) -> Result<(), Fault> {
    for resource in job.holds() {
        let Some(holder) = journal.holder(&resource).await? else { continue };
        let (known, _, _) = look(journal, &holder).await?;
        let is_carried_out = matches!(known.after, Some(After::FollowUp(_)));
        match (&known.ended, RunLock::acquire(state, &holder)) {
            // It was cut off between its end and letting go.
            (Some(_), Ok(_lock)) if !is_carried_out => journal.release(&holder).await?,
            (Some(_), _) if is_carried_out => return Err(held_by_a_follow_up(&resource, &holder)),
            _ if known.is_watching() => return Err(held_by_a_watch(&resource, &holder, &known)),
            _ => return Err(held(&resource, holder.as_str())),
        }
    }
    Ok(())
}

/// A person's agreement to exactly this preview.
async fn agree(state: &StateDir, job: &Job, report: &PreviewReport, options: &RunOptions) -> Result<(), Fault> {
    let digest = report.digest();
    if options.yes || options.approved == Some(digest) {
        return Ok(());
    }
    let differs = options.approved.map(|approved| {
        let then = Agreement::find(&state.previews(), approved);
        let differences = then.map(|then| then.differences(&Agreement::of(job, report))).unwrap_or_default();
        let differences = if differences.is_empty() {
            vec![
                "which part of it differs can't be said, because it was not previewed with this state folder: the \
                 plan, a parameter, a plugin, the operator's file or the list of changes"
                    .to_owned(),
            ]
        } else {
            differences
        };
        format!("what was approved is not what a run would do now:\n  {}", differences.join("\n  "))
    });
    if terminal::is_interactive() {
        if let Some(differs) = differs {
            output::note(&clean_lines(&differs));
        }
        let agreed = terminal::confirm(question_of(job)).await?;
        return if agreed { Ok(()) } else { Err(Fault::wrong("nobody agreed to the preview")) };
    }
    let fault = Fault::wrong(differs.unwrap_or_else(|| "nobody is here to agree to the preview".to_owned()));
    Err(fault
        .hint(format!("agree to exactly this preview with  --approved {digest}"))
        .hint("or to whatever is listed with  --yes"))
}

/// What somebody agrees to.
fn question_of(job: &Job) -> &'static str {
    match job.shape.watch.as_ref().map(|watch| watch.then) {
        None => "Make these changes?",
        Some(Then::Ask) => "Make these changes if a trigger trips and somebody says yes?",
        Some(Then::Run) => "Make these changes as soon as a trigger trips?",
    }
}

/// Values of parameters may be in it.
fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

fn sources<'a>(files: &'a Files, options: &'a PlanOptions, with_triggers: bool) -> Sources<'a> {
    Sources {
        plan: &files.plan,
        plan_path: &files.plan_path,
        plan_text: &files.plan_text,
        params: &options.params,
        operator: &files.operator,
        with_triggers,
        opens: Opens::Run,
        kept: None,
    }
}
