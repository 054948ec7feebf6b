//! Which program may be run in which container.

use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program that may be run in a container.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub(super) struct ExecRule {
    written: Written,
    container: GlobMatcher,
    argv: Vec<GlobMatcher>,
}

/// As it stands in the file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "DockerExec")]
pub(super) struct Written {
    /// The container's name, or its service's; a glob.
    container: String,
    /// The program and its arguments, each one a glob for the whole of one argument. A value that begins with
    /// `-` is refused where the glob does not.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Whether running it changes something.
    #[serde(default)]
    effect: Effect,
    /// Whether it may be run again when it is not known how it ended. Nobody else can say so.
    #[serde(default)]
    repeat: Repeatable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "DockerEffect")]
pub(super) enum Effect {
    Read,
    #[default]
    Mutation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "DockerRepeat")]
pub(super) enum Repeatable {
    #[default]
    Once,
    Idempotent,
}

impl ExecRule {
    pub(super) fn allows(&self, container: &str, argv: &[String]) -> bool {
        let fits = |(index, value): (usize, &String)| {
            let glob = &self.argv[index];
            // What the operator meant for a value must not become an option.
            let is_option = value.starts_with('-') && !self.written.argv[index].starts_with('-');
            !is_option && glob.is_match(value)
        };
        self.container.is_match(container) && argv.len() == self.argv.len() && argv.iter().enumerate().all(fits)
    }

    pub(super) fn is_read(&self) -> bool {
        self.written.effect == Effect::Read
    }

    pub(super) fn is_idempotent(&self) -> bool {
        self.written.repeat == Repeatable::Idempotent
    }

    /// The container's name as the operator wrote it.
    pub(super) fn container(&self) -> &str {
        &self.written.container
    }
}

/// A glob for the whole of a text, in which `*` stands for anything.
pub(super) fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("`{text}` is no pattern: {}", error.kind()))
}

impl TryFrom<Written> for ExecRule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        if written.argv.first().is_none_or(|program| program.is_empty() || program.contains(['*', '?', '[', '{'])) {
            return Err(
                "the first of `argv` names the program itself, like \"pg_isready\", and is no pattern".to_owned()
            );
        }
        let argv = written.argv.iter().map(|text| glob(text)).collect::<Result<_, _>>()?;
        Ok(Self { container: glob(&written.container)?, argv, written })
    }
}

impl From<ExecRule> for Written {
    fn from(rule: ExecRule) -> Self {
        rule.written
    }
}
