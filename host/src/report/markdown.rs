//! The report as Markdown, as GitHub, GitLab and most wikis read it.

use jiff::tz::TimeZone;
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::template::{environment, pieces, safe};
use super::{Report, WriteError};
use crate::present::clean;

const TEMPLATE: &str = include_str!("report.md.jinja");

/// How many lines of evidence are shown; the JSON has all of them.
const LINES_MAX: usize = 60;

pub(super) fn markdown(report: &Report, zone: &TimeZone) -> Result<String, WriteError> {
    let language = report.language;
    let mut environment = environment(report, zone)?;
    // Here and not in the template, where one value would be forgotten one day.
    environment.set_formatter(|out, _, value| {
        let text = value.to_string();
        Ok(out.write_str(if value.is_safe() { text } else { escape(&text) }.as_str())?)
    });
    environment.add_filter("sentence", move |said: Serde<serde_json::Value>, group: String| -> Value {
        let pieces = pieces(language, &group, &said.0).into_iter();
        let pieces = pieces.map(|(is_command, piece)| if is_command { code(&piece) } else { inline(&piece) });
        safe(pieces.collect::<String>().trim().to_owned())
    });
    environment.add_filter("code", |text: String| safe(code(&text)));
    environment.add_filter("fenced", |text: String, language: Option<String>, indent: Option<usize>| {
        let lines = fenced(&text, &language.unwrap_or_default());
        safe(lines.lines().map(|line| format!("{}{line}\n", " ".repeat(indent.unwrap_or(0)))).collect())
    });
    let text = environment.render_named_str("report.md", TEMPLATE, context! { r => Serde(report) })?;
    Ok(format!("{}\n", text.trim_end()))
}

/// A value as one line of Markdown that means nothing but itself, in a table too.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = inline(text.trim());
    if escaped.starts_with(['#', '-', '+', '=', ':']) {
        escaped.insert(0, '\\');
    }
    // `1.` and `1)` begin a list.
    let digits = escaped.chars().take_while(char::is_ascii_digit).count();
    let behind = escaped[digits..].strip_prefix(['.', ')']);
    if digits > 0 && behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(' ')) {
        escaped.insert(digits, '\\');
    }
    escaped
}

/// As [`escape`], for what does not begin a line.
fn inline(text: &str) -> String {
    // New lines are the one control character that a message has for good reason.
    let text = text.replace("\r\n", "\n").replace('\n', " ");
    let mut escaped = String::new();
    let mut before = ' ';
    let mut characters = clean(&text).chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(character) = characters.next() {
        let begins_an_entity =
            character == '&' && characters.peek().is_some_and(|next| next.is_alphanumeric() || *next == '#');
        if begins_an_entity || r"\`*_[]<>|~$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
        // Else an issue tracker tells whoever has that name.
        if character == '@' && !before.is_alphanumeric() && characters.peek().is_some_and(|next| next.is_alphanumeric())
        {
            escaped.push_str("<!-- -->");
        }
        before = character;
    }
    escaped
}

/// A command, to be copied.
fn code(text: &str) -> String {
    let text = clean(text.trim()).replace('|', r"\|");
    let fence = fence(&text, 1);
    let gap = if text.contains('`') { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

/// Lines that stay as they are.
fn fenced(text: &str, language: &str) -> String {
    let mut lines: Vec<_> = text.lines().map(|line| clean(line).into_owned()).collect();
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        lines.push("…".to_owned());
    }
    let text = lines.join("\n");
    let fence = fence(&text, 3);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// One backtick more than there are in a row, and at least so many.
fn fence(text: &str, least: usize) -> String {
    let (mut longest, mut row) = (0, 0);
    for character in text.chars() {
        row = if character == '`' { row + 1 } else { 0 };
        longest = longest.max(row);
    }
    "`".repeat(least.max(longest + 1))
}
