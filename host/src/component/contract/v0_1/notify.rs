//! `notify`.

use super::{wit, wit_notify};
use crate::capability::{Call, Repeat, Reply, notify};
use crate::component::guest::Guest;

impl wit_notify::Host for Guest {
    async fn send(
        &mut self,
        role: String,
        notice: wit_notify::Notice,
    ) -> wasmtime::Result<Result<wit_notify::Delivery, wit::Failure>> {
        let wit_notify::Notice { subject, text, fields, state, severity } = notice;
        let fields = fields.into_iter().map(|field| (field.name, field.value)).collect();
        let state = state.map(|state| match state {
            wit_notify::State::Investigating => notify::State::Investigating,
            wit_notify::State::Identified => notify::State::Identified,
            wit_notify::State::Monitoring => notify::State::Monitoring,
            wit_notify::State::Resolved => notify::State::Resolved,
        });
        let severity = severity.map(|severity| match severity {
            wit_notify::Severity::Info => notify::Severity::Info,
            wit_notify::Severity::Warning => notify::Severity::Warning,
            wit_notify::Severity::Error => notify::Severity::Error,
            wit_notify::Severity::Critical => notify::Severity::Critical,
        });
        let call = notify::Call { subject, text, fields, state, severity };
        let take = |reply| match reply {
            Reply::Notify(notify::Reply::Sent) => Some(wit_notify::Delivery::Sent),
            Reply::Notify(notify::Reply::PerhapsSent(why)) => Some(wit_notify::Delivery::PerhapsSent(why)),
            Reply::Notify(notify::Reply::NotSent(why)) => Some(wit_notify::Delivery::NotSent(why)),
            _ => None,
        };
        self.make(role, Call::Notify(call), Repeat::Once, None, take).await
    }
}
