//! The operator's file, `ripcord.toml`: what there is to work on, what may be done to it at most,
//! where the secrets come from, and how much a guest may use.

mod alertmanager;
mod find;
mod mask;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::capability::{Capability, Connections, notify};
use crate::diagnostic::{Diagnostic, Diagnostics, listed};
use crate::document::{Document, Parsed, instead_of, read_text, segments};
use crate::id::Digest;
use crate::journal::Limits;
use crate::secret::SecretSource;

pub use alertmanager::AlertmanagerRules;
pub use find::find;
pub(crate) use schema::OperatorFile;

/// The operator's file, read and checked.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Where it was read.
    pub path: PathBuf,
    /// Its folder: relative paths in it start here.
    pub base: PathBuf,
    /// What there is to work on.
    pub connections: Connections,
    /// The connections' names, in the order of the file.
    pub order: Vec<(Capability, String)>,
    /// Where the secrets come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Who may send alerts to a watch.
    pub alertmanager: Option<AlertmanagerRules>,
    /// What a guest may use.
    pub limits: Limits,
    /// The digest of the file's text.
    pub text: Digest,
    rules: Digest,
}

impl Operator {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let text = read_text("the operator's file", path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks the text of a file. No error repeats any value of it but `secret:NAME`: a value may be
    /// a secret in the wrong place.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let Parsed { document, table } = Document::parse(name, text, mask::mask).map_err(Diagnostics)?;
        if table.contains_key("step") && table.contains_key("name") {
            let mistaken = Diagnostic::error(format!("{name} is a plan, and no operator's file"));
            let place = document.key(&segments!["step"]);
            return Err(mistaken.at(place).help("name the operator's file; a plan is given without --config").into());
        }
        let mut reader = Reader { document: &document, wrong: Vec::new() };
        let mut connections = DeTable::new();
        let (mut secrets, mut named) = (BTreeMap::new(), BTreeSet::new());
        let mut limits = Limits::default();
        let mut references = Vec::new();
        let mut alertmanager = None;

        for (key, value) in table {
            match key.get_ref().as_ref() {
                "limits" => limits = reader.limits(value).unwrap_or_default(),
                "alertmanager" => {
                    secret_references(&value, &mut references);
                    alertmanager = document.read(value, &mut reader.wrong);
                }
                "secrets" => {
                    named = names_in(&value);
                    secrets = reader.secrets(value);
                }
                capability if Capability::ALL.iter().any(|known| known.name() == capability) => {
                    secret_references(&value, &mut references);
                    let sound = reader.capability(capability, value);
                    connections.insert(key.clone(), sound);
                }
                unknown => {
                    let known: Vec<_> = Capability::ALL.iter().map(|known| known.name()).collect();
                    let known = [known.as_slice(), &["secrets", "limits", "alertmanager"]].concat();
                    let diagnostic = Diagnostic::error(format!("unknown table `{unknown}`"));
                    reader.wrong.push(diagnostic.at(document.place(key.span())).help(instead_of(unknown, &known)));
                }
            }
        }
        reader.secrets_are_named(&references, &named);
        let order = in_order(&connections);

        let connections = Spanned::new(0..0, DeValue::Table(connections));
        // Whatever is wrong with a connection has been said by now, one by one.
        let connections = reader.document.read(connections, &mut Vec::new()).unwrap_or_default();
        let rules = match rules_digest(&connections, &secrets) {
            Ok(rules) => rules,
            Err(error) => {
                reader.wrong.push(Diagnostic::error(format!("internal: {name} can't be written as JSON: {error}")));
                Digest::of(&[])
            }
        };
        if !reader.wrong.is_empty() {
            return Err(Diagnostics::sorted(reader.wrong));
        }
        let path = PathBuf::from(name);
        let base = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let base = base.canonicalize().unwrap_or(base);
        Ok(Self {
            path,
            base,
            connections,
            order,
            secrets,
            alertmanager,
            limits,
            text: Digest::of(text.as_bytes()),
            rules,
        })
    }

    /// The digest of everything that decides what a connection points to and what may be done to
    /// it, secrets' values left out: what an approval is bound to. Comments, order and limits don't
    /// count.
    pub fn rules_digest(&self) -> Digest {
        self.rules
    }
}

