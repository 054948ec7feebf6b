//! What a person sees when something is wrong: each message as it stands on the terminal, from the
//! program that a user has. At three in the morning it says what happened, on what, what that means
//! for the rollback, and what to do next.
//!
//! A message that changes fails its test until it is accepted: look at it, then run the tests with
//! `INSTA_UPDATE=always`.

mod arguments;
mod components;
mod journal;
mod operator;
mod plans;
mod states;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::world::{Ran, Ripcord, World};

/// The messages on one subject, each in a file of its own below `snapshots/SUBJECT/`.
struct Messages {
    subject: &'static str,
    seen: BTreeSet<String>,
    failed: Vec<String>,
}

impl Messages {
    fn about(subject: &'static str) -> Self {
        Self { subject, seen: BTreeSet::new(), failed: Vec::new() }
    }

    /// Runs to an end, and compares all that it says with what it said before.
    fn shows(&mut self, world: &World, name: &str, ripcord: Ripcord) -> Ran {
        let ran = ripcord.run();
        self.compare(name, &told(&ran, &world.path("")));
        ran
    }

    /// This machine, or this user, can't have that one seen.
    fn can_not_show(&mut self, name: &str) {
        self.seen.insert(name.to_owned());
    }

    fn compare(&mut self, name: &str, text: &str) {
        assert!(self.seen.insert(name.to_owned()), "there are two messages {name}");
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(format!("snapshots/{}", self.subject));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let compared = catch_unwind(AssertUnwindSafe(|| settings.bind(|| insta::assert_snapshot!(name, text))));
        if compared.is_err() {
            self.failed.push(name.to_owned());
        }
    }

    /// Fails if a message was another one, or if there are snapshots of messages that nobody asks for.
    fn end(self) {
        let Self { subject, seen, failed } = self;
        assert!(
            failed.is_empty(),
            "these messages on {subject} are other ones than those that were accepted: {failed:#?}"
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/messages/snapshots").join(subject);
        let kept = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let kept: BTreeSet<String> = kept.filter_map(|file| file.strip_suffix(".snap").map(str::to_owned)).collect();
        assert_eq!(kept, seen, "in {}", folder.display());
    }
}

/// Command, standard output, standard error and exit code, without what is another one each time.
fn told(ran: &Ran, folder: &Path) -> String {
    let mut text = format!("$ {}\n", ran.line());
    for (name, said) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        if !said.is_empty() {
            text += &format!("--- {name}\n{said}");
        }
    }
    text += &format!("--- exit code {}\n", ran.code().map_or_else(|| "none".to_owned(), |code| code.to_string()));
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    redact(&text.replace(folder, "[world]"))
}

fn redact(text: &str) -> String {
    static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let patterns = [
            (r"\b\d{8}-\d{6}-[a-z0-9]{4}\b", "[run]"),
            (r"sha256:[0-9a-f]{64}", "sha256:[digest]"),
            (r"\b[0-9a-f]{64}\b", "[digest]"),
            (r"\b[0-9a-f]{40}\b", "[commit]"),
            (r"(127\.0\.0\.1|localhost):\d+", "$1:[port]"),
            (r"ripcord-it-servers-\d+", "[servers]"),
            (r"\b(process|pid) \d+", "$1 [pid]"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?", "[time]"),
            (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "[time]"),
            // The resolver's words are the machine's.
            (r"failed to lookup address information: [^\n;)]*", "failed to lookup address information: [why]"),
            // As long as the guest that is cut short.
            (r"section range \d+\.\.\d+ is out of bounds \(bound = \d+\)", "section range [bytes] is out of bounds"),
            // As wide as the names below it.
            (r"(?m)^RUN  .*$", "RUN [columns]"),
            (r"\bw\d+(/|\.git)", "[w]$1"),
            (r"-w\d+@", "-[w]@"),
            (r"PATH, which is `[^`]*`", "PATH, which is `[path]`"),
            (r"mail\.invalid:\d+", "mail.invalid:[port]"),
            (r"\((\d+(\.\d+)?|< ?\d+) (ms|s|µs|us)\)", "([took])"),
            (
                r"(done in|FAILED after|expired|ended after|last heard of after|its last event was) \d[0-9.]*( ?(ms|s|min))( \d+ ?s)?",
                "$1 [took]",
            ),
            // What a run would do has its own tests.
            (r"(?s)Preview of [^\n]*\n.*?\napproval: [^\n]*\n", "[preview]\n"),
        ];
        patterns.map(|(pattern, to)| (Regex::new(pattern).unwrap(), to)).into()
    });
    CHANGING.iter().fold(text.to_owned(), |text, (pattern, to)| pattern.replace_all(&text, *to).into_owned())
}

/// Root obeys the rights of files then, as everybody else does.
fn without_roots_rights(ripcord: Ripcord) -> Ripcord {
    const RIGHTS: &str = "-dac_override,-dac_read_search";
    ripcord.through("setpriv", &[&format!("--bounding-set={RIGHTS}"), &format!("--inh-caps={RIGHTS}"), "--"])
}
