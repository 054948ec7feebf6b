//! A TOML file that people write: its values, each with its place, read part by part so that one
//! mistake does not hide the next.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::Path as File;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Error, ValueDeserializer};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};

/// The longest file that is read: far more than a person writes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// A file's text, and where in it each value stands.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    name: Arc<str>,
    text: Arc<str>,
    /// The text as errors show it, byte for byte as long as the text.
    shown: Arc<str>,
    root: Node,
}

/// One step of the way from the file's root to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

/// A way from the file's root to a value: `segments!["step", 0, "bind"]`.
pub(crate) type Path = Vec<Segment>;

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Segment {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

macro_rules! segments {
    ($($segment:expr),* $(,)?) => { [$($crate::document::Segment::from($segment)),*] };
}
pub(crate) use segments;

/// Reads a file that people write. `what` it is begins the messages: "the plan".
pub(crate) fn read_text(what: &str, path: &File) -> Result<String, Diagnostics> {
    let shown = path.display();
    let failed = |problem: &str| Diagnostic::error(format!("can't read {what} {shown}: {problem}"));
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let missing = failed("there is no such file");
            match instead_of_file(path) {
                Some(help) => missing.help(help),
                None => missing,
            }
        }
        std::io::ErrorKind::IsADirectory => failed("it is a folder").help("name the file in it"),
        std::io::ErrorKind::PermissionDenied => {
            failed("this user may not read it").help(format!("see who may:  ls -l {shown}"))
        }
        _ => failed(&error.to_string()),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > TEXT_BYTES_MAX {
        let problem = format!("it has {size} bytes, and {TEXT_BYTES_MAX} is the most that is read");
        return Err(failed(&problem).help("is it the right file?").into());
    }
    // A text of a program that writes UTF-16 has a zero behind each letter.
    if matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b' '..=b'~' | b'\n', 0, ..]) {
        return Err(failed("it is UTF-16").help("save it as UTF-8: the editor asks for the encoding").into());
    }
    if bytes.contains(&0) {
        return Err(failed("it is no text").help("is it the right file?").into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let (valid, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = bytes[..valid].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let byte = bytes[valid];
        failed(&format!("it is not UTF-8 (byte {byte:#04x} in line {line})"))
            .help("save it as UTF-8: the editor asks for the encoding")
            .into()
    })
}

/// More names of files help nobody to find the right one.
const FILES_SHOWN_MAX: usize = 12;

/// What is there instead of a missing file: one whose name is like its name, or else those of its kind.
fn instead_of_file(missing: &File) -> Option<String> {
    let name = missing.file_name()?.to_str()?;
    let folder = missing.parent().filter(|folder| *folder != File::new(""));
    let Ok(files) = std::fs::read_dir(folder.unwrap_or(File::new("."))) else {
        return folder.map(|folder| format!("there is no folder {} either", folder.display()));
    };
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut alike: Vec<String> = names.filter(|name| File::new(name).extension() == missing.extension()).collect();
    let shown = |name: &str| folder.map_or(name.to_owned(), |folder| folder.join(name).display().to_string());
    if let Some(near) = nearest(name, alike.iter().map(String::as_str)) {
        return Some(format!("did you mean {}?", shown(near)));
    }
    alike.sort();
    let there: Vec<String> = alike.iter().take(FILES_SHOWN_MAX).map(|name| shown(name)).collect();
    let more = if alike.len() > FILES_SHOWN_MAX { ", …" } else { "" };
    (!there.is_empty()).then(|| format!("what is there: {}{more}", there.join(", ")))
}

/// A file that was parsed.
pub(crate) struct Parsed<'t> {
    pub(crate) document: Document,
    pub(crate) table: DeTable<'t>,
}

