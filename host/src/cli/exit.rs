//! How the program ends, and what a person reads when it could not do what it was asked.

use std::process::ExitCode;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::id::RunId;
use crate::journal::{Altered, AppendError, BeginError, LockError, ReadError, RunOutcome, StorageError};
use crate::machine::State;
use crate::record::RecordError;
use crate::runner::{AssembleError, BeginRunError, RunError, Stand};
use crate::state::UnusableState;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Verified, or the command did what it says.
    Done = 0,
    /// It failed and was taken back.
    Undone = 1,
    /// The plan, the files or the arguments are wrong; nothing was touched.
    Wrong = 2,
    /// A person is needed.
    Halted = 3,
    /// There was nothing to roll back.
    Unchanged = 4,
    /// A check of the record found a fault.
    Faulty = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&Stand> for Exit {
    fn from(stand: &Stand) -> Self {
        match stand {
            Stand::Ended(RunOutcome::Verified, _) => Self::Done,
            Stand::Ended(RunOutcome::Undone, _) => Self::Undone,
            Stand::Ended(RunOutcome::Unchanged, _) => Self::Unchanged,
            Stand::Ended(RunOutcome::Halted, _) | Stand::Asks(_) | Stand::AtGate(_) | Stand::Paused => Self::Halted,
        }
    }
}

/// Why a command could not do what it says.
#[derive(Debug)]
pub(super) struct Fault {
    pub what: What,
    /// What it means for the rollback, in one sentence; empty if the message says it.
    pub meaning: String,
    /// What to do next, one sentence each.
    pub hints: Vec<String>,
    pub exit: Exit,
}

#[derive(Debug)]
pub(super) enum What {
    Message(String),
    Diagnostics(Diagnostics),
}

impl Fault {
    /// The files, the arguments or the machine are wrong; nothing was touched.
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self { what: What::Message(message.into()), meaning: String::new(), hints: Vec::new(), exit: Exit::Wrong }
    }

    /// A person is needed.
    pub(super) fn halted(message: impl Into<String>) -> Self {
        Self { exit: Exit::Halted, ..Self::wrong(message) }
    }

    /// The record is not what it should be.
    pub(super) fn faulty(message: impl Into<String>) -> Self {
        Self { exit: Exit::Faulty, ..Self::wrong(message) }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// This is what it means, unless something was said of that already.
    pub(super) fn means(mut self, meaning: impl Into<String>) -> Self {
        if self.meaning.is_empty() {
            self.meaning = meaning.into();
        }
        self
    }

    /// Whatever it is, it has come before a run began.
    pub(super) fn before_the_run(self) -> Self {
        self.means("no run has begun, and nothing was touched")
    }

    /// It has come before anything of this run was changed; `again` goes on once it is put right.
    pub(super) fn leaves(self, run: &RunId, again: &str) -> Self {
        let can_be_put_right = self.exit == Exit::Wrong && self.meaning.is_empty();
        let fault = self.means(format!("run {run} stays as it was"));
        if can_be_put_right { fault.hint(format!("put that right; then  {again}")) } else { fault }
    }
}

impl From<Diagnostics> for Fault {
    fn from(diagnostics: Diagnostics) -> Self {
        let what = What::Diagnostics(diagnostics);
        Self { what, meaning: String::new(), hints: Vec::new(), exit: Exit::Wrong }
    }
}

impl From<Diagnostic> for Fault {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic]).into()
    }
}

impl From<StorageError> for Fault {
    fn from(StorageError { path, problem, remedy }: StorageError) -> Self {
        let fault = Self::wrong(format!("{path}: {problem}"));
        if remedy.is_empty() { fault } else { fault.hint(remedy) }
    }
}

impl From<UnusableState> for Fault {
    fn from(UnusableState { path, problem, remedy }: UnusableState) -> Self {
        Self::wrong(format!("the state folder {path} can't be used: {problem}")).hint(remedy)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Altered(altered, _) => damaged(&altered),
            ReadError::NoSuchRun(_) => {
                Self::wrong(error.to_string()).hint("`ripcord runs` lists the runs that there are")
            }
            ReadError::NoSuchBlob(digest) => {
                Self::faulty(format!("the plan or plugin {digest}, which this run is made of, is not in the journal"))
                    .means("this run can't be gone on with, taken back or replayed from here; nothing was touched")
                    .hint("look for a copy of the state folder from before; else finish the rollback by hand")
            }
            ReadError::Storage(error) => error.into(),
        }
    }
}

impl From<AppendError> for Fault {
    fn from(error: AppendError) -> Self {
        Self::halted(error.to_string())
    }
}

impl From<AssembleError> for Fault {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Files(diagnostics) => diagnostics.into(),
            AssembleError::Open(_) => Self::wrong(error.to_string()),
        }
    }
}

