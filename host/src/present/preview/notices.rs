//! Who would be told, and what.

use crate::runner::{BranchEnd, PreviewedSending};

use super::super::page::Span;
use super::{LABEL_COLUMNS, Writer};

impl<'a> Writer<'a> {
    pub(super) fn notices(&mut self) {
        let report = self.report;
        if report.notices.is_empty() {
            return;
        }
        self.page.gap();
        let about = ": each of these notices once. One that can't be sent is noted, and the run goes on.";
        self.page.note(0, Span::Title("People are told"), about);
        for notice in &report.notices {
            self.page.gap();
            self.page.note(0, Span::Title(&notice.id), &format!(": {}", notice.plugin.title));
            self.field(2, "plugin", &notice.plugin.plugin);
            self.binds(2, &notice.plugin);
            for sending in &notice.sendings {
                (self.step, self.number) = (&notice.id, 0);
                self.field(2, "on", sending.on.name());
                self.sending(sending);
            }
        }
    }

    fn sending(&mut self, sending: &'a PreviewedSending) {
        self.calls(2, &sending.calls, &sending.end);
        let (BranchEnd::Open(why) | BranchEnd::Fails(why)) = &sending.end else { return };
        let why = format!("as things are now, and the run would go on: {why}");
        self.page.column(2, Span::Bad("FAILS"), LABEL_COLUMNS, &why);
    }
}
