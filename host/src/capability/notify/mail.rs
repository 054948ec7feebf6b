//! A notice as a mail.

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};

use super::Address;
use super::limit::cut;
use super::notice::Notice;

/// The longest subject, in UTF-16 code units: some mail programs show no more, and none shows all of a
/// longer one.
const SUBJECT_MAX: usize = 200;

/// Writes a notice as a mail of plain text: the text, then its fields.
///
/// The message's id is made of the call's, so that whoever gets a notice twice can see that it is one.
pub(super) fn compose(notice: &Notice, from: &Address, to: &[Address]) -> Result<Message, String> {
    let mut builder = Message::builder()
        .from(from.mailbox().clone())
        .subject(subject(notice))
        .message_id(Some(format!("<{}@ripcord>", notice.id)))
        .date_now()
        // RFC 3834: no out-of-office answer to a machine.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        builder = builder.to(address.mailbox().clone());
    }
    builder.body(body(notice)).map_err(|error| format!("the notice can't be written as a mail: {error}"))
}

/// The subject as its reader sees it.
pub(super) fn subject(notice: &Notice) -> String {
    cut(&notice.subject, SUBJECT_MAX, |_| None)
}

/// The text as its reader sees it.
pub(super) fn body(notice: &Notice) -> String {
    format!("{}\n", notice.text_and_fields())
}