impl Document {
    /// Parses a text. `show` says how it is shown in errors: a text of the same length, with what
    /// must not be repeated masked; it gets the values only if all of the text could be parsed.
    pub(crate) fn parse<'t>(
        name: &str,
        text: &'t str,
        show: impl Fn(&str, Option<&DeTable<'_>>) -> String,
    ) -> Result<Parsed<'t>, Vec<Diagnostic>> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("{name} has {} bytes; {TEXT_BYTES_MAX} is the most that is read", text.len());
            return Err(vec![Diagnostic::error(message)]);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        let shown = show(text, errors.is_empty().then(|| table.get_ref()));
        assert_eq!(shown.len(), text.len(), "spans are the text's");
        let mut document = Self { name: name.into(), text: text.into(), shown: shown.into(), root: Node::default() };
        if !errors.is_empty() {
            // One mistake often breaks several rules at one place; the first says what it is.
            let mut places = BTreeSet::new();
            let first = errors.iter().filter(|error| places.insert(error.span().map(|span| span.start)));
            return Err(first.map(|error| document.syntax_error(error)).collect());
        }
        let table = table.into_inner();
        document.root = Node::of_table(&table, 0..0);
        Ok(Parsed { document, table })
    }

    /// Reads a part of the file into a type. Unknown keys are noted and left out, so that the rest
    /// is read all the same.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        mut value: Spanned<DeValue<'_>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        loop {
            match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(read) => return Some(read),
                Err(error) => {
                    diagnostics.push(self.type_error(&error));
                    let span = error.span()?;
                    if !(error.message().starts_with("unknown field") && remove_key(value.get_mut(), &span)) {
                        return None;
                    }
                }
            }
        }
    }

    /// The place of a value; if it is not there, of what it would be in.
    pub(crate) fn value(&self, path: &[Segment]) -> Place {
        self.place(self.root.reach(path).value.clone())
    }

    /// The place of a key; if it is not there, of what it would be in.
    pub(crate) fn key(&self, path: &[Segment]) -> Place {
        let node = self.root.reach(path);
        self.place(node.key.clone().unwrap_or(node.value.clone()))
    }

    /// The place of some bytes of a string's value. Where the file writes the string with escapes,
    /// it is the whole string.
    pub(crate) fn within(&self, path: &[Segment], string: &str, part: Range<usize>) -> Place {
        let mut place = self.value(path);
        if let Some(offset) = self.text.get(place.span.clone()).and_then(|written| written.find(string)) {
            let start = place.span.start + offset;
            place.span = start + part.start..start + part.end;
        }
        place
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place { source: self.name.clone(), text: self.shown.clone(), span }
    }

    fn syntax_error(&self, error: &Error) -> Diagnostic {
        let message = error.message();
        let written = error.span().and_then(|span| self.text.get(span)).unwrap_or_default();
        // TOML takes a bare word for the beginning of `true` or `false`.
        let is_word = written.starts_with(|first: char| first.is_alphabetic());
        let (message, help) = if message.starts_with("invalid boolean") && is_word {
            ("a text stands in quotes", "write  key = \"text\"")
        } else if message.starts_with("missing opening quote") {
            ("a text begins with a quote", "write  key = \"text\"")
        } else if message.starts_with("invalid basic string, expected `\"`") {
            ("a text in quotes ends in the same line", "close it with  \"")
        } else {
            (message, "")
        };
        let diagnostic = Diagnostic::error(format!("this is not TOML: {message}"));
        let diagnostic = if help.is_empty() { diagnostic } else { diagnostic.help(help) };
        match error.span() {
            Some(span) => diagnostic.at(self.place(span)),
            None => diagnostic,
        }
    }

    /// Serde's words as ours. They never repeat a value: it may be a secret, and the text is shown
    /// anyway as far as it may be.
    fn type_error(&self, error: &Error) -> Diagnostic {
        let span = error.span().unwrap_or_default();
        let at_string = self.text.get(span.clone()).is_some_and(|text| text.starts_with(['"', '\'']));
        let message = error.message();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let diagnostic = if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let unknown = quoted.next().unwrap_or_default();
            let known: Vec<&str> = quoted.collect();
            let title = match at_string {
                true if message.starts_with("unknown variant") => "this is not one of the words known here".to_owned(),
                _ => format!("unknown key `{unknown}`"),
            };
            Diagnostic::error(title).help(instead_of(unknown, &known))
        } else if let Some(key) = message.strip_prefix("missing field ") {
            let key = key.trim_matches('`');
            Diagnostic::error(format!("`{key}` is missing")).help(format!("add  {key} = {}", example(key)))
        } else if message.starts_with("wanted exactly 1 element") {
            Diagnostic::error("exactly one key is expected here")
        } else if let Some((found, expected)) = unexpected(message) {
            let expected = in_words(expected);
            let diagnostic = Diagnostic::error(format!("expected {expected}, found {found}"));
            match expected {
                "a table" => diagnostic.help("write  { KEY = VALUE, … }"),
                "an array" => diagnostic.help("write  [VALUE, …]"),
                "a string" => diagnostic.help("put it in quotes"),
                _ => diagnostic,
            }
        } else {
            Diagnostic::error(message)
        };
        if error.span().is_some() { diagnostic.at(self.place(span)) } else { diagnostic }
    }
}

