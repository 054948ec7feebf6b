//! A backup as the SQL that it is made of, whatever its format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::process::Stdio;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Format;
use super::facts::Facts;
use super::script::{Piece, Script, ScriptError};
use super::tools::{Program, Running};
use crate::failure::Failure;

/// Where the head of an archive's list has ended for certain.
const LIST_HEAD_BYTES_MAX: u64 = 64 << 10;
/// How many pieces are read ahead.
const AHEAD: usize = 8;

/// A backup that is being read.
pub(super) struct Reading {
    pieces: mpsc::Receiver<Piece>,
    thread: JoinHandle<Result<Facts, ScriptError>>,
    tool: Option<Running>,
    /// Shares its position with whoever reads.
    file: File,
}

/// How much of a backup is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Extent {
    /// Statements and rows.
    Whole,
    /// As little as tells the facts: an archive has them in front.
    Facts,
}

/// Begins to read. `program` is the `pg_restore` for an archive.
pub(super) fn read(
    file: &File,
    format: Format,
    program: Option<&Program>,
    extent: Extent,
    limit: Duration,
) -> Result<Reading, Failure> {
    let failed = |error: std::io::Error| Failure::transient(format!("can't read the backup: {error}"));
    let mut own = file.try_clone().map_err(failed)?;
    own.rewind().map_err(failed)?;
    let input = own.try_clone().map_err(failed)?;
    let (reader, tool): (Box<dyn Read + Send>, _) = match (format, program) {
        (Format::Plain, _) => (Box::new(input), None),
        (Format::PlainGzip, _) => (Box::new(MultiGzDecoder::new(input)), None),
        (Format::Custom, Some(program)) => {
            let (tool, output) = program.start(arguments(extent), &BTreeMap::new(), Stdio::from(input), limit)?;
            (Box::new(Gathered(output)), Some(tool))
        }
        (Format::Custom, None) => {
            return Err(Failure::permanent("internal: an archive is read without pg_restore"));
        }
    };
    let (sender, pieces) = mpsc::channel(AHEAD);
    let thread = tokio::task::spawn_blocking(move || {
        let mut script = Script::new(reader);
        if extent == Extent::Facts {
            return script.survey();
        }
        while let Some(piece) = script.next()? {
            // Nobody waits for it any more.
            if sender.blocking_send(piece).is_err() {
                break;
            }
        }
        Ok(script.facts().clone())
    });
    Ok(Reading { pieces, thread, tool, file: own })
}

/// Where an archive is from, as far as it says so itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Origin {
    pub(super) database: Option<String>,
    pub(super) server_version: Option<String>,
}

/// Asks an archive where it is from. Why it can't be read is for whoever reads all of it to say.
pub(super) async fn origin(file: &File, program: &Program, limit: Duration) -> Origin {
    let input = file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
    let started =
        input.ok().and_then(|file| program.start(&["--list"], &BTreeMap::new(), Stdio::from(file), limit).ok());
    let Some((_tool, output)) = started else { return Origin::default() };
    let read = tokio::task::spawn_blocking(move || Origin::read(output)).await;
    read.unwrap_or_default()
}

impl Origin {
    /// The comments with which the list begins; what is behind them is left unread.
    fn read(list: impl Read) -> Self {
        let mut origin = Self::default();
        let lines = BufReader::new(list.take(LIST_HEAD_BYTES_MAX)).lines().map_while(Result::ok);
        for line in lines.take_while(|line| line.is_empty() || line.starts_with(';')) {
            let line = line.trim_start_matches(';').trim();
            if let Some(name) = line.strip_prefix("dbname: ") {
                origin.database = Some(name.to_owned());
            } else if let Some(version) = line.strip_prefix("Dumped from database version: ") {
                origin.server_version = version.split_whitespace().next().map(str::to_owned);
            }
        }
        origin
    }
}

/// Of `pg_restore`, which has the archive as its standard input.
pub(super) fn arguments(extent: Extent) -> &'static [&'static str] {
    match extent {
        Extent::Whole => &["--file=-"],
        Extent::Facts => &["--file=-", "--schema-only"],
    }
}

/// Reads until there is no more room. A tool writes a few KiB at a time, and each piece has its way to go: to
/// another thread, to the server, to its disk.
struct Gathered<R>(R);

impl<R: Read> Read for Gathered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It comes again, behind what was read.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Reading {
    /// What comes next; none at the end, or where it can't go on.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// How far in the file it has come.
    pub(super) fn position(&mut self) -> u64 {
        self.file.stream_position().unwrap_or_default()
    }

    /// What the backup says of itself, once it was read to its end.
    ///
    /// # Errors
    /// Why it was not.
    pub(super) async fn finish(mut self) -> Result<Facts, String> {
        self.pieces.close();
        let read = self.thread.await.map_err(|error| format!("internal: {error}"))?;
        let tool = match self.tool {
            Some(tool) => tool.finish().await,
            None => Ok(()),
        };
        match (read, tool) {
            (Err(ScriptError::CutOff(_) | ScriptError::Read(_)), Err(problem)) | (Ok(_), Err(problem)) => Err(problem),
            (Err(error), _) => Err(error.to_string()),
            (Ok(facts), Ok(())) if !facts.is_complete => {
                Err("it was cut off: its last line, `-- PostgreSQL database dump \
                                                              complete`, is missing"
                    .to_owned())
            }
            (Ok(facts), Ok(())) => Ok(facts),
        }
    }
}
