//! A notice as its reader gets it, before the limits of its channel.

use serde::Serialize;

use super::{Call, Severity, State};
use crate::capability::Exactly;

/// A notice in the operator's words and without anything that controls a terminal or a mail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Notice {
    /// One line, and never empty.
    pub(super) subject: String,
    /// Lines end in `\n`. May be empty.
    pub(super) text: String,
    pub(super) fields: Vec<Field>,
    pub(super) state: Option<State>,
    pub(super) severity: Option<Severity>,
    /// The run's name.
    pub(super) run: String,
    /// A name that no other notice of any run has ([`crate::capability::At::key`]).
    pub(super) id: String,
}

/// A fact that a channel may show as a row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    /// One line.
    pub(super) name: String,
    /// One line: a line break could pass for another field.
    pub(super) value: String,
}

impl Notice {
    /// What a plugin wants said, cleaned.
    pub(super) fn new(run: &str, id: &str, call: &Call) -> Self {
        let field = |(name, value): &(String, String)| Field { name: one_line(name), value: one_line(value) };
        Self {
            subject: String::new(),
            text: lines(&call.text),
            fields: call.fields.iter().map(field).collect(),
            state: call.state,
            severity: call.severity,
            run: run.to_owned(),
            id: id.to_owned(),
        }
        .with_subject(&call.subject)
    }

    /// With another subject. Every service wants one: without any it is the mark of what is left out.
    pub(super) fn with_subject(mut self, subject: &str) -> Self {
        self.subject = Some(one_line(subject)).filter(|line| !line.trim().is_empty()).unwrap_or_else(|| "…".to_owned());
        self
    }

    /// With another text.
    pub(super) fn with_text(mut self, text: &str) -> Self {
        self.text = lines(text);
        self
    }

    /// What leaves, for people who have to agree to it: the words, without the form that a channel gives
    /// them.
    pub(super) fn exactly(&self, line: String) -> Exactly {
        let exactly = Exactly::new(line).with("subject", &self.subject);
        let exactly = match self.text.trim_end() {
            "" => exactly,
            text => exactly.with("text", text),
        };
        let exactly = self
            .fields
            .iter()
            .fold(exactly, |exactly, Field { name, value }| exactly.with("field", format!("{name}: {value}")));
        let exactly = match self.state {
            Some(state) => exactly.with("state", state.to_string()),
            None => exactly,
        };
        match self.severity {
            Some(severity) => exactly.with("severity", severity.to_string()),
            None => exactly,
        }
    }

    /// The text, then each field on a line of its own: for channels without tables.
    pub(super) fn text_and_fields(&self) -> String {
        let fields = self.fields.iter().map(|Field { name, value }| format!("{name}: {value}"));
        let fields = fields.collect::<Vec<_>>().join("\n");
        match (self.text.trim_end(), fields.as_str()) {
            (text, "") => text.to_owned(),
            ("", fields) => fields.to_owned(),
            (text, fields) => format!("{text}\n\n{fields}"),
        }
    }
}

/// A text without line breaks and control characters: in a header they could begin another one.
fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().filter(|&character| matches!(character, '\n' | '\t') || !character.is_control()).collect()
}