/// Reads the tables and notes what is wrong with them.
struct Reader<'d> {
    document: &'d Document,
    wrong: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The connections of one capability, each one tried on its own. What is wrong is left out.
    fn capability<'t>(&mut self, capability: &str, value: Spanned<DeValue<'t>>) -> Spanned<DeValue<'t>> {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            self.needs_a_name(capability, span.clone());
            return Spanned::new(span, DeValue::Table(DeTable::new()));
        };
        // `[http]` with the settings of a connection below it: one mistake, not one for each setting.
        if let Some((setting, _)) = table.iter().find(|(_, value)| !matches!(value.get_ref(), DeValue::Table(_))) {
            self.needs_a_name(capability, setting.span());
            return Spanned::new(span, DeValue::Table(DeTable::new()));
        }
        let sound = table.into_iter().filter(|(name, connection)| self.is_sound(capability, name, connection));
        Spanned::new(span, DeValue::Table(sound.collect()))
    }

    fn is_sound(&mut self, capability: &str, name: &Spanned<DeString<'_>>, connection: &Spanned<DeValue<'_>>) -> bool {
        if !is_name(name.get_ref()) {
            let message = format!("`{}` can't be the name of a connection", name.get_ref());
            let help = "write letters, digits, `-` and `_`, beginning with a letter";
            self.wrong.push(Diagnostic::error(message).at(self.document.place(name.span())).help(help));
            return false;
        }
        if capability == Capability::Notify.name() && self.has_bad_templates(name.get_ref(), connection.get_ref()) {
            return false;
        }
        let alone = DeTable::from_iter([(name.clone(), connection.clone())]);
        let alone = Spanned::new(connection.span(), DeValue::Table(alone));
        let key = Spanned::new(name.span(), DeString::from(capability.to_owned()));
        let alone = Spanned::new(name.span(), DeValue::Table(DeTable::from_iter([(key, alone)])));
        let before = self.wrong.len();
        let read = self.document.read::<Connections>(alone, &mut self.wrong);
        for diagnostic in &mut self.wrong[before..] {
            // What concerns more than one key is said of the whole connection; its words name the one.
            if diagnostic.place.as_ref().is_some_and(|place| place.span.contains(&name.span().start))
                && let Some(span) = spoken_of(&diagnostic.message, connection)
            {
                diagnostic.place = Some(self.document.place(span));
            }
        }
        read.is_some() && self.wrong.len() == before
    }

    /// What is wrong with the words of a notice stands where it is wrong, and not at the whole string.
    fn has_bad_templates(&mut self, name: &str, connection: &DeValue<'_>) -> bool {
        let templates = connection.get("template").and_then(|template| template.get_ref().as_table());
        let mut found = false;
        for (key, text) in templates.into_iter().flatten() {
            let Some(text) = text.get_ref().as_str() else { continue };
            for notify::Problem { at, message, help } in notify::problems(text) {
                let path = segments!["notify", name, "template", key.get_ref().as_ref()];
                let place = self.document.within(&path, text, at);
                self.wrong.push(Diagnostic::error(message).at(place).help(help));
                found = true;
            }
        }
        found
    }

    fn needs_a_name(&mut self, capability: &str, span: std::ops::Range<usize>) {
        let diagnostic = Diagnostic::error(format!("a connection of `{capability}` needs a name"));
        let help = format!("write its settings below `[{capability}.NAME]`");
        self.wrong.push(diagnostic.at(self.document.place(span)).help(help));
    }

    fn limits(&mut self, value: Spanned<DeValue<'_>>) -> Option<Limits> {
        let zeros: Vec<_> = match value.get_ref() {
            DeValue::Table(table) => table.iter().filter(|(_, limit)| is_zero(limit.get_ref())).collect(),
            _ => Vec::new(),
        };
        for (key, limit) in zeros {
            let diagnostic = Diagnostic::error(format!("`{}` is 0: no plugin could run", key.get_ref()));
            self.wrong.push(diagnostic.at(self.document.place(limit.span())).help("leave it out for the default"));
        }
        self.document.read(value, &mut self.wrong)
    }

    fn secrets(&mut self, value: Spanned<DeValue<'_>>) -> BTreeMap<String, SecretSource> {
        let DeValue::Table(table) = value.get_ref() else {
            // Not a table: let the one place that words such errors word this one.
            self.document.read::<BTreeMap<String, IgnoredAny>>(value, &mut self.wrong);
            return BTreeMap::new();
        };
        let mut secrets = BTreeMap::new();
        for (name, source) in table {
            const HELP: &str = "say where it comes from: { env = \"VARIABLE\" }, { file = \"PATH\" }, \
                                { credential = \"NAME\" } (systemd) or { command = [\"PROGRAM\", \"ARGUMENT\"] }";
            let at = self.document.place(source.span());
            let source = match source.get_ref() {
                DeValue::Table(_) => self.document.read(source.clone(), &mut self.wrong),
                _ => {
                    let message = format!("secret `{}` is written here itself, or is no secret", name.get_ref());
                    self.wrong.push(Diagnostic::error(message).at(at).help(HELP));
                    continue;
                }
            };
            match source {
                Some(SecretSource::Command(argv)) if argv.is_empty() => {
                    let diagnostic = Diagnostic::error("`command` names no program").at(at);
                    self.wrong.push(diagnostic.help("write { command = [\"PROGRAM\", \"ARGUMENT\"] }"));
                }
                Some(source) => {
                    secrets.insert(name.get_ref().to_string(), source);
                }
                None => {}
            }
        }
        secrets
    }

    fn secrets_are_named(&mut self, references: &[Spanned<String>], secrets: &BTreeSet<String>) {
        for reference in references.iter().filter(|reference| !secrets.contains(reference.get_ref().as_str())) {
            let name = reference.get_ref();
            let known: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let mut diagnostic = Diagnostic::error(format!("no secret `{name}` under [secrets]"))
                .at(self.document.place(reference.span()));
            if let Some(near) = crate::diagnostic::nearest(name, known.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `secret:{near}`?"));
            } else if !known.is_empty() {
                diagnostic = diagnostic.help(format!("there are {}", listed(known, "none")));
            }
            self.wrong.push(diagnostic.help(format!("or add to [secrets]:  {name} = {{ env = \"VARIABLE\" }}")));
        }
    }
}

