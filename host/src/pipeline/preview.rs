//! The preview: reads are real, mutations are listed and turned away.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::Value;
use tokio::sync::Mutex;

use super::policy::Granted;
use super::{Pipeline, Stop};
use crate::capability::{Detail, Exactly, Repeat, Reply};
use crate::failure::Failure;
use crate::id::CallId;
use crate::journal::{Level, Listed, Outcome, Request};
use crate::secret::Scrub;

/// What stands in a listed target for a value that the preview assumed.
pub const HOLE: &str = "‹assumed›";

/// Shorter strings of an assumed reply are no values that a later call could be recognised by.
const HOLE_BYTES_MIN: usize = 6;

/// How long a driver may look at what a mutation would come upon: it is a courtesy, and somebody
/// waits.
const DETAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// How much a preview looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// At all that somebody wants to know who has to say yes to it: what the mutations would come upon,
    /// and what the checks say now.
    #[default]
    Whole,
    /// At what a run will be held to, and nothing else: nobody is asked, and the rollback waits for it.
    Listed,
}

/// What a preview has seen so far of one execution.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    depth: Depth,
    /// What the guest did, in its order.
    pub calls: Vec<Previewed>,
    assumed: bool,
    holes: Holes,
    /// What was asked and really answered so far: a value that stands here is no assumption.
    seen: String,
    /// The connections that would be other ones by now than they are.
    mutated: BTreeSet<String>,
}

/// The values that a run will have others of.
#[derive(Debug, Clone, Default)]
struct Holes {
    /// Longest first, each value once.
    all: Vec<Hole>,
    /// What finds them. It takes longer to build than all texts of a call to be looked through.
    matcher: OnceLock<Option<AhoCorasick>>,
}

/// A value that a run will have another one of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hole {
    value: String,
    /// What people read in its place: `‹assumed: commit id›`.
    shown: String,
}

/// Something that a guest does in a preview.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Previewed {
    /// A call that was carried out.
    Read {
        /// The call.
        #[serde(flatten)]
        asked: Asked,
        /// What came of it.
        #[serde(skip)]
        outcome: Outcome,
    },
    /// A read behind an assumed reply, which would say nothing of what it will find: it was not sent.
    NotSent {
        /// The call.
        #[serde(flatten)]
        asked: Asked,
        /// The reply that was given in its place.
        assumed: Assumed,
    },
    /// It would be carried out.
    Mutation(Box<Mutation>),
    /// It would be denied.
    Denied {
        /// The call.
        #[serde(flatten)]
        asked: Asked,
        /// Why, and what would allow it.
        why: String,
    },
    /// A line that the guest logs: its own words for what it is about to do.
    Says {
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
}

/// A call of a guest in a preview.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Asked {
    /// The call as the guest made it.
    #[serde(skip)]
    pub request: Request,
    /// The same for readers: values that a run will have others of are holes.
    #[serde(rename = "request")]
    pub shown: Value,
    /// In one line, with holes.
    pub summary: String,
}

/// A reply that nobody has given.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Assumed {
    /// With holes.
    pub shown: Value,
    /// As the guest got it.
    #[serde(skip)]
    pub reply: Reply,
}

/// A mutation in a preview.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mutation {
    /// The call.
    #[serde(flatten)]
    pub asked: Asked,
    /// What an approval binds.
    pub listed: Listed,
    /// What would leave, with holes.
    pub exactly: Exactly,
    /// What it would come upon as things are now; nothing where that is not known, or another one by
    /// then, because an earlier mutation works on the same connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// What the host may do if its reply is lost.
    pub repeat: Repeat,
    /// The longest that an attempt may take.
    #[serde(rename = "deadline-ms", serialize_with = "milliseconds")]
    pub deadline: Duration,
    /// The reply that was given in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed: Option<Assumed>,
}

