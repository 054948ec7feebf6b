//! PagerDuty, by the Events API v2.
//!
//! All notices of a run are about one alert (`dedup_key`): the first triggers it, `resolved` resolves it.
//!
//! Sources: <https://developer.pagerduty.com/docs/events-api-v2-overview> (202 is success, 400 an event that
//! is not valid, 429 too many; 512 KB; `severity` is one of info, warning, error, critical) and
//! <https://developer.pagerduty.com/docs/send-alert-event> (`summary` up to 1,024 characters, `dedup_key` up
//! to 255, both wanted for an alert, beside `source`).

use serde_json::{Map, Value, json};

use super::{Layout, Request, as_it_is, bytes};
use crate::capability::notify::limit::{MARK, cut, few, head, without_mentions};
use crate::capability::notify::notice::{Field, Notice};

pub(super) const ADDRESS: &str = "https://events.pagerduty.com/v2/enqueue";

/// The lengths of what stands in the table, in UTF-16 code units. Each of them takes three bytes at most,
/// so that all together stay below 512 KB.
const TEXT_MAX: usize = 20_000;
const NAME_MAX: usize = 200;
const VALUE_MAX: usize = 1_000;
const FIELDS_MAX: usize = 100;

const LAYOUT: Layout = Layout {
    template: include_str!("pagerduty.json.jinja"),
    escape: as_it_is,
    has_links: false,
    text_max: 0,
    fields_max: 0,
    size_max: 512_000,
    size: bytes,
};

pub(super) fn request(notice: &Notice) -> Result<Request, minijinja::Error> {
    LAYOUT.fill(notice, json!({ "details": details(notice) })).map(Request::post)
}

/// The table that whoever is paged sees: the text in a row that is named as the notice is, so that it
/// needs no label in some language, then the fields. What has the same name stands in one row.
fn details(notice: &Notice) -> Value {
    let mark = || Field { name: MARK.to_owned(), value: MARK.to_owned() };
    let text =
        Some((notice.subject.as_str(), notice.text.trim_end(), TEXT_MAX)).filter(|(_, text, _)| !text.is_empty());
    let fields = few(&notice.fields, FIELDS_MAX, mark);
    let fields = fields.iter().map(|field| (field.name.as_str(), field.value.as_str(), VALUE_MAX));
    let mut details = Map::new();
    for (name, value, max) in text.into_iter().chain(fields) {
        let name = cut(&without_mentions(head(name, NAME_MAX)), NAME_MAX, as_it_is);
        let value = cut(&without_mentions(head(value, max)), max, as_it_is);
        match details.get_mut(&name) {
            Some(Value::String(row)) => row.push_str(&format!("\n{value}")),
            _ => drop(details.insert(name, value.into())),
        }
    }
    Value::Object(details)
}
