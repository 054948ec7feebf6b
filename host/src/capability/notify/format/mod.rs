//! What a service wants to be sent, and what it answers: a file and a template for each.
//!
//! A template (`*.json.jinja`) is the service's payload as its own documentation shows it, with a notice
//! filled in. Its filters keep the service's limits and take the effect out of what a plugin has
//! written; see [`Layout`]. None of them has a word of its own that a reader sees: what is to be read
//! there comes from the plugin or from the operator's `template`.

mod cachet;
mod discord;
mod json;
mod pagerduty;
mod slack;
mod statuspage;
mod teams;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::State;
use super::incident::Incident;
use super::limit::{self, MARK};
use super::notice::{Field, Notice};
use crate::capability::http;

/// The service behind a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A Slack incoming webhook.
    Slack,
    /// A Discord webhook.
    Discord,
    /// A workflow of Microsoft Teams that was made from "Send webhook alerts to a channel" or the like.
    Teams,
    /// PagerDuty's Events API v2; `key` is the integration's routing key.
    Pagerduty,
    /// Atlassian Statuspage; `page` is the page's id, `key` an API key.
    Statuspage,
    /// Cachet 3; `webhook` is the page's own address, `key` an API token.
    Cachet,
    /// Cachet 2.
    #[serde(rename = "cachet-2")]
    Cachet2,
    /// A JSON object, for a service of your own; `key`, if there is one, goes along as a bearer token.
    Json,
}

/// A request to a service, up to its address and its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Appended to the webhook's path.
    pub(super) path: String,
    pub(super) payload: Value,
}

impl Request {
    fn post(payload: Value) -> Self {
        Self { method: Method::POST, path: String::new(), payload }
    }
}

/// Where a service takes its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyPlace {
    /// In a header, behind this word.
    Header(&'static str, &'static str),
    /// In the payload.
    Member(&'static str),
}

/// What an answer says of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken.
    Taken,
    /// It was not taken and won't be; what the service says.
    Refused(String),
    /// It can't be told; what the service says.
    Unclear(String),
}

