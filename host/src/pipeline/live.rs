//! Carrying a call out: retries, deadlines, intent, effect, result.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::Mutex;

use super::policy::Granted;
use super::replay::Again;
use super::{Pipeline, Stop, micros};
use crate::capability::{Repeat, Reply, notify};
use crate::failure::{Failure, Problem};
use crate::id::CallId;
use crate::journal::{Answer, Behind, Event, GateId, GateOpened, Listed, Outcome, Request, Settler, Verdict};
use crate::record::Record;
use crate::secret::Scrub;

impl Pipeline {
    /// A read, with its retries. A read that got no answer has changed nothing, so it may be repeated.
    pub(super) async fn read(
        &self,
        granted: &Granted,
        id: CallId,
        request: &Request,
    ) -> Result<(Outcome, Duration), Stop> {
        let started = Instant::now();
        let deadline = granted.open.connection.deadline(&request.call);
        let at = self.at(id, deadline, &granted.repeat);
        let mut delays = self.delays();
        let outcome = loop {
            let outcome = within(deadline, granted.open.driver.read(&at, &request.call)).await;
            let no_answer = || Err(Failure::Transient(Problem::no_answer(no_answer(request, deadline))));
            let mut outcome = outcome.unwrap_or_else(no_answer);
            self.scrub(&mut outcome);
            match (&outcome, delays.next()) {
                (Err(Failure::Transient(problem)), Some(delay)) => {
                    tracing::debug!(%problem, ?delay, "retrying");
                    self.pause(delay).await?;
                }
                _ => break outcome,
            }
        };
        Ok((outcome, started.elapsed()))
    }

    /// A mutation. Its intent is durable before it leaves, its result before the guest sees it.
    pub(super) async fn mutate(
        &mut self,
        record: &Mutex<Record>,
        granted: &Granted,
        id: CallId,
        request: Request,
        assume: Option<Reply>,
        again: Option<(Again, u32)>,
    ) -> Result<Outcome, Stop> {
        let (is_notice, is_listed) = agreement(&*record.lock().await, id, &request);
        match (is_listed, is_notice) {
            (true, _) => {}
            (false, false) => self.ask(record, id, &request).await?,
            // A notice holds nothing up, and so it can't wait for a person.
            (false, true) => {
                let message = format!(
                    "the preview did not list `{}`, and nobody is asked about a notice",
                    request.call.summary()
                );
                return self.turn_away(id, request, Failure::denied(message), again.map(|(again, _)| again)).await;
            }
        }
        if let Some((again, doubted)) = again {
            // A target that never answers would be sent to for ever.
            if doubted >= self.setting.retry.attempts {
                let failure = Failure::transient(format!("{}: no reply came {doubted} times", request.call.summary()));
                return self.forbid_again(record, id, request, failure, again).await;
            }
            if let Some(delay) = doubted.checked_sub(1).and_then(|passed| self.delays().nth(passed as usize)) {
                self.pause(delay).await?;
            }
        }
        let again = again.map(|(again, _)| again);
        let started = Instant::now();
        let deadline = granted.open.connection.deadline(&request.call);
        let at = self.at(id, deadline, &granted.repeat);
        let mut delays = self.delays();
        // An intent of an earlier attempt is in the journal, and it is known that it had no effect.
        let mut intended = again.is_some();
        loop {
            let preparing = async { Ok(within(deadline, granted.open.driver.prepare(&at, &request.call)).await) };
            let prepared = self.unless_interrupted(preparing).await?;
            self.stop_if_interrupted()?;
            let prepared = prepared.unwrap_or_else(|| Err(Failure::transient(no_answer(&request, deadline))));
            let prepared = prepared.map_err(|mut failure| {
                failure.scrub(&self.setting.scrubber);
                failure
            });
            if let Err(failure @ Failure::Transient(_)) = &prepared
                && let Some(delay) = delays.next()
            {
                tracing::debug!(%failure, ?delay, "retrying");
                self.pause(delay).await?;
                continue;
            }
            let attempt = match prepared {
                Ok(prepared) => {
                    let (repeat, marker) = (granted.repeat.clone(), prepared.marker());
                    let deadline = granted.open.deadline(&request.call, marker.as_ref());
                    record
                        .lock()
                        .await
                        .commit(Event::Intended {
                            call: id,
                            request: request.clone(),
                            repeat,
                            marker,
                            assume: assume.clone(),
                        })
                        .await?;
                    intended = true;
                    match within(deadline, prepared.perform()).await {
                        None => Attempt::Doubt(no_answer(&request, deadline)),
                        Some(Err(Failure::Unknown(problem))) => Attempt::Doubt(problem.message),
                        Some(outcome) => Attempt::Over(outcome),
                    }
                }
                Err(failure) if again == Some(Again::MayBeRepeated) => {
                    // The first sending is still in doubt; not getting ready for a second says nothing of it.
                    let seen = format!("it may have happened, and could not be repeated: {failure}");
                    return self.keep_in_doubt(record, id, seen).await;
                }
                Err(failure) => Attempt::NotBegun(failure),
            };
            let (mut outcome, begun) = match attempt {
                Attempt::Doubt(mut seen) => {
                    seen.scrub(&self.setting.scrubber);
                    record.lock().await.commit(Event::Doubted { call: id, seen }).await?;
                    return Err(Stop::Doubt(id));
                }
                Attempt::Over(outcome) => (outcome, true),
                Attempt::NotBegun(failure) => (Err(failure), false),
            };
            self.scrub(&mut outcome);
            if let (Err(failure @ Failure::Transient(_)), Some(delay)) = (&outcome, delays.next()) {
                tracing::debug!(%failure, ?delay, "retrying");
                let (by, verdict) = match again {
                    Some(Again::MayBeRepeated) => (Settler::Policy, Verdict::Repeat),
                    _ => (Settler::Driver, Verdict::DidNotHappen),
                };
                record.lock().await.note(Event::Settled { call: id, by, verdict })?;
                self.pause(delay).await?;
                continue;
            }
            if let (Err(failure), true, Some(Again::MayBeRepeated)) = (&outcome, begun, again) {
                // This sending had no effect, but the first one may have had.
                let seen = format!("it may have happened, and repeating it failed: {failure}");
                return self.keep_in_doubt(record, id, seen).await;
            }
            let took_us = micros(started.elapsed());
            let mut record = record.lock().await;
            match (begun, intended) {
                (false, false) => {
                    record.note(Event::Called { call: id, request, outcome: outcome.clone(), took_us })?
                }
                (false, true) => {
                    let repeat = granted.repeat.clone();
                    record.note(Event::Intended { call: id, request, repeat, marker: None, assume: None })?;
                    record.commit(Event::Answered { call: id, outcome: outcome.clone(), took_us }).await?;
                }
                (true, _) => record.commit(Event::Answered { call: id, outcome: outcome.clone(), took_us }).await?,
            }
            return Ok(outcome);
        }
    }

