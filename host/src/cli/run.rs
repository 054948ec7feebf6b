//! `check`, `preview`, `run`, `resume`, `abort`, `undo`.

use super::args::{ByOptions, PlanOptions, PreviewOptions, RunName, RunOptions, UndoOptions};
use super::context::{Context, Files, append_as_person, host};
use super::decision::decided;
use super::drive::{Carried, drive};
use super::exit::{Exit, Fault};
use super::interrupt::Interrupts;
use super::output;
use super::report::noted;
use super::take::{For, Taking, free_or_refuse, take, watched};
use super::terminal::{self, Terminal};
use super::watch::{Watching, listen};
use crate::component::Components;
use crate::id::RunId;
use crate::journal::{Event, Journal, RunLock, RunOutcome, Then};
use crate::ledger::good_states;
use crate::machine::{After, State};
use crate::pipeline::Depth;
use crate::plan::resolve_params;
use crate::present::clean;
use crate::runner::{self, Agreement, Job, Opens, PreviewReport, Sources, Stand};
use crate::state::StateDir;

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

async fn begin(context: &Context, options: RunOptions, watch: Option<Watching>) -> Result<Begun, Fault> {
    let files = context.files(&options.plan)?;
    let watch = watch.map(|watching| watching.shape(&files)).transpose()?;
    let state = context.state()?;
    let components = context.components(&state)?;
    let journal = context.journal(&state)?;
    let sources = sources(&files, &options.plan, watch.is_some());
    let mut job = context.job(&components, &state, sources).await?;
    job.shape.watch = watch;
    let by = context.by(&options.by);
    job.said = noted(options.incident.clone(), by.clone());
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
    interrupts.before_the_run(agree(&state, &job, &report, &options)).await??;

    // Who has agreed beforehand may have left the terminal to a program.
    let is_there = asks && options.approved.is_none();
    let said = interrupts.before_the_run(decided(&job, job.said.clone(), is_there)).await?;
    let run = RunId::new(jiff::Timestamp::now());
    let lock = RunLock::acquire(&state, &run)?;
    let record = runner::begin(&journal, &run, &job, report.approval(by.clone()), said, host(&lock)).await?;
    let terminal = Terminal::new(by, options.yes);
    let carried = Carried { components, journal, job, record, listening };
    Ok(Begun { carried, terminal, interrupts, lock })
}

/// Goes on with a run.
pub(super) async fn resume(context: &Context, name: &RunName) -> Result<Exit, Fault> {
    go_on(context, name, None).await
}

/// The same, by somebody who has agreed to the gates of what is under way, if that is said.
pub(super) async fn go_on(context: &Context, name: &RunName, agreed: Option<String>) -> Result<Exit, Fault> {
    let yes = agreed.is_some();
    let mut taken = take(context, name, |run| format!("ripcord resume {run}"), For::GoingOn).await?.taken()?;
    match &taken.record.state().after {
        Some(After::FollowUp(_)) => {
            taken.hold(context).await?;
            taken.by = agreed.unwrap_or(taken.by);
            let interrupts = taken.attach().await?;
            return taken.drive(context, yes, interrupts).await;
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
        taken.hold(context).await?;
    }
    if taken.record.state().waits_for_a_trigger() {
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
    let mut taken = match take(context, &options.run, |run| format!("ripcord abort {run}"), For::GoingOn).await? {
        Taking::Taken(taken) => taken,
        Taking::Carried { run, pid, after: Some(After::Drift), .. } => return Err(watched(&run, &pid)),
        Taking::Carried { run, pid, journal, after } => {
            append_as_person(journal.as_ref(), &run, event).await?;
            let does = match after {
                Some(After::FollowUp(item)) => format!("process {pid} stops follow-up {item} of run {run} now"),
                Some(After::Drift) | None => format!("run {run} is carried by process {pid}, which takes it back now"),
            };
            output::note(&does);
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
    let mut taken = take(context, &options.run, |run| format!("ripcord undo {run}"), For::Undoing).await?.taken()?;
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
    taken.hold(context).await?;
    let interrupts = taken.attach().await?;
    taken.record.commit(Event::UndoRequested { by }).await?;
    taken.drive(context, options.yes, interrupts).await
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
        free_or_refuse(state, journal, &resource, &holder).await?;
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
