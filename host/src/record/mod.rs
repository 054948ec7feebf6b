//! A run as the process that carries it sees it: the journal, and the state folded from it.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use crate::id::RunId;
use crate::journal::{AppendError, Dated, Event, Head, IncidentNoted, Journal, ReadError, Recorded, StorageError};
use crate::machine::{Impossible, State};

/// One run's journal and state. Only the holder of the run's lock writes through it.
pub struct Record {
    journal: Arc<dyn Journal>,
    run: RunId,
    head: Head,
    state: State,
    /// What has happened but may be lost: reads, log lines. It becomes durable with the next commit.
    pending: Vec<Dated>,
    listener: Option<Listener>,
}

/// Told of each event of a run once it is durable, in the journal's order.
pub type Listener = Arc<dyn Fn(&Recorded) + Send + Sync>;

/// Why the record of a run can't go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    /// The journal can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal can't be written. What was to be recorded counts as not known.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// Another process wrote into the run, although this one holds its lock.
    #[error("another process has written into run {run} while this one holds it (event {sequence})")]
    Foreign {
        /// The run.
        run: RunId,
        /// The first event that is not this process's.
        sequence: u64,
    },
    /// A person's answer came in between, and what was to be recorded means nothing any more.
    #[error("a person's answer came first")]
    Overtaken,
    /// The journal does not follow its own rules.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

impl Record {
    /// The record of a run as the journal has it now.
    pub async fn open(journal: Arc<dyn Journal>, run: &RunId) -> Result<Self, RecordError> {
        let (events, head) = journal.read(run, None).await?;
        let mut state = State::default();
        fold(&mut state, &events)?;
        Ok(Self { journal, run: run.clone(), head, state, pending: Vec::new(), listener: None })
    }

    /// From now on tells this listener.
    pub fn listen(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// All that is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The end of the chain.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What was said of the incident until now: of each fact the latest, of symptoms all.
    pub async fn incident(&self) -> Result<IncidentNoted, RecordError> {
        let (events, _) = self.journal.read(&self.run, None).await?;
        let mut said = IncidentNoted::default();
        for recorded in &events {
            if let Event::IncidentNoted(noted) = &recorded.event {
                said.add(noted);
            }
        }
        Ok(said)
    }

    /// Notes what may be lost: it becomes durable with the next [`Record::commit`].
    ///
    /// # Errors
    /// [`RecordError::Overtaken`] if a person's event has sent the run another way since the host has
    /// looked what to do; nothing is noted then.
    pub fn note(&mut self, event: Event) -> Result<(), RecordError> {
        if !self.state.still_wants(&event) {
            return Err(RecordError::Overtaken);
        }
        let at = Timestamp::now();
        self.state.apply(at, &event)?;
        self.pending.push(Dated { at, event });
        Ok(())
    }

    /// Makes all that was noted durable, and this event with it.
    pub async fn commit(&mut self, event: Event) -> Result<(), RecordError> {
        self.note(event)?;
        self.flush().await
    }

    /// Makes all that was noted durable, and this event, the run's end, with it: what the run holds is
    /// let go in the same moment.
    pub async fn end(&mut self, event: Event) -> Result<(), RecordError> {
        self.note(event)?;
        let mut is_released = false;
        while !self.pending.is_empty() {
            let appended = self.journal.append_end(&self.run, self.head, &self.pending).await;
            is_released = appended.is_ok();
            self.take_in(appended).await?;
        }
        // It was cut off in the first attempt, and its events were found in the journal.
        if !is_released {
            self.journal.release(&self.run).await?;
        }
        Ok(())
    }

    /// Makes all that was noted durable.
    pub async fn flush(&mut self) -> Result<(), RecordError> {
        while !self.pending.is_empty() {
            let appended = self.journal.append(&self.run, self.head, &self.pending).await;
            self.take_in(appended).await?;
        }
        Ok(())
    }

    /// What came of appending all that is pending.
    async fn take_in(&mut self, appended: Result<Head, AppendError>) -> Result<(), RecordError> {
        match appended {
            Ok(head) => {
                let first = self.head.sequence + 1;
                self.head = head;
                for (sequence, Dated { at, event }) in (first..).zip(std::mem::take(&mut self.pending)) {
                    self.tell(&Recorded { sequence, at, event });
                }
                Ok(())
            }
            Err(AppendError::Moved { .. }) => self.catch_up().await,
            Err(AppendError::NoSuchRun(run)) => Err(ReadError::NoSuchRun(run).into()),
            Err(AppendError::Storage(error)) => Err(error.into()),
        }
    }

    /// Takes in what people have written in the meantime.
    pub async fn refresh(&mut self) -> Result<(), RecordError> {
        self.catch_up().await?;
        self.flush().await
    }

    /// Takes in what is behind the head: this process's own events, if it was cut off while it
    /// appended them (a time-out), and people's. Those stand before what is pending here, so the
    /// state is folded anew in the journal's order.
    ///
    /// This too may be cut off at any `await`: until the last of them nothing is changed.
    async fn catch_up(&mut self) -> Result<(), RecordError> {
        let (mut events, mut head) = self.journal.read(&self.run, Some(self.head)).await?;
        let is_own = |(recorded, dated): &(&Recorded, &Dated)| recorded.at == dated.at && recorded.event == dated.event;
        let own = events.iter().zip(&self.pending).take_while(is_own).count();
        let mut anew = None;
        if events.len() > own && self.pending.len() > own {
            let (all, all_head) = self.journal.read(&self.run, None).await?;
            // More may have come since the first look.
            events = all.iter().filter(|recorded| recorded.sequence > self.head.sequence).cloned().collect();
            head = all_head;
            anew = Some(all);
        }
        let people = &events[own..];
        if let Some(foreign) = people.iter().find(|recorded| !recorded.event.is_from_a_person()) {
            return Err(RecordError::Foreign { run: self.run.clone(), sequence: foreign.sequence });
        }
        self.head = head;
        let pending = self.pending.split_off(own);
        self.pending.clear();
        events.iter().for_each(|recorded| self.tell(recorded));
        let Some(all) = anew else {
            self.pending = pending;
            return Ok(fold(&mut self.state, people)?);
        };
        self.state = State::default();
        fold(&mut self.state, &all)?;
        for dated in pending {
            // What comes behind the first event that means nothing any more means nothing either.
            if !self.state.still_wants(&dated.event) || self.state.apply(dated.at, &dated.event).is_err() {
                return Err(RecordError::Overtaken);
            }
            self.pending.push(dated);
        }
        Ok(())
    }

    fn tell(&self, recorded: &Recorded) {
        if let Some(listener) = &self.listener {
            listener(recorded);
        }
    }
}

fn fold(state: &mut State, events: &[Recorded]) -> Result<(), Impossible> {
    events.iter().try_for_each(|recorded| state.apply(recorded.at, &recorded.event))
}

/// The state of a run as the journal has it now, for those who only look.
pub async fn look(journal: &dyn Journal, run: &RunId) -> Result<(State, Vec<Recorded>, Head), RecordError> {
    let (events, head) = journal.read(run, None).await?;
    let mut state = State::default();
    fold(&mut state, &events)?;
    Ok((state, events, head))
}
