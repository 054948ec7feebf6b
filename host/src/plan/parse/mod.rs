//! From a text to a plan: everything that can be known from the text alone, and all of it in one go.

mod follow_up;
mod notice;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::condition::Condition;
use super::outline::{Outline, OutlinedStep};
use super::raw::{Head, RawCheck, RawStep};
use super::references::{Known, Unknown};
use super::{Check, Param, Plan, Retry, Step, Uses, template};
use crate::capability::Capability;
use crate::diagnostic::{Diagnostic, Diagnostics, listed, nearest};
use crate::document::{Document, Parsed, Segment, json, segments};
use crate::id::Digest;
use crate::journal::{OnFailure, WATCH};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a time-out may be.
const TIMEOUT: RangeInclusive<Duration> = SECOND..=DAY;
/// What the life of a gate may be.
const EXPIRES: RangeInclusive<Duration> = SECOND..=Duration::from_secs(7 * 24 * 60 * 60);
/// What the time for which a check is tried again may be.
const WITHIN: RangeInclusive<Duration> = SECOND..=DAY;
/// What the time between two tries may be.
const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=HOUR;
/// What the first wait between two attempts of a call may be.
const BACKOFF: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10 * 60);
/// How many attempts of a call there may be.
const ATTEMPTS: RangeInclusive<u32> = 1..=10;

/// The longest name of a step or a check.
const ID_BYTES_MAX: usize = 64;

impl Plan {
    /// Parses a plan. `name` is the file's path: relative paths in the plan start at its folder.
    ///
    /// A component without a digest is looked for, to say what its digest is; nothing else is read.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let Parsed { document, table } = Document::parse(name, text, |text, _| text.to_owned()).map_err(Diagnostics)?;
        if let Some(it) = operators_table(&table) {
            let mistaken =
                Diagnostic::error(format!("{name} is no plan: it has a table `{it}`, as an operator's file has"));
            let help = "name the plan; the operator's file is given with  --config";
            return Err(mistaken.at(document.key(&segments![it])).help(help).into());
        }
        let outline = Outline::of(&table);
        let folder = Path::new(name).parent().unwrap_or(Path::new("")).to_owned();
        let mut reader = Reader { document: &document, outline: &outline, folder, wrong: Vec::new() };

        let mut head = reader.head(&table);
        let params = reader.params(&table);
        let people = reader.people(&table);
        let on_failure = head.as_ref().map_or(OnFailure::Halt, |head| head.on_failure);
        reader.ids_are_unique();
        let steps = reader.each(&table, "step", |reader, index, value| reader.step(index, value, on_failure));
        let verify = reader.each(&table, "verify", Reader::check);
        let watch = head.as_mut().and_then(|head| head.watch.take());
        let watch = reader.watch(watch, &table);
        let mut alerts = Vec::new();
        let triggers = reader.each(&table, "trigger", |reader, index, value| {
            if value.get_ref().get("alert").is_some() {
                alerts.extend(reader.alert_trigger(index, value));
                return None;
            }
            reader.trigger(index, value, watch.window)
        });

        let drift = head.as_mut().and_then(|head| head.drift.take());
        let drift = reader.drift(drift);
        let follow_ups =
            reader.each(&table, "follow-up", |reader, index, value| reader.follow_up(index, value, &people));

        let notices = reader.each(&table, "notice", Reader::notice);

        let wrong = reader.wrong;
        let Some(head) = head.filter(|_| wrong.is_empty()) else {
            return Err(Diagnostics::sorted(wrong));
        };
        let Head { name, description, target, timeout, scenario, language, .. } = head;
        let timeout = timeout.unwrap_or(HOUR);
        Ok(Self {
            name,
            description,
            target,
            timeout,
            scenario,
            language,
            params,
            people,
            steps,
            verify,
            watch,
            triggers,
            alerts,
            follow_ups,
            notices,
            drift,
            document,
        })
    }
}