    /// What was sent before is not sent again: today's rules forbid it, or it was tried often enough.
    pub(super) async fn forbid_again(
        &self,
        record: &Mutex<Record>,
        id: CallId,
        request: Request,
        denied: Failure,
        again: Again,
    ) -> Result<Outcome, Stop> {
        match again {
            Again::DidNotHappen => {
                let mut record = record.lock().await;
                let repeat = Repeat::Once;
                record.note(Event::Intended { call: id, request, repeat, marker: None, assume: None })?;
                let outcome = Err(denied);
                record.commit(Event::Answered { call: id, outcome: outcome.clone(), took_us: 0 }).await?;
                Ok(outcome)
            }
            Again::MayBeRepeated => {
                let seen = format!("it may have happened, and it may not be repeated any more: {denied}");
                self.keep_in_doubt(record, id, seen).await
            }
        }
    }

    /// The first sending stays in doubt, with the marker and the expected reply of its intent.
    async fn keep_in_doubt(&self, record: &Mutex<Record>, id: CallId, mut seen: String) -> Result<Outcome, Stop> {
        seen.scrub(&self.setting.scrubber);
        record.lock().await.commit(Event::Unsettled { call: id, seen }).await?;
        Err(Stop::Doubt(id))
    }

    /// A mutation that nobody has agreed to waits at a gate.
    async fn ask(&self, record: &Mutex<Record>, id: CallId, request: &Request) -> Result<(), Stop> {
        let mut record = record.lock().await;
        match record.state().gate_before(id) {
            Some(gate) if matches!(gate.answer, Some((Answer::Yes, _))) => Ok(()),
            Some(_) => Err(Stop::Gate(id)),
            None => {
                let opened = GateOpened {
                    gate: GateId(format!("call-{id}")),
                    before: Behind::Call(id),
                    ask: format!(
                        "The preview did not list this call: {} on {}. Make it?",
                        request.call.summary(),
                        request.connection
                    ),
                    expires: None,
                };
                record.commit(Event::GateOpened(opened)).await?;
                Err(Stop::Gate(id))
            }
        }
    }

