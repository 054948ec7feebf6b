//! The one path of doubt: the driver looks at the target; else the repeat policy; else the plugin's
//! `reconcile`; else a person. Nobody is asked about a probe's call or a notice's: its plugin is told that no
//! answer came.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::execute::unit_of;
use super::{RunError, Runner, until};
use crate::capability::{At, Repeat, Settlement};
use crate::id::CallId;
use crate::journal::{End, Event, Purpose, Settler, Verdict};
use crate::machine::Mutation;
use crate::pipeline::Open;
use crate::secret::Scrub;

/// A driver waits as long as the first attempt may still run, and that ends by its own deadline; this
/// much later the doubt is a person's.
const SETTLE_MARGIN: Duration = Duration::from_secs(60);

impl Runner {
    pub(super) async fn settle(&self, call: CallId) -> Result<(), RunError> {
        let (mutation, began, goes_on, is_beside, unit, run) = {
            let record = self.record.lock().await;
            let state = record.state();
            let Some(mutation) = state.mutation(call).cloned() else { return Ok(()) };
            let Some(execution) = state.executions.get(&call.execution) else { return Ok(()) };
            let unit = self.unit(unit_of(state, &execution.purpose))?;
            let (goes_on, is_beside) = (state.goes_on(call.execution), state.is_beside(call.execution));
            (mutation, execution.began, goes_on, is_beside, unit, record.run().clone())
        };
        let bound = unit.roles.get(&mutation.request.role).and_then(|grant| grant.bound.clone());
        let Some(open) = bound.and_then(|bound| bound.open) else {
            if is_beside {
                return self.settled(call, Settler::Policy, Verdict::Unknowable).await;
            }
            let seen = format!("role `{}` is not bound any more", mutation.request.role);
            return self.commit(Event::Unsettled { call, seen }).await;
        };

        // 1. The driver.
        let deadline = open.deadline(&mutation.request.call, mutation.marker.as_ref());
        let at = At { run, execution: call.execution, ordinal: call.ordinal, began, deadline, idempotency_key: None };
        let looked = open.driver.settle(&at, &mutation.request.call, mutation.marker.as_ref());
        let mut interrupt = self.interrupt.subscribe();
        let looked = tokio::select! {
            looked = tokio::time::timeout(deadline.saturating_add(SETTLE_MARGIN), looked) => looked,
            // Looking changes nothing, and is done again when the run goes on.
            _ = interrupt.wait_for(|&wanted| wanted) => return Ok(()),
        };
        let mut seen = match looked {
            Ok(Settlement::Happened(reply)) => {
                return self.settled(call, Settler::Driver, Verdict::Happened(reply)).await;
            }
            Ok(Settlement::DidNotHappen) if mutation.repeated => {
                "its repetition did not happen, but its first sending may have".to_owned()
            }
            Ok(Settlement::DidNotHappen) => return self.settled(call, Settler::Driver, Verdict::DidNotHappen).await,
            Ok(Settlement::Unknown(seen)) => seen,
            Err(_) => format!(
                "looking at {} took longer than {}",
                mutation.request.connection,
                humantime::format_duration(deadline.saturating_add(SETTLE_MARGIN))
            ),
        };

        // 2. The policy: of the plugin's claim then and the operator's rule today, the lower one.
        let repeat = open.connection.repeat(&mutation.request.call, mutation.repeat.clone());
        if goes_on && repeat != Repeat::Once {
            return self.settled(call, Settler::Policy, Verdict::Repeat).await;
        }

        if is_beside {
            return self.settled(call, Settler::Policy, Verdict::Unknowable).await;
        }

        // 3. The plugin.
        match self.reconcile(call, &mutation, &open).await? {
            Some(Settlement::Happened(reply)) => {
                return self.settled(call, Settler::Plugin, Verdict::Happened(reply)).await;
            }
            Some(Settlement::DidNotHappen) => {
                return self.settled(call, Settler::Plugin, Verdict::DidNotHappen).await;
            }
            Some(Settlement::Unknown(answer)) => seen = format!("{seen}; {answer}"),
            // It was interrupted: the machine says what comes next.
            None => return Ok(()),
        }

        // 4. A person.
        seen.scrub(&self.job.scrubber);
        self.commit(Event::Unsettled { call, seen }).await
    }

    /// Asks the plugin. "It did not happen" is only believed when the lost request can't arrive any
    /// more.
    async fn reconcile(
        &self,
        call: CallId,
        mutation: &Mutation,
        open: &Open,
    ) -> Result<Option<Settlement<crate::capability::Reply>>, RunError> {
        let within = open.connection.settles_within();
        let settles = mutation.intended.saturating_add(within).unwrap_or(Timestamp::MAX);
        let settles = Instant::now() + until(settles).min(within);
        loop {
            let asked = Instant::now();
            let Some(answer) = self.ask_plugin(call).await? else { return Ok(None) };
            if answer != Settlement::DidNotHappen || asked >= settles {
                return Ok(Some(answer));
            }
            if !self.wait(settles.saturating_duration_since(asked)).await {
                return Ok(None);
            }
        }
    }

    async fn ask_plugin(&self, call: CallId) -> Result<Option<Settlement<crate::capability::Reply>>, RunError> {
        let id = self.record.lock().await.state().next_execution();
        self.begin_execution(Purpose::Reconcile(call)).await?;
        self.go(id).await?;
        let record = self.record.lock().await;
        let Some(end) = record.state().executions.get(&id).and_then(|execution| execution.end.clone()) else {
            return Ok(None);
        };
        Ok(Some(match end {
            End::Returned(answer) => parse(&answer, record.state().mutation(call)),
            end => Settlement::Unknown(format!("the plugin could not find out: {}", crate::machine::describe(&end))),
        }))
    }

    async fn settled(&self, call: CallId, by: Settler, mut verdict: Verdict) -> Result<(), RunError> {
        if let Verdict::Happened(reply) = &mut verdict {
            reply.scrub(&self.job.scrubber);
        }
        self.commit(Event::Settled { call, by, verdict }).await
    }
}

fn parse(answer: &serde_json::Value, asked: Option<&Mutation>) -> Settlement<crate::capability::Reply> {
    if answer == "did-not-happen" {
        return Settlement::DidNotHappen;
    }
    let reply = serde_json::from_value::<crate::capability::Reply>(answer["happened"].clone());
    match (reply, asked) {
        (Ok(reply), Some(asked)) if reply.capability() == asked.request.capability() => Settlement::Happened(reply),
        (Ok(reply), _) => Settlement::Unknown(format!(
            "the plugin answered with a reply of {}, which this call is none of",
            reply.capability()
        )),
        (Err(_), _) => {
            Settlement::Unknown(answer["unknown"].as_str().unwrap_or("the plugin gave no answer").to_owned())
        }
    }
}
