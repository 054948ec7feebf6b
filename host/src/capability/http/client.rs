//! The HTTP client: whom it trusts, where it goes, and that it never does anything twice. `notify` has
//! the same one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::ClientConfig;

use super::address::{AddressRange, Resolver};
use super::{tls, trouble};
use crate::capability::OpenError;

/// A host that does not answer at all is found out before the attempt's deadline: without a
/// connection nothing was sent, while a deadline would leave a doubt.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// What the clients of one connection have in common.
pub(in crate::capability) struct Reach {
    tls: ClientConfig,
    resolver: Arc<Resolver>,
    connect_timeout: Duration,
}

impl Reach {
    /// `ca_file` is trusted beside the machine's own authorities; `encrypted` says whether there is TLS
    /// at all; `allowed` addresses are reached although they are refused otherwise; `timeout` is that of
    /// one attempt.
    pub(in crate::capability) fn new(
        ca_file: Option<&Path>,
        encrypted: bool,
        allowed: &[AddressRange],
        timeout: Duration,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            tls: tls::client_config(ca_file, encrypted)?,
            resolver: Arc::new(Resolver { allowed: allowed.into() }),
            connect_timeout: (timeout / 2).min(CONNECT_TIMEOUT_MAX),
        })
    }

    /// A client that keeps so many connections open.
    ///
    /// Two layers would send a request again by themselves. reqwest's own retries (of HTTP/2 refusals)
    /// are off. hyper-util's `retry_canceled_requests`, which reqwest leaves on, repeats only on a
    /// connection from the pool (`connection_reused` in its `try_send_request`): a mutation's client
    /// keeps none, so that there is no pool. It also saves the doubt that a kept connection leaves when
    /// the server closes it just then.
    pub(in crate::capability) fn client(&self, connections_idle_max: usize) -> Result<Client, OpenError> {
        Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Arc::clone(&self.resolver))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(connections_idle_max)
            .connect_timeout(self.connect_timeout)
            .user_agent(concat!("ripcord/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| OpenError::Unusable(format!("no HTTP client: {}", trouble::chain(&error))))
    }
}
