//! What is wrong with a file or an argument: where it stands, and what to write instead.
//!
//! A library never prints: whoever holds [`Diagnostics`] renders them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};

/// One thing that is wrong, or that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the work.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where it stands, if it stands in a file.
    pub place: Option<Place>,
    /// A few words under the place; empty if the message says it all.
    pub label: String,
    /// What to write or do instead, one sentence each.
    pub help: Vec<String>,
}

/// Whether a diagnostic stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It has to be put right first.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as the person wrote it.
    pub source: Arc<str>,
    /// The whole text, as it may be shown.
    pub text: Arc<str>,
    /// The bytes that are meant.
    pub span: Range<usize>,
}

impl Diagnostic {
    /// An error that stands in no file.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place: None, label: String::new(), help: Vec::new() }
    }

    /// A warning that stands in no file.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// It stands here.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With these words under the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With this advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// As text: the message, the place's lines under it, and behind a blank line what to do. `colour` for
    /// a terminal.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        // Guests' and servers' words may be in a message: control characters must not reach a terminal.
        let title = level.primary_title(normalize_untrusted_str(&self.message));
        let group = match &self.place {
            None => annotate_snippets::Group::with_title(title),
            Some(place) => {
                let mut annotation = AnnotationKind::Primary.span(place.span_in_text());
                if !self.label.is_empty() {
                    annotation = annotation.label(normalize_untrusted_str(&self.label));
                }
                title.element(Snippet::source(&*place.text).path(&*place.source).annotation(annotation))
            }
        };
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
        for (index, help) in self.help.iter().enumerate() {
            let gap = if index == 0 { "\n\n" } else { "\n" };
            text += &format!("{gap}hint: {}", normalize_untrusted_str(help));
        }
        text
    }
}

impl Place {
    /// The line and the column, from 1, in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = &self.text[..self.span_in_text().start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The span, cut to what the text has and to whole characters.
    fn span_in_text(&self) -> Range<usize> {
        let end = self.text.floor_char_boundary(self.span.end);
        self.text.floor_char_boundary(self.span.start).min(end)..end
    }
}

/// As many diagnostics are shown at once.
const SHOWN_MAX: usize = 10;

/// All that was found wrong in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// As text, one after the other; `colour` for a terminal. Of very many only the first are shown: most
    /// of the others come of them.
    pub fn render(&self, colour: bool) -> String {
        let mut texts: Vec<_> = self.0.iter().take(SHOWN_MAX).map(|diagnostic| diagnostic.render(colour)).collect();
        if let Some(more) = self.0.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            texts.push(format!("and {more} more"));
        }
        texts.join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostics {
    /// In the order of the text; what stands in no text comes last.
    pub(crate) fn sorted(mut found: Vec<Diagnostic>) -> Self {
        found.sort_by_key(|diagnostic| diagnostic.place.as_ref().map_or(usize::MAX, |place| place.span.start));
        Self(found)
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// The known name that somebody who wrote `name` may have meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler as rustc's and clap's suggestions use it: typing errors, not synonyms.
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Names for a sentence: "`a`, `b`", or `nothing` if there are none.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>, nothing: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { nothing.to_owned() } else { names.join(", ") }
}
