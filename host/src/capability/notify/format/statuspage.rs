//! Atlassian Statuspage.
//!
//! A run's first notice opens an incident, later ones are updates to it.
//!
//! Source: <https://developer.statuspage.io/> (`POST /pages/PAGE/incidents`, `PATCH
//! /pages/PAGE/incidents/INCIDENT`; `status` investigating, identified, monitoring or resolved;
//! `impact_override` none, minor, major or critical; `Authorization: OAuth KEY`; one request a second, 420
//! or 429 above). It documents no lengths: those here are our own.

use reqwest::Method;
use serde_json::json;

use super::{Incident, Layout, Request, as_it_is, bytes, stands};
use crate::capability::notify::notice::Notice;

pub(super) const ADDRESS: &str = "https://api.statuspage.io/v1";

const LAYOUT: Layout = Layout {
    template: include_str!("statuspage.json.jinja"),
    escape: as_it_is,
    has_links: false,
    text_max: 10_000,
    fields_max: 50,
    size_max: 100_000,
    size: bytes,
};

pub(super) fn request(notice: &Notice, page: &str, incident: Option<&Incident>) -> Result<Request, minijinja::Error> {
    let more = json!({ "status": stands(notice, incident), "is_new": incident.is_none() });
    let payload = LAYOUT.fill(notice, more)?;
    Ok(match incident {
        None => Request { method: Method::POST, path: format!("/pages/{page}/incidents"), payload },
        Some(Incident { id, .. }) => {
            Request { method: Method::PATCH, path: format!("/pages/{page}/incidents/{id}"), payload }
        }
    })
}
