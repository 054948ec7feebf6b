//! The driver: which call goes which way.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value as Json;

use super::connection::Connection;
use super::session::{Purpose, Sessions};
use super::{Call, Reply, execute, query};
use crate::capability::{At, CapabilityCall, Driver, Exactly, OpenError, Opening, Prepared, Settlement};
use crate::failure::Failure;
use crate::secret::{Scrubber, SecretRef};

/// The open connection to a database. Nothing is connected before the first call.
pub(super) struct SqlDriver {
    connection: Connection,
    pub(super) readers: Arc<Sessions>,
    pub(super) writers: Arc<Sessions>,
    scrubber: Scrubber,
}

impl SqlDriver {
    pub(super) async fn open(connection: &Connection, opening: &Opening) -> Result<Self, OpenError> {
        let sessions = async |purpose, user: &str, secret: Option<&SecretRef>| {
            let password: Option<SecretString> = match secret {
                Some(secret) => Some(opening.secrets.get(secret).await?),
                None => None,
            };
            Sessions::new(connection, purpose, user, password.as_ref(), opening)
        };
        let own = (connection.url.user.as_str(), connection.password.as_ref());
        let reader = connection.read_as.as_ref().map_or(own, |login| (login.user.as_str(), login.password.as_ref()));
        Ok(Self {
            readers: sessions(Purpose::Read, reader.0, reader.1).await?,
            writers: sessions(Purpose::Write, own.0, own.1).await?,
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
        let (statement, parameters) = call.statement();
        let login = match call {
            Call::Query { .. } => self.readers.user(),
            Call::Execute { .. } => self.writers.user(),
        };
        let exactly = Exactly::new(format!("{} in {}", call.operation(), self.place()));
        let exactly = exactly.with("login", login).with("statement", statement.trim());
        parameters
            .iter()
            .zip(1..)
            .fold(exactly, |exactly, (value, number)| exactly.with(&format!("${number}"), value.to_string()))
    }

    async fn read(&self, _at: &At, call: &Call) -> Result<Reply, Failure> {
        match call {
            Call::Query { statement, parameters } => query::query(&self.readers, statement, parameters).await,
            Call::Execute { .. } => Err(Failure::permanent("internal: a mutation reached the driver as a read")),
        }
    }

    async fn prepare(&self, _at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        match call {
            Call::Execute { statement, parameters } => {
                let ready = execute::prepare(&self.writers, statement, parameters, &self.scrubber).await?;
                Ok(Box::new(ready))
            }
            Call::Query { .. } => Err(Failure::permanent("internal: a read reached the driver as a mutation")),
        }
    }

    async fn settle(&self, at: &At, call: &Call, marker: Option<&Json>) -> Settlement<Reply> {
        // The intent, with its marker, is durable before anything is committed.
        let Some(marker) = marker else { return Settlement::DidNotHappen };
        match call {
            Call::Execute { .. } => execute::settle(&self.writers, marker, at.deadline).await,
            Call::Query { .. } => Settlement::DidNotHappen,
        }
    }
}
