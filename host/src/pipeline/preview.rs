//! The preview: reads are real, mutations are listed and turned away.

use tokio::sync::Mutex;

use super::policy::Granted;
use super::{Pipeline, Stop};
use crate::capability::Reply;
use crate::failure::Failure;
use crate::id::CallId;
use crate::journal::{Listed, Outcome, Request};

/// What stands in a listed target for a value that the preview assumed.
pub const HOLE: &str = "‹assumed›";

/// Shorter strings of an assumed reply are no values that a later call could be recognised by.
const HOLE_BYTES_MIN: usize = 6;

/// What a preview has seen so far of one execution.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// The calls, in the order in which they were made.
    pub calls: Vec<Previewed>,
    assumed: bool,
    /// Values that only an assumed reply has: the holes.
    values: Vec<String>,
    /// What was asked and really answered so far: a value that stands here is no assumption.
    seen: String,
}

/// A call in a preview.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Previewed {
    /// It was carried out.
    Read {
        /// The call.
        request: Request,
        /// It stands in the list only.
        summary: String,
    },
    /// It would be carried out.
    Mutation {
        /// The call.
        request: Request,
        /// In one line, with holes for what is assumed.
        summary: String,
        /// What an approval binds.
        listed: Listed,
        /// The reply that was given in its place.
        #[serde(skip_serializing_if = "Option::is_none")]
        assumed: Option<Reply>,
    },
    /// It would be denied.
    Denied {
        /// The call.
        request: Request,
        /// Why, and what would allow it.
        why: String,
    },
}

impl Previewed {
    /// What an approval binds of it; nothing, unless it is a mutation.
    pub fn listed(&self) -> Option<&Listed> {
        match self {
            Self::Mutation { listed, .. } => Some(listed),
            Self::Read { .. } | Self::Denied { .. } => None,
        }
    }
}

impl Preview {
    /// A preview that goes on where another execution's has ended: what that one assumed holds.
    pub fn after(other: &Self) -> Self {
        Self { calls: Vec::new(), ..other.clone() }
    }

    pub(super) fn denied(&mut self, request: &Request, failure: &Failure) {
        self.calls.push(Previewed::Denied { request: request.clone(), why: failure.problem().message.clone() });
    }

    fn list(&mut self, request: Request, assumed: Option<Reply>) {
        let listed = Listed {
            connection: request.connection.clone(),
            operation: request.call.operation().to_owned(),
            target: self.punch(request.call.target()),
        };
        let summary = self.punch(request.call.summary());
        self.calls.push(Previewed::Mutation { request, summary, listed, assumed });
    }

    /// A value that a run will have another one of: the preview's own name.
    pub fn guesses(&mut self, value: &str) {
        self.values.push(value.to_owned());
    }

    /// From now on these values are taken for known, as those of a configuration are.
    pub fn knows(&mut self, value: &impl serde::Serialize) {
        // A text of JSON inside of JSON is escaped; its values are not.
        let text = serde_json::to_string(value).unwrap_or_default();
        self.seen.push_str(&text.replace("\\\"", "\""));
        self.seen.push('\n');
    }

    fn assume(&mut self, reply: &Reply) {
        self.assumed = true;
        let mut values = Vec::new();
        collect(&serde_json::to_value(reply).unwrap_or_default(), &mut values);
        self.values.extend(values.into_iter().filter(|value| !self.seen.contains(value.as_str())));
        // Longest first, so that no value leaves the tail of a longer one behind.
        self.values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.values.dedup();
    }

    /// The text with a hole for each assumed value.
    fn punch(&self, text: String) -> String {
        self.values.iter().fold(text, |text, value| text.replace(value, HOLE))
    }
}

impl Pipeline {
    pub(super) async fn preview(
        &mut self,
        preview: &Mutex<Preview>,
        granted: &Granted,
        id: CallId,
        request: Request,
        assume: Option<Reply>,
    ) -> Result<Outcome, Stop> {
        let mut preview = preview.lock().await;
        preview.knows(&request);
        if granted.mutates {
            let summary = request.call.summary();
            // Nobody reads a notice's reply to decide anything.
            let assume = if request.call.is_notice() {
                Some(Reply::Notify(crate::capability::notify::Reply::Sent))
            } else {
                assume
            };
            preview.list(request, assume.clone());
            let reply =
                assume.ok_or_else(|| Stop::PreviewEnds(format!("what follows depends on the reply to {summary}")))?;
            preview.assume(&reply);
            return Ok(Ok(reply));
        }
        let summary = request.call.summary();
        if let (true, Some(reply)) = (preview.assumed, assume) {
            preview.assume(&reply);
            return Ok(Ok(reply));
        }
        let (outcome, _) = self.read(granted, id, &request).await?;
        preview.knows(&outcome);
        preview.calls.push(Previewed::Read { request, summary });
        Ok(outcome)
    }
}

fn collect(value: &serde_json::Value, values: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        // A body is a text to the host, and most often JSON to the guest.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => collect(&inner, values),
            _ if text.len() >= HOLE_BYTES_MIN => values.push(text.clone()),
            _ => {}
        },
        Value::Array(items) => items.iter().for_each(|item| collect(item, values)),
        Value::Object(map) => map.values().for_each(|item| collect(item, values)),
        _ => {}
    }
}

/// Whether a text is the listed one, with something without white space in each hole.
pub(super) fn fits(listed: &str, text: &str) -> bool {
    let mut parts = listed.split(HOLE);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let found = if parts.peek().is_none() {
            rest.strip_suffix(part).map(|hole| hole.len())
        } else {
            let first = rest.chars().next().map_or(0, char::len_utf8);
            rest[first..].find(part).map(|index| index + first)
        };
        let Some(length) = found.filter(|&length| length > 0) else { return false };
        if rest[..length].contains(char::is_whitespace) {
            return false;
        }
        rest = &rest[length + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_stands_for_one_value_and_nothing_else() {
        let push = format!("main to {HOLE}");
        for (listed, text, fit) in [
            ("/connectors/facebook/disable", "/connectors/facebook/disable", true),
            ("/connectors/facebook/disable", "/connectors/facebook/disable/x", false),
            (push.as_str(), "main to 3f2a", true),
            (push.as_str(), "main to ", false),
            (push.as_str(), "main to 3f2a and more", false),
            (push.as_str(), "other to 3f2a", false),
            (format!("{HOLE}/a/{HOLE}").as_str(), "x/a/y", true),
            (format!("{HOLE}/a/{HOLE}").as_str(), "/a/y", false),
            (format!("{HOLE}/a/{HOLE}").as_str(), "ü/a/y", true),
            (format!("{HOLE}/a/{HOLE}").as_str(), "", false),
        ] {
            assert_eq!(fits(listed, text), fit, "{listed} {text}");
        }
    }
}
