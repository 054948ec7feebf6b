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
        let Notice { subject, text, fields } = notice.clone();
        let fields = fields.into_iter().map(|(name, value)| wit::Field { name, value }).collect();
        Ok(match wit::send(self.role, &wit::Notice { subject, text, fields })? {
            wit::Delivery::Sent => Delivery::Sent,
            wit::Delivery::PerhapsSent(why) => Delivery::PerhapsSent(why),
            wit::Delivery::NotSent(why) => Delivery::NotSent(why),
        })
    }
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Facts that a channel may show as a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
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
