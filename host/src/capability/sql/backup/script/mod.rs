//! A plain dump, taken apart for the server: statements, and the rows between a `COPY … FROM stdin` and
//! its end.
//!
//! A dump is a program for `psql`, and `psql` obeys more than SQL: `\! command` runs one on the host.
//! Nothing here can do that. Statements go to the server over the protocol, and an order to `psql` is an
//! error, but for the two that pg_dump writes itself (`\restrict`, `\unrestrict`). If the lexer should
//! take a statement's end for something else, the server rejects what it is sent; no more can come of it.

mod lexer;

use std::io::{self, BufRead, BufReader, Read};
use std::sync::LazyLock;

use bytes::Bytes;
use regex::bytes::Regex;

use self::lexer::{Found, Lexer};
use super::facts::Facts;

/// How much is read at once, and about how much of the statements is sent at once.
const CHUNK_BYTES: usize = 256 << 10;
/// The server takes no longer statement.
const STATEMENT_BYTES_MAX: usize = 1 << 30;
/// What is longer is an `INSERT`, and tells nothing about roles and extensions.
const TELLING_BYTES_MAX: usize = 16 << 10;
/// How much of a line is shown to people.
const SHOWN_CHARS: usize = 120;

static END_OF_DATA: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\\\.").ok());
static COPY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?is-u)^copy\s.+\sfrom\s+stdin\b").ok());

/// What is to be done next to carry the dump out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Whole statements.
    Statements(String),
    /// A `COPY … FROM stdin`; what follows up to [`Piece::EndOfData`] are its rows.
    Copy(String),
    /// Rows, cut anywhere.
    Data(Bytes),
    /// There are no more rows.
    EndOfData,
}

/// Why a dump can't be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScriptError {
    /// It can't be read.
    #[error("it can't be read to its end: {0}")]
    Read(#[from] io::Error),
    /// It gives orders to `psql`.
    #[error(
        "line {line} is an order to psql, not SQL: `{text}`; pg_dump writes none but \\restrict and \\unrestrict, so \
         somebody else wrote this line, or it was dumped with --create; nothing of it was run"
    )]
    Order { line: u64, text: String },
    /// It is a dump of a whole server.
    #[error(
        "it is a dump of a whole server (pg_dumpall), which would change roles and other databases: dump the one \
         database with pg_dump"
    )]
    Cluster,
    /// It creates or drops databases.
    #[error("line {line} is for another database: `{text}`; dump it without --create")]
    OtherDatabase { line: u64, text: String },
    /// It ends too early.
    #[error("it ends in the middle of {0}: it was cut off")]
    CutOff(&'static str),
    /// A statement is in no encoding that can be sent.
    #[error("the statement that ends in line {line} is not UTF-8: dump it again with --encoding=UTF8")]
    Encoding { line: u64 },
    /// A statement is longer than the server takes.
    #[error("the statement that begins before line {line} has more than 1 GB")]
    TooLong { line: u64 },
}

/// A dump as it is read.
pub(super) struct Script<R> {
    reader: BufReader<R>,
    facts: Facts,
    line: u64,
    lexer: Lexer,
    /// Statements that were not handed out, the last one perhaps unfinished.
    text: Vec<u8>,
    /// So much of `text` is whole statements.
    whole: usize,
    /// Where the unfinished statement's first word stands in `text`.
    begun: Option<usize>,
    /// A `COPY` that is to be handed out next.
    copy: Option<String>,
    /// Rows are being read; whether the next byte begins one.
    rows: Option<bool>,
}

