//! Slack, by an incoming webhook.
//!
//! Sources: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks> (the answer is
//! `ok`; 400 `invalid_payload`, 403 `action_prohibited`, 404 `channel_not_found`, 410
//! `channel_is_archived`), <https://docs.slack.dev/messaging/formatting-message-text> (`&`, `<` and `>` are
//! written as entities; a mention is always within `<…>`),
//! <https://docs.slack.dev/reference/block-kit/composition-objects/text-object> (3,000 characters;
//! `verbatim` leaves names and addresses as they are) and
//! <https://docs.slack.dev/reference/block-kit/blocks/section-block> (ten fields of 2,000 characters; 50
//! blocks a message).

use serde_json::Value;

use super::{Answer, Layout, Request, bytes};
use crate::capability::http;
use crate::capability::notify::notice::Notice;

const LAYOUT: Layout = Layout {
    template: include_str!("slack.json.jinja"),
    escape,
    has_links: false,
    text_max: 3_000,
    // Five sections of ten.
    fields_max: 50,
    size_max: usize::MAX,
    size: bytes,
};

fn escape(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

pub(super) fn request(notice: &Notice) -> Result<Request, minijinja::Error> {
    LAYOUT.fill(notice, Value::Null).map(Request::post)
}

/// None if a 200 is not Slack's: a captive portal answers so, too.
pub(super) fn answer(reply: &http::Reply) -> Option<Answer> {
    (reply.body.0.trim_ascii() == b"ok").then_some(Answer::Taken)
}
