//! One execution: from its beginning, through as many replays as it takes, to its end.

use std::time::Duration;

use serde_json::{Value, json};

use super::job::seed;
use super::{Job, RunError, Runner, Unit, stopped};
use crate::component::{Effect, Ended, Export, Pending, Returned};
use crate::failure::Failure;
use crate::id::ExecutionId;
use crate::journal::{CheckOutcome, End, Event, Purpose};
use crate::machine::{Execution, Fate, State};
use crate::pipeline::{Caller, Mode, Pipeline};
use crate::plan::{Scope, check_config, render};

impl Runner {
    /// Notes that an execution begins. A configuration that can't be made ends it at once.
    pub(super) async fn begin_execution(&self, purpose: Purpose) -> Result<(), RunError> {
        let mut record = self.record.lock().await;
        let said = match &purpose {
            Purpose::Notice(_) => Some(record.incident().await?),
            _ => None,
        };
        let state = record.state();
        let execution = state.next_execution();
        let (config, problem) = match &purpose {
            Purpose::Apply(id) | Purpose::Check(id) | Purpose::FollowUp(id) | Purpose::Drift(id) => {
                made(self.unit(id)?, &self.job.scope(record.run(), state))
            }
            Purpose::Notice(sending) => {
                let scope = self.job.notice_scope(record.run(), state, sending.on, said.unwrap_or_default());
                made(self.unit(&sending.notice)?, &scope)
            }
            // An undo and a reconciliation see what the execution saw that they speak of.
            Purpose::Undo(of) => (config_of(state, *of), None),
            Purpose::Reconcile(call) => (config_of(state, call.execution), None),
        };
        record.note(Event::ExecutionBegan { execution, purpose, config })?;
        if let Some(problem) = problem {
            let end = End::Failed(Failure::permanent(format!("its configuration can't be made: {problem}")));
            record.note(Event::ExecutionEnded { execution, end })?;
        }
        Ok(())
    }

    /// Runs an execution as far as it goes: to its end, to a doubt, to a gate, or to a pause.
    #[tracing::instrument(name = "step", skip_all, fields(ripcord.execution = %id, ripcord.step, ripcord.export))]
    pub(super) async fn go(&self, id: ExecutionId) -> Result<(), RunError> {
        let (execution, export, left) = {
            let record = self.record.lock().await;
            let state = record.state();
            let Some(execution) = state.executions.get(&id).cloned() else { return Ok(()) };
            let unit = self.unit(unit_of(state, &execution.purpose))?;
            let export = export(state, &execution, record.run(), &self.job, unit);
            let span = tracing::Span::current();
            span.record("ripcord.step", unit_of(state, &execution.purpose));
            span.record("ripcord.export", execution.purpose.export());
            let left = self.time_left(unit, state, &execution);
            (execution, export, left)
        };
        let run = async {
            match left {
                Ok(left) => match tokio::time::timeout(left, self.execute(id, &execution, &export)).await {
                    Ok(ran) => ran,
                    Err(_) => Ok(Some(End::TimedOut(self.timed_out(&execution.purpose).await?))),
                },
                Err(why) => Ok(Some(End::TimedOut(why))),
            }
        };
        // That it has begun becomes durable while the guest gets going: its first intent comes behind.
        let begun = async { Ok(self.record.lock().await.flush().await?) };
        let ((), ran) = tokio::try_join!(begun, run)?;
        match ran {
            Some(end) => self.conclude(id, &execution.purpose, end).await,
            None => Ok(()),
        }
    }

