//! Redirects of reads. Each hop has to be what the plugin could have asked for itself: the same
//! origin, below the same path, and a read by the connection's rules.

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use super::connection::{Connection, Kind};
use super::driver::Outgoing;
use crate::failure::{Failure, Problem};

/// How many redirects of one read are followed.
pub(super) const REDIRECTS_MAX: usize = 5;

/// The request that a response asks for in place of the one it answers, if it does.
pub(super) fn follow(
    connection: &Connection,
    outgoing: &Outgoing,
    response: &Response,
) -> Result<Option<Outgoing>, Failure> {
    let status = response.status();
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let Some(method) = method_after(status, &outgoing.method) else { return Ok(None) };
    let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
    let denied = |why: &str| {
        Failure::Denied(Problem {
            message: format!("{} was redirected to {location}, which was not followed: {why}", outgoing.line()),
            evidence: json!({ "status": status.as_u16(), "location": location }),
        })
    };
    let url = outgoing.url.join(&location).map_err(|error| denied(&format!("it is no URL ({error})")))?;
    let target =
        connection.url.below(&url).ok_or_else(|| denied(&format!("it is not below {}", connection.url.url())))?;
    match connection.classify(method.as_str(), &target) {
        Ok(Kind::Read) => {}
        Ok(Kind::Mutation) => return Err(denied("the connection's `write` rules call it a mutation")),
        Err(refusal) => {
            let remedy = refusal.remedy().map(|line| format!("; to allow it, write  {line}")).unwrap_or_default();
            return Err(denied(&format!("{}{remedy}", refusal.reason())));
        }
    }
    let url = connection.url.join(&target).map_err(|problem| denied(&problem))?;
    let mut headers = outgoing.headers.clone();
    let mut body = outgoing.body.clone();
    if method != outgoing.method {
        body = Bytes::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            headers.remove(name);
        }
    }
    Ok(Some(Outgoing { method, url, headers, body }))
}

/// The method of the next request (RFC 9110, 15.4); `None` if the status is no redirect.
fn method_after(status: StatusCode, method: &Method) -> Option<Method> {
    match status {
        StatusCode::SEE_OTHER if method != Method::HEAD => Some(Method::GET),
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => Some(Method::GET),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some(method.clone()),
        _ => None,
    }
}