impl Previewed {
    /// The mutation that this is, if it is one.
    pub fn mutation(&self) -> Option<&Mutation> {
        match self {
            Self::Mutation(mutation) => Some(mutation),
            Self::Read { .. } | Self::NotSent { .. } | Self::Denied { .. } | Self::Says { .. } => None,
        }
    }

    /// What an approval binds of it; nothing, unless it is a mutation.
    pub fn listed(&self) -> Option<&Listed> {
        self.mutation().map(|mutation| &mutation.listed)
    }
}

impl Preview {
    /// A preview that has seen nothing yet and looks at this much.
    pub fn new(depth: Depth) -> Self {
        Self { depth, ..Self::default() }
    }

    /// A preview that goes on where another execution's has ended: what that one assumed holds.
    pub fn after(other: &Self) -> Self {
        Self { calls: Vec::new(), ..other.clone() }
    }

    /// A value that a run will have another one of: the preview's own name. `name` is what people read
    /// in its place.
    pub fn guesses(&mut self, value: &str, name: &str) {
        self.holes.add([Hole { value: value.to_owned(), shown: format!("‹{name}›") }]);
    }

    /// From now on these values are taken for known, as those of a configuration are.
    pub fn knows(&mut self, value: &impl serde::Serialize) {
        // A text of JSON inside of JSON is escaped; its values are not.
        let text = serde_json::to_string(value).unwrap_or_default();
        self.seen.push_str(&text.replace("\\\"", "\""));
        self.seen.push('\n');
    }

    /// The text for people, with a hole for each value that a run will have another one of.
    pub fn show(&self, text: String) -> String {
        self.holes.show(text)
    }

    pub(super) fn denied(&mut self, request: Request, failure: &Failure) {
        let why = self.show(failure.problem().message.clone());
        let asked = self.asked(request);
        self.calls.push(Previewed::Denied { asked, why });
    }

    pub(super) fn says(&mut self, level: Level, message: String) {
        let message = self.show(message);
        self.calls.push(Previewed::Says { level, message });
    }

    fn asked(&self, request: Request) -> Asked {
        Asked { shown: self.show_value(&request), summary: self.show(request.call.summary()), request }
    }

    fn assumed(&self, reply: Reply) -> Assumed {
        Assumed { shown: self.show_value(&reply), reply }
    }

    fn show_value(&self, value: &impl serde::Serialize) -> Value {
        let mut value = serde_json::to_value(value).unwrap_or_default();
        self.show_in(&mut value);
        value
    }

