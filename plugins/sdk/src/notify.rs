//! Messages to people.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::bindings::action::ripcord::plugin::notify as wit;

/// The channel behind a role.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    role: &'a str,
}

impl<'a> Channel<'a> {
    /// The channel that the plan has bound to a role.
    pub const fn role(role: &'a str) -> Self {
        Self { role }
    }

    /// Sends a notice. What could not be sent is a reply, not a failure.
    pub fn send(&self, notice: &Notice) -> Result<Delivery> {
        let Notice { subject, text, fields, state, severity } = notice.clone();
        let fields = fields.into_iter().map(|(name, value)| wit::Field { name, value }).collect();
        let state = state.map(|state| match state {
            State::Investigating => wit::State::Investigating,
            State::Identified => wit::State::Identified,
            State::Monitoring => wit::State::Monitoring,
            State::Resolved => wit::State::Resolved,
        });
        let severity = severity.map(|severity| match severity {
            Severity::Info => wit::Severity::Info,
            Severity::Warning => wit::Severity::Warning,
            Severity::Error => wit::Severity::Error,
            Severity::Critical => wit::Severity::Critical,
        });
        Ok(match wit::send(self.role, &wit::Notice { subject, text, fields, state, severity })? {
            wit::Delivery::Sent => Delivery::Sent,
            wit::Delivery::PerhapsSent(why) => Delivery::PerhapsSent(why),
            wit::Delivery::NotSent(why) => Delivery::NotSent(why),
        })
    }
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notice {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Facts that a channel may show as a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Where the incident stands; none for a notice that says nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The cause is being looked for.
    Investigating,
    /// The cause is known.
    Identified,
    /// What was done about it is being watched.
    Monitoring,
    /// It is over.
    Resolved,
}

/// How bad it is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nobody is affected.
    Info,
    /// Something may go wrong.
    Warning,
    /// Something does not work.
    Error,
    /// What matters most does not work.
    Critical,
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// The channel has taken it.
    Sent,
    /// It may have gone out; why that can't be known.
    PerhapsSent(String),
    /// It has not gone out; why.
    NotSent(String),
}
