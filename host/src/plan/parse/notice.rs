//! `[[notice]]`.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::{Reader, TIMEOUT, below};
use crate::diagnostic::{Diagnostic, listed};
use crate::document::{Segment, segments};
use crate::journal::Occasion;
use crate::plan::raw::RawNotice;
use crate::plan::{Notice, Retry};

/// How long a notice may hold the rollback up unless it says otherwise.
const SENDING: Duration = Duration::from_secs(60);

impl Reader<'_> {
    pub(super) fn notice(&mut self, index: usize, value: &Spanned<DeValue<'_>>) -> Option<Notice> {
        let at = segments!["notice", index];
        let known = self.outline.known_in_a_notice();
        let with = self.with(&at, value, &known);
        let raw: RawNotice = self.document.read(value.clone(), &mut self.wrong)?;

        self.id(&at, &raw.id);
        self.occasions(&at, &raw.on);
        self.in_range(&below(&at, ["timeout"]), raw.timeout, TIMEOUT);
        let retry = raw.retry.unwrap_or(Retry { attempts: 1, ..Retry::default() });
        self.retry(&at, &retry);
        let uses = self.uses(&below(&at, ["use"]), &raw.r#use)?;
        let RawNotice { id, on, bind, timeout, .. } = raw;
        Some(Notice { id, on, uses, bind, with: with?, timeout: timeout.unwrap_or(SENDING), retry })
    }

    fn occasions(&mut self, at: &[Segment], on: &[Occasion]) {
        if on.is_empty() {
            let help = format!("write at least one of {}", listed(Occasion::ALL.map(Occasion::name), "none"));
            self.note(&below(at, ["on"]), "it would never be sent".to_owned(), help);
        }
        for (index, occasion) in on.iter().enumerate() {
            let place = below(&below(at, ["on"]), [index]);
            if on[..index].contains(occasion) {
                self.note(&place, format!("`{occasion}` is said twice"), "take one of them out".to_owned());
            }
            let missing = match occasion {
                Occasion::Tripped if self.outline.triggers.is_empty() => "[[trigger]]",
                Occasion::Drifted if !self.outline.verifies => "[[verify]]",
                _ => continue,
            };
            let diagnostic = Diagnostic::error(format!("`{occasion}` never comes without a `{missing}`"));
            let help = format!("add a `{missing}`, or take `{occasion}` out");
            self.wrong.push(diagnostic.at(self.document.value(&place)).help(help));
        }
    }
}
