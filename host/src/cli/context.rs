//! What a command works with: state directory, journal, engine, files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{By, Global, PlanOptions, RunName};
use super::exit::Fault;
use super::output;
use crate::capability::OpenError;
use crate::component::Components;
use crate::document::read_text;
use crate::id::RunId;
use crate::journal::{Event, HostAttached, Journal, RunLock, SqliteJournal};
use crate::language::Language;
use crate::operator::{self, Operator};
use crate::plan::Plan;
use crate::runner::{AssembleError, Job, Seams, Sources, Unopened, check, opening};
use crate::state::{StateDir, UnusableState};
use crate::telemetry::Log;

/// Longer than any run stays open.
const RECORDS_KEPT: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);

pub(super) struct Context {
    pub global: Global,
    pub seams: Arc<dyn Seams>,
    pub log: Log,
}

/// The files that a plan is made of.
pub(super) struct Files {
    pub operator: Operator,
    pub plan: Plan,
    pub plan_path: PathBuf,
    pub plan_text: String,
}

impl Context {
    pub(super) fn new(global: Global, seams: Arc<dyn Seams>, log: Log) -> Self {
        Self { global, seams, log }
    }

    pub(super) fn state(&self) -> Result<StateDir, Fault> {
        Ok(self.state_dir()?)
    }

    pub(super) fn state_dir(&self) -> Result<StateDir, UnusableState> {
        match &self.global.state {
            Some(path) => StateDir::open(path),
            None => StateDir::find(),
        }
    }

    pub(super) fn journal(&self, state: &StateDir) -> Result<Arc<dyn Journal>, Fault> {
        Ok(self.seams.journal(Arc::new(SqliteJournal::open(state.journal())?)))
    }

    pub(super) fn components(&self, state: &StateDir) -> Result<Components, Fault> {
        self.components_in(state.components())
    }

    pub(super) fn components_in(&self, cache: PathBuf) -> Result<Components, Fault> {
        Components::new(cache).map_err(|error| Fault::wrong(error.to_string()))
    }

    pub(super) fn files(&self, options: &PlanOptions) -> Result<Files, Fault> {
        // While the files are read and the plugins are loaded.
        std::thread::spawn(|| {
            crate::plan::get_ready();
            crate::present::time::local_zone();
            Language::En.table();
        });
        let operator = self.operator(None)?;
        let path = &options.plan;
        let plan_text = read_text("the plan", path)?;
        let plan = Plan::parse(&path.display().to_string(), &plan_text)?;
        let plan_path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Ok(Files { operator, plan, plan_path, plan_text })
    }

    /// The operator's file: the one that was named, else the one that a run was begun with, else the
    /// one that is found.
    pub(super) fn operator(&self, began_with: Option<&Path>) -> Result<Operator, Fault> {
        let config = self.global.config.as_deref().or(began_with);
        let folder =
            std::env::current_dir().map_err(|error| Fault::wrong(format!("can't tell the current folder: {error}")))?;
        let path = operator::find(config, &folder, |name| std::env::var_os(name))?;
        Ok(Operator::load(&path)?)
    }

    /// Checks the files, opens all connections, and says what is probably not meant.
    pub(super) async fn job(
        &self,
        components: &Components,
        state: &StateDir,
        sources: Sources<'_>,
    ) -> Result<Job, Fault> {
        // Records of programs whose runs are long over; what can't be removed is no reason not to run.
        if let Err(error) = crate::process::sweep(&state.spool(), RECORDS_KEPT) {
            tracing::warn!(%error, "old records of programs can't be removed");
        }
        let opening = opening(sources.operator, &state.spool(), &program()?);
        self.log.hide(opening.secrets.scrubber());
        let operator_path = sources.operator.path.clone();
        let begins = sources.kept.is_none();
        let checked = check(components, sources).await?;
        if begins {
            output::warnings(&checked.warnings);
        }
        let job = checked.open(&opening, &self.seams).await.map_err(|error| match error {
            AssembleError::Open(unopened) => unusable(&unopened, &operator_path),
            AssembleError::Files(diagnostics) => diagnostics.into(),
        })?;
        job.unopened.iter().for_each(output::nobody_is_told_by);
        Ok(job)
    }