impl Format {
    /// The service's own name.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Slack => "Slack",
            Self::Discord => "Discord",
            Self::Teams => "Teams",
            Self::Pagerduty => "PagerDuty",
            Self::Statuspage => "Statuspage",
            Self::Cachet | Self::Cachet2 => "Cachet",
            Self::Json => "webhook",
        }
    }

    /// Where the service is if the operator does not say.
    pub(super) fn address(self) -> Option<&'static str> {
        match self {
            Self::Pagerduty => Some(pagerduty::ADDRESS),
            Self::Statuspage => Some(statuspage::ADDRESS),
            _ => None,
        }
    }

    /// Where it takes its key; none if its address alone is what lets in.
    pub(super) fn key_place(self) -> Option<KeyPlace> {
        match self {
            Self::Slack | Self::Discord | Self::Teams => None,
            Self::Pagerduty => Some(KeyPlace::Member("routing_key")),
            Self::Statuspage => Some(KeyPlace::Header("authorization", "OAuth ")),
            Self::Cachet | Self::Json => Some(KeyPlace::Header("authorization", "Bearer ")),
            Self::Cachet2 => Some(KeyPlace::Header("x-cachet-token", "")),
        }
    }

    /// Whether nothing works without a key.
    pub(super) fn needs_key(self) -> bool {
        self.key_place().is_some() && self != Self::Json
    }

    /// Whether the service keeps incidents, to which later notices of a run are added.
    pub(super) fn keeps_incidents(self) -> bool {
        matches!(self, Self::Statuspage | Self::Cachet | Self::Cachet2)
    }

    /// What the query of the webhook's URL has to have.
    pub(super) fn query(self) -> Option<(&'static str, &'static str)> {
        // Else Discord answers before it knows whether the message is kept.
        (self == Self::Discord).then_some(("wait", "true"))
    }

    /// The request for a notice. `page` is the operator's, `incident` the one that the run has opened.
    pub(super) fn request(self, notice: &Notice, page: &str, incident: Option<&Incident>) -> Result<Request, String> {
        let request = match self {
            Self::Slack => slack::request(notice),
            Self::Discord => discord::request(notice),
            Self::Teams => teams::request(notice),
            Self::Pagerduty => pagerduty::request(notice),
            Self::Statuspage => statuspage::request(notice, page, incident),
            Self::Cachet => cachet::request(("/api", "notifications"), notice, incident),
            Self::Cachet2 => cachet::request(("/api/v1", "notify"), notice, incident),
            Self::Json => json::request(notice),
        };
        request.map_err(|error| format!("internal: the notice can't be put into {}'s format: {error}", self.service()))
    }

    /// What an answer says of the notice, by what the service itself calls success.
    pub(super) fn answer(self, reply: &http::Reply) -> Answer {
        let said = || format!("{} answered {}", self.service(), said(reply));
        match (self, reply.status) {
            (Self::Slack, 200) => slack::answer(reply).unwrap_or_else(|| Answer::Unclear(said())),
            (Self::Teams, 200..300) if teams::is_failure(reply) => Answer::Refused(said()),
            (Self::Pagerduty, 200..300) if reply.status != 202 => Answer::Unclear(said()),
            (_, 200..300) => Answer::Taken,
            (_, 300..400) => {
                Answer::Refused(format!("{}, a redirect, which is not followed: is the URL right?", said()))
            }
            (_, 400..500) => Answer::Refused(said()),
            // A proxy in front of the service answers like this as well, after it has handed the notice on.
            _ => Answer::Unclear(said()),
        }
    }

    /// Whether the service has refused the notice only because it gets too many.
    pub(super) fn is_rate_limit(self, status: u16) -> bool {
        // https://developer.statuspage.io/#section/Rate-Limiting: "a 420 or 429 error".
        status == 429 || (self == Self::Statuspage && status == 420)
    }

    /// The incident that a notice has opened or changed.
    pub(super) fn incident(self, notice: &Notice, before: Option<&Incident>, reply: &http::Reply) -> Option<Incident> {
        let state = stands(notice, before);
        match before {
            Some(before) => Some(Incident { id: before.id.clone(), state }),
            None => {
                let body: Value = serde_json::from_slice(&reply.body.0).ok()?;
                let id = match self {
                    Self::Statuspage => &body["id"],
                    _ => &body["data"]["id"],
                };
                let id = id.as_str().map(str::to_owned).or_else(|| Some(id.as_u64()?.to_string()))?;
                // It becomes a part of a path.
                let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
                (is_plain && !id.is_empty()).then_some(Incident { id, state })
            }
        }
    }
}

/// Where the incident stands after a notice.
fn stands(notice: &Notice, incident: Option<&Incident>) -> State {
    notice.state.or(incident.map(|incident| incident.state)).unwrap_or(State::Investigating)
}

/// The longest of what a service says that is repeated.
const SAID_MAX: usize = 300;

/// `403 action_prohibited`: the status, and what the body says in words.
fn said(reply: &http::Reply) -> String {
    let text = String::from_utf8_lossy(&reply.body.0);
    let words = match serde_json::from_str::<Value>(&text) {
        Ok(body) => {
            let mut words = Vec::new();
            collect_words(&body, &mut words);
            words.dedup();
            words.join(": ")
        }
        Err(_) => text.into_owned(),
    };
    let words: String = words.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return reply.status.to_string();
    }
    format!("{} {}", reply.status, limit::cut(&words, SAID_MAX, |_| None))
}

