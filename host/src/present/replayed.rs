//! `ripcord replay`: whether the same plugins, given the same answers, do the same again.

use crate::runner::Replayed;

use super::Style;
use super::page::{Page, Span};
use super::text::{clean, count, pad, width};

/// What came of replaying a run.
pub fn replayed(executions: &[Replayed], style: &Style) -> String {
    let mut page = Page::new(style);
    let names = executions.iter().map(|replayed| width(&clean(&replayed.unit))).max().unwrap_or(0);
    for replayed in executions {
        let calls = count(replayed.calls, "call", "calls");
        let label =
            format!("{:>3}  {}  {}  ", replayed.execution.0, pad(&clean(&replayed.unit), names), pad(&calls, 10));
        match &replayed.difference {
            None => page.line(0, &[Span::Plain(&label), Span::Good("the same")]),
            Some(difference) => {
                page.line(0, &[Span::Plain(&label), Span::Bad("DIFFERENT")]);
                // Two calls below each other, to be compared letter by letter.
                difference.lines().for_each(|line| page.line(5, &[Span::Plain(line)]));
            }
        }
    }
    let different = executions.iter().filter(|replayed| replayed.difference.is_some()).count();
    page.gap();
    match (different, executions.len()) {
        (_, 0) => page.line(0, &[Span::Plain("The run has called no plugin yet: there is nothing to replay.")]),
        (0, all) => {
            let all = count(all, "execution has", "executions have");
            page.prose(0, &format!("{all} done again exactly what the journal says. Nothing was reached."));
        }
        (different, all) => page.prose(
            0,
            &format!(
                "{different} of {} did something else than the journal says. Nothing was reached. The plugin, its \
                 configuration or ripcord is not what it was, or the plugin depends on something that is not \
                 recorded.",
                count(all, "execution", "executions")
            ),
        ),
    }
    page.finish()
}
