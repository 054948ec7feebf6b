//! The operator's rules: `OPERATION TARGET`, as in `GET /applications/**` or `push main`.

use std::sync::{Arc, OnceLock};

use globset::{Glob, GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

/// One line of a `read` or `write` list: an operation, and a pattern for what it is done to.
///
/// The pattern is a glob in which `*` stays within one segment of a path and `**` does not; without
/// a pattern the rule holds for every target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    text: String,
    operation: String,
    target: Option<Arc<Pattern>>,
}

/// A pattern, which takes half a millisecond to compile: most rules are never asked.
#[derive(Debug)]
struct Pattern {
    glob: Glob,
    matcher: OnceLock<GlobMatcher>,
}

impl Pattern {
    fn is_match(&self, target: &str) -> bool {
        self.matcher.get_or_init(|| self.glob.compile_matcher()).is_match(target)
    }
}

/// Why a rule can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

impl Rule {
    /// Whether the rule speaks of this operation on this target.
    pub fn matches(&self, operation: &str, target: &str) -> bool {
        self.operation == operation && self.target.as_ref().is_none_or(|pattern| pattern.is_match(target))
    }

    /// The operation's name, for a capability to check that it knows it.
    pub fn operation(&self) -> &str {
        &self.operation
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        let (operation, pattern) = match text.split_once(' ') {
            Some((operation, pattern)) => (operation, Some(pattern.trim())),
            None => (text.as_str(), None),
        };
        if operation.is_empty() || pattern == Some("") {
            return Err(RuleError(format!(
                "`{text}` is no rule: write an operation and what it may be done to, like \"GET /version\""
            )));
        }
        let target = pattern
            .map(|pattern| GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build())
            .transpose()
            .map_err(|error| RuleError(format!("`{text}` is no rule: {}", error.kind())))?
            .map(|glob| Arc::new(Pattern { glob, matcher: OnceLock::new() }));
        Ok(Self { operation: operation.to_owned(), target, text })
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.text
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// A `read` or `write` list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// Whether one of the rules speaks of this operation on this target.
    pub fn allow(&self, operation: &str, target: &str) -> bool {
        self.0.iter().any(|rule| rule.matches(operation, target))
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_segment_and_two_do_not() {
        let rules: Rules =
            serde_json::from_str(r#"["GET /deployments/**", "PATCH /applications/*", "commit"]"#).expect("rules");
        for (operation, target, allowed) in [
            ("GET", "/deployments/applications/u1", true),
            ("GET", "/deployments", false),
            ("POST", "/deployments/x", false),
            ("PATCH", "/applications/u1", true),
            ("PATCH", "/applications/u1/envs", false),
            ("commit", "anything at all", true),
        ] {
            assert_eq!(rules.allow(operation, target), allowed, "{operation} {target}");
        }
    }

    #[test]
    fn a_rule_that_says_nothing_is_an_error() {
        for text in ["", " /x", "GET ", "GET [a"] {
            assert!(Rule::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
