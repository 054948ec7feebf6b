//! What a person is told of a mutation before saying yes to it: what leaves, letter by letter, and
//! what it comes upon.

use jiff::Timestamp;
use serde::Serialize;

use crate::secret::{Scrub, Scrubber};

/// What leaves for the target, letter by letter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Exactly {
    /// In one line: `POST https://…/disable`, a command line, `restore src/a.ts from v1`.
    pub line: String,
    /// What goes along with it.
    pub parts: Vec<Part>,
}

/// Something that goes along with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// One or two words: `body`, `header`, `to`.
    pub name: String,
    /// As the target gets it; it may have several lines.
    pub text: String,
}

impl Exactly {
    /// A call with nothing but its line.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), parts: Vec::new() }
    }

    /// And with this part.
    pub fn with(mut self, name: &str, text: impl Into<String>) -> Self {
        self.parts.push(Part { name: name.to_owned(), text: text.into() });
        self
    }

    /// The same with each text mapped.
    pub fn map(mut self, map: impl Fn(String) -> String) -> Self {
        self.line = map(self.line);
        for part in &mut self.parts {
            part.text = map(std::mem::take(&mut part.text));
        }
        self
    }
}

/// What a mutation would come upon, as its target is now: what comes back, how old that is, and what is
/// lost with it. Drivers fill in what they can find out by reading alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Detail {
    /// What will be there again: a commit, a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restores: Option<Version>,
    /// What is worth knowing of it, one sentence each: "2 commits behind HEAD (main)".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What will have other content, and how much of it.
    #[serde(skip_serializing_if = "Capped::is_empty")]
    pub changes: Capped<Changed>,
    /// What has been made since and is taken back with it, newest first.
    #[serde(skip_serializing_if = "Capped::is_empty")]
    pub takes_back: Capped<Version>,
    /// Why the target would refuse the call, as things are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
}

/// A state that something was in once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// What it is: `commit 9c1f0d2… (v1.4.2)`.
    pub name: String,
    /// What it says of itself, in one line; empty if nothing.
    pub title: String,
    /// Who made it; empty if nobody knows.
    pub by: String,
    /// Since when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// A part of the target that will have other content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// A path, a table.
    pub name: String,
    /// What becomes of it: `added`, `modified`, `deleted`.
    pub change: String,
    /// How many lines or rows come, and how many go; nothing where nobody can count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<(u64, u64)>,
}

/// The first of a list that may be long, and how many there are besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capped<T> {
    /// The first.
    pub first: Vec<T>,
    /// How many more.
    pub more: usize,
}

impl<T> Capped<T> {
    /// Of all of these at most so many.
    pub fn of(all: impl IntoIterator<Item = T>, first_max: usize) -> Self {
        let mut all = all.into_iter();
        let first: Vec<T> = all.by_ref().take(first_max).collect();
        Self { first, more: all.count() }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.more == 0
    }
}

impl<T> Default for Capped<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

impl Scrub for Exactly {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { line, parts } = self;
        line.scrub(scrubber);
        for Part { name: _, text } in parts {
            text.scrub(scrubber);
        }
    }
}

impl Scrub for Detail {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { restores, notes, changes, takes_back, obstacle } = self;
        restores.scrub(scrubber);
        notes.scrub(scrubber);
        for Changed { name, change: _, counts: _ } in &mut changes.first {
            name.scrub(scrubber);
        }
        takes_back.first.iter_mut().for_each(|version| version.scrub(scrubber));
        obstacle.scrub(scrubber);
    }
}

impl Scrub for Version {
    fn scrub(&mut self, scrubber: &Scrubber) {
        let Self { name, title, by, at: _ } = self;
        name.scrub(scrubber);
        title.scrub(scrubber);
        by.scrub(scrubber);
    }
}
