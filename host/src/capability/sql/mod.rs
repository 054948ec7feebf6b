//! `sql`: a PostgreSQL database that the operator has named.
//!
//! Two things hold a query to reading: it runs alone in a `READ ONLY` transaction that is rolled back
//! (`query.rs`), and the login that it runs as can't write at all (`rights.rs`). A mutation is one
//! transaction, whose number is known before it commits (`execute.rs`).

mod address;
mod connection;
mod decode;
mod doctor;
mod driver;
mod encode;
mod execute;
mod numeric;
mod query;
mod rights;
mod session;
mod tls;
mod trouble;
mod value;

use serde::{Deserialize, Serialize};

use super::CapabilityCall;
use crate::secret::{Scrub, Scrubber};

pub use address::DatabaseUrl;
pub use connection::{Access, Connection, Login, Statements};
pub use value::{Column, Float, Rows, Value};

/// A request. The fields are the parameters of `wit/sql.wit`, and documented there.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// One statement that changes nothing.
    Query { statement: String, parameters: Vec<Value> },
    /// One statement in a transaction of its own.
    Execute { statement: String, parameters: Vec<Value> },
}

/// The answer, one form for each kind of call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Of `query`.
    Rows(Rows),
    /// Of `execute`.
    Executed(Executed),
}

/// What a statement has changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executed {
    /// How many rows were inserted, updated or deleted.
    pub affected: u64,
    /// What `RETURNING` gave.
    pub returned: Rows,
}

impl Reply {
    /// See [`crate::capability::Reply::reports_failure`]. What the database can't do is a failure of the
    /// call.
    pub fn reports_failure(&self) -> bool {
        false
    }
}

impl Call {
    fn statement(&self) -> (&str, &[Value]) {
        match self {
            Self::Query { statement, parameters } | Self::Execute { statement, parameters } => (statement, parameters),
        }
    }
}

impl CapabilityCall for Call {
    fn operation(&self) -> &str {
        match self {
            Self::Query { .. } => "query",
            Self::Execute { .. } => "execute",
        }
    }

    /// The statement letter by letter: where white space stands in it may matter.
    fn target(&self) -> String {
        let (statement, parameters) = self.statement();
        with(statement.to_owned(), parameters)
    }

    fn summary(&self) -> String {
        let (statement, parameters) = self.statement();
        let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} {}", self.operation(), with(line, parameters))
    }
}

fn with(statement: String, parameters: &[Value]) -> String {
    if parameters.is_empty() {
        return statement;
    }
    let parameters: Vec<String> = parameters.iter().map(Value::to_string).collect();
    format!("{statement} with {}", parameters.join(", "))
}

impl Scrub for Reply {
    fn scrub(&mut self, scrubber: &Scrubber) {
        match self {
            Self::Rows(rows) => rows.scrub(scrubber),
            Self::Executed(Executed { affected: _, returned }) => returned.scrub(scrubber),
        }
    }
}