    /// The wait before another attempt. Nothing is under way, so a run that is to pause does it here.
    async fn pause(&self, delay: Duration) -> Result<(), Stop> {
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            () = self.interruption() => Err(Stop::Interrupted),
        }
    }

    fn delays(&self) -> impl Iterator<Item = Duration> + use<> {
        let retry = self.setting.retry;
        ExponentialBuilder::new()
            .with_min_delay(retry.backoff)
            .with_factor(2.0)
            .with_max_delay(Duration::from_secs(60).max(retry.backoff))
            .with_max_times(retry.attempts.saturating_sub(1) as usize)
            .build()
    }

    fn scrub(&self, outcome: &mut Outcome) {
        match outcome {
            Ok(reply) => Reply::scrub(reply, &self.setting.scrubber),
            Err(failure) => failure.scrub(&self.setting.scrubber),
        }
    }
}

/// Whether it is a notice of the plan, and whether somebody has agreed to it beforehand.
fn agreement(record: &Record, id: CallId, request: &Request) -> (bool, bool) {
    let state = record.state();
    let listed = &state.approval_of(id.execution).listed;
    if state.is_notice(id.execution) {
        return (true, listed.iter().any(|listed| listed.covers_a_notice(request)));
    }
    (false, listed.iter().any(|listed| listed.covers(request)) || is_each_listed(listed, request))
}

/// Whether each of the things that a call is done to is on the list, in whatever company: that an application's
/// containers are started is said of each of them, and some may run already.
fn is_each_listed(listed: &[Listed], request: &Request) -> bool {
    let operation = request.call.operation();
    let like_it: Vec<_> =
        listed.iter().filter(|it| it.connection == request.connection && it.operation == operation).collect();
    let is_listed = |target: &String| like_it.iter().any(|listed| listed.target.split(", ").any(|part| part == target));
    let targets = request.call.targets();
    !targets.is_empty() && targets.iter().all(is_listed)
}

/// How an attempt of a mutation ended.
enum Attempt {
    /// It never left.
    NotBegun(Failure),
    /// It left, and what became of it is known.
    Over(Outcome),
    /// It left, and what became of it is not known.
    Doubt(String),
}

impl Listed {
    /// A notice of the plan by this connection as it is agreed to: that these people are told. What they are told
    /// depends on how the run goes and on what is known by then.
    pub fn of_a_notice(connection: &str) -> Self {
        Self { connection: connection.to_owned(), operation: notify::SEND.to_owned(), target: String::new() }
    }

    /// Whether a notice of the plan is this one of the list.
    pub fn covers_a_notice(&self, request: &Request) -> bool {
        self.target.is_empty() && self.connection == request.connection && self.operation == request.call.operation()
    }

    /// Whether a mutation is this one of the list. A hole stands for any text without white space.
    pub fn covers(&self, request: &Request) -> bool {
        self.connection == request.connection
            && self.operation == request.call.operation()
            && super::preview::fits(&self.target, &request.call.target())
    }
}

/// Every host call has its own deadline: epochs stop a guest's code, never the host's.
async fn within<T>(deadline: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(deadline, future).await.ok()
}

fn no_answer(request: &Request, deadline: Duration) -> String {
    format!(
        "{} on {}: no answer within {}",
        request.call.summary(),
        request.connection,
        humantime::format_duration(deadline)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_agrees_to_several_things_agrees_to_each_of_them_and_to_no_other() {
        let listed = |operation: &str, target: &str| Listed {
            connection: "docker.app".to_owned(),
            operation: operation.to_owned(),
            target: target.to_owned(),
        };
        let listed = [listed("stop", "app, cron"), listed("start", "app, worker"), listed("start", "proxy")];
        for (connection, operation, containers, agreed) in [
            ("docker.app", "start", vec!["app"], true),
            ("docker.app", "start", vec!["worker", "app"], true),
            ("docker.app", "start", vec!["proxy", "app"], true),
            ("docker.app", "start", vec!["app", "cron"], false),
            ("docker.app", "start", vec!["ap"], false),
            ("docker.app", "start", vec!["app, worker"], false),
            ("docker.app", "restart", vec!["app"], false),
            ("docker.other", "start", vec!["app"], false),
        ] {
            let call = json!({ "role": "containers", "connection": connection, "docker": { operation: { "containers": containers } } });
            let request: Request = serde_json::from_value(call.clone()).unwrap();
            assert_eq!(is_each_listed(&listed, &request), agreed, "{call}");
        }
    }
}
