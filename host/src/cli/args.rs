//! The arguments.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::id::{CallId, Digest};
use crate::language::Language;
use crate::report;
use crate::telemetry::Format;

/// Runs rollbacks: a written plan, one sandboxed WebAssembly component at a time, and proof of what
/// was done.
///
/// A rollback in four commands: `ripcord check PLAN`, `ripcord preview PLAN`, `ripcord run PLAN`,
/// `ripcord report last`. After a crash: `ripcord resume last`.
///
/// Ctrl-C pauses a run at its next durable point: what only looks is given up, and a change that is under
/// way is waited for. Ctrl-C again does not wait. `ripcord resume` goes on from either. A closed terminal,
/// SIGTERM, and output that nobody reads any more pause too.
#[derive(Debug, Parser)]
#[command(name = "ripcord", version, max_term_width = 100, after_long_help = ENVIRONMENT)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const ENVIRONMENT: &str = "\
Environment:
  RIPCORD_CONFIG, RIPCORD_STATE  as --config and --state
  RIPCORD_LOG                    what ripcord logs to stderr: a level (error, warn, info, debug, trace, off),
                                 or levels of modules, like warn,ripcord::pipeline=debug [default: warn]
  NO_COLOR                       no colour
  OTEL_EXPORTER_OTLP_ENDPOINT    sends a trace of each run to this OpenTelemetry collector (OTLP over HTTP);
                                 the other OTEL_ variables mean what they usually mean";

#[derive(Debug, Args)]
pub(super) struct Global {
    /// The operator's file [default: $RIPCORD_CONFIG, ./ripcord.toml, ~/.config/ripcord/ripcord.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder of journal and locks [default: $RIPCORD_STATE, $XDG_STATE_HOME/ripcord, ~/.local/state/ripcord]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print one JSON object a line on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// How the lines of ripcord's own log look, which go to stderr as far as $RIPCORD_LOG says [default: text]
    #[arg(long, global = true, value_name = "FORMAT", hide_default_value = true, default_value = "text")]
    pub log_format: Format,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The whole story on this machine, with nothing to configure
    Demo(DemoOptions),
    /// Write a ripcord.toml and a plan to start from
    ///
    /// Both are commented, and `ripcord check` finds nothing wrong with them as they are. No file is
    /// ever overwritten.
    Init(InitOptions),
    /// Find out everything that can be known without a network
    Check(PlanOptions),
    /// Try each connection: is it there, does it let ripcord in, is it new enough
    ///
    /// Nothing is changed: services are asked by the operator's `read` rules only, programs are looked
    /// for and not run, no mail is sent. Also looked at: that secrets can be had, the state directory's
    /// rights, the room on its disk, the journal.
    ///
    /// Exits with 0 if nothing stands in the way of a rollback, and with 2 if something has to be put
    /// right. Warnings, and what could not be tried, don't count.
    Doctor(DoctorOptions),
    /// Show each call that a run would make, and make none that changes anything
    Preview(PreviewOptions),
    /// Preview, ask, run, verify, report
    Run(RunOptions),
    /// After a deploy: watch the plan's triggers, and roll back when one trips and somebody says yes
    ///
    /// With a RUN that was verified (or `last`) instead of a PLAN it looks whether what was verified stays so,
    /// see below.
    ///
    /// Previews and asks like `run`, and then measures the plan's `[[trigger]]`s, each as often as it says,
    /// until the window is over. A trigger trips when more of its measurements fail than its
    /// `failure-limit`. Then a person is asked, or the steps are taken at once, as `[watch]` in the plan
    /// says: `then = "ask"` or `"run"`. --yes agrees to the preview and to the plan's gates, never to this
    /// question.
    ///
    /// A watch is a run: `ripcord show RUN` shows it, Ctrl-C pauses it, `ripcord resume RUN` goes on
    /// watching for what is left of the window. It holds its target. To roll back without waiting for a
    /// trigger:  ripcord approve RUN watch.  To end the watching:  ripcord approve RUN watch --no
    ///
    /// A trigger with `alert` waits for an alert that an Alertmanager or Grafana sends to --alertmanager ADDRESS.
    ///
    /// Exits with 4 if the window is over and nothing has tripped, with 3 if something could not be
    /// measured or nobody is here to answer, and else as `run` does.
    ///
    /// `ripcord watch RUN` makes the run's checks (`[[verify]]`) over and over, for as long as the plan's
    /// `[drift]` says or --window. It only reads; probes are left out unless `[drift]` says `probe = true`.
    /// If a check does not hold any more (a restart, a push, another deploy has undone the rollback), it says
    /// which, what it saw then and what now, and since when, and exits with 3; with 0 if all held to the end.
    /// It holds nothing: other runs can begin meanwhile. Ctrl-C pauses it, `ripcord watch RUN` goes on.
    Watch(WatchOptions),
    /// List what stays to be done after a run, have ripcord do it, or note that it is done
    ///
    /// Without ITEM it lists the plan's `[[follow-up]]`s: how each stands, who sees to it, until when.
    ///
    /// With an ITEM that ripcord can do (it has `use` in the plan), previews it, asks, and carries it out:
    /// to switch a connector on again, to leave read-only mode. It belongs to the run: its journal, its
    /// report; the target is held meanwhile. After a crash `ripcord resume RUN` goes on with it, and
    /// `ripcord abort RUN` stops it.
    ///
    /// --done notes that people have done it, whichever kind it is; --note adds a note.
    ///
    /// Exits with 0 if it is done, with 4 if somebody said no, and with 3 if it failed.
    FollowUp(FollowUpOptions),
    /// Go on after a crash, a pause or an answer
    Resume(RunName),
    /// Stop a run and take back what it did
    Abort(ByOptions),
    /// Take back what a finished run did
    Undo(UndoOptions),
    /// Answer a gate, or end a watch: `watch` is the gate between it and the plan's steps
    Approve(ApproveOptions),
    /// Answer a doubt: did this call happen?
    Resolve(ResolveOptions),
    /// List the runs
    Runs,
    /// Show a run, or follow it
    Show(ShowOptions),
    /// Write the incident report, and add to what is known of the incident
    Report(ReportOptions),
    /// Check the hash chain of a run
    Audit(AuditOptions),
    /// Execute a run again, offline, and compare
    Replay(RunName),
    /// Print the JSON Schema of a file, for editors
    ///
    /// An editor with taplo (in VS Code: Even Better TOML) completes a file and points at mistakes if the
    /// file's first line names its schema:
    ///
    ///     ripcord schema plan > ripcord-plan.schema.json        #:schema ./ripcord-plan.schema.json
    ///     ripcord schema operator > ripcord.schema.json         #:schema ./ripcord.schema.json
    ///
    /// The schema knows a file's shape. What depends on more than that, `ripcord check` says.
    #[command(verbatim_doc_comment)]
    Schema {
        /// Of what
        of: SchemaOf,
    },
    /// Print the completions for a shell
    ///
    /// Where to put them:
    ///
    ///     bash        ripcord completions bash > ~/.local/share/bash-completion/completions/ripcord
    ///     zsh         ripcord completions zsh > a folder of $fpath, as _ripcord; then start a new shell
    ///     fish        ripcord completions fish > ~/.config/fish/completions/ripcord.fish
    ///     elvish      ripcord completions elvish >> ~/.config/elvish/rc.elv
    ///     powershell  ripcord completions powershell >> $PROFILE
    #[command(verbatim_doc_comment)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// For plugins' authors
    #[command(subcommand)]
    Plugin(Plugin),
}

