//! Cachet, version 3 and version 2.
//!
//! A run's first notice opens an incident, later ones are updates to it.
//!
//! Sources: <https://docs.cachethq.io/api-reference/incidents/create-incident> (version 3, below `/api`:
//! `name` up to 255 characters, `status` 1 investigating, 2 identified, 3 watching, 4 fixed;
//! `Authorization: Bearer`) and <https://docs.cachethq.io/api/> (version 2, below `/api/v1`:
//! `X-Cachet-Token`, and `notify` where version 3 has `notifications`).

use serde_json::json;

use super::{Incident, Layout, Request, as_it_is, bytes, stands};
use crate::capability::notify::State;
use crate::capability::notify::notice::Notice;

const LAYOUT: Layout = Layout {
    template: include_str!("cachet.json.jinja"),
    escape: as_it_is,
    has_links: false,
    text_max: 10_000,
    fields_max: 50,
    size_max: 60_000,
    size: bytes,
};

/// `api` is where the version has its interface, `notify` how it calls the telling of its subscribers.
pub(super) fn request(
    (api, notify): (&str, &str),
    notice: &Notice,
    incident: Option<&Incident>,
) -> Result<Request, minijinja::Error> {
    let status = match stands(notice, incident) {
        State::Investigating => 1,
        State::Identified => 2,
        State::Monitoring => 3,
        State::Resolved => 4,
    };
    let payload = LAYOUT.fill(notice, json!({ "status": status, "notify": notify, "is_new": incident.is_none() }))?;
    let path = match incident {
        None => format!("{api}/incidents"),
        Some(Incident { id, .. }) => format!("{api}/incidents/{id}/updates"),
    };
    Ok(Request { path, ..Request::post(payload) })
}
