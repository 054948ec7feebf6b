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
            let wit_http::Timing { first_byte_us, total_us } = response.timing;
            let timing = http::Timing { first_byte_us, total_us };
            Reply::Http(http::Reply { status: response.status, headers, body: Payload(response.body), timing })
        });
        let take = |reply| match reply {
            Reply::Http(http::Reply { status, headers, body, timing }) => {
                let headers = headers.into_iter().map(|(name, value)| wit_http::Header { name, value }).collect();
                let http::Timing { first_byte_us, total_us } = timing;
                let timing = wit_http::Timing { first_byte_us, total_us };
                Some(wit_http::Response { status, headers, body: body.0, timing })
            }
            _ => None,
        };
        self.make(role, Call::Http(call), repeat.into(), assume, take).await
    }
}
