//! A notice as a mail.

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};

use super::{Address, Call};
use crate::capability::At;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 200;

/// Writes a notice as a mail of plain text: the text, then its fields.
///
/// The message's id is made of the call's, so that whoever gets a notice twice can see that it is one.
pub(super) fn compose(at: &At, from: &Address, to: &[Address], call: &Call) -> Result<Message, String> {
    let mut builder = Message::builder()
        .from(from.mailbox().clone())
        .subject(subject(&call.subject))
        .message_id(Some(format!("<{}@ripcord>", at.key())))
        .date_now()
        // RFC 3834: no out-of-office answer to a machine.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        builder = builder.to(address.mailbox().clone());
    }
    builder.body(body(call)).map_err(|error| format!("the notice can't be written as a mail: {error}"))
}

/// The subject as its reader sees it.
pub(super) fn subject(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(SUBJECT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text as its reader sees it.
pub(super) fn body(call: &Call) -> String {
    let mut body: String =
        call.text.replace("\r\n", "\n").chars().filter(|&c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    if !call.fields.is_empty() {
        body.truncate(body.trim_end().len());
        body.push_str("\n\n");
    }
    for (name, value) in &call.fields {
        // One line each: a line break in a value could pass for another field.
        body.push_str(&format!("{}: {}\n", one_line(name), one_line(value)));
    }
    body
}

/// A text without line breaks and control characters: in a header they could begin another one.
fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
