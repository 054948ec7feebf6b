//! The incident report: what somebody reads the day after, and keeps.
//!
//! [`Report`] is built from a run's journal alone; Markdown, HTML and JSON are three ways to write it.

mod build;
mod calls;
mod chart;
mod html;
mod lessons;
mod log;
mod markdown;
mod model;
mod since;
mod template;
mod timeline;

#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::tz::TimeZone;

pub use lessons::Lesson;
pub use model::*;
pub use since::{SinceError, since};

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// To be pasted into an issue tracker or a wiki.
    Markdown,
    /// One file that needs nothing else, to be read in a browser or printed.
    Html,
    /// For programs.
    Json,
}

impl Format {
    /// The format that a file's name asks for by its extension.
    pub fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Why a report could not be written down: the template and what it is given don't fit, which no input
/// can cause.
#[derive(Debug, thiserror::Error)]
#[error("internal: the report can't be written down: {0}")]
pub struct WriteError(String);

impl From<minijinja::Error> for WriteError {
    fn from(error: minijinja::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

impl Report {
    /// The report as a text. People's formats give times in this zone, with its offset, and are in the
    /// report's language.
    ///
    /// # Errors
    /// [`WriteError`], if ripcord itself is broken.
    pub fn write(&self, format: Format, zone: &TimeZone) -> Result<String, WriteError> {
        match format {
            Format::Markdown => markdown::markdown(self, zone),
            Format::Html => html::html(self, zone),
            Format::Json => serde_json::to_string_pretty(self).map_err(|error| WriteError(error.to_string())),
        }
    }
}
