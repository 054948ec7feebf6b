//! What the operator says of a command: `[command.NAME]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::driver::CommandDriver;
use super::template::{Pattern, Template};
use super::{Call, Reply, doctor};
use crate::capability::{CapabilityCall, CapabilityConnection, Denial, Driver, Judgement, OpenError, Opening, Repeat};
use crate::doctor::Exam;
use crate::process::{GRACE, MARGIN};
use crate::schema::{DurationText, text_schema};
use crate::secret::SecretRef;

/// The longest value of a placeholder.
const VALUE_BYTES_MAX: usize = 16 << 10;
/// The most that `output-limit` may be: two such outputs still fit into a guest's value.
const OUTPUT_BYTES_MAX: usize = 2 << 20;
/// The most that `timeout` may be.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A program that the operator has named, and all that may vary in it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Settings", into = "Settings")]
#[schemars(rename = "CommandConnection")]
pub struct Connection {
    settings: Settings,
    /// Of `argv[1..]`.
    arguments: Vec<Template>,
    patterns: BTreeMap<String, Pattern>,
}

/// The table as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Settings {
    /// The program and its arguments. There is no shell: `["npm", "run", "build"]`. An argument may
    /// hold placeholders, `{version}`; the program may not. A program with a `/` is found from the
    /// operator's file on, any other in `PATH`.
    #[schemars(length(min = 1))]
    pub(super) argv: Vec<String>,
    /// For each placeholder, the regular expression that its whole value has to match. A value that
    /// makes an argument begin with `-` is refused unless the expression itself begins with `-`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, String>,
    /// The folder to run it in; the operator's file's, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cwd: Option<PathBuf>,
    /// Its environment, besides `PATH`, `HOME`, `LANG` and the like: a text, or `secret:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) env: BTreeMap<String, EnvValue>,
    /// What it also gets of ripcord's own environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) inherit_env: Vec<String>,
    /// Whether running it changes something.
    #[serde(default)]
    effect: Effect,
    /// Whether it may be run again when it is not known how it ended. Nobody else can say so.
    #[serde(default)]
    repeat: Repeatable,
    /// When it is ended, with its whole process group.
    #[serde(default = "timeout_default", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    pub(super) timeout: Duration,
    /// How many bytes of stdout and of stderr are kept.
    #[serde(default = "output_limit_default")]
    #[schemars(range(max = OUTPUT_BYTES_MAX))]
    pub(super) output_limit: usize,
}

