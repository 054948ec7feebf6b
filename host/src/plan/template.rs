//! Templates: Jinja in the strings of `target`, `with` and `gate.ask`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use regex_lite::Regex;
use serde::Serialize;
use serde_json::Value;

use super::references::{Known, Unknown};
use crate::document::instead_of;

/// The longest `{{ … }}` or `{% … %}`. The parser's stack grows with an expression: a thread of 2 MiB
/// was seen to bear four times as much.
const CODE_BYTES_MAX: usize = 1_000;

/// What templates and conditions can speak of.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Scope {
    /// The values of the plan's parameters.
    pub params: BTreeMap<String, String>,
    /// The steps that have ended well (themselves or by their stand-in), by id.
    pub steps: BTreeMap<String, StepFacts>,
    /// Who does what.
    pub people: BTreeMap<String, String>,
    /// The run itself; none while the target is worked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunFacts>,
    /// What people have said of the incident; only a notice speaks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentFacts>,
}

/// What is known of a step that has ended well.
#[derive(Debug, Clone, Serialize)]
pub struct StepFacts {
    /// What its plugin returned.
    pub receipt: Value,
}

/// What is known of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunFacts {
    /// Its name.
    pub id: String,
    /// What it rolls back.
    pub target: String,
    /// How it stands, in a notice: `begun`, `verified`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why it stands so, in one sentence, in a notice; empty where there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What is known of an incident. What nobody has said is empty.
#[derive(Debug, Clone, Default, Serialize)]
pub struct IncidentFacts {
    /// What kind of incident it is, which decides the kind of rollback.
    pub scenario: String,
    /// What was observed.
    pub symptoms: Vec<String>,
    /// How bad it is.
    pub severity: String,
    /// Who or what is affected.
    pub scope: String,
    /// When it began, in UTC: `2026-11-22T17:45:00Z`.
    pub since: String,
    /// Who decided on the rollback.
    pub decided_by: String,
    /// Who coordinates.
    pub coordinator: String,
}

impl Scope {
    /// The variables of an `expect`: what a check saw, beside the scope. A name of the scope hides
    /// one of the evidence.
    pub fn with_evidence(&self, evidence: &Value) -> serde_json::Map<String, Value> {
        let mut variables = evidence.as_object().cloned().unwrap_or_default();
        if let Ok(Value::Object(scope)) = serde_json::to_value(self) {
            variables.extend(scope);
        }
        variables
    }
}

/// A template that can't be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{template:?} can't be filled in{}: {problem}", at(pointer))]
pub struct RenderError {
    /// Which value of the whole, as a JSON pointer.
    pub pointer: String,
    /// The template.
    pub template: String,
    /// What is missing or wrong.
    pub problem: String,
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at {pointer}") }
}

/// The value with the templates in its strings filled in, keys left as they are.
///
/// A string that is one `{{ expression }}` and nothing else becomes the expression's value with its
/// type; any other string stays a string. Nothing is escaped, and whatever is not there is an error.
pub fn render(value: &Value, scope: &Scope) -> Result<Value, RenderError> {
    render_at(value, &minijinja::Value::from(Serde(scope)), &mut String::new())
}

fn render_at(value: &Value, scope: &minijinja::Value, pointer: &mut String) -> Result<Value, RenderError> {
    let length = pointer.len();
    let mut inside = |segment: &str, value: &Value| {
        pointer.push('/');
        pointer.push_str(segment);
        let rendered = render_at(value, scope, pointer);
        pointer.truncate(length);
        rendered
    };
    Ok(match value {
        Value::Object(object) => Value::Object(
            object.iter().map(|(key, value)| Ok((key.clone(), inside(key, value)?))).collect::<Result<_, _>>()?,
        ),
        Value::Array(array) => Value::Array(
            array.iter().enumerate().map(|(i, value)| inside(&i.to_string(), value)).collect::<Result<_, _>>()?,
        ),
        Value::String(template) if has_template(template) => render_string(template, scope).map_err(|error| {
            RenderError { pointer: pointer.clone(), template: template.clone(), problem: in_words(template, &error) }
        })?,
        plain => plain.clone(),
    })
}

/// Whether anything in a string is filled in.
pub(super) fn has_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|start| text.contains(start))
}

