//! Microsoft Teams, by a workflow that begins with "When a Teams webhook request is received".
//!
//! Sources: <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>
//! (the message with an Adaptive Card as its attachment; workflows take no other cards),
//! <https://learn.microsoft.com/connectors/teams/> (a message has some 28 KB at most),
//! <https://learn.microsoft.com/adaptive-cards/schema-explorer/text-run> (no Markdown in a `TextRun`) and
//! <https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format> (Markdown in
//! a fact; a mention is an `<at>` with an entity, and a workflow makes one of an `<at>` alone).

use serde_json::Value;

use super::{Layout, Request, as_it_is, bytes};
use crate::capability::http;
use crate::capability::notify::limit::length;
use crate::capability::notify::notice::Notice;

const LAYOUT: Layout = Layout {
    template: include_str!("teams.json.jinja"),
    escape: as_it_is,
    has_links: true,
    text_max: 12_000,
    fields_max: 50,
    size_max: 28_000,
    size,
};

/// It is not said in what: in UTF-8 as it is sent, or in UTF-16 as Teams keeps it. So in the larger one.
fn size(payload: &Value) -> usize {
    bytes(payload).max(2 * length(&payload.to_string()))
}

pub(super) fn request(notice: &Notice) -> Result<Request, minijinja::Error> {
    LAYOUT.fill(notice, Value::Null).map(Request::post)
}

/// An old connector's URL says so with a 200.
pub(super) fn is_failure(reply: &http::Reply) -> bool {
    reply.body.0.trim_ascii().starts_with(b"Webhook message delivery failed")
}
