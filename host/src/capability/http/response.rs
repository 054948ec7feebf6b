//! Reads a response whole, or says that it is not.

use reqwest::Response;
use reqwest::header::SET_COOKIE;

use super::{Reply, trouble};

/// A response that began and did not end.
pub(in crate::capability) struct Incomplete {
    pub(in crate::capability) status: u16,
    pub(in crate::capability) received: usize,
    pub(in crate::capability) error: BodyError,
}

/// What is wrong with a body.
#[derive(Debug, thiserror::Error)]
pub(in crate::capability) enum BodyError {
    #[error("its body is longer than {limit} bytes; if that is meant, write a higher  body-limit")]
    TooLong { limit: u64 },
    #[error("its body broke off: {0}")]
    Broken(String),
}

/// Reads the body, decompressed, up to its limit.
pub(in crate::capability) async fn read(mut response: Response, limit: u64) -> Result<Reply, Incomplete> {
    let status = response.status().as_u16();
    let mut reply = Reply { status, headers: headers(&response), ..Reply::default() };
    let body = &mut reply.body.0;
    let error = loop {
        match response.chunk().await {
            Ok(None) => return Ok(reply),
            Ok(Some(chunk)) if body.len() as u64 + chunk.len() as u64 > limit => break BodyError::TooLong { limit },
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => break BodyError::Broken(trouble::chain(&error)),
        }
    };
    Err(Incomplete { status, received: body.len(), error })
}

/// A session belongs to the host, and a guest has no use for it.
fn headers(response: &Response) -> Vec<(String, String)> {
    let shown = response.headers().iter().filter(|(name, _)| *name != SET_COOKIE);
    shown
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