    fn show_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.show(std::mem::take(text)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.show_in(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.show_in(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn assume(&mut self, reply: &Reply) {
        self.assumed = true;
        let mut holes = Vec::new();
        collect(&serde_json::to_value(reply).unwrap_or_default(), "", &mut holes);
        self.holes.add(holes.into_iter().filter(|hole| !self.seen.contains(hole.value.as_str())));
    }

    /// The text that an approval binds: a hole is a hole, whatever stands in it.
    fn punch(&self, text: String) -> String {
        self.holes.all.iter().fold(text, |text, hole| text.replace(&hole.value, HOLE))
    }
}

impl Holes {
    fn add(&mut self, holes: impl IntoIterator<Item = Hole>) {
        self.all.extend(holes);
        // Longest first, so that no value leaves the tail of a longer one behind. The first name of a
        // value stays.
        self.all.sort_by(|a, b| b.value.len().cmp(&a.value.len()).then_with(|| a.value.cmp(&b.value)));
        self.all.dedup_by(|later, first| later.value == first.value);
        self.matcher = OnceLock::new();
    }

    fn show(&self, text: String) -> String {
        // In one go: what stands in place of one value must not be taken for another.
        let build = || {
            let values = self.all.iter().map(|hole| hole.value.as_str());
            // Of its kinds the one that is built fastest: the texts are short.
            let fastest = Some(AhoCorasickKind::NoncontiguousNFA);
            AhoCorasick::builder().kind(fastest).match_kind(MatchKind::LeftmostLongest).build(values).ok()
        };
        match self.matcher.get_or_init(build) {
            Some(matcher) if matcher.is_match(&text) => {
                let shown: Vec<&str> = self.all.iter().map(|hole| hole.shown.as_str()).collect();
                matcher.replace_all(&text, &shown)
            }
            _ => text,
        }
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
            // Nobody reads a notice's reply to decide anything.
            let assume = if request.call.is_notice() {
                Some(Reply::Notify(crate::capability::notify::Reply::Sent))
            } else {
                assume
            };
            let mutation = self.foresee(&mut preview, granted, id, request, assume.clone()).await;
            let summary = mutation.asked.summary.clone();
            preview.calls.push(Previewed::Mutation(Box::new(mutation)));
            return match assume {
                Some(reply) => Ok(Ok(reply)),
                None => Err(Stop::PreviewEnds(format!("what follows depends on the reply to {summary}"))),
            };
        }
        let asked = preview.asked(request);
        if let (true, Some(reply)) = (preview.assumed, assume) {
            preview.assume(&reply);
            let assumed = preview.assumed(reply.clone());
            preview.calls.push(Previewed::NotSent { asked, assumed });
            return Ok(Ok(reply));
        }
        let (outcome, _) = self.read(granted, id, &asked.request).await?;
        let shown = untimed(outcome.clone());
        preview.knows(&shown);
        preview.calls.push(Previewed::Read { asked, outcome: shown });
        Ok(outcome)
    }

    /// All that can be said of a mutation that is not made.
    async fn foresee(
        &self,
        preview: &mut Preview,
        granted: &Granted,
        id: CallId,
        request: Request,
        assume: Option<Reply>,
    ) -> Mutation {
        let Granted { open, repeat, .. } = granted;
        let deadline = open.connection.deadline(&request.call);
        let mut exactly = open.driver.exactly(&request.call);
        exactly.scrub(&self.setting.scrubber);
        let mut detail = None;
        if preview.depth == Depth::Whole && preview.mutated.insert(request.connection.clone()) {
            let at = self.at(id, deadline, repeat);
            let looked = tokio::time::timeout(DETAIL_TIMEOUT, open.driver.detail(&at, &request.call)).await;
            detail = looked.ok().flatten();
            detail.scrub(&self.setting.scrubber);
        }
        let listed = Listed {
            connection: request.connection.clone(),
            operation: request.call.operation().to_owned(),
            target: preview.punch(request.call.target()),
        };
        let repeat = match repeat {
            Repeat::Keyed(key) => Repeat::Keyed(preview.show(key.clone())),
            other => other.clone(),
        };
        let exactly = exactly.map(|text| preview.show(text));
        let asked = preview.asked(request);
        let assumed = assume.map(|reply| {
            preview.assume(&reply);
            preview.assumed(reply)
        });
        Mutation { asked, listed, exactly, detail, repeat, deadline, assumed }
    }
}

/// How long an answer took is another time each time: two polls with one answer are shown as one.
fn untimed(mut outcome: Outcome) -> Outcome {
    if let Ok(Reply::Http(reply)) = &mut outcome {
        reply.timing = Default::default();
    }
    outcome
}

/// The strings of a reply, each under the name of the field that it stands in.
fn collect(value: &Value, field: &str, holes: &mut Vec<Hole>) {
    match value {
        // A body is a text to the host, and most often JSON to the guest.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => collect(&inner, field, holes),
            _ if text.len() >= HOLE_BYTES_MIN => {
                let name = if is_object_id(text) { "commit id" } else { field };
                holes.push(Hole { value: text.clone(), shown: format!("‹assumed: {name}›") });
            }
            _ => {}
        },
        Value::Array(items) => items.iter().for_each(|item| collect(item, field, holes)),
        Value::Object(map) => map.iter().for_each(|(field, item)| collect(item, field, holes)),
        _ => {}
    }
}

/// Whether a text looks like what git names a commit by.
fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
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