    /// A run by its name, a unique part of it, or `last`.
    pub(super) async fn run_id(&self, journal: &dyn Journal, name: &RunName) -> Result<RunId, Fault> {
        let runs = journal.runs().await?;
        if name.run == "last" {
            let none = || Fault::wrong("there is no run yet").hint("begin one:  ripcord run PLAN");
            return runs.first().cloned().ok_or_else(none);
        }
        if let Some(exact) = runs.iter().find(|run| run.as_str() == name.run) {
            return Ok(exact.clone());
        }
        let mut matching = runs.iter().filter(|run| run.as_str().contains(&name.run));
        match (matching.next(), matching.next()) {
            (Some(run), None) => Ok(run.clone()),
            (None, _) if self.was_here(name)? => {
                Err(Fault::faulty(format!("run `{}` has begun here, but the journal knows nothing of it", name.run))
                    .means("the journal was emptied, or another one was put in its place")
                    .hint("look for a copy of the state folder from before; else finish the rollback by hand"))
            }
            (None, _) => Err(Fault::wrong(format!("there is no run `{}`", name.run))
                .hint("`ripcord runs` lists the runs that there are")),
            (Some(one), Some(other)) => {
                let more = if matching.next().is_some() { ", …" } else { "" };
                let message = format!("`{}` is a part of more than one run's name: {one}, {other}{more}", name.run);
                Err(Fault::wrong(message).hint("say more of the name; the last four letters tell runs apart"))
            }
        }
    }

    /// Whether there is the lock of a run of this name, which is never removed.
    fn was_here(&self, name: &RunName) -> Result<bool, Fault> {
        let locks = std::fs::read_dir(self.state()?.locks());
        let lock = format!("{}.lock", name.run);
        Ok(locks.into_iter().flatten().flatten().any(|file| *file.file_name() == *lock))
    }

    pub(super) fn by(&self, by: &By) -> String {
        let user =
            || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|user| !user.is_empty());
        by.by.clone().or_else(user).unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
    }
}

/// Connections that can't be opened.
fn unusable(unopened: &[Unopened], operator: &Path) -> Fault {
    let message = match unopened {
        [Unopened { connection, problem }] => format!("[{connection}] can't be used: {problem}"),
        several => {
            let lines = several.iter().map(|Unopened { connection, problem }| format!("\n  [{connection}]  {problem}"));
            format!("{} connections can't be used:{}", several.len(), lines.collect::<String>())
        }
    };
    let about_secrets = unopened.iter().any(|unopened| matches!(unopened.problem, OpenError::Secret(_)));
    let fault = Fault::wrong(message);
    let fault = if about_secrets {
        fault.hint(format!("[secrets] in {} says where each secret comes from", operator.display()))
    } else {
        fault.hint(format!("see it in {}", operator.display()))
    };
    fault.hint("`ripcord doctor` tries all connections at once")
}

/// This program, absolute: it starts its own supervisors.
pub(super) fn program() -> Result<PathBuf, Fault> {
    std::env::current_exe().map_err(|error| Fault::wrong(format!("can't find this program's own file: {error}")))
}

/// What this process is, for the journal.
pub(super) fn host(lock: &RunLock) -> HostAttached {
    HostAttached {
        pid: std::process::id(),
        machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        ripcord: env!("CARGO_PKG_VERSION").to_owned(),
        taken_over_from: lock.taken_over_from(),
    }
}

/// Appends a person's event to a run that another process may carry.
pub(super) async fn append_as_person(journal: &dyn Journal, run: &RunId, event: Event) -> Result<(), Fault> {
    debug_assert!(event.is_from_a_person());
    loop {
        let (_, head) = journal.read(run, None).await?;
        let dated = crate::journal::Dated { at: jiff::Timestamp::now(), event: event.clone() };
        match journal.append(run, head, &[dated]).await {
            Ok(_) => return Ok(()),
            Err(crate::journal::AppendError::Moved { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
