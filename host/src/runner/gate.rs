//! Gates: a person has to say yes, here or in another terminal, before the gate expires.

use std::future::pending;
use std::time::Duration;

use jiff::Timestamp;

use super::{RunError, Runner, Stand};
use crate::journal::{Answer, Behind, Event, GateId, GateOpened};

impl Runner {
    /// Asks before a step or a follow-up.
    pub(super) async fn open_gate(&self, before: Behind) -> Result<(), RunError> {
        let (Behind::Step(id) | Behind::FollowUp(id)) = &before else { return Ok(()) };
        let mut record = self.record.lock().await;
        let scope = self.job.scope(record.run(), record.state());
        let gate = self.unit(id)?.gate.as_ref();
        let ask = gate.map(|gate| gate.question(&scope));
        let expires = gate.and_then(|gate| gate.expires);
        let opened = GateOpened {
            gate: GateId(id.clone()),
            ask: ask.unwrap_or_else(|| format!("Go on with {id}?")),
            before: before.clone(),
            // A plan may say any duration, and the calendar ends.
            expires: expires.and_then(|expires| Timestamp::now().saturating_add(expires).ok()),
        };
        Ok(record.commit(Event::GateOpened(opened)).await?)
    }

    /// Waits for the first of: an answer here, an answer in the journal, the expiry, a pause. With
    /// nobody here and no expiry there is nothing to wait for in this process.
    pub(super) async fn await_gate(&self, gate: &GateId) -> Result<Option<Stand>, RunError> {
        let opened = self.record.lock().await.state().gate(gate).map(|gate| gate.opened.clone());
        let Some(opened) = opened else { return Ok(None) };
        let mut interrupt = self.interrupt.subscribe();
        let asked = async {
            match self.people.gate(&opened).await {
                Some(answer) => Some(answer),
                // Nobody here: another terminal may answer until the gate expires.
                None if opened.expires.is_some() => pending().await,
                None => None,
            }
        };
        let answer = tokio::select! {
            answer = asked => match answer {
                Some(answer) => answer,
                None => return Ok(Some(Stand::AtGate(gate.clone()))),
            },
            () = expiry(opened.expires) => (Answer::Expired, String::new()),
            _ = interrupt.wait_for(|&wanted| wanted) => return Ok(None),
        };
        let (answer, by) = answer;
        self.commit(Event::GateAnswered { gate: gate.clone(), answer, by }).await?;
        Ok(None)
    }
}

async fn expiry(at: Option<Timestamp>) {
    match at {
        Some(at) => {
            tokio::time::sleep(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()).await
        }
        None => pending().await,
    }
}