/// The table by which one sees that a file without any step is the operator's.
fn operators_table(table: &DeTable<'_>) -> Option<&'static str> {
    let capabilities = Capability::ALL.iter().map(|capability| capability.name());
    let mut tables = capabilities.chain(["secrets", "limits", "alertmanager"]).filter(|name| table.contains_key(*name));
    tables.next().filter(|_| !table.contains_key("step") && !table.contains_key("name"))
}

/// Reads the parts and notes what is wrong with them.
struct Reader<'d> {
    document: &'d Document,
    outline: &'d Outline,
    folder: PathBuf,
    wrong: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn head(&mut self, table: &DeTable<'_>) -> Option<Head> {
        let head: Option<Head> = self.document.read(Spanned::new(0..0, DeValue::Table(table.clone())), &mut self.wrong);
        if let Some(head) = &head {
            let scenario = head.scenario.as_ref().map(|text| ("scenario", text));
            for (key, text) in [("name", &head.name), ("target", &head.target)].into_iter().chain(scenario) {
                if text.trim().is_empty() {
                    self.note(&segments![key], format!("`{key}` is empty"), format!("write `{key} = \"…\"`"));
                }
            }
            self.in_range(&segments!["timeout"], head.timeout, TIMEOUT);
            let known = self.outline.known_before();
            self.template(&segments!["target"], &head.target, &known);
        }
        head
    }

    fn params(&mut self, table: &DeTable<'_>) -> BTreeMap<String, Param> {
        let mut params = BTreeMap::new();
        for (key, value) in self.fields(table, "params") {
            let name = key.get_ref().to_string();
            if !is_word(&name) {
                let diagnostic = Diagnostic::error(format!("`{name}` can't be the name of a parameter"))
                    .help("write lower-case letters, digits and `_`, beginning with a letter");
                self.wrong.push(diagnostic.at(self.document.place(key.span())));
            }
            let Some(param) = self.document.read::<Param>(value.clone(), &mut self.wrong) else { continue };
            if let (Some(default), Some(pattern)) = (&param.default, &param.pattern)
                && !pattern.matches(default)
            {
                let message = format!("the default of `{name}` does not match its pattern");
                let help = format!("the whole value has to match {}", pattern.as_str());
                self.note(&segments!["params", &name, "default"], message, help);
            }
            params.insert(name, param);
        }
        params
    }

    fn people(&mut self, table: &DeTable<'_>) -> BTreeMap<String, String> {
        let mut people = BTreeMap::new();
        for (key, value) in self.fields(table, "people") {
            if let Some(name) = self.document.read(value.clone(), &mut self.wrong) {
                people.insert(key.get_ref().to_string(), name);
            }
        }
        people
    }

    /// The entries of a table of the file; none, and a note, if it is no table.
    fn fields<'a, 't>(
        &mut self,
        table: &'a DeTable<'t>,
        name: &str,
    ) -> Vec<(&'a Spanned<toml::de::DeString<'t>>, &'a Spanned<DeValue<'t>>)> {
        match table.get(name).map(|value| value.get_ref()) {
            None => Vec::new(),
            Some(DeValue::Table(fields)) => fields.iter().collect(),
            Some(_) => {
                self.note(
                    &segments![name],
                    format!("`{name}` is a table"),
                    format!("write `[{name}]` above its entries"),
                );
                Vec::new()
            }
        }
    }

    /// The items of an array of tables; none, and a note, if it is something else.
    fn each<T>(
        &mut self,
        table: &DeTable<'_>,
        name: &str,
        mut read: impl FnMut(&mut Self, usize, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Vec<T> {
        match table.get(name).map(|value| value.get_ref()) {
            None => {
                if name == "step" {
                    let diagnostic = Diagnostic::error("this plan has no step");
                    self.wrong.push(diagnostic.at(self.document.place(0..0)).help("add one: `[[step]]`"));
                }
                Vec::new()
            }
            Some(DeValue::Array(items)) => {
                items.iter().enumerate().filter_map(|(index, item)| read(self, index, item)).collect()
            }
            Some(_) => {
                let help = format!("write `[[{name}]]`, with two brackets, above each one");
                self.note(&segments![name], format!("`{name}` is a list of tables"), help);
                Vec::new()
            }
        }
    }

    fn step(&mut self, index: usize, value: &Spanned<DeValue<'_>>, on_failure: OnFailure) -> Option<Step> {
        let at = segments!["step", index];
        let outline = self.outline;
        let known = outline.known_in(index);
        let with = self.with(&at, value, &known);
        let raw: RawStep = self.document.read(value.clone(), &mut self.wrong)?;

        self.id(&at, &raw.id);
        if let Some(replaced) = &raw.fallback {
            self.fallback(index, replaced);
        }
        self.in_range(&below(&at, ["timeout"]), raw.timeout, TIMEOUT);
        self.retry(&at, &raw.retry);
        if let Some(gate) = &raw.gate {
            self.in_range(&below(&at, ["gate", "expires"]), gate.expires, EXPIRES);
            self.template(&below(&at, ["gate", "ask"]), &gate.ask, &known);
        }
        let uses = self.uses(&below(&at, ["use"]), &raw.r#use)?;
        let RawStep { id, fallback, bind, gate, timeout, retry, .. } = raw;
        let on_failure = raw.on_failure.unwrap_or(on_failure);
        Some(Step { id, uses, fallback, bind, with: with?, gate, timeout, retry, on_failure })
    }

    fn retry(&mut self, at: &[Segment], retry: &Retry) {
        self.in_range(&below(at, ["retry", "backoff"]), Some(retry.backoff), BACKOFF);
        if !ATTEMPTS.contains(&retry.attempts) {
            let help = format!("write {} to {}; 1 is no second attempt", ATTEMPTS.start(), ATTEMPTS.end());
            let message = format!("{} attempts are out of range", retry.attempts);
            self.note(&below(at, ["retry", "attempts"]), message, help);
        }
    }

    fn check(&mut self, index: usize, value: &Spanned<DeValue<'_>>) -> Option<Check> {
        let at = segments!["verify", index];
        let outline = self.outline;
        let known = outline.known_in(outline.steps.len());
        let with = self.with(&at, value, &known);
        let raw: RawCheck = self.document.read(value.clone(), &mut self.wrong)?;

        self.id(&at, &raw.id);
        self.in_range(&below(&at, ["within"]), raw.within, WITHIN);
        self.in_range(&below(&at, ["every"]), raw.every, EVERY);
        self.in_range(&below(&at, ["timeout"]), raw.timeout, TIMEOUT);
        if raw.every.is_some() && raw.within.is_none() {
            let help = "add `within = \"2m\"`, the time for which it is tried again, or take `every` out";
            self.note(&below(&at, ["every"]), "`every` says nothing without `within`".to_owned(), help.to_owned());
        }
        let expect = raw.expect.as_ref().and_then(|text| self.condition(&below(&at, ["expect"]), text, &known));
        let uses = self.uses(&below(&at, ["use"]), &raw.r#use)?;
        let RawCheck { id, bind, probe, within, every, timeout, .. } = raw;
        let every = every.unwrap_or(Duration::from_secs(5));
        Some(Check { id, uses, bind, with: with?, expect, probe, within, every, timeout })
    }

    fn id(&mut self, at: &[Segment], id: &str) {
        if !is_id(id) || id.len() > ID_BYTES_MAX {
            let help =
                format!("write lower-case letters, digits and `-`, beginning with a letter, at most {ID_BYTES_MAX}");
            self.note(&below(at, ["id"]), format!("`{id}` can't be a name here"), help);
        } else if id == WATCH {
            let message = format!("`{WATCH}` can't be a name here: the gate behind a trigger is called so");
            self.note(&below(at, ["id"]), message, "give it another name".to_owned());
        }
    }

    fn ids_are_unique(&mut self) {
        let mut seen = BTreeSet::new();
        let outline = self.outline;
        let steps = outline.steps.iter().enumerate().map(|(index, step)| (segments!["step", index, "id"], &step.id));
        let checks = outline.checks.iter().enumerate().map(|(index, id)| (segments!["verify", index, "id"], id));
        let triggers = outline.triggers.iter().enumerate().map(|(index, id)| (segments!["trigger", index, "id"], id));
        let items = outline.follow_ups.iter().enumerate();
        let follow_ups = items.map(|(index, id)| (segments!["follow-up", index, "id"], id));
        let notices = outline.notices.iter().enumerate().map(|(index, id)| (segments!["notice", index, "id"], id));
        for (at, id) in steps.chain(checks).chain(triggers).chain(follow_ups).chain(notices) {
            if let Some(id) = id
                && !seen.insert(id.as_str())
            {
                let message = format!("there is already a step, a check, a trigger, a follow-up or a notice `{id}`");
                self.note(&at, message, "give each one a name of its own".to_owned());
            }
        }
    }

    fn fallback(&mut self, index: usize, replaced: &str) {
        let at = segments!["step", index, "fallback"];
        let steps = &self.outline.steps;
        let is_it = |step: &OutlinedStep| step.id.as_deref() == Some(replaced);
        let (before, rest) = steps.split_at(index);
        if !before.iter().any(is_it) {
            let message = match rest {
                [this, ..] if is_it(this) => "a step can't be its own fallback".to_owned(),
                _ if rest.iter().any(is_it) => format!("step `{replaced}` stands below this one"),
                _ => format!("there is no step `{replaced}`"),
            };
            let earlier = || before.iter().filter_map(|step| step.id.as_deref());
            let help = match nearest(replaced, earlier()) {
                Some(near) if near != replaced => format!("did you mean `{near}`?"),
                _ if rest.iter().skip(1).any(is_it) => format!("move this step below `{replaced}`"),
                _ => format!(
                    "it names the step that it stands in for, one of {}",
                    listed(earlier(), "those above it (there is none)")
                ),
            };
            self.note(&at, message, help);
        } else if let Some(other) = before.iter().find(|step| step.fallback.as_deref() == Some(replaced)) {
            let other = other.id.as_deref().unwrap_or_default();
            let message = format!("step `{replaced}` has a fallback already: `{other}`");
            let help = format!("write `fallback = \"{other}\"` to run this one when that has failed as well");
            self.note(&at, message, help);
        }
    }

    fn uses(&mut self, at: &[Segment], text: &str) -> Option<Uses> {
        if let Some((path, digest)) = text.rsplit_once('@') {
            return match digest.parse() {
                Ok(digest) => Some(Uses::File { path: self.folder.join(path), digest }),
                Err(message) => {
                    self.note(at, message, "write  use = \"PATH.wasm@sha256:…\"".to_owned());
                    None
                }
            };
        }
        if text.contains('/') || text.ends_with(".wasm") {
            let file = self.folder.join(text);
            let help = match std::fs::read(&file) {
                Ok(bytes) => {
                    format!("if you trust the file as it is now, write  use = \"{text}@{}\"", Digest::of(&bytes))
                }
                Err(error) => format!("append its digest, `@sha256:…`; {} can't be read: {error}", file.display()),
            };
            self.note(at, "a component is used with the digest of its bytes".to_owned(), help);
            return None;
        }
        if !is_id(text) {
            let help = "write the name of a bundled plugin, or  PATH.wasm@sha256:…";
            self.note(at, format!("`{text}` can't be a plugin"), help.to_owned());
            return None;
        }
        Some(Uses::Bundled(text.to_owned()))
    }

    fn with(&mut self, at: &[Segment], value: &Spanned<DeValue<'_>>, known: &Known<'_>) -> Option<Value> {
        let Some(with) = value.get_ref().as_table().and_then(|table| table.get("with")) else {
            return Some(Value::Object(serde_json::Map::new()));
        };
        let at = below(at, ["with"]);
        match json(with) {
            Ok(with @ Value::Object(_)) => {
                self.templates(&at, &with, known);
                Some(with)
            }
            Ok(_) => {
                let help = "write `with = { … }`, or its entries below `[step.with]`";
                self.note(&at, "`with` is a table".to_owned(), help.to_owned());
                None
            }
            Err(span) => {
                let diagnostic = Diagnostic::error("JSON has no such number, and a plugin is given JSON");
                self.wrong.push(diagnostic.at(self.document.place(span)).help("write a smaller number, or a string"));
                None
            }
        }
    }

    fn templates(&mut self, at: &[Segment], value: &Value, known: &Known<'_>) {
        match value {
            Value::String(text) => self.template(at, text, known),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.templates(&below(at, [index]), item, known));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(key, field)| self.templates(&below(at, [key]), field, known));
            }
            _ => {}
        }
    }

    fn template(&mut self, at: &[Segment], text: &str, known: &Known<'_>) {
        for unknown in template::check(text, known) {
            self.unknown(at, text, unknown);
        }
    }

    fn condition(&mut self, at: &[Segment], text: &str, known: &Known<'_>) -> Option<Condition> {
        for unknown in known.unknown_in(text) {
            self.unknown(at, text, unknown);
        }
        match Condition::parse_at(text) {
            Ok(condition) => Some(condition),
            Err(error) => {
                let message = format!("this condition can't be understood: {}", error.message);
                let lone_equals = text[error.at.start..].starts_with('=');
                let help = match lone_equals {
                    true => "a comparison is written `==`",
                    false => "write CEL, like  response.json.version == params.version",
                };
                let help = help.to_owned();
                self.unknown(at, text, Unknown { at: error.at, message, help });
                None
            }
        }
    }

    fn unknown(&mut self, at: &[Segment], text: &str, unknown: Unknown) {
        let place = self.document.within(at, text, unknown.at);
        self.wrong.push(Diagnostic::error(unknown.message).at(place).help(unknown.help));
    }

    fn in_range(&mut self, at: &[Segment], duration: Option<Duration>, range: RangeInclusive<Duration>) {
        let Some(duration) = duration.filter(|duration| !range.contains(duration)) else { return };
        let words = |duration: &Duration| humantime::format_duration(*duration).to_string();
        let key = at.last().map(|segment| match segment {
            Segment::Key(key) => format!("`{key}`"),
            Segment::Index(index) => format!("number {index}"),
        });
        let wrong = if duration < *range.start() { "short" } else { "long" };
        let message = format!("{} is too {wrong}", key.unwrap_or_default());
        self.note(at, message, format!("it may be {} to {}", words(range.start()), words(range.end())));
    }

    fn note(&mut self, at: &[Segment], message: String, help: String) {
        self.wrong.push(Diagnostic::error(message).at(self.document.value(at)).help(help));
    }
}

/// The way to something inside.
fn below<S: Into<Segment>>(at: &[Segment], inside: impl IntoIterator<Item = S>) -> Vec<Segment> {
    at.iter().cloned().chain(inside.into_iter().map(Into::into)).collect()
}

/// Lower-case words with hyphens.
fn is_id(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A name that needs no quotes in an expression.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
