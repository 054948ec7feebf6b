//! What a doctor finds, while it looks.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context::Context;
use super::output::{object, stdout_style};
use super::screen::{err, out};
use crate::doctor::{Finding, Progress};
use crate::present::{self, Style, clean};

const TICK: Duration = Duration::from_millis(120);

/// Shows what a doctor finds: on a terminal as it comes, elsewhere in the order of the file.
pub(super) struct Examined {
    json: bool,
    progress: MultiProgress,
    style: Style,
    board: Mutex<Board>,
}

struct Board {
    /// Those that are not shown yet, in the order of the file.
    waiting: Vec<Subject>,
    shown: Vec<Finding>,
    is_live: bool,
}

struct Subject {
    name: String,
    findings: Vec<Finding>,
    has_ended: bool,
    /// What is tried now.
    bar: ProgressBar,
}

impl Examined {
    pub(super) fn new(context: &Context, subjects: impl Iterator<Item = String>) -> Self {
        let is_live = std::io::stderr().is_terminal() && std::io::stdout().is_terminal() && !context.global.json;
        let target = if is_live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let progress = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let subject = |name: String| {
            let bar = progress.add(ProgressBar::new_spinner().with_prefix(clean(&name).into_owned()));
            bar.set_style(style.clone());
            if is_live {
                bar.enable_steady_tick(TICK);
            }
            Subject { name, findings: Vec::new(), has_ended: false, bar }
        };
        let waiting = subjects.map(subject).collect();
        let board = Mutex::new(Board { waiting, shown: Vec::new(), is_live });
        Self { json: context.global.json, progress, style: stdout_style(), board }
    }

    pub(super) fn progress(&self, event: Progress) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = board.take_in(event);
        for subject in ready {
            subject.bar.finish_and_clear();
            let gap = if board.shown.is_empty() { "" } else { "\n" };
            self.progress.suspend(|| self.show(gap, &subject));
            board.shown.extend(subject.findings);
        }
    }

    fn show(&self, gap: &str, subject: &Subject) {
        if self.json {
            return subject.findings.iter().for_each(|finding| object(&present::finding_json(finding)));
        }
        out(&format!("{gap}{}", present::examined(&subject.name, &subject.findings, &self.style)));
    }

    /// Says what all of it comes to, and whether anything has to be put right.
    pub(super) fn finish(self) -> bool {
        let board = self.board.into_inner().unwrap_or_else(PoisonError::into_inner);
        err(&format!("\n{}", present::diagnosis(&board.shown)));
        board.shown.iter().any(Finding::is_fault)
    }
}

impl Board {
    /// What can be shown after this, in order.
    fn take_in(&mut self, event: Progress) -> Vec<Subject> {
        let waiting = &mut self.waiting;
        let find = |waiting: &mut Vec<Subject>, name: &str| waiting.iter().position(|subject| subject.name == name);
        match event {
            Progress::Trying { subject, what } => {
                if let Some(index) = find(waiting, &subject) {
                    waiting[index].bar.set_message(clean(&what).into_owned());
                }
            }
            Progress::Found(finding) => {
                if let Some(index) = find(waiting, &finding.subject) {
                    waiting[index].findings.push(finding);
                }
            }
            Progress::Ended { subject } => {
                let Some(index) = find(waiting, &subject) else { return Vec::new() };
                if self.is_live {
                    return vec![waiting.remove(index)];
                }
                waiting[index].has_ended = true;
                let ready = waiting.iter().take_while(|subject| subject.has_ended).count();
                return waiting.drain(..ready).collect();
            }
        }
        Vec::new()
    }
}