/// What is wrong with a template before anything is filled in, with places in it.
pub(super) fn check(template: &str, known: &Known<'_>) -> Vec<Unknown> {
    if !has_template(template) {
        return Vec::new();
    }
    if let Some(message) = too_long(template) {
        let help = "put a part of it into a string of its own".to_owned();
        return vec![Unknown { at: 0..template.len(), message, help }];
    }
    let parsed = match ENVIRONMENT.template_from_str(template) {
        Ok(parsed) => parsed,
        Err(error) => {
            let at = error.range().filter(|range| !range.is_empty()).unwrap_or(0..template.len());
            let message = format!("this template can't be understood: {}", problem(&error));
            let help = "write {{ params.NAME }} or {{ steps.ID.receipt.FIELD }}".to_owned();
            return vec![Unknown { at, message, help }];
        }
    };
    let variables = parsed.undeclared_variables(false);
    let mut unknown = Vec::new();
    for code in code_in(template) {
        let found = known.unknown_in(&template[code.clone()]);
        unknown.extend(found.into_iter().filter_map(|found| {
            let at = code.start + found.at.start..code.start + found.at.end;
            // A variable of the template's own, `{% for params in … %}`, is not ours to judge.
            let root: String = template[at.clone()].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            variables.contains(&root).then_some(Unknown { at, ..found })
        }));
    }
    let functions: Vec<&str> = ENVIRONMENT.globals().map(|(name, _)| name).collect();
    for variable in variables {
        if !known.roots().contains(&variable.as_str()) && !functions.contains(&variable.as_str()) {
            // The tail of `steps.a-b.receipt`, or its beginning, which has been explained.
            let is_tail = |found: &Unknown| template[found.at.end..].starts_with(&format!("-{variable}"));
            let is_root = |found: &Unknown| template[found.at.clone()].starts_with(variable.as_str());
            let explained = unknown.iter().any(|found| is_tail(found) || is_root(found));
            if !explained {
                let start = template.find(&variable).unwrap_or(0);
                let at = if start == 0 { 0..template.len() } else { start..start + variable.len() };
                let message = format!("there is no `{variable}` to fill in here");
                unknown.push(Unknown { at, message, help: instead_of(&variable, known.roots()) });
            }
        }
    }
    unknown.sort_by_key(|found| found.at.start);
    unknown
}

fn too_long(template: &str) -> Option<String> {
    let longest = code_in(template).map(|code| code.len()).max()?;
    (longest > CODE_BYTES_MAX)
        .then(|| format!("an expression in this template has {longest} bytes; {CODE_BYTES_MAX} is the most"))
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // Errors know their place in the template only then.
    environment.set_debug(true);
    environment
});

fn render_string(template: &str, scope: &minijinja::Value) -> Result<Value, minijinja::Error> {
    if let Some(message) = too_long(template) {
        return Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message));
    }
    if let Some(expression) = single_expression(template) {
        let value = expression.eval(scope)?;
        if value.is_undefined() {
            return Err(minijinja::ErrorKind::UndefinedError.into());
        }
        return serde_json::to_value(value)
            .map_err(|error| minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string()));
    }
    ENVIRONMENT.render_str(template, scope).map(Value::String)
}

/// The expression of a string that is `{{ expression }}` and nothing else. `{{-` is no minus: it
/// takes white space away, as `{{+` keeps it, and is left to the template.
fn single_expression(template: &str) -> Option<minijinja::Expression<'_, '_>> {
    let inside = template.strip_prefix("{{")?.strip_suffix("}}")?;
    if inside.starts_with(['-', '+']) || inside.ends_with(['-', '+']) {
        return None;
    }
    ENVIRONMENT.compile_expression(inside).ok()
}

#[expect(clippy::unwrap_used, reason = "a constant expression, compiled by the tests")]
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    let inside = r#"(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'])*?"#;
    // What is not closed goes on to the end.
    Regex::new(&format!(
        r"(?s)\{{\#.*?\#\}}|\{{\{{(?<expression>{inside})\}}\}}|\{{%(?<statement>{inside})%\}}|\{{[{{%](?<open>.*)"
    ))
    .unwrap()
});

/// Compiles what every plan needs.
pub(super) fn compile() {
    LazyLock::force(&CODE);
    LazyLock::force(&ENVIRONMENT);
}

fn code_in(template: &str) -> impl Iterator<Item = Range<usize>> {
    let code = |found: regex_lite::Captures<'_>| {
        ["expression", "statement", "open"].iter().find_map(|name| found.name(name)).map(|code| code.range())
    };
    CODE.captures_iter(template).filter_map(code)
}

fn problem(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn in_words(template: &str, error: &minijinja::Error) -> String {
    if error.kind() != minijinja::ErrorKind::UndefinedError {
        return problem(error);
    }
    let part = error.range().and_then(|range| template.get(range)).filter(|part| !part.is_empty());
    let part = part.unwrap_or(template.trim_matches(['{', '}', ' ']));
    format!("`{part}` is not there")
}