impl From<BeginRunError> for Fault {
    fn from(error: BeginRunError) -> Self {
        match error {
            BeginRunError::Begin(BeginError::Held { ref resource, ref holder }) => held(resource, holder.as_str()),
            BeginRunError::Begin(BeginError::Storage(error)) => error.into(),
            BeginRunError::Record(error) => error.into(),
        }
    }
}

/// A record that is not what was written: what can still be believed, and what to do.
fn damaged(altered: &Altered) -> Fault {
    let fault = Fault::faulty(altered.to_string()).means(altered.sound_part());
    let fault = match altered {
        Altered::Blob { .. } | Altered::Missing { sequence: 1, .. } | Altered::Changed { sequence: 1, .. } => fault,
        Altered::Missing { run, .. }
        | Altered::Changed { run, .. }
        | Altered::Surplus { run, .. }
        | Altered::End { run, .. }
        | Altered::TakenBack { run, .. } => fault.hint(format!("what can be believed:  ripcord show {run}")),
    };
    fault
        .hint("keep a copy of the state folder as it is; then check its disk, and who can write to it")
        .hint("nothing goes on from this record: finish the rollback by hand")
}

/// Another run holds what this one wants.
pub(super) fn held(resource: &str, holder: &str) -> Fault {
    let what = crate::present::words::resource(resource);
    Fault::wrong(format!("{what} is held by run {holder}, which has not ended"))
        .hint(format!("see what it is doing:  ripcord show {holder}"))
        .hint(format!("go on with it:  ripcord resume {holder}    or take it back:  ripcord abort {holder}"))
}

/// As [`held`], by a run that only watches.
pub(super) fn held_by_a_watch(resource: &str, holder: &RunId, known: &State) -> Fault {
    let what = crate::present::words::resource(resource);
    let waits = match &known.tripped {
        None => "which waits for a trigger to trip".to_owned(),
        Some((trigger, _)) => format!("whose trigger {trigger} has tripped, and which waits for a person to say yes"),
    };
    Fault::wrong(format!("{what} is held by watch {holder}, {waits}"))
        .hint(format!("roll back now, by its plan:  ripcord approve {holder} watch"))
        .hint(format!("end the watching, and then run this:  ripcord approve {holder} watch --no"))
        .hint(format!("see what it watches:  ripcord show {holder}"))
        .hint(format!("if no process carries it any more, let the answer be taken in:  ripcord resume {holder}"))
}

/// As [`held`], by a run that has ended, and of which a follow-up is carried out.
pub(super) fn held_by_a_follow_up(resource: &str, holder: &RunId) -> Fault {
    let what = crate::present::words::resource(resource);
    Fault::wrong(format!("{what} is held by run {holder}, of which a follow-up is carried out"))
        .hint(format!("see what it is doing:  ripcord show {holder}"))
        .hint(format!("go on with it:  ripcord resume {holder}    or stop it:  ripcord abort {holder}"))
}

/// As [`held`], by a run that has ended, and that a process still has to do with.
pub(super) fn held_after_its_end(resource: &str, holder: &RunId) -> Fault {
    let what = crate::present::words::resource(resource);
    Fault::wrong(format!("{what} is held by run {holder}, which has ended, and a process is at work with it"))
        .hint(format!("see what it is doing:  ripcord show {holder}"))
        .hint("try again when it is done; if it only looks whether the run's result stays so, end it with Ctrl-C")
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Read(error) => error.into(),
            RecordError::Storage(error) => Self { exit: Exit::Halted, ..error.into() },
            RecordError::Foreign { .. } | RecordError::Overtaken | RecordError::Impossible(_) => {
                Self::halted(error.to_string())
            }
        }
    }
}

impl From<LockError> for Fault {
    fn from(error: LockError) -> Self {
        Self::wrong(error.to_string())
    }
}

/// A run that began and can't go on: what it means for the rollback, and what to do.
pub(super) fn broken_off(run: &str, error: RunError, known: Option<&State>) -> Fault {
    let fault = match &error {
        RunError::Diverged(_) => Fault::halted(error.to_string())
            .hint("the plugin asked for something else than the first time; nothing was sent")
            .hint(format!("send its author this message and  ripcord show {run}")),
        RunError::Record(RecordError::Storage(_)) => {
            Fault::halted(format!("the journal can't be written, so the run has stopped: {error}"))
                .hint("what was done until then is recorded; put right what is wrong with the disk")
                .hint(format!("then go on:  ripcord resume {run}"))
        }
        RunError::Record(_) | RunError::NoSuchUnit(_) => {
            Fault::halted(error.to_string()).hint(format!("see:  ripcord show {run}"))
        }
    };
    let unknown = known.map(super::output::unknown).unwrap_or_default();
    let unknown = unknown.iter().map(|(call, what)| {
        format!("it is not recorded whether this has happened, and `ripcord resume` finds out: call {call}, {what}")
    });
    let fault = unknown.fold(fault, Fault::hint);
    fault.hint(format!("the state of the run:  ripcord show {run}"))
}
