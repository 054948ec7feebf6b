//! A text under construction: the one place where foreign text becomes harmless and colour is added.

use anstyle::{AnsiColor, Style as Ansi};

use super::Style;
use super::text::{broken, clean, pad, width, wrap};

/// A page with fewer columns has no room for columns of labels.
const NARROW_COLUMNS: usize = 60;

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
        self.hanging(indent, label, hang, text);
    }

    /// Sentences behind a label, with their further lines below the label's text by two columns.
    pub(super) fn note(&mut self, indent: usize, label: Span<'_>, text: &str) {
        self.hanging(indent, label, indent + 2, text);
    }

    /// Sentences behind a label in a column of labels; where there is no room for a column, as a
    /// [`note`](Self::note).
    pub(super) fn column(&mut self, indent: usize, label: Span<'_>, columns: usize, text: &str) {
        if self.is_narrow() {
            let name = match label.text().trim() {
                "" => String::new(),
                name => format!("{name}: "),
            };
            self.note(indent, label.with(&name), text);
        } else {
            let padded = pad(label.text(), columns);
            self.labelled(indent, label.with(&padded), text);
        }
    }

    /// Several of them below one label, each with its further lines below its first.
    pub(super) fn list(&mut self, indent: usize, label: Span<'_>, columns: usize, items: &[String]) {
        if self.is_narrow() {
            let name = format!("{}:", label.text().trim());
            self.line(indent, &[label.with(&name)]);
            for item in items {
                self.note(indent + 2, Span::Plain(""), item);
            }
            return;
        }
        let padded = pad(label.text(), columns);
        let blank = " ".repeat(columns);
        let mut label = label.with(&padded);
        for item in items {
            self.hanging(indent, label, indent + columns + 2, item);
            label = Span::Plain(&blank);
        }
    }

    /// Whether columns would leave no room for what stands in them: on a phone.
    pub(super) fn is_narrow(&self) -> bool {
        self.style.width < NARROW_COLUMNS
    }

    fn hanging(&mut self, indent: usize, label: Span<'_>, hang: usize, text: &str) {
        let columns = self.style.width.saturating_sub(hang).max(20);
        let taken = (indent + width(&clean(label.text()))).saturating_sub(hang);
        let mut label = Some(label);
        for line in text.lines() {
            let first = if label.is_some() { columns.saturating_sub(taken) } else { columns };
            let lines = wrap(&clean(line), first, columns);
            // On a phone a broken path is easier to read than one that runs on below the labels.
            let narrow = self.is_narrow();
            let lines = lines.into_iter().flat_map(|line| if narrow { broken(&line, columns) } else { vec![line] });
            for line in lines {
                match label.take() {
                    Some(label) => self.line(indent, &[label, Span::Plain(&line)]),
                    None => self.line(hang, &[Span::Plain(&line)]),
                }
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

    /// Whether something is written there already.
    pub(super) fn says(&self, text: &str) -> bool {
        self.out.contains(text)
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

impl<'a> Span<'a> {
    /// Another text with the same look.
    pub(super) fn with<'b>(self, text: &'b str) -> Span<'b> {
        match self {
            Self::Plain(_) => Span::Plain(text),
            Self::Title(_) => Span::Title(text),
            Self::Dim(_) => Span::Dim(text),
            Self::Change(_) => Span::Change(text),
            Self::Good(_) => Span::Good(text),
            Self::Bad(_) => Span::Bad(text),
        }
    }

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
