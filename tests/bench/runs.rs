//! A thousand runs side by side in one process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;
use ripcord::capability::Invocation;
use ripcord::component::Components;
use ripcord::id::RunId;
use ripcord::journal::{HostAttached, IncidentNoted, Journal, Level, Outcome, RunOutcome, SqliteJournal};
use ripcord::operator::Operator;
use ripcord::pipeline::{Caller, Depth, Stop};
use ripcord::plan::Plan;
use ripcord::runner::{self, Job, Nobody, Opens, PreviewReport, Runner, Seams, Sources, Stand};
use tokio::sync::{Barrier, mpsc};

use crate::fixture;
use crate::sample::{Sample, Unit, progress};
use crate::server::Server;
use crate::table::Row;

const ROUNDS: usize = 3;
const RUNS: u32 = 1_000;
const AIM_KIB: f64 = 200.0;

pub(crate) fn measure() -> Vec<Row> {
    let server = Server::start();
    let (mut kib, mut peak_kib, mut took) = (Vec::new(), Vec::new(), Sample::default());
    for round in 1..=ROUNDS {
        progress(&format!("runs: round {round} of {ROUNDS}"));
        // What is freed stays with a process: each round has one of its own.
        let this = std::env::current_exe().unwrap();
        let carried = Command::new(this).args(["carry", &RUNS.to_string(), &server.port.to_string()]).output().unwrap();
        assert!(carried.status.success(), "{}", String::from_utf8_lossy(&carried.stderr));
        let text = String::from_utf8_lossy(&carried.stdout).into_owned();
        let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [base, together, peak, seconds] = numbers[..] else { panic!("four numbers, not {text}") };
        kib.push((together - base) / f64::from(RUNS));
        peak_kib.push((peak - base) / f64::from(RUNS));
        took.add(Duration::from_secs_f64(seconds));
    }
    let row = |what: &str, mut kib: Vec<f64>| {
        kib.sort_by(f64::total_cmp);
        let median = kib[kib.len() / 2];
        Row {
            figure: format!("memory of each of {RUNS} runs side by side, above the base: {what}"),
            ripcord: format!("{median:.0} ({:.0}–{:.0}) KiB", kib[0], kib[kib.len() - 1]),
            beside: String::new(),
            result: format!("{median:.0} KiB"),
            aim: format!("< {AIM_KIB} KiB"),
            met: median < AIM_KIB,
        }
    };
    let mut rows = vec![row("all in the middle of their step", kib), row("at the peak", peak_kib)];
    rows[0].figure.push_str(&format!("; all of them took {}", took.show(Unit::Milliseconds)));
    rows
}

/// Carries so many runs at once, and prints four numbers: the resident KiB before them, with all in the
/// middle of their step, at the peak, and the seconds that all of them took.
pub(crate) fn carry(runs: u32, port: u16) {
    let folder = fixture::folder();
    write_files(folder.path(), port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = Arc::new(Host::new(folder.path()).await);
        // What is made once is made.
        let (arrived, _arrivals) = mpsc::unbounded_channel();
        let alone: Arc<dyn Seams> = Arc::new(Together { arrived, all: Arc::new(Barrier::new(1)) });
        host.run(runs, &alone).await;
        let base = resident("VmRSS");

        let began = Instant::now();
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let all = Arc::new(Barrier::new(runs as usize + 1));
        let together: Arc<dyn Seams> = Arc::new(Together { arrived, all: all.clone() });
        let carried = (0..runs).map(|number| {
            let (host, together) = (host.clone(), together.clone());
            tokio::spawn(async move { host.run(number, &together).await })
        });
        let carried: Vec<_> = carried.collect();
        for _ in 0..runs {
            arrivals.recv().await.unwrap();
        }
        let in_the_middle = resident("VmRSS");
        all.wait().await;
        join_all(carried).await.into_iter().for_each(|run| run.unwrap());
        println!("{base} {in_the_middle} {} {}", resident("VmHWM"), began.elapsed().as_secs_f64());
    });
}

/// One process with one journal.
struct Host {
    components: Components,
    journal: Arc<dyn Journal>,
    operator: Operator,
    plan: Plan,
    plan_text: String,
    folder: std::path::PathBuf,
    approved: tokio::sync::OnceCell<PreviewReport>,
}

