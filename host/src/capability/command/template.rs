//! Arguments with placeholders, and the patterns that say what may stand in them.

use std::collections::BTreeMap;

use regex::Regex;

/// An argument as the operator wrote it: `--version={version}`. `{{` and `}}` are plain braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let name = after.split_once('}').filter(|(name, _)| brace == "{" && is_name(name));
            let (name, after) = name.ok_or_else(|| {
                format!("`{text}` in argv: a placeholder is written `{{lower-case-name}}`, and a brace of its own `{{{{` or `}}}}`")
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Placeholder(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name.as_str()),
        })
    }

    /// The argument with these values; one that is missing leaves nothing.
    pub(super) fn fill(&self, values: &BTreeMap<&str, &str>) -> String {
        self.0.iter().map(|piece| piece.text(values)).collect()
    }

    /// The placeholder whose value decides how the argument begins, if one does: with a dash, a
    /// program would take it for an option.
    pub(super) fn beginning<'a>(&'a self, values: &BTreeMap<&str, &str>) -> Option<&'a str> {
        match self.0.iter().find(|piece| !piece.text(values).is_empty())? {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name),
        }
    }
}

impl Piece {
    fn text<'a>(&'a self, values: &BTreeMap<&str, &'a str>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Placeholder(name) => values.get(name.as_str()).copied().unwrap_or_default(),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
}

/// What a placeholder's whole value has to match.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, regex::Error> {
        // By itself first: `a)|(b` would be a pattern only between our parentheses, and would
        // escape from them.
        Regex::new(text)?;
        let whole = Regex::new(&format!(r"\A(?:{text})\z"))?;
        Ok(Self { text: text.to_owned(), whole })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }

    /// Whether the operator has thought of a leading dash: the pattern itself begins with one.
    pub(super) fn allows_dash(&self) -> bool {
        let text = self.text.strip_prefix('^').unwrap_or(&self.text);
        text.starts_with('-') || text.starts_with(r"\-")
    }
}