/// The texts below the members in which services put what is wrong, in the order of the body.
fn collect_words(body: &Value, words: &mut Vec<String>) {
    match body {
        Value::String(text) => words.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "message" | "title" | "detail" => {
                        if let Value::String(text) = value {
                            words.push(text.clone());
                        }
                    }
                    // Laravel's and Discord's errors name the member that is wrong.
                    "error" | "errors" | "_errors" => collect_errors(value, words),
                    _ => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn collect_errors(errors: &Value, words: &mut Vec<String>) {
    match errors {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value {
            Value::String(text) if matches!(name.as_str(), "message" | "title" | "detail") => words.push(text.clone()),
            Value::Array(_) | Value::Object(_) => collect_errors(value, words),
            _ => {}
        }),
        Value::Array(items) => items.iter().for_each(|item| collect_errors(item, words)),
        Value::String(text) => words.push(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The beginning of a text says most: down to so much of it the text is cut before fields are left out.
const TEXT_KEPT: usize = 1_000;

/// No template shows more of a subject, or of a field's name or value.
const PART_MAX: usize = 10_000;

/// A service's payload: its template, and how much of a notice it takes.
pub(super) struct Layout {
    template: &'static str,
    /// What is put in place of a character that the service would take for its own.
    escape: fn(char) -> Option<&'static str>,
    /// Whether the service makes links of `[text](url)`, which here nobody has asked for.
    has_links: bool,
    /// The longest text, escaped, in UTF-16 code units; see [`limit::length`].
    text_max: usize,
    /// The most fields.
    fields_max: usize,
    /// The largest payload, by [`Layout::size`].
    size_max: usize,
    /// What the service limits of the whole.
    size: fn(&Value) -> usize,
}

impl Layout {
    /// The payload, with as much of the text and of the fields as goes into it.
    fn fill(&self, notice: &Notice, more: Value) -> Result<Value, minijinja::Error> {
        let environment = self.environment();
        let template = environment.template_from_str(self.template)?;
        let subject = self.harmless(&notice.subject, PART_MAX);
        let text = self.harmless(notice.text.trim_end(), self.text_max);
        let mark = || Field { name: MARK.to_owned(), value: MARK.to_owned() };
        let harmless = |Field { name, value }: &Field| Field {
            name: self.harmless(name, PART_MAX),
            value: self.harmless(value, PART_MAX),
        };
        let fields: Vec<Field> = limit::few(&notice.fields, self.fields_max, mark).iter().map(harmless).collect();
        let (mut text_max, mut fields_max) = (self.text_max, self.fields_max);
        loop {
            let values = json!({
                "subject": subject,
                "text": text,
                "fields": limit::few(&fields, fields_max, mark),
                "text_max": text_max,
                "state": notice.state,
                "severity": notice.severity,
                "run": notice.run,
                "id": notice.id,
                "more": more,
            });
            let text = template.render(Serde(&values))?;
            let payload: Value = serde_json::from_str(&text)
                .map_err(|error| minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string()))?;
            let over = (self.size)(&payload).saturating_sub(self.size_max);
            if over == 0 {
                return Ok(payload);
            }
            if text_max > TEXT_KEPT {
                let written = limit::length(&text).min(text_max);
                text_max = written.saturating_sub(over).max(written / 2).clamp(TEXT_KEPT, text_max - 1);
            } else if fields_max > 0 {
                fields_max = fields_max.min(fields.len()) * 2 / 3;
            } else if text_max > 0 {
                text_max /= 2;
            } else {
                return Ok(payload);
            }
        }
    }

    /// A text that calls nobody, and is no longer than a template can use of it.
    fn harmless(&self, text: &str, max: usize) -> String {
        let text = limit::without_mentions(limit::head(text, max));
        if self.has_links { limit::without_links(&text) } else { text }
    }

    /// `cut(n)`: escaped, and no longer than `n`; `or_blank`: what a service takes for a text where it
    /// wants one and there is none.
    fn environment(&self) -> Environment<'static> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let escape = self.escape;
        environment.add_filter("cut", move |text: String, max: usize| limit::cut(&text, max, escape));
        environment.add_filter("or_blank", |text: String| match text.trim() {
            "" => "\u{200b}".to_owned(),
            _ => text,
        });
        environment
    }
}

/// No escape: the service shows every character as it is.
fn as_it_is(_: char) -> Option<&'static str> {
    None
}

/// The size of a payload as it is sent.
fn bytes(payload: &Value) -> usize {
    payload.to_string().len()
}
