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
        let wit_notify::Notice { subject, text, fields } = notice;
        let fields = fields.into_iter().map(|field| (field.name, field.value)).collect();
        let take = |reply| match reply {
            Reply::Notify(notify::Reply::Sent) => Some(wit_notify::Delivery::Sent),
            Reply::Notify(notify::Reply::PerhapsSent(why)) => Some(wit_notify::Delivery::PerhapsSent(why)),
            Reply::Notify(notify::Reply::NotSent(why)) => Some(wit_notify::Delivery::NotSent(why)),
            _ => None,
        };
        self.make(role, Call::Notify(notify::Call { subject, text, fields }), Repeat::Once, None, take).await
    }
}