#[derive(Debug, Args)]
pub(super) struct DemoOptions {
    /// Keep the lab running afterwards, to try things by hand
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaOf {
    /// A plan
    Plan,
    /// The operator's file, ripcord.toml
    Operator,
}

#[derive(Debug, Args)]
pub(super) struct InitOptions {
    /// Where to write them [default: the current folder]
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The plan to start from: `ripcord init --list` says which there are
    #[arg(long, value_name = "NAME")]
    pub from: Option<String>,
    /// Your service's address, to be put in: http://localhost:3000
    #[arg(long)]
    pub url: Option<String>,
    /// List the plans to start from, and write nothing
    #[arg(long, conflicts_with_all = ["folder", "from", "url"])]
    pub list: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// Try only the connections that this plan binds
    pub plan: Option<PathBuf>,
}

#[derive(Debug, Args, Clone)]
pub(super) struct PlanOptions {
    /// The plan's file
    pub plan: PathBuf,
    /// A parameter of the plan
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(super) struct PreviewOptions {
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Show whole what reads have answered
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Agree to whatever the preview lists, and to the plan's own gates
    #[arg(long, conflicts_with = "approved")]
    pub yes: bool,
    /// Agree to exactly the preview of this name, as `ripcord preview` has printed it
    #[arg(long, value_name = "sha256:…")]
    pub approved: Option<Digest>,
    #[command(flatten)]
    pub incident: IncidentOptions,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
#[command(mut_arg("plan", |plan| plan.value_name("PLAN|RUN").help("The plan's file; or a run that was verified")))]
pub(super) struct WatchOptions {
    /// For how long, from now on, instead of the time that the plan says: 10m
    #[arg(long, value_name = "TIME", value_parser = window)]
    pub window: Option<Duration>,
    /// Also receive the webhooks of an Alertmanager or Grafana here, at http://ADDRESS/alerts: 127.0.0.1:9095
    #[arg(long, value_name = "ADDRESS")]
    pub alertmanager: Option<SocketAddr>,
    #[command(flatten)]
    pub run: RunOptions,
}

/// What is known of the incident, for the report.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The incident, for the report")]
pub(super) struct IncidentOptions {
    /// What was observed; can be given more than once
    #[arg(long = "symptom", value_name = "TEXT", value_parser = said)]
    pub symptoms: Vec<String>,
    /// How bad it is, in your words
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub severity: Option<String>,
    /// Who or what is affected
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub scope: Option<String>,
    /// When it began to fail: 17:45, "2026-11-22 17:45", 2026-11-22T17:45:00+01:00, or 25m (so long ago)
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,
    /// Who coordinates [default: the plan's `coordinator`]
    #[arg(long, value_name = "NAME", value_parser = said)]
    pub coordinator: Option<String>,
    /// Who has decided on the rollback [default: who agrees to it]
    #[arg(long, value_name = "NAME", value_parser = said)]
    pub decided_by: Option<String>,
    /// What kind of incident it is [default: the plan's `scenario`]
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub scenario: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReportOptions {
    #[command(flatten)]
    pub run: RunName,
    /// What it is written as [default: what FILE's name says, else markdown]
    #[arg(long, value_enum)]
    pub format: Option<report::Format>,
    /// Where it is written; a file that is there is replaced [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The language it is written in [default: the plan's]
    #[arg(long, value_enum)]
    pub language: Option<Language>,
    #[command(flatten)]
    pub incident: IncidentOptions,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub(super) struct By {
    /// Who decides, for the journal [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunName {
    /// A run's name, a part of it that no other has, or `last`
    pub run: String,
}

#[derive(Debug, Args)]
pub(super) struct ByOptions {
    #[command(flatten)]
    pub run: RunName,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub(super) struct UndoOptions {
    #[command(flatten)]
    pub run: RunName,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub(super) struct FollowUpOptions {
    #[command(flatten)]
    pub run: RunName,
    /// Which; without it all are listed
    pub item: Option<String>,
    /// Agree to whatever the preview lists, and to its gate
    #[arg(long, requires = "item", conflicts_with_all = ["approved", "done", "note"])]
    pub yes: bool,
    /// Agree to exactly the preview of this name, as it was shown
    #[arg(long, value_name = "sha256:…", requires = "item", conflicts_with_all = ["done", "note"])]
    pub approved: Option<Digest>,
    /// Note that it is done: by people
    #[arg(long, requires = "item")]
    pub done: bool,
    /// Note something about it
    #[arg(long, value_name = "TEXT", value_parser = said, requires = "item")]
    pub note: Option<String>,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub(super) struct ApproveOptions {
    #[command(flatten)]
    pub run: RunName,
    /// The gate's name, as `ripcord show` prints it
    pub gate: String,
    /// Say no
    #[arg(long)]
    pub no: bool,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("answer").required(true))]
pub(super) struct ResolveOptions {
    #[command(flatten)]
    pub run: RunName,
    /// The call, as `ripcord show` prints it: EXECUTION.ORDINAL
    pub call: CallId,
    /// It happened
    #[arg(long, group = "answer")]
    pub happened: bool,
    /// It did not happen: it is sent (again)
    #[arg(long, group = "answer")]
    pub did_not_happen: bool,
    /// It can't be found out: the plugin is told so
    #[arg(long, group = "answer")]
    pub unknowable: bool,
    /// The reply that it had, as JSON, if it is another one than the plugin expects
    #[arg(long, value_name = "JSON", requires = "happened")]
    pub reply: Option<String>,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub(super) struct ShowOptions {
    #[command(flatten)]
    pub run: RunName,
    /// Go on showing what happens until the run ends, and end with its exit code. Ctrl-C ends only this
    #[arg(long)]
    pub follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct AuditOptions {
    #[command(flatten)]
    pub run: RunName,
    /// The head that the report has printed, to compare with
    #[arg(long, value_name = "sha256:…")]
    pub head: Option<Digest>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Show what a plugin says of itself, and what it can reach at all
    Inspect {
        /// A bundled plugin's name, or a component's file
        plugin: String,
    },
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, like -p version=v1.4.2".to_owned()),
    }
}

/// The longest text that somebody can say of an incident.
const SAID_BYTES_MAX: usize = 4096;

fn said(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it says nothing".to_owned()),
        long if long.len() > SAID_BYTES_MAX => Err(format!("it is longer than {SAID_BYTES_MAX} bytes")),
        text => Ok(text.to_owned()),
    }
}

fn window(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write how long, like 10m or 1h 30m".to_owned())
}

fn since(text: &str) -> Result<Timestamp, report::SinceError> {
    report::since(text, Timestamp::now(), &crate::present::time::local_zone())
}
