//! The hash chain: what makes a record of a run one that can't be changed without being noticed.
//!
//! Each event's hash covers the bytes that are stored, and the hash before it. The chain begins with
//! a hash of the run's name, so that no part of one run can stand in another. Whoever can write the
//! file can also write a whole new chain; that shows against a head that was kept elsewhere, which is
//! why the report prints it.

use sha2::{Digest as _, Sha256};

use super::{Dated, Event, Harm, Head};
use crate::id::{Digest, RunId};

/// The record is not what was written: somebody or something other than ripcord changed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Altered {
    /// There is a gap, or the end is gone.
    #[error("run {run}: event {sequence} is missing from the journal")]
    Missing {
        /// The run.
        run: RunId,
        /// The first event that is not there.
        sequence: u64,
    },
    /// The stored bytes and the stored hashes don't fit together.
    #[error("run {run}: event {sequence} is not the one that was written{}: {harm}", reads_as(kind.as_deref()))]
    Changed {
        /// The run.
        run: RunId,
        /// The first event that does not fit.
        sequence: u64,
        /// What kind of event it says that it is, if it can be read.
        kind: Option<String>,
        /// What was done to it.
        harm: Harm,
    },
    /// There are events that were never appended.
    #[error("run {run}: the journal holds an event {sequence}, but the run's last is {}", end.sequence)]
    Surplus {
        /// The run.
        run: RunId,
        /// The first event that is too many.
        sequence: u64,
        /// The end of the run.
        end: Head,
    },
    /// All events fit together, but they are not the ones that the run's end was made of.
    #[error("run {run}: the hash of its last event, {sequence}, is {found}, but {recorded} is recorded as the run's")]
    End {
        /// The run.
        run: RunId,
        /// The last event.
        sequence: u64,
        /// Its hash.
        found: Digest,
        /// What should be its hash.
        recorded: Digest,
    },
    /// The run was longer, or another one, when it was last read.
    #[error(
        "run {run}: it had reached event {} when it was last read, and is at event {} now",
        known.sequence,
        now.sequence
    )]
    TakenBack {
        /// The run.
        run: RunId,
        /// The first event that is another one, or not there any more.
        sequence: u64,
        /// The end of the run as it was.
        known: Head,
        /// The end of the run as it is.
        now: Head,
    },
    /// The bytes behind a digest have another one.
    #[error("the journal's copy of {digest}, a plan or a plugin, was changed: its digest is {found} now")]
    Blob {
        /// What was asked for.
        digest: Digest,
        /// What is there.
        found: Digest,
    },
}

impl Altered {
    /// What can still be believed, in one sentence.
    pub fn sound_part(&self) -> String {
        match self {
            Self::Missing { sequence, .. } | Self::Changed { sequence, .. } | Self::TakenBack { sequence, .. } => {
                match sequence.saturating_sub(1) {
                    0 => "no event of this run can be believed".to_owned(),
                    1 => "event 1 is as it was written; nothing behind it can be believed".to_owned(),
                    last => format!("events 1 to {last} are as they were written; nothing behind them can be believed"),
                }
            }
            Self::Surplus { end, .. } => {
                format!(
                    "events 1 to {} are as they were written; what stands behind them was never recorded",
                    end.sequence
                )
            }
            Self::End { sequence, .. } => format!(
                "events 1 to {sequence} fit together; compare  ripcord audit --head  with a report's to know whether \
                 they are the ones that were written"
            ),
            Self::Blob { .. } => "the events of the runs that use it are as they were written".to_owned(),
        }
    }
}

fn reads_as(kind: Option<&str>) -> String {
    kind.map_or_else(|| " (it can't be read any more)".to_owned(), |kind| format!(" (it reads `{kind}`)"))
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) sequence: u64,
    /// RFC 3339.
    pub(super) at: String,
    /// JSON.
    pub(super) event: String,
    pub(super) hash: Digest,
}

/// What was read back, before anything about it is believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) sequence: u64,
    pub(super) at: &'a [u8],
    pub(super) event: &'a [u8],
    pub(super) hash: &'a [u8],
}

