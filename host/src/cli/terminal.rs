//! The person at the terminal: prompts.

use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::exit::Fault;
use super::output;
use super::progress::Progress;
use crate::id::{CallId, RunId};
use crate::journal::{Answer, Behind, GateOpened, Verdict};
use crate::machine::Mutation;
use crate::runner::{DoubtAnswer, People};

/// Whether somebody can be asked.
pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question with yes or no; no unless said.
pub(super) async fn confirm(question: &str) -> Result<bool, Fault> {
    if !is_interactive() {
        return Err(Fault::wrong(format!("nobody is here to answer: {question}")).hint("give --yes"));
    }
    let answer = ask(&format!("{question} [y/N] ")).await.unwrap_or_default();
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn prompt(text: &str) {
    let mut stderr = std::io::stderr();
    // A terminal that can't be written to can't be read from either: the answer is then no.
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Asks for a line. Dropped (the question was answered elsewhere, the run is to pause), it leaves nothing
/// behind that would take the next question's answer. None at the end of the input.
pub(super) async fn ask(question: &str) -> Option<String> {
    let mut lines = lines().lock().await;
    // What was typed before the question is no answer to it.
    while lines.try_recv().is_ok() {}
    prompt(question);
    lines.recv().await
}

/// The one reader of standard input: a thread, because a read can't be taken back.
fn lines() -> &'static Mutex<mpsc::UnboundedReceiver<String>> {
    static LINES: OnceLock<Mutex<mpsc::UnboundedReceiver<String>>> = OnceLock::new();
    LINES.get_or_init(|| {
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Mutex::new(lines)
    })
}

/// The person at the terminal, if there is one.
pub(super) struct Terminal {
    by: String,
    yes: bool,
    showing: Option<(RunId, Progress)>,
}

impl Terminal {
    /// `yes` agrees in advance to the plan's own gates, which the preview has shown.
    pub(super) fn new(by: String, yes: bool) -> Self {
        Self { by, yes, showing: None }
    }

    /// Somebody who is shown this run while it goes on.
    pub(super) fn with(self, run: RunId, progress: Progress) -> Self {
        Self { showing: Some((run, progress)), ..self }
    }

    /// Asks for a line, if somebody is here.
    async fn ask(&self, text: String) -> Option<String> {
        if !is_interactive() {
            return None;
        }
        let _hidden = self.showing.as_ref().map(|(_, progress)| progress.hide());
        ask(&text).await
    }
}

#[async_trait]
impl People for Terminal {
    async fn gate(&self, gate: &GateOpened) -> Option<(Answer, String)> {
        if self.yes && matches!(gate.before, Behind::Step(_) | Behind::FollowUp(_)) {
            return Some((Answer::Yes, self.by.clone()));
        }
        let (run, _) = self.showing.as_ref()?;
        let answer = self.ask(format!("\n{}\nGo on? [y/N] ", output::gate(run, gate).trim_end())).await?;
        let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        Some((if yes { Answer::Yes } else { Answer::No }, self.by.clone()))
    }

    async fn settle(&self, call: CallId, mutation: &Mutation, seen: &str) -> Option<DoubtAnswer> {
        let (run, _) = self.showing.as_ref()?;
        let question = output::doubt(run, call, mutation, seen);
        loop {
            let answer =
                self.ask(format!("{question}\nDid it happen? [yes/no/unknown, Enter to leave it open] ")).await?;
            let verdict = match (answer.trim().to_lowercase().as_str(), &mutation.assume) {
                ("y" | "yes", Some(reply)) => Verdict::Happened(reply.clone()),
                ("y" | "yes", None) => {
                    output::note(
                        "the plugin does not say what reply it expects: leave it open, and give the reply with  ripcord resolve … --happened --reply JSON",
                    );
                    continue;
                }
                ("n" | "no", _) => Verdict::DidNotHappen,
                ("u" | "unknown", _) => Verdict::Unknowable,
                ("", _) => return None,
                _ => continue,
            };
            return Some(DoubtAnswer { verdict, by: self.by.clone() });
        }
    }
}
