//! What was done to an event that does not fit into its chain. The hashes tell: the events behind it
//! were chained to the ones that were written.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::Head;
use super::chain::{Altered, Claim, hash};
use crate::id::RunId;

/// As many events may have been taken out in one place for that to be recognised.
const TAKEN_OUT_MAX: u64 = 256;

/// What is wrong with an event that is not the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Its text: the hash that was stored with it is the one that the next event was chained to.
    Text,
    /// The same, and its time does not lie between its neighbours' times.
    Time,
    /// Only its hash: text and time are the ones that the next event was chained to.
    Hash,
    /// It and this other event have changed places.
    Swapped(u64),
    /// It was put in: what was written here stands one place further on.
    PutIn,
    /// So many events before it were taken out, and it and all behind it were given other numbers.
    TakenOut(u64),
    /// More than that, or something else.
    More,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("its text was changed"),
            Self::Time => f.write_str("its time was changed, and is not between those of the events around it"),
            Self::Hash => f.write_str("its hash was changed; its text and its time are as they were written"),
            Self::Swapped(other) => write!(f, "it and event {other} have changed places"),
            Self::PutIn => f.write_str("it was put in, and the events behind it were given other numbers"),
            Self::TakenOut(1) => f.write_str("an event was taken out before it, and the rest was given other numbers"),
            Self::TakenOut(count) => {
                write!(f, "{count} events were taken out before it, and the rest was given other numbers")
            }
            Self::More => f.write_str("more than one of its text, its time, its hash and its place was changed"),
        }
    }
}

/// An event as it is stored now.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    sequence: u64,
    at: Vec<u8>,
    event: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    pub(super) fn of(claim: Claim<'_>) -> Self {
        let Claim { sequence, at, event, hash } = claim;
        Self { sequence, at: at.to_vec(), event: event.to_vec(), hash: hash.to_vec() }
    }

    /// Whether it is the event that was written at this place behind the event with that hash.
    fn follows(&self, run: &RunId, previous: &[u8], sequence: u64) -> bool {
        let Ok(previous) = <[u8; 32]>::try_from(previous) else { return false };
        hash(run, crate::id::Digest(previous), sequence, &self.at, &self.event).0 == *self.hash
    }

    fn time(&self) -> Option<Timestamp> {
        std::str::from_utf8(&self.at).ok()?.parse().ok()
    }

    /// What kind of event its text says that it is.
    fn kind(&self) -> Option<String> {
        let event: Value = serde_json::from_slice(&self.event).ok()?;
        event.get("event")?.as_str().map(str::to_owned)
    }
}

/// A chain from the last event that fits on: the first of `rest` does not.
pub(super) struct Broken<'a> {
    pub(super) run: &'a RunId,
    /// The last event that fits, and its time; the run's beginning has none.
    pub(super) sound: Head,
    pub(super) sound_at: Option<Timestamp>,
    /// The recorded end of the run.
    pub(super) end: Head,
    pub(super) rest: &'a [Stored],
}

impl Broken<'_> {
    /// Names the event, and says what was done to it.
    pub(super) fn diagnose(&self, altered: Altered) -> Altered {
        match (altered, self.rest.first()) {
            (Altered::Changed { run, sequence, .. }, Some(first)) => {
                Altered::Changed { run, sequence, kind: first.kind(), harm: self.harm(first) }
            }
            (altered, _) => altered,
        }
    }

    fn harm(&self, first: &Stored) -> Harm {
        let (run, place) = (self.run, self.sound.sequence + 1);
        let next = self.rest.get(1);
        // What was written here may stand elsewhere now.
        if let Some(found) = self.rest.iter().skip(1).find(|other| other.follows(run, &self.sound.hash.0, place)) {
            let is_next = next.is_some_and(|next| next.sequence == found.sequence);
            let swapped = first.follows(run, &found.hash, place + 1);
            return if is_next && !swapped { Harm::PutIn } else { Harm::Swapped(found.sequence) };
        }
        let chained_to = |hash: &[u8], sequence: u64| match next {
            Some(next) => next.follows(run, hash, sequence),
            None => sequence == self.end.sequence + 1 && hash == self.end.hash.0,
        };
        if chained_to(&first.hash, place + 1) {
            return if self.is_out_of_time(first) { Harm::Time } else { Harm::Text };
        }
        if chained_to(&hash(run, self.sound.hash, place, &first.at, &first.event).0, place + 1) {
            return Harm::Hash;
        }
        let taken_out = |count: &u64| next.is_some_and(|next| next.follows(run, &first.hash, place + 1 + count));
        (1..=TAKEN_OUT_MAX).find(taken_out).map_or(Harm::More, Harm::TakenOut)
    }

    fn is_out_of_time(&self, first: &Stored) -> bool {
        let Some(at) = first.time() else { return true };
        let next = self.rest.get(1).and_then(Stored::time);
        self.sound_at.is_some_and(|before| at < before) || next.is_some_and(|after| at > after)
    }
}
