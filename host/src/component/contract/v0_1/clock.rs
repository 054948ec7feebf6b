//! `clock` and `log`, which need no connection.

use std::time::Duration;

use jiff::Timestamp;

use super::{wit_clock, wit_log};
use crate::component::guest::Guest;
use crate::journal::Level;

impl wit_clock::Host for Guest {
    async fn now(&mut self) -> wasmtime::Result<wit_clock::Instant> {
        let now: Timestamp = self.now().await?;
        let since = now.duration_since(Timestamp::UNIX_EPOCH);
        Ok(wit_clock::Instant {
            seconds: since.as_secs(),
            nanoseconds: u32::try_from(since.subsec_nanos()).unwrap_or(0),
        })
    }

    async fn sleep(&mut self, milliseconds: u64) -> wasmtime::Result<()> {
        Ok(self.sleep(Duration::from_millis(milliseconds)).await?)
    }
}

impl wit_log::Host for Guest {
    async fn log(&mut self, level: wit_log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            wit_log::Level::Debug => Level::Debug,
            wit_log::Level::Info => Level::Info,
            wit_log::Level::Warn => Level::Warn,
            wit_log::Level::Error => Level::Error,
        };
        Ok(self.log(level, message).await?)
    }
}
