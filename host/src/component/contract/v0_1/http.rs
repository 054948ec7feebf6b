//! `http`.

use super::{wit, wit_http};
use crate::capability::{Call, Payload, Reply, http};
use crate::component::guest::Guest;

impl wit_http::Host for Guest {
    async fn send(
        &mut self,
        role: String,
        request: wit_http::Request,
        repeat: wit::Repeat,
        assume: Option<wit_http::Response>,
    ) -> wasmtime::Result<Result<wit_http::Response, wit::Failure>> {
        let wit_http::Request { method, path, headers, body } = request;
        let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
        let call = http::Call { method, path, headers, body: body.map(Payload) };
        let assume = assume.map(|response| {
            let headers = response.headers.into_iter().map(|header| (header.name, header.value)).collect();
            Reply::Http(http::Reply { status: response.status, headers, body: Payload(response.body) })
        });
        let take = |reply| match reply {
            Reply::Http(http::Reply { status, headers, body }) => {
                let headers = headers.into_iter().map(|(name, value)| wit_http::Header { name, value }).collect();
                Some(wit_http::Response { status, headers, body: body.0 })
            }
            _ => None,
        };
        self.make(role, Call::Http(call), repeat.into(), assume, take).await
    }
}