impl Host {
    async fn new(folder: &Path) -> Self {
        let plan_text = fs::read_to_string(folder.join("plan.toml")).unwrap();
        Self {
            components: Components::new(folder.join("components")).unwrap(),
            journal: Arc::new(SqliteJournal::open(folder.join("journal.sqlite")).unwrap()),
            operator: Operator::load(&folder.join("ripcord.toml")).unwrap(),
            plan: Plan::parse(&folder.join("plan.toml").display().to_string(), &plan_text).unwrap(),
            plan_text,
            folder: folder.to_owned(),
            approved: tokio::sync::OnceCell::new(),
        }
    }

    async fn job(&self, number: u32, seams: &Arc<dyn Seams>) -> Job {
        let sources = Sources {
            plan: &self.plan,
            plan_path: &self.folder.join("plan.toml"),
            plan_text: &self.plan_text,
            params: &[("n".to_owned(), number.to_string())],
            operator: &self.operator,
            with_triggers: false,
            opens: Opens::Run,
            kept: None::<&BTreeMap<_, _>>,
        };
        let opening = runner::opening(&self.operator, &self.folder.join("spool"), Path::new("/nowhere"));
        runner::check(&self.components, sources).await.unwrap().open(&opening, seams).await.unwrap()
    }

    /// A run from its plan to its end. All agree to one preview: they make the same calls.
    async fn run(&self, number: u32, seams: &Arc<dyn Seams>) {
        let job = self.job(number, seams).await;
        let preview = || async { runner::preview(&self.components, &job, seams, Depth::Listed).await.unwrap() };
        let approval = self.approved.get_or_init(preview).await.approval("ada".to_owned());
        let run = RunId::from(format!("run-{number}-{}", Timestamp::now().as_nanosecond()));
        let host = HostAttached {
            pid: std::process::id(),
            machine: "bench".to_owned(),
            ripcord: "0".to_owned(),
            taken_over_from: None,
        };
        let record = runner::begin(&self.journal, &run, &job, approval, IncidentNoted::default(), host).await.unwrap();
        let components = self.components.clone();
        let runner = Runner::new(components, Arc::new(job), record, Arc::new(Nobody), seams.clone());
        let stand = runner.drive().await.unwrap();
        assert!(matches!(stand, Stand::Ended(RunOutcome::Verified, _)), "{stand:?}");
    }
}

/// Halfway through its step, each run waits for all others.
struct Together {
    arrived: mpsc::UnboundedSender<()>,
    all: Arc<Barrier>,
}

impl Seams for Together {
    fn caller(&self, caller: Box<dyn Caller>) -> Box<dyn Caller> {
        Box::new(Waiting { caller, arrived: self.arrived.clone(), all: self.all.clone() })
    }
}

struct Waiting {
    caller: Box<dyn Caller>,
    arrived: mpsc::UnboundedSender<()>,
    all: Arc<Barrier>,
}

#[async_trait]
impl Caller for Waiting {
    async fn call(&mut self, invocation: Invocation) -> Result<Outcome, Stop> {
        self.caller.call(invocation).await
    }

    async fn now(&mut self) -> Result<Timestamp, Stop> {
        self.caller.now().await
    }

    async fn sleep(&mut self, duration: Duration) -> Result<(), Stop> {
        self.caller.sleep(duration).await?;
        let _ = self.arrived.send(());
        self.all.wait().await;
        Ok(())
    }

    async fn log(&mut self, level: Level, message: String) -> Result<(), Stop> {
        self.caller.log(level, message).await
    }

    fn finish(&mut self) -> Result<(), Stop> {
        self.caller.finish()
    }
}

fn write_files(folder: &Path, port: u16) {
    let operator =
        format!("[http.service]\nurl = \"http://127.0.0.1:{port}\"\nread = [\"GET /**\"]\nwrite = [\"POST /**\"]\n");
    fs::write(folder.join("ripcord.toml"), operator).unwrap();
    let post = |path: &str| {
        format!(
            r#"{{ call = {{ role = "service", http = {{ method = "POST", path = "{path}" }}, assume = {{ http = {{ status = 200 }} }} }} }}"#
        )
    };
    let apply = format!("apply = [{}, {{ sleep-ms = 1 }}, {}]", post("/begin"), post("/end"));
    fixture::write_steps_plan(folder, &apply);
}

/// A line of `/proc/self/status`, in KiB.
fn resident(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