/// The names of the connections as they follow each other in the text.
fn in_order(tables: &DeTable<'_>) -> Vec<(Capability, String)> {
    let mut found = Vec::new();
    for (key, value) in tables {
        let capability = Capability::ALL.iter().find(|known| known.name() == key.get_ref().as_ref());
        let (Some(&capability), DeValue::Table(table)) = (capability, value.get_ref()) else { continue };
        found.extend(table.keys().map(|name| (name.span().start, (capability, name.get_ref().to_string()))));
    }
    found.sort();
    found.into_iter().map(|(_, named)| named).collect()
}

/// The keys of a table, whatever they hold.
fn names_in(value: &Spanned<DeValue<'_>>) -> BTreeSet<String> {
    let table = value.get_ref().as_table();
    table.into_iter().flat_map(|table| table.keys()).map(|name| name.get_ref().to_string()).collect()
}

/// The string below a value that a message repeats (`` `GET x` would never match ``), or the key that
/// it begins with (`ca-file has no use`).
fn spoken_of(message: &str, value: &Spanned<DeValue<'_>>) -> Option<std::ops::Range<usize>> {
    let quoted = message.strip_prefix('`').and_then(|rest| rest.split('`').next());
    let first = message.split([' ', '.', ':']).next().unwrap_or_default();
    match value.get_ref() {
        DeValue::String(text) => (quoted == Some(text.as_ref())).then(|| value.span()),
        DeValue::Array(items) => items.iter().find_map(|item| spoken_of(message, item)),
        DeValue::Table(table) => {
            let key = table.keys().find(|key| key.get_ref() == first).map(Spanned::span);
            key.or_else(|| table.values().find_map(|value| spoken_of(message, value)))
        }
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn is_zero(value: &DeValue<'_>) -> bool {
    value.as_integer().is_some_and(|number| i64::from_str_radix(number.as_str(), number.radix()) == Ok(0))
}

/// Each `secret:NAME` below a value, at its place.
fn secret_references(value: &Spanned<DeValue<'_>>, found: &mut Vec<Spanned<String>>) {
    match value.get_ref() {
        DeValue::String(text) => {
            if let Some(name) = text.strip_prefix("secret:").filter(|name| !name.is_empty()) {
                found.push(Spanned::new(value.span(), name.to_owned()));
            }
        }
        DeValue::Array(array) => array.iter().for_each(|value| secret_references(value, found)),
        DeValue::Table(table) => table.values().for_each(|value| secret_references(value, found)),
        _ => {}
    }
}

fn rules_digest(
    connections: &Connections,
    secrets: &BTreeMap<String, SecretSource>,
) -> Result<Digest, serde_json::Error> {
    let rules = serde_json::json!({
        "connections": serde_json::to_value(connections)?,
        "secrets": serde_json::to_value(secrets)?,
    });
    Ok(Digest::of(sorted(rules).to_string().as_bytes()))
}

/// The same value with its keys in order, whatever feature of serde_json a dependency turns on.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let ordered: BTreeMap<_, _> = object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(array) => Value::Array(array.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}