    /// Calls the export once, replaying what is known.
    pub(super) async fn execute(
        &self,
        id: ExecutionId,
        execution: &Execution,
        export: &Export,
    ) -> Result<Option<End>, RunError> {
        let (unit, run) = {
            let record = self.record.lock().await;
            (self.unit(unit_of(record.state(), &execution.purpose))?, record.run().clone())
        };
        let interrupt = self.interrupt.subscribe();
        let setting = self.job.setting(&run, id, execution.began, &execution.purpose, unit, interrupt);
        let pipeline = Pipeline::new(setting, Mode::Live(self.record.clone()), execution.calls.clone());
        let caller = self.seams.caller(Box::new(pipeline) as Box<dyn Caller>);
        let limits = &self.job.limits;
        let seed = seed(&run, id, execution.began);
        match self.components.execute(&unit.component, export, caller, limits, execution.began, seed).await {
            Ok(returned) => Ok(Some(end_of(returned))),
            Err(Ended::Trapped(why)) => Ok(Some(End::Trapped(why))),
            Err(Ended::Stopped(stop)) => stopped(stop),
        }
    }

    async fn conclude(&self, execution: ExecutionId, purpose: &Purpose, end: End) -> Result<(), RunError> {
        let judged = match (purpose, &end) {
            (Purpose::Check(id) | Purpose::Drift(id), End::Returned(verdict)) => Some(self.judge(id, verdict).await?),
            (Purpose::Check(_) | Purpose::Drift(_), end) => {
                Some((CheckOutcome::Inconclusive, crate::machine::describe(end)))
            }
            _ => None,
        };
        let mut record = self.record.lock().await;
        record.note(Event::ExecutionEnded { execution, end })?;
        if let Some((outcome, summary)) = judged {
            record.note(Event::Judged { execution, outcome, summary })?;
        }
        Ok(())
    }

    async fn judge(&self, id: &str, verdict: &Value) -> Result<(CheckOutcome, String), RunError> {
        let unit = self.unit(id)?;
        let record = self.record.lock().await;
        Ok(judged(unit, verdict, &self.job.scope(record.run(), record.state())))
    }

    /// What is left of the step's time-out, and of the plan's. That one ends steps and checks; what
    /// takes back or finds out has its own time.
    fn time_left(&self, unit: &Unit, state: &State, execution: &Execution) -> Result<Duration, String> {
        let left = |timeout: Duration, held_ms: u64, whose: &str| {
            let left = timeout.saturating_sub(Duration::from_millis(held_ms));
            let over = || format!("{whose} time-out of {} is over", humantime::format_duration(timeout));
            if left.is_zero() { Err(over()) } else { Ok(left) }
        };
        let own = left(unit.timeout, execution.held_ms, "its")?;
        match execution.purpose {
            // The window, and not the plan's time-out, ends the watching.
            Purpose::Check(_) if state.is_watching() => Ok(own),
            Purpose::Apply(_) | Purpose::Check(_) => Ok(own.min(left(self.job.timeout, state.held_ms, "the plan's")?)),
            // The run itself has ended.
            Purpose::FollowUp(_) | Purpose::Drift(_) | Purpose::Undo(_) | Purpose::Reconcile(_) => Ok(own),
            // It comes at the end as well, when no time is left.
            Purpose::Notice(_) => Ok(own),
        }
    }

    async fn timed_out(&self, purpose: &Purpose) -> Result<String, RunError> {
        let record = self.record.lock().await;
        let unit = self.unit(unit_of(record.state(), purpose))?;
        let (unit, plan) = (humantime::format_duration(unit.timeout), humantime::format_duration(self.job.timeout));
        let has_its_own = matches!(purpose, Purpose::Notice(_) | Purpose::Undo(_));
        if has_its_own || record.state().is_watching() || record.state().after.is_some() {
            return Ok(format!("its time-out of {unit} is over"));
        }
        Ok(format!("its time-out of {unit}, or the plan's of {plan}, is over"))
    }
}