/// The value of an environment variable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum EnvValue {
    Text(String),
    Secret(SecretRef),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Effect {
    Read,
    #[default]
    Mutation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Repeatable {
    #[default]
    Once,
    Idempotent,
}

fn timeout_default() -> Duration {
    Duration::from_secs(10 * 60)
}

fn output_limit_default() -> usize {
    256 << 10
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    fn judge(&self, name: &str, call: &Call) -> Judgement {
        match self.refusal(name, call) {
            // What would allow it is a wider pattern, and that is for the operator to think up.
            Some(reason) => Judgement::Denied(Denial { reason, remedy: String::new() }),
            None => match self.settings.effect {
                Effect::Read => Judgement::Read,
                Effect::Mutation => Judgement::Mutation,
            },
        }
    }

    fn repeat(&self, _call: &Call, _claim: Repeat) -> Repeat {
        match self.settings.repeat {
            Repeatable::Once => Repeat::Once,
            Repeatable::Idempotent => Repeat::Idempotent,
        }
    }

    fn deadline(&self, _call: &Call) -> Duration {
        self.settings.timeout + GRACE + MARGIN
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        Ok(Arc::new(CommandDriver::open(self.clone(), opening).await?))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}

impl Connection {
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The arguments behind the program, for a call that was let through.
    pub(super) fn arguments(&self, call: &Call) -> Vec<String> {
        let values = values(call);
        self.arguments.iter().map(|argument| argument.fill(&values)).collect()
    }

    /// Why a call is turned away.
    fn refusal(&self, name: &str, call: &Call) -> Option<String> {
        let values = values(call);
        if values.len() < call.arguments.len() {
            return Some(format!("an argument of {name} is given twice: {}", call.target()));
        }
        if let Some(unknown) = values.keys().find(|given| !self.patterns.contains_key(**given)) {
            let known: Vec<_> = self.patterns.keys().map(|known| format!("`{{{known}}}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Some(format!("{name} has no placeholder `{{{unknown}}}`; it has {known}"));
        }
        for (param, pattern) in &self.patterns {
            let demand = format!("it has to match `{}` as a whole", pattern.text());
            let Some(value) = values.get(param.as_str()) else {
                return Some(format!("`{{{param}}}` of {name} is not given; {demand}"));
            };
            let shown = shortened(value);
            if value.len() > VALUE_BYTES_MAX {
                return Some(format!("`{{{param}}}` of {name} has more than {VALUE_BYTES_MAX} bytes: {shown}"));
            }
            if value.contains('\0') {
                return Some(format!("`{{{param}}}` of {name} is {shown}: no argument can hold a NUL"));
            }
            if !pattern.matches(value) {
                return Some(format!("`{{{param}}}` of {name} is {shown}; {demand}"));
            }
        }
        let option = self
            .arguments
            .iter()
            .filter(|argument| argument.fill(&values).starts_with('-'))
            .find_map(|argument| argument.beginning(&values).filter(|param| !self.patterns[*param].allows_dash()));
        option.map(|param| {
            let shown = shortened(values.get(param).copied().unwrap_or_default());
            format!(
                "`{{{param}}}` of {name} is {shown}, which the program would take for an option; only a pattern that itself begins with `-` allows that"
            )
        })
    }
}

fn values(call: &Call) -> BTreeMap<&str, &str> {
    call.arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn shortened(value: &str) -> String {
    let short: String = value.chars().take(80).collect();
    let dots = if short.len() < value.len() { "…" } else { "" };
    format!("{short:?}{dots}")
}

impl TryFrom<Settings> for Connection {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        let (program, arguments) = settings.argv.split_first().filter(|(program, _)| !program.is_empty()).ok_or(
            "argv names no program: write it and its arguments one by one, like [\"npm\", \"run\", \"build\"]",
        )?;
        if Template::parse(program)?.placeholders().next().is_some() {
            return Err(format!("`{program}` in argv: the program itself can't be a placeholder"));
        }
        if let Some(text) = settings.argv.iter().find(|text| text.contains('\0')) {
            return Err(format!("{text:?} in argv: no argument can hold a NUL"));
        }
        let arguments = arguments.iter().map(|text| Template::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let used: BTreeSet<&str> = arguments.iter().flat_map(Template::placeholders).collect();
        if let Some(name) = used.iter().find(|name| !settings.params.contains_key(**name)) {
            return Err(format!(
                "`{{{name}}}` in argv has no pattern: add  params.{name} = \"[a-z0-9.]+\"  or what it may be"
            ));
        }
        if let Some(name) = settings.params.keys().find(|name| !used.contains(name.as_str())) {
            return Err(format!("params.{name} is not used: no argument in argv holds `{{{name}}}`"));
        }
        let patterns = settings.params.iter().map(|(name, text)| {
            let pattern =
                Pattern::parse(text).map_err(|error| format!("params.{name} is no regular expression: {error}"))?;
            Ok((name.clone(), pattern))
        });
        let patterns = patterns.collect::<Result<_, String>>()?;

        for name in settings.env.keys().chain(&settings.inherit_env) {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(format!("{name:?} can't be the name of an environment variable"));
            }
        }
        if let Some(name) = settings.inherit_env.iter().find(|name| settings.env.contains_key(*name)) {
            return Err(format!("{name} is in env and in inherit-env: keep one"));
        }
        if settings.timeout.is_zero() || settings.timeout > TIMEOUT_MAX {
            return Err("timeout has to be more than nothing and at most 24h".to_owned());
        }
        if settings.output_limit > OUTPUT_BYTES_MAX {
            return Err(format!("output-limit is a number of bytes, at most {OUTPUT_BYTES_MAX}"));
        }
        Ok(Self { arguments, patterns, settings })
    }
}

impl From<Connection> for Settings {
    fn from(connection: Connection) -> Self {
        connection.settings
    }
}

text_schema!(EnvValue, "EnvValue", "^(?!secret:$)", "A text, or `secret:NAME`.");

impl TryFrom<String> for EnvValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("secret:") {
            return SecretRef::try_from(text).map(Self::Secret);
        }
        if text.contains('\0') {
            Err("no environment variable can hold a NUL".to_owned())
        } else {
            Ok(Self::Text(text))
        }
    }
}

impl From<EnvValue> for String {
    fn from(value: EnvValue) -> Self {
        match value {
            EnvValue::Text(text) => text,
            EnvValue::Secret(reference) => reference.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn connection(text: &str) -> Result<Connection, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    fn call(arguments: &[(&str, &str)]) -> Call {
        Call { arguments: arguments.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() }
    }

    #[test]
    fn a_value_is_taken_whole_or_not_at_all() {
        const FREE: &str = "(?s).*";
        for (pattern, argument, value, becomes) in [
            ("[0-9a-f.]+", "v{v}", "1.2f", Some("v1.2f")),
            ("[0-9a-f.]+", "{v}", "$(id)", None),
            ("[0-9a-f.]+", "{v}", "1;reboot", None),
            ("[0-9a-f.]+", "{v}", "1 2", None),
            ("[0-9a-f.]+", "{v}", "1\n", None),
            ("[0-9a-f.]+", "{v}", "", None),
            // Not anchored, not leftmost-first, not a line of several: the whole.
            ("a|ab", "{v}", "ab", Some("ab")),
            ("(?m)^a$", "{v}", "a\nb", None),
            // No shell: what the operator's pattern lets through is passed on as it is.
            (FREE, "{v}", "$(id); `id` && \"'\n*", Some("$(id); `id` && \"'\n*")),
            (FREE, "{v}", "a\0b", None),
            // A value is no option, unless the operator has thought of it.
            (FREE, "{v}", "--force", None),
            (FREE, "--to={v}", "--force", Some("--to=--force")),
            ("-?[0-9]+", "{v}", "-1", Some("-1")),
            (r"\-\-(dry-run|force)", "{v}", "--force", Some("--force")),
            ("[-a-z]+", "{v}", "-rf", None),
            // A value is no placeholder either.
            (FREE, "{v}{{v}}", "{v}", Some("{v}{v}")),
        ] {
            let pattern = toml::Value::String(pattern.to_owned());
            let connection = connection(&format!("argv = ['x', '{argument}']\nparams.v = {pattern}")).expect(argument);
            let call = call(&[("v", value)]);
            let taken = match connection.judge("command.x", &call) {
                Judgement::Denied(denial) => {
                    assert!(denial.reason.contains("`{v}` of command.x"), "{}", denial.reason);
                    None
                }
                _ => Some(connection.arguments(&call).remove(0)),
            };
            assert_eq!(taken.as_deref(), becomes, "{pattern} {argument} {value:?}");
        }
    }

    #[test]
    fn a_dash_does_not_slip_in_behind_an_empty_value() {
        let connection = connection("argv = ['x', '{a}{b}']\nparams.a = '-?'\nparams.b = '.*'").unwrap();
        let judge = |a, b| connection.judge("command.x", &call(&[("a", a), ("b", b)]));
        assert!(matches!(judge("", "-rf"), Judgement::Denied(_)));
        assert_eq!(judge("-", "rf"), Judgement::Mutation);
    }

    #[test]
    fn each_placeholder_is_given_once_and_no_other() {
        let connection = connection("argv = ['x', '{v}']\nparams.v = '[a-z]+'\neffect = 'read'").unwrap();
        assert_eq!(connection.judge("command.x", &call(&[("v", "a")])), Judgement::Read);
        for (arguments, says) in [
            (vec![], "`{v}` of command.x is not given; it has to match `[a-z]+` as a whole"),
            (vec![("v", "a"), ("w", "b")], "command.x has no placeholder `{w}`; it has `{v}`"),
            (vec![("v", "a"), ("v", "b")], "an argument of command.x is given twice: v=a v=b"),
            (vec![("v", "A")], "`{v}` of command.x is \"A\"; it has to match `[a-z]+` as a whole"),
        ] {
            let Judgement::Denied(denial) = connection.judge("command.x", &call(&arguments)) else { panic!("{says}") };
            assert_eq!(denial.reason, says);
        }
    }

    #[test]
    fn a_table_that_can_not_be_enforced_is_an_error_that_says_what_to_write() {
        for (text, says) in [
            ("argv = []", "argv names no program"),
            ("argv = ['{p}']\nparams.p = 'x'", "the program itself can't be a placeholder"),
            ("argv = ['x', '{v}']", "add  params.v ="),
            ("argv = ['x']\nparams.v = 'x'", "params.v is not used"),
            ("argv = ['x', '{V}']", "a placeholder is written `{lower-case-name}`"),
            ("argv = ['x', 'a}']", "`{{` or `}}`"),
            ("argv = ['x', '{v}']\nparams.v = 'a)|(b'", "params.v is no regular expression"),
            ("argv = ['x']\nenv.A = 'a'\ninherit-env = ['A']", "A is in env and in inherit-env"),
            ("argv = ['x']\nenv.A = 'secret:'", "name it as \"secret:NAME\""),
            ("argv = ['x']\ntimeout = '10'", "write it like"),
            ("argv = ['x']\ntimeout = '0s'", "timeout has to be"),
            ("argv = ['x']\noutput-limit = 99999999", "output-limit is a number of bytes"),
            ("argv = ['x']\nshell = true", "unknown field `shell`"),
        ] {
            let error = connection(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_back_is_what_was_read() {
        let text = "argv = ['x', '{v}']\ntimeout = '90s'\n[params]\nv = 'a'\n[env]\nT = 'secret:t'";
        let written = toml::to_string(&connection(text).unwrap()).unwrap();
        assert!(written.contains("timeout = \"1m 30s\"") && written.contains("T = \"secret:t\""), "{written}");
        connection(&written).unwrap();
    }
}
