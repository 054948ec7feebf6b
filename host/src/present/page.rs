//! A text under construction: the one place where foreign text becomes harmless and colour is added.

use anstyle::{AnsiColor, Style as Ansi};

use super::Style;
use super::text::{clean, width, wrap};

/// Lines for people. Whatever is put in is cleaned.
pub(super) struct Page<'a> {
    pub(super) style: &'a Style,
    out: String,
}

/// A piece of a line, and what its look says. The words say it as well.
#[derive(Clone, Copy)]
pub(super) enum Span<'a> {
    Plain(&'a str),
    Title(&'a str),
    Dim(&'a str),
    Change(&'a str),
    Good(&'a str),
    Bad(&'a str),
}

impl<'a> Page<'a> {
    pub(super) fn new(style: &'a Style) -> Self {
        Self { style, out: String::new() }
    }

    /// One line, however long: what is exact is never broken.
    pub(super) fn line(&mut self, indent: usize, spans: &[Span<'_>]) {
        let mut line = " ".repeat(indent);
        for span in spans {
            let text = clean(span.text());
            match span.look().filter(|_| self.style.colour && !text.trim().is_empty()) {
                Some(look) => line.push_str(&format!("{look}{text}{look:#}")),
                None => line.push_str(&text),
            }
        }
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// Sentences: wrapped, and indented as a whole. New lines in it stay, and so does the indentation of
    /// lines that are there to be copied.
    pub(super) fn prose(&mut self, indent: usize, text: &str) {
        self.labelled(indent, Span::Plain(""), text);
    }

    /// Sentences behind a label that hangs out on the left.
    pub(super) fn labelled(&mut self, indent: usize, label: Span<'_>, text: &str) {
        let hang = indent + width(&clean(label.text()));
        let columns = self.style.width.saturating_sub(hang).max(20);
        let mut label = Some(label);
        for line in text.lines().flat_map(|line| wrap(&clean(line), columns)) {
            match label.take() {
                Some(label) => self.line(indent, &[label, Span::Plain(&line)]),
                None => self.line(hang, &[Span::Plain(&line)]),
            }
        }
        if let Some(label) = label {
            self.line(indent, &[label]);
        }
    }

    /// An empty line, but never two.
    pub(super) fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

impl<'a> Span<'a> {
    fn text(&self) -> &'a str {
        match *self {
            Self::Plain(text)
            | Self::Title(text)
            | Self::Dim(text)
            | Self::Change(text)
            | Self::Good(text)
            | Self::Bad(text) => text,
        }
    }

    fn look(&self) -> Option<Ansi> {
        match self {
            Self::Plain(_) => None,
            Self::Title(_) => Some(Ansi::new().bold()),
            Self::Dim(_) => Some(Ansi::new().dimmed()),
            Self::Change(_) => Some(AnsiColor::Yellow.on_default().bold()),
            Self::Good(_) => Some(AnsiColor::Green.on_default()),
            Self::Bad(_) => Some(AnsiColor::Red.on_default().bold()),
        }
    }
}
