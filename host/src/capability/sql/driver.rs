//! The driver: which call goes which way.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value as Json;

use super::backup::Backups;
use super::connection::Connection;
use super::session::{Purpose, Sessions};
use super::{Call, Reply, execute, query};
use crate::capability::{At, CapabilityCall, Detail, Driver, Exactly, OpenError, Opening, Prepared, Settlement};
use crate::failure::Failure;
use crate::secret::{Scrubber, SecretRef};

/// The open connection to a database. Nothing is connected before the first call.
pub(super) struct SqlDriver {
    connection: Connection,
    pub(super) readers: Arc<Sessions>,
    pub(super) writers: Arc<Sessions>,
    pub(super) backups: Arc<Backups>,
    scrubber: Scrubber,
}

impl SqlDriver {
    pub(super) async fn open(connection: &Connection, opening: &Opening) -> Result<Self, OpenError> {
        let password = async |secret: Option<&SecretRef>| -> Result<Option<SecretString>, OpenError> {
            Ok(match secret {
                Some(secret) => Some(opening.secrets.get(secret).await?),
                None => None,
            })
        };
        let sessions = async |purpose, user: &str, secret: Option<&SecretRef>| {
            Sessions::new(connection, purpose, user, password(secret).await?.as_ref(), opening)
        };
        let own = (connection.url.user.as_str(), connection.password.as_ref());
        let reader = connection.read_as.as_ref().map_or(own, |login| (login.user.as_str(), login.password.as_ref()));
        let writers = sessions(Purpose::Write, own.0, own.1).await?;
        Ok(Self {
            readers: sessions(Purpose::Read, reader.0, reader.1).await?,
            backups: Backups::open(connection, writers.clone(), password(own.1).await?, opening)?,
            writers,
            scrubber: opening.secrets.scrubber().clone(),
            connection: connection.clone(),
        })
    }
}

#[async_trait]
impl Driver for SqlDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        self.connection.url.to_string()
    }

    fn exactly(&self, call: &Call) -> Exactly {
        let Some((statement, parameters)) = call.statement() else { return self.backups.exactly(call) };
        let login = match call {
            Call::Query { .. } => self.readers.user(),
            _ => self.writers.user(),
        };
        let exactly = Exactly::new(format!("{} in {}", call.operation(), self.place()));
        let exactly = exactly.with("login", login).with("statement", statement.trim());
        parameters
            .iter()
            .zip(1..)
            .fold(exactly, |exactly, (value, number)| exactly.with(&format!("${number}"), value.to_string()))
    }

    async fn detail(&self, at: &At, call: &Call) -> Option<Detail> {
        self.backups.detail(at, call).await
    }

    async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
        match call {
            Call::Query { statement, parameters } => query::query(&self.readers, statement, parameters).await,
            Call::Execute { .. } => Err(Failure::permanent("internal: a mutation reached the driver as a read")),
            call => self.backups.read(at, call).await,
        }
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        match call {
            Call::Execute { statement, parameters } => {
                let ready = execute::prepare(&self.writers, statement, parameters, &self.scrubber).await?;
                Ok(Box::new(ready))
            }
            Call::Query { .. } => Err(Failure::permanent("internal: a read reached the driver as a mutation")),
            call => self.backups.prepare(at, call).await,
        }
    }

    async fn settle(&self, at: &At, call: &Call, marker: Option<&Json>) -> Settlement<Reply> {
        match (call, marker) {
            // The intent, with its marker, is durable before anything is committed.
            (Call::Execute { .. }, None) | (Call::Query { .. }, _) => Settlement::DidNotHappen,
            (Call::Execute { .. }, Some(marker)) => execute::settle(&self.writers, marker, at.deadline).await,
            (call, marker) => self.backups.settle(at, call, marker).await,
        }
    }
}
