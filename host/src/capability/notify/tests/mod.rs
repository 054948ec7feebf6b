//! Each channel against the real thing on the loopback interface, and what a service is sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod file;
mod format;
mod mail;
mod service;
mod webhook;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Call, Connection, Reply};
use crate::capability::{At, CapabilityConnection, Opening};
use crate::id::{ExecutionId, RunId};
use crate::process::Supervisors;
use crate::secret::{SecretSource, Secrets};

const PASSWORD: &str = "hunter2hunter2";

pub(super) fn connection(table: &Value) -> Connection {
    serde_json::from_value(table.clone()).unwrap()
}

pub(super) fn notice() -> Call {
    Call { subject: "Rolled back".to_owned(), text: "All is well.".to_owned(), ..Call::default() }
}

pub(super) async fn send(table: &Value, call: &Call) -> Reply {
    let driver = connection(table).open(&opening()).await.unwrap();
    driver.prepare(&at(), call).await.unwrap().perform().await.expect("a notice is never a failure")
}

pub(super) fn at() -> At {
    At {
        run: RunId::from("20261122-180312-k7qm".to_owned()),
        execution: ExecutionId(2),
        ordinal: 3,
        began: Timestamp::UNIX_EPOCH,
        deadline: Duration::from_secs(30),
        idempotency_key: None,
    }
}

pub(super) fn opening() -> Opening {
    let source = SecretSource::Command(vec!["printf".into(), PASSWORD.into()]);
    with_secrets(&std::env::temp_dir(), [("mail".to_owned(), source)])
}

/// With these secrets, each in a file of the folder; the spool is the folder as well.
pub(super) fn opening_in(folder: &Path, secrets: &[(&str, &str)]) -> Opening {
    let source = |(name, secret): &(&str, &str)| {
        std::fs::write(folder.join(name), secret).unwrap();
        ((*name).to_owned(), SecretSource::File((*name).into()))
    };
    with_secrets(folder, secrets.iter().map(source))
}

fn with_secrets(folder: &Path, sources: impl IntoIterator<Item = (String, SecretSource)>) -> Opening {
    Opening {
        secrets: Arc::new(Secrets::new(sources.into_iter().collect(), folder)),
        spool: folder.to_owned(),
        base: folder.to_owned(),
        supervisors: Supervisors::new("ripcord"),
    }
}