/// What a key that has to be there may look like.
fn example(key: &str) -> &'static str {
    match key {
        "name" => "\"a-short-name\"",
        "target" => "\"what/is-rolled-back\"",
        "id" => "\"a-name-of-its-own\"",
        "title" => "\"the condition that it stands for, in your people's words\"",
        "use" => "\"the-plugins-name\"",
        "ask" => "\"The question?\"",
        "url" => "\"https://…\"",
        "path" => "\"/srv/app\"",
        "argv" => "[\"PROGRAM\", \"ARGUMENT\"]",
        _ => "…",
    }
}

/// The advice for a name that is not known where only some are.
pub(crate) fn instead_of(unknown: &str, known: &[&str]) -> String {
    match (nearest(unknown, known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "nothing can be written here; take it out".to_owned(),
        (None, known) => format!("known here: {}", crate::diagnostic::listed(known.iter().copied(), "nothing")),
    }
}

/// Serde's `invalid type: string "…", expected a boolean` as (`a string`, `a boolean`).
fn unexpected(message: &str) -> Option<(&'static str, &str)> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let kinds = [
        ("integer `-", "a negative number"),
        ("string", "a string"),
        ("integer", "a whole number"),
        ("floating point", "a fraction"),
        ("boolean", "true or false"),
        ("map", "a table"),
        ("sequence", "an array"),
    ];
    let kind = kinds.iter().find(|(serde, _)| found.starts_with(serde));
    Some((kind.map_or("something else", |(_, ours)| ours), expected))
}

fn in_words(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "a map" => "a table",
        "a sequence" => "an array",
        "u8" | "u16" | "u32" => "a whole number that is not negative, and not so large",
        "u64" | "usize" => "a whole number that is not negative",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn remove_key(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => {
            let before = table.len();
            *table = std::mem::take(table).into_iter().filter(|(key, _)| key.span() != *span).collect();
            table.len() < before || table.iter_mut().any(|(_, value)| remove_key(value.get_mut(), span))
        }
        DeValue::Array(array) => array.iter_mut().any(|value| remove_key(value.get_mut(), span)),
        _ => false,
    }
}

/// A TOML value as JSON; a date or time is a string. Errors are the span of what JSON can't hold.
pub(crate) fn json(value: &Spanned<DeValue<'_>>) -> Result<Value, Range<usize>> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            Value::from(number.map_err(|_| value.span())?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().replace('_', "").parse().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or(value.span())?)
        }
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Array(array) => Value::Array(array.iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let mut fields = serde_json::Map::new();
            for (key, value) in table {
                fields.insert(key.get_ref().to_string(), json(value)?);
            }
            Value::Object(fields)
        }
    })
}

#[derive(Debug, Clone, Default)]
struct Node {
    key: Option<Range<usize>>,
    value: Range<usize>,
    fields: BTreeMap<String, Node>,
    items: Vec<Node>,
}

impl Node {
    fn of_table(table: &DeTable<'_>, value: Range<usize>) -> Self {
        let field = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            (key.get_ref().to_string(), Self { key: Some(key.span()), ..Self::of(value) })
        };
        Self { value, fields: table.iter().map(field).collect(), ..Self::default() }
    }

    fn of(value: &Spanned<DeValue<'_>>) -> Self {
        match value.get_ref() {
            DeValue::Table(table) => Self::of_table(table, value.span()),
            DeValue::Array(array) => {
                Self { value: value.span(), items: array.iter().map(Self::of).collect(), ..Self::default() }
            }
            _ => Self { value: value.span(), ..Self::default() },
        }
    }

    fn reach(&self, path: &[Segment]) -> &Self {
        let mut node = self;
        for segment in path {
            let next = match segment {
                Segment::Key(key) => node.fields.get(key),
                Segment::Index(index) => node.items.get(*index),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}
