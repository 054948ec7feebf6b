//! A journal that keeps what the one on the disk would write: each event's JSON, and its hash with the
//! one before it.

use std::sync::Mutex;

use async_trait::async_trait;
use ripcord::id::{Digest, RunId};
use ripcord::journal::{
    AppendError, BeginError, Beginning, Dated, Head, Journal, Outline, ReadError, Recorded, StorageError,
};

/// A journal of one run.
#[derive(Default)]
pub(super) struct MemoryJournal(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    head: Option<Head>,
    lines: Vec<(Head, Vec<u8>)>,
}

impl MemoryJournal {
    fn keep(&self, expected: Option<Head>, events: &[Dated]) -> Head {
        let mut kept = self.0.lock().unwrap();
        assert_eq!(kept.head, expected);
        let mut head = expected.unwrap_or(Head { sequence: 0, hash: Digest([0; 32]) });
        for Dated { at, event } in events {
            let mut line = head.hash.0.to_vec();
            line.extend_from_slice(at.to_string().as_bytes());
            serde_json::to_writer(&mut line, event).unwrap();
            head = Head { sequence: head.sequence + 1, hash: Digest::of(&line) };
            kept.lines.push((head, line));
        }
        kept.head = Some(head);
        head
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn begin(&self, beginning: Beginning) -> Result<Head, BeginError> {
        Ok(self.keep(None, &beginning.events))
    }

    async fn append(&self, _: &RunId, expected: Head, events: &[Dated]) -> Result<Head, AppendError> {
        Ok(self.keep(Some(expected), events))
    }

    async fn read(&self, _: &RunId, after: Option<Head>) -> Result<(Vec<Recorded>, Head), ReadError> {
        let kept = self.0.lock().unwrap();
        let first = after.map_or(0, |head| head.sequence);
        let parse = |(head, line): &(Head, Vec<u8>)| {
            let json = line.iter().skip(32).position(|&byte| byte == b'{').unwrap() + 32;
            let at = std::str::from_utf8(&line[32..json]).unwrap().parse().unwrap();
            Recorded { sequence: head.sequence, at, event: serde_json::from_slice(&line[json..]).unwrap() }
        };
        let events = kept.lines.iter().filter(|(head, _)| head.sequence > first).map(parse);
        Ok((events.collect(), kept.head.unwrap()))
    }

    async fn runs(&self) -> Result<Vec<RunId>, ReadError> {
        unimplemented!()
    }

    async fn outlines(&self) -> Result<Vec<Outline>, ReadError> {
        unimplemented!()
    }

    async fn with_good_states(&self, _: &str) -> Result<Vec<RunId>, ReadError> {
        unimplemented!()
    }

    async fn blob(&self, _: Digest) -> Result<Vec<u8>, ReadError> {
        unimplemented!()
    }

    async fn hold(&self, _: &RunId, _: &[String]) -> Result<(), BeginError> {
        unimplemented!()
    }

    async fn release(&self, _: &RunId) -> Result<(), StorageError> {
        unimplemented!()
    }

    async fn holder(&self, _: &str) -> Result<Option<RunId>, ReadError> {
        unimplemented!()
    }
}
