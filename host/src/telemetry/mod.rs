//! What ripcord tells of itself to those who run it: its own log, and the traces of its runs.
//!
//! The log is `tracing`'s. The traces are made of the journal's events and of nothing else: so each call
//! shows once, however often a plugin is replayed, a resumed run goes on in the same trace, no secret
//! can be in them that is not in the journal, and the way of a call costs nothing more.

mod export;
mod log;
mod spans;

#[cfg(test)]
mod tests;

use crate::capability::Connection;

pub use export::{Export, ExportError};
pub use log::{FilterError, Format, Log};
pub use spans::{Servers, Spans, trace_id};

/// Puts the server behind a connection into the span of the call that goes there, if anybody listens.
pub(crate) fn record_server(connection: &Connection) {
    let span = tracing::Span::current();
    if let Some((address, port)) = (!span.is_disabled()).then(|| connection.server()).flatten() {
        span.record("server.address", address);
        span.record("server.port", port);
    }
}
