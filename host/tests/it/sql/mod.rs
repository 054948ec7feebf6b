//! The `sql` capability against a real server, from the operator's table to the reply.

mod backup;
mod execute;
mod query;
mod reached;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ripcord::capability::sql::{Call, Connection, Reply, Rows, Value};
use ripcord::capability::{At, CapabilityConnection, Driver, Opening};
use ripcord::failure::Failure;
use ripcord::id::{ExecutionId, RunId};
use ripcord::process::Supervisors;
use ripcord::secret::{SecretSource, Secrets};

use crate::SUPERVISOR;
use crate::postgres::{self, Database};

type SqlDriver = Arc<dyn Driver<Call = Call, Reply = Reply>>;

async fn open(table: &str) -> SqlDriver {
    let folder = tempfile::tempdir().unwrap();
    let passwords = [
        ("superuser", postgres::SUPERUSER_PASSWORD),
        ("owner", postgres::OWNER_PASSWORD),
        ("reader", postgres::READER_PASSWORD),
        ("wrong", "pw-wrong-wrong"),
    ];
    let sources = passwords.map(|(name, password)| {
        std::fs::write(folder.path().join(name), password).unwrap();
        (name.to_owned(), SecretSource::File(name.into()))
    });
    let connection: Connection = toml::from_str(table).unwrap();
    let opening = Opening {
        secrets: Arc::new(Secrets::new(BTreeMap::from(sources), folder.path())),
        spool: folder.path().to_owned(),
        base: folder.path().to_owned(),
        supervisors: Supervisors::new(SUPERVISOR),
    };
    connection.open(&opening).await.unwrap()
}

/// A connection of the reader's.
async fn reader(database: &Database, more: &str) -> SqlDriver {
    open(&format!("url = {:?}\npassword = 'secret:reader'\n{more}", database.url("reader"))).await
}

/// A connection of the owner's that may execute anything, and query as the reader.
async fn writer(database: &Database, more: &str) -> SqlDriver {
    let read_as = "read-as = { user = 'reader', password = 'secret:reader' }";
    open(&format!(
        "url = {:?}\npassword = 'secret:owner'\naccess = 'write'\nwrite = ['*']\n{read_as}\n{more}",
        database.url("owner")
    ))
    .await
}

fn at() -> At {
    let began = jiff::Timestamp::UNIX_EPOCH;
    let run = RunId::from("20261122-180312-k7qm".to_owned());
    At { run, execution: ExecutionId(3), ordinal: 0, began, deadline: Duration::from_secs(20), idempotency_key: None }
}

async fn query(driver: &SqlDriver, statement: &str, parameters: &[Value]) -> Result<Rows, Failure> {
    let call = Call::Query { statement: statement.to_owned(), parameters: parameters.to_vec() };
    match driver.read(&at(), &call).await? {
        Reply::Rows(rows) => Ok(rows),
        other => panic!("{other:?}"),
    }
}

/// Of what kind a failure is, and what it says.
fn said(failure: &Failure) -> (&'static str, &str) {
    let kind = match failure {
        Failure::Denied(_) => "denied",
        Failure::Transient(_) => "transient",
        Failure::Permanent(_) => "permanent",
        Failure::Unknown(_) => "unknown",
    };
    (kind, &failure.problem().message)
}

#[track_caller]
fn assert_says(failure: &Failure, kind: &str, words: &[&str]) {
    let (is, message) = said(failure);
    assert_eq!(is, kind, "{message}");
    for word in words {
        assert!(message.contains(word), "no `{word}` in: {message}");
    }
}
