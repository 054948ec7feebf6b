//! Discord, by a webhook.
//!
//! Sources: <https://docs.discord.com/developers/resources/webhook#execute-webhook> (`content` up to 2,000
//! characters; with `wait=true` the answer is the message that was kept),
//! <https://docs.discord.com/developers/resources/message#embed-object-embed-limits> (description 4,096, 25
//! fields, name 256, value 1,024, 6,000 together), the same page's `allowed_mentions` (`parse: []`: nobody
//! is called) and <https://docs.discord.com/developers/topics/rate-limits> (429 with `Retry-After`).

use serde_json::Value;

use super::{Layout, Request, as_it_is};
use crate::capability::notify::limit::length;
use crate::capability::notify::notice::Notice;

const LAYOUT: Layout = Layout {
    template: include_str!("discord.json.jinja"),
    escape: as_it_is,
    has_links: true,
    text_max: 4_096,
    fields_max: 25,
    size_max: 6_000,
    size: embedded,
};

/// What counts of the whole: the texts of the embed.
fn embedded(payload: &Value) -> usize {
    let embed = &payload["embeds"][0];
    let text = |value: &Value| value.as_str().map_or(0, length);
    let fields = embed["fields"].as_array().into_iter().flatten();
    text(&embed["description"]) + fields.map(|field| text(&field["name"]) + text(&field["value"])).sum::<usize>()
}

pub(super) fn request(notice: &Notice) -> Result<Request, minijinja::Error> {
    LAYOUT.fill(notice, Value::Null).map(Request::post)
}
