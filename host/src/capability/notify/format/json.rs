//! A JSON object for a service of the operator's own: all that a notice has, under the names that the
//! file channel has as well. Any 2xx is success.

use serde_json::Value;

use super::{Layout, Request, as_it_is, bytes};
use crate::capability::notify::notice::Notice;

const LAYOUT: Layout = Layout {
    template: include_str!("json.json.jinja"),
    escape: as_it_is,
    has_links: false,
    text_max: 100_000,
    fields_max: 100,
    size_max: 1 << 20,
    size: bytes,
};

pub(super) fn request(notice: &Notice) -> Result<Request, minijinja::Error> {
    LAYOUT.fill(notice, Value::Null).map(Request::post)
}