impl<R: Read> Script<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(CHUNK_BYTES, reader),
            facts: Facts::default(),
            line: 0,
            lexer: Lexer::default(),
            text: Vec::new(),
            whole: 0,
            begun: None,
            copy: None,
            rows: None,
        }
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, ScriptError> {
        loop {
            if let Some(copy) = self.copy.take() {
                self.rows = Some(true);
                return Ok(Some(Piece::Copy(copy)));
            }
            if let Some(at_line_start) = self.rows {
                return self.rows(at_line_start).map(Some);
            }
            if self.whole >= CHUNK_BYTES {
                return self.take_whole().map(Some);
            }
            let from = self.text.len();
            if self.reader.read_until(b'\n', &mut self.text)? == 0 {
                if self.begun.is_some() || self.lexer.is_inside() {
                    return Err(ScriptError::CutOff("a statement"));
                }
                return if self.whole > 0 { self.take_whole().map(Some) } else { Ok(None) };
            }
            self.line += 1;
            if self.text.len() > STATEMENT_BYTES_MAX {
                return Err(ScriptError::TooLong { line: self.line });
            }
            self.scan(from)?;
            if self.copy.is_some() && self.whole > 0 {
                return self.take_whole().map(Some);
            }
        }
    }

    /// Reads on to the end, and keeps nothing but the facts.
    pub(super) fn survey(mut self) -> Result<Facts, ScriptError> {
        while self.next()?.is_some() {}
        Ok(self.facts)
    }

    fn take_whole(&mut self) -> Result<Piece, ScriptError> {
        let rest = self.text.split_off(self.whole);
        let whole = std::mem::replace(&mut self.text, rest);
        self.begun = self.begun.map(|begun| begun - self.whole);
        self.whole = 0;
        let line = self.line;
        String::from_utf8(whole).map(Piece::Statements).map_err(|_| ScriptError::Encoding { line })
    }

    /// Takes in the line that begins at `from`.
    fn scan(&mut self, from: usize) -> Result<(), ScriptError> {
        if self.begun.is_none() && !self.lexer.is_inside() && self.is_for_psql_alone(from)? {
            self.text.truncate(from);
            return Ok(());
        }
        let mut at = from;
        while at < self.text.len() {
            let found = self.lexer.advance(&self.text, &mut at);
            match found {
                Found::Nothing => {}
                Found::Word(begin) => {
                    self.begun.get_or_insert(begin);
                }
                Found::Order(begin) => {
                    return Err(ScriptError::Order { line: self.line, text: shown(&self.text[begin..]) });
                }
                Found::End => {
                    let Some(begun) = self.begun.take() else {
                        self.whole = at;
                        continue;
                    };
                    // pg_dump puts each batch of large objects into a transaction of its own. Here all of
                    // it is one already.
                    if matches!(&self.text[begun..at], b"BEGIN;" | b"COMMIT;") {
                        self.text.drain(begun..at);
                        at = begun;
                        continue;
                    }
                    self.statement(begun, at)?;
                    if self.copy.is_some() {
                        self.text.truncate(begun);
                        self.whole = begun;
                        return Ok(());
                    }
                    self.whole = at;
                }
            }
        }
        // What stands between two statements is no beginning of one.
        if self.begun.is_none() && !self.lexer.is_inside() {
            self.whole = self.text.len();
        }
        Ok(())
    }

    /// A line between two statements that is not for the server: what pg_dump says to psql, and comments
    /// that say something of the dump.
    fn is_for_psql_alone(&mut self, from: usize) -> Result<bool, ScriptError> {
        let line = self.text[from..].trim_ascii_end();
        if line.starts_with(b"\\restrict ") || line.starts_with(b"\\unrestrict ") {
            return Ok(true);
        }
        if line == b"-- PostgreSQL database cluster dump" {
            return Err(ScriptError::Cluster);
        }
        if line == b"-- PostgreSQL database dump complete" {
            self.facts.is_complete = true;
        }
        if let Some(entry) = line.strip_prefix(b"-- Name: ") {
            self.facts.entries.extend(entry_title(&String::from_utf8_lossy(entry)));
        }
        Ok(false)
    }

    /// A whole statement, `text[begun..end]`.
    fn statement(&mut self, begun: usize, end: usize) -> Result<(), ScriptError> {
        self.facts.is_complete = false;
        let bytes = &self.text[begun..end];
        if bytes.len() > TELLING_BYTES_MAX {
            return Ok(());
        }
        if COPY.as_ref().is_some_and(|copy| copy.is_match(bytes)) {
            let line = self.line;
            let text = std::str::from_utf8(bytes).map_err(|_| ScriptError::Encoding { line })?;
            self.copy = Some(text.trim_end_matches(';').to_owned());
            return Ok(());
        }
        let statement = String::from_utf8_lossy(bytes);
        let upper = statement.to_ascii_uppercase();
        if ["CREATE DATABASE ", "DROP DATABASE ", "ALTER DATABASE "].iter().any(|verb| upper.starts_with(verb)) {
            return Err(ScriptError::OtherDatabase { line: self.line, text: shown(bytes) });
        }
        if upper.starts_with("SET STANDARD_CONFORMING_STRINGS = ") {
            self.lexer.has_escapes_everywhere = upper.contains("OFF");
        }
        self.facts.take_in(&statement, &upper);
        Ok(())
    }

    fn rows(&mut self, at_line_start: bool) -> Result<Piece, ScriptError> {
        let chunk = self.reader.fill_buf()?;
        if chunk.is_empty() {
            return Err(ScriptError::CutOff("a table's rows"));
        }
        let undecided = end_of_data(chunk, at_line_start);
        if undecided != Some(0) {
            let data = Bytes::copy_from_slice(&chunk[..undecided.unwrap_or(chunk.len())]);
            self.reader.consume(data.len());
            self.rows = Some(data.ends_with(b"\n"));
            return Ok(Piece::Data(data));
        }
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.trim_ascii_end() == b"\\." {
            self.rows = None;
            return Ok(Piece::EndOfData);
        }
        self.rows = Some(line.ends_with(b"\n"));
        Ok(Piece::Data(line.into()))
    }
}

/// Where a line begins that may be the end of the rows.
fn end_of_data(chunk: &[u8], at_line_start: bool) -> Option<usize> {
    let begins_line = |at: usize| if at == 0 { at_line_start } else { chunk[at - 1] == b'\n' };
    let found = END_OF_DATA.as_ref()?.find_iter(chunk).map(|found| found.start()).find(|&at| begins_line(at));
    // The chunk may end between the two characters.
    found.or_else(|| chunk.len().checked_sub(1).filter(|&last| chunk[last] == b'\\' && begins_line(last)))
}

/// `calls; Type: TABLE; Schema: public; Owner: app` as `TABLE public.calls`.
fn entry_title(entry: &str) -> Option<String> {
    let (name, rest) = entry.split_once("; Type: ")?;
    let (kind, rest) = rest.split_once("; Schema: ")?;
    let schema = rest.split("; ").next().filter(|schema| *schema != "-");
    Some(schema.map_or_else(|| format!("{kind} {name}"), |schema| format!("{kind} {schema}.{name}")))
}

fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim().chars().take(SHOWN_CHARS).collect()
}
