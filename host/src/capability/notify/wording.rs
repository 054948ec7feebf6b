//! The operator's own words for a connection's notices: Jinja over what a plugin wants said.
//!
//! The values are `subject`, `text`, `fields` (a list, each with `name` and `value`), `state`
//! (`investigating`, `identified`, `monitoring`, `resolved`, or none), `severity` (`info`, `warning`,
//! `error`, `critical`, or none) and `run`, the run's name. What a notice does not have is empty: words
//! never keep a notice from being sent.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notice::{Field, Notice};
use super::{Severity, State};
use crate::document::instead_of;
use crate::schema::text_schema;

/// The longest template, in bytes. The parser's stack grows with an expression, so that one of any
/// length could end the process.
const TEMPLATE_BYTES_MAX: usize = 4_000;

const VALUES: [&str; 6] = ["fields", "run", "severity", "state", "subject", "text"];

/// What stands in place of a plugin's own words: `[notify.NAME.template]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Template {
    /// The subject; line breaks in it become spaces. Left out: the plugin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Text>,
    /// The text. Left out: the plugin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

impl Template {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The notice in the operator's words.
    pub(super) fn word(&self, notice: Notice) -> Notice {
        let subject = self.subject.as_ref().and_then(|template| template.render(&notice));
        let text = self.text.as_ref().and_then(|template| template.render(&notice));
        let notice = match subject.filter(|subject| !subject.trim().is_empty()) {
            Some(subject) => notice.with_subject(&subject),
            None => notice,
        };
        match text {
            Some(text) => notice.with_text(&text),
            None => notice,
        }
    }
}

/// A template in the operator's file: at most 4,000 bytes of Jinja.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

impl Text {
    /// None, and a line in the log, for what goes wrong with this notice alone: the plugin's own words
    /// are better than no notice.
    fn render(&self, notice: &Notice) -> Option<String> {
        match ENVIRONMENT.render_str(&self.0, Serde(notice)) {
            Ok(text) => Some(text),
            Err(error) => {
                tracing::warn!(%error, "a notice's template can't be filled in; the plugin's own words are sent");
                None
            }
        }
    }
}

text_schema!(Text, "NoticeTemplate", "", "Jinja over `subject`, `text`, `fields`, `state`, `severity` and `run`.");

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match problems(&text).into_iter().next() {
            None => Ok(Self(text)),
            Some(Problem { message, help, .. }) => Err(format!("{message}; {help}")),
        }
    }
}

impl From<Text> for String {
    fn from(Text(text): Text) -> Self {
        text
    }
}

/// Something that is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where in the template, in bytes.
    pub(crate) at: Range<usize>,
    /// What, in one sentence. It repeats nothing of the template but the names in it.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: String,
}

/// What is wrong with a template, in its order.
pub(crate) fn problems(template: &str) -> Vec<Problem> {
    if template.len() > TEMPLATE_BYTES_MAX {
        let message = format!("this template has {} bytes; {TEMPLATE_BYTES_MAX} is the most", template.len());
        return vec![Problem { at: 0..template.len(), message, help: "make it shorter".to_owned() }];
    }
    let parsed = match ENVIRONMENT.template_from_str(template) {
        Ok(parsed) => parsed,
        Err(error) => return vec![problem(template, &error)],
    };
    let functions: BTreeSet<&str> = ENVIRONMENT.globals().map(|(name, _)| name).collect();
    let unknown = parsed.undeclared_variables(false);
    let mut problems: Vec<_> = unknown
        .iter()
        .filter(|name| !VALUES.contains(&name.as_str()) && !functions.contains(name.as_str()))
        .map(|name| Problem {
            at: place_of(template, name),
            message: format!("a notice has no `{name}`"),
            help: instead_of(name, &VALUES),
        })
        .collect();
    problems.sort_by_key(|problem| problem.at.start);
    if problems.is_empty()
        && let Err(error) = parsed.render(Serde(sample()))
    {
        problems.push(problem(template, &error));
    }
    problems
}

fn problem(template: &str, error: &minijinja::Error) -> Problem {
    let at = error.range().filter(|range| !range.is_empty() && template.get(range.clone()).is_some());
    let problem = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Problem {
        at: at.unwrap_or(0..template.len()),
        message: format!("this template can't be understood: {problem}"),
        help: "write {{ subject }}, {{ text }}, or {% for field in fields %}{{ field.name }}: {{ field.value }}{% endfor %}"
            .to_owned(),
    }
}

/// Where a name first stands as a word of its own.
fn place_of(template: &str, name: &str) -> Range<usize> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let whole = template.match_indices(name).find(|(start, _)| {
        !template[..*start].ends_with(is_part) && !template[start + name.len()..].starts_with(is_part)
    });
    whole.map_or(0..template.len(), |(start, _)| start..start + name.len())
}

/// A notice to try a template on.
fn sample() -> Notice {
    let field = Field { name: "name".to_owned(), value: "value".to_owned() };
    Notice {
        subject: "subject".to_owned(),
        text: "text".to_owned(),
        fields: vec![field.clone(), field],
        state: Some(State::Resolved),
        severity: Some(Severity::Error),
        run: "run".to_owned(),
        id: "id".to_owned(),
    }
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    // A field that one notice lacks is no reason not to send it.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // Errors know their place in the template only then.
    environment.set_debug(true);
    environment
});

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn worded(subject: &str, text: &str) -> (String, String) {
        let template = Template { subject: Some(Text(subject.to_owned())), text: Some(Text(text.to_owned())) };
        let Notice { subject, text, .. } = template.word(sample());
        (subject, text)
    }

    #[test]
    fn a_notice_is_put_into_the_operators_words() {
        let state = r#"{{ {"resolved": "resuelto", "identified": "localizado"}[state] }}"#;
        let text = "{{ text }}\n{% for field in fields %}{{ field.name }} = {{ field.value }}\n{% endfor %}{{ run }}";
        let expected = ("resuelto: subject".to_owned(), "text\nname = value\nname = value\nrun".to_owned());
        assert_eq!(worded(&format!("{state}:\n{{{{ subject }}}}"), text), expected);
        // What is not there is empty, and a subject that would be empty stays the plugin's.
        let expected = ("subject".to_owned(), "<>".to_owned());
        assert_eq!(worded("{{ fields[7].name }}", "<{{ fields[7].value.deeper }}>"), expected);
        // What can't be filled in at all is left as the plugin has it.
        assert_eq!(worded("x", "{{ text / 2 }}").1, "text");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_found_when_the_file_is_read() {
        for (template, part, message) in [
            ("Hola {{ sbject }}", "sbject", "a notice has no `sbject`"),
            ("{{ subject }} {{ params.x }}", "params", "a notice has no `params`"),
            ("{{ id }}", "id", "a notice has no `id`"),
            ("{{ subject", "", "can't be understood"),
            ("{{ subject | shout }}", "shout", "shout"),
            ("{% for field in fields %}{{ field.name }}", "", "can't be understood"),
        ] {
            let found = problems(template);
            assert!(found.len() == 1 && found[0].message.contains(message), "{template}: {found:?}");
            assert!(template[found[0].at.clone()].contains(part), "{template}: {found:?}");
        }
        let found = problems("{{ a }} and {{ b }}");
        assert_eq!(found.iter().map(|problem| problem.at.clone()).collect::<Vec<_>>(), [3..4, 15..16]);
        assert_eq!(problems(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).len(), 1);
        assert_eq!(problems("{% set x = subject %}{{ x | upper }} {{ range(3) }}"), []);
    }
}