/// The plugin's verdict, and the plan's `expect` on its evidence.
pub(super) fn judged(unit: &Unit, verdict: &Value, scope: &Scope) -> (CheckOutcome, String) {
    let outcome = serde_json::from_value(verdict["outcome"].clone()).unwrap_or(CheckOutcome::Inconclusive);
    let summary = verdict["summary"].as_str().unwrap_or_default().to_owned();
    let (CheckOutcome::Pass, Some(expect)) = (outcome, &unit.expect) else {
        return (outcome, summary);
    };
    let mut variables = scope.with_evidence(&verdict["evidence"]);
    variables.insert("measurements".to_owned(), verdict["measurements"].clone());
    let expect_text = expect.as_str();
    match expect.evaluate(&variables) {
        Ok(true) => (CheckOutcome::Pass, format!("{summary}; {expect_text} holds")),
        Ok(false) => (CheckOutcome::Fail, format!("{summary}; {expect_text} does not hold")),
        Err(error) => (CheckOutcome::Inconclusive, format!("{summary}; {error}")),
    }
}

/// What an export is called with, from the state alone.
pub(super) fn export(state: &State, execution: &Execution, run: &crate::id::RunId, job: &Job, unit: &Unit) -> Export {
    let context = job.context(run, unit_of(state, &execution.purpose), unit);
    let config = execution.config.clone();
    match &execution.purpose {
        Purpose::Apply(_) | Purpose::FollowUp(_) | Purpose::Notice(_) => Export::Apply { context, config },
        Purpose::Check(_) | Purpose::Drift(_) => Export::Check { context, config },
        Purpose::Undo(of) => {
            let undone = state.executions.get(of);
            let effects = undone.map(effects).unwrap_or_default();
            let receipt = undone.and_then(|undone| match &undone.end {
                Some(End::Returned(receipt)) => Some(receipt.clone()),
                _ => None,
            });
            Export::Undo { context, config, effects, receipt }
        }
        Purpose::Reconcile(call) => match state.mutation(*call) {
            Some(mutation) => {
                let pending = Pending { role: mutation.request.role.clone(), call: mutation.request.call.clone() };
                Export::Reconcile { context, config, pending }
            }
            // The machine only asks about mutations that it knows.
            None => Export::Describe,
        },
    }
}

/// The step, check, follow-up or notice that an execution belongs to.
pub(super) fn unit_of<'a>(state: &'a State, purpose: &'a Purpose) -> &'a str {
    let of = match purpose {
        Purpose::Apply(id) | Purpose::Check(id) | Purpose::FollowUp(id) | Purpose::Drift(id) => return id,
        Purpose::Notice(sending) => return &sending.notice,
        Purpose::Undo(of) => *of,
        Purpose::Reconcile(call) => call.execution,
    };
    state.executions.get(&of).map_or("", |execution| unit_of(state, &execution.purpose))
}

/// A unit's configuration, and what is wrong with it.
fn made(unit: &Unit, scope: &Scope) -> (Value, Option<String>) {
    match render(&unit.with, scope) {
        Ok(config) => {
            let problem = check_config(&unit.manifest, &config).err();
            (config, problem)
        }
        Err(error) => (Value::Null, Some(error.to_string())),
    }
}

fn config_of(state: &State, execution: ExecutionId) -> Value {
    state.executions.get(&execution).map(|execution| execution.config.clone()).unwrap_or_default()
}

fn effects(execution: &Execution) -> Vec<Effect> {
    let effect = |(ordinal, mutation): (u32, &crate::machine::Mutation)| Effect {
        ordinal,
        role: mutation.request.role.clone(),
        call: mutation.request.call.clone(),
        reply: match &mutation.fate {
            Fate::Answered(Ok(reply)) => Some(reply.clone()),
            _ => None,
        },
    };
    execution.effects().map(effect).collect()
}

pub(super) fn end_of(returned: Returned) -> End {
    match returned {
        Returned::Receipt(Ok(value)) => End::Returned(value),
        Returned::Receipt(Err(failure)) => End::Failed(failure),
        Returned::Reconciled(settlement) => End::Returned(match settlement {
            crate::capability::Settlement::Happened(reply) => json!({ "happened": reply }),
            crate::capability::Settlement::DidNotHappen => json!("did-not-happen"),
            crate::capability::Settlement::Unknown(seen) => json!({ "unknown": seen }),
        }),
        Returned::Manifest(_) => End::Trapped("internal: a manifest was returned".to_owned()),
    }
}