/// The head of a run without any event.
pub(super) fn genesis(run: &RunId) -> Head {
    let mut hasher = Framed::new("ripcord journal 1: run");
    hasher.field(run.as_str().as_bytes());
    Head { sequence: 0, hash: hasher.finish() }
}

/// The links that carry these events behind a head, and the head after them.
pub(super) fn extend(run: &RunId, from: Head, events: &[Dated]) -> Result<(Vec<Link>, Head), serde_json::Error> {
    let mut head = from;
    let mut links = Vec::with_capacity(events.len());
    for Dated { at, event } in events {
        let (sequence, at, event) = (head.sequence + 1, at.to_string(), serde_json::to_string(event)?);
        check_readable(&event)?;
        let hash = hash(run, head.hash, sequence, at.as_bytes(), event.as_bytes());
        head = Head { sequence, hash };
        links.push(Link { sequence, at, event, hash });
    }
    Ok((links, head))
}

/// An event that can't be read back must not be written: the run would be lost with it. What a guest
/// returns can be nested so deep that the parser (its limit is 128 levels) refuses it inside an event;
/// that takes as many brackets, and is looked at closely only then.
fn check_readable(event: &str) -> Result<(), serde_json::Error> {
    let brackets = event.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if brackets >= 100 { serde_json::from_str::<Event>(event).map(drop) } else { Ok(()) }
}

/// Follows a chain that was read back, link by link.
pub(super) struct Follower<'a> {
    run: &'a RunId,
    at: Head,
    end: Head,
}

impl<'a> Follower<'a> {
    /// Follows from a head that is already trusted (from the run's beginning if there is none) to the
    /// one that is recorded as the run's end.
    pub(super) fn new(run: &'a RunId, after: Option<Head>, end: Head) -> Result<Self, Altered> {
        let at = after.unwrap_or_else(|| genesis(run));
        let parted = at.sequence > end.sequence || (at.sequence == end.sequence && at.hash != end.hash);
        match after {
            Some(known) if parted => {
                let sequence = known.sequence.min(end.sequence + 1);
                Err(Altered::TakenBack { run: run.clone(), sequence, known, now: end })
            }
            _ => Ok(Self { run, at, end }),
        }
    }

    /// The last link that was followed.
    pub(super) fn at(&self) -> Head {
        self.at
    }

    /// Checks the next link.
    pub(super) fn follow(&mut self, claim: Claim<'_>) -> Result<(), Altered> {
        let (run, sequence) = (|| self.run.clone(), self.at.sequence + 1);
        if sequence > self.end.sequence {
            return Err(Altered::Surplus { run: run(), sequence: claim.sequence, end: self.end });
        }
        if claim.sequence != sequence {
            return Err(Altered::Missing { run: run(), sequence });
        }
        let hash = hash(self.run, self.at.hash, sequence, claim.at, claim.event);
        if hash.0 != claim.hash {
            return Err(Altered::Changed { run: run(), sequence, kind: None, harm: Harm::More });
        }
        self.at = Head { sequence, hash };
        Ok(())
    }

    /// Checks that the last link followed was the last of the run.
    pub(super) fn finish(self) -> Result<Head, Altered> {
        let Self { run, at, end } = self;
        if at.sequence < end.sequence {
            return Err(Altered::Missing { run: run.clone(), sequence: at.sequence + 1 });
        }
        if at.hash != end.hash {
            return Err(Altered::End { run: run.clone(), sequence: at.sequence, found: at.hash, recorded: end.hash });
        }
        Ok(end)
    }
}

pub(super) fn hash(run: &RunId, previous: Digest, sequence: u64, at: &[u8], event: &[u8]) -> Digest {
    let mut hasher = Framed::new("ripcord journal 1: event");
    hasher.field(&previous.0);
    hasher.field(run.as_str().as_bytes());
    hasher.field(&sequence.to_le_bytes());
    hasher.field(at);
    hasher.field(event);
    hasher.finish()
}

/// SHA-256 over fields, each behind its length: no two lists of fields give the same bytes.
struct Framed(Sha256);

impl Framed {
    fn new(domain: &str) -> Self {
        let mut framed = Self(Sha256::new());
        framed.field(domain.as_bytes());
        framed
    }

    fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::journal::{End, Level};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn run() -> RunId {
        "20261122-180312-k7qm".to_owned().into()
    }

    fn logged(message: &str, at: i64) -> Dated {
        let event = Event::Logged { execution: ExecutionId(1), level: Level::Info, message: message.to_owned() };
        Dated { at: Timestamp::from_second(at).unwrap(), event }
    }

    fn follow(run: &RunId, links: &[Link], end: Head) -> Result<Head, Altered> {
        let mut follower = Follower::new(run, None, end)?;
        for Link { sequence, at, event, hash } in links {
            let claim = Claim { sequence: *sequence, at: at.as_bytes(), event: event.as_bytes(), hash: &hash.0 };
            follower.follow(claim)?;
        }
        follower.finish()
    }

    /// The hashes are a format that old runs and printed reports hold on to.
    #[test]
    fn the_hashes_of_a_run_never_change() {
        let (links, head) = extend(&run(), genesis(&run()), &[logged("a", 0), logged("b", 1)]).unwrap();
        assert_eq!(links[0].at, "1970-01-01T00:00:00Z");
        assert_eq!(links[0].event, r#"{"event":"logged","execution":1,"level":"info","message":"a"}"#);
        assert_eq!(
            (genesis(&run()).hash.to_string(), head.hash.to_string()),
            (
                "sha256:8fa5888995205990c222f7f90d887352df167eee279d4708152566174770cc21".to_owned(),
                "sha256:8c4c4aefef9116172f85a474a3ed8d841046bd7a53149efba84a45960ff1a575".to_owned(),
            )
        );
    }

    #[test]
    fn an_event_that_could_not_be_read_back_is_not_written() {
        for (depth, readable) in [(1, true), (110, true), (127, false)] {
            let receipt = (0..depth).fold(serde_json::Value::Null, |inner, _| serde_json::json!([inner]));
            let event = Event::ExecutionEnded { execution: ExecutionId(1), end: End::Returned(receipt) };
            let extended = extend(&run(), genesis(&run()), &[Dated { at: Timestamp::UNIX_EPOCH, event }]);
            assert_eq!(extended.is_ok(), readable, "{depth}");
        }
    }

    #[test]
    fn a_chain_belongs_to_its_run() {
        let (links, end) = extend(&run(), genesis(&run()), &[logged("a", 0)]).unwrap();
        let other = RunId::from("another".to_owned());
        let changed = Altered::Changed { run: other.clone(), sequence: 1, kind: None, harm: Harm::More };
        assert_eq!(follow(&other, &links, end), Err(changed));
    }

    proptest! {
        /// Cut anywhere into appends, a list of events gives one chain; and whatever is done to what
        /// is stored, it does not read back.
        #[test]
        fn a_chain_reads_back_only_as_it_was_written(
            messages in prop::collection::vec(".{0,8}", 1..12),
            cut in any::<prop::sample::Index>(),
            victim in any::<prop::sample::Index>(),
            harm in 0..7,
        ) {
            let events: Vec<_> = messages.iter().zip(0..).map(|(message, at)| logged(message, at)).collect();
            let (mut links, end) = extend(&run(), genesis(&run()), &events).unwrap();
            let (first, second) = events.split_at(cut.index(events.len()));
            let (mut appended, head) = extend(&run(), genesis(&run()), first).unwrap();
            let (rest, head) = extend(&run(), head, second).unwrap();
            appended.extend(rest);
            prop_assert_eq!((&appended, head), (&links, end));
            prop_assert_eq!(follow(&run(), &links, end), Ok(end));

            let place = victim.index(links.len());
            match harm {
                0 => links[place].event.push(' '),
                1 => links[place].at.push('0'),
                2 => links[place].hash = Digest::of(b"else"),
                3 => { links.remove(place); }
                4 => links.truncate(place),
                5 => links.push(Link { sequence: end.sequence + 1, ..links[place].clone() }),
                // The whole chain made anew, with one event changed.
                _ => {
                    let mut events = events;
                    events[place] = logged("something else entirely", 0);
                    links = extend(&run(), genesis(&run()), &events).unwrap().0;
                }
            }
            prop_assert!(follow(&run(), &links, end).is_err());
        }
    }
}
