//! What templates and conditions speak of: `params.x`, `steps.y.receipt`, `people.z`, `run.id`.
//!
//! Templates and CEL write such a way alike, so one scanner finds it in both, with its place. Which
//! variables an expression really has is the business of its own parser; this finds names that
//! nothing answers to.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex_lite::Regex;

use crate::diagnostic::{listed, nearest};

/// The names that an expression may use where it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Known<'p> {
    pub(super) params: BTreeSet<&'p str>,
    pub(super) people: BTreeSet<&'p str>,
    /// The steps that have a receipt by then.
    pub(super) steps: BTreeSet<&'p str>,
    /// The steps that have none by then, and why.
    pub(super) other_steps: Vec<(&'p str, String)>,
    /// Whether there is a run yet: a plan's target is known before.
    pub(super) in_run: bool,
    /// Whether it is a notice, which speaks of how the run stands.
    pub(super) in_notice: bool,
}

/// What is known of an incident, or empty.
const INCIDENT: [&str; 7] = ["scenario", "symptoms", "severity", "scope", "since", "decided_by", "coordinator"];

/// A name that nothing answers to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

impl Known<'_> {
    /// The variables that there are.
    pub(super) fn roots(&self) -> &'static [&'static str] {
        match (self.in_run, self.in_notice) {
            (_, true) => &["incident", "params", "people", "run"],
            (true, false) => &["params", "people", "run", "steps"],
            (false, false) => &["params", "people"],
        }
    }

    /// What is wrong with the ways in a piece of code.
    pub(super) fn unknown_in(&self, code: &str) -> Vec<Unknown> {
        ways(code).iter().filter_map(|way| self.unknown(code, way)).collect()
    }

    fn unknown(&self, code: &str, way: &Way<'_>) -> Option<Unknown> {
        let [root, name, rest @ ..] = way.segments.as_slice() else { return None };
        let unknown = |message, help| Some(Unknown { at: way.span.clone(), message, help });
        match *root {
            "params" => missing(&self.params, name, "parameter", "params", "declare it:  [params.NAME]", unknown),
            "people" => missing(&self.people, name, "role", "people", "add it to [people]", unknown),
            "run" if self.in_notice && !["id", "target", "state", "why"].contains(name) => {
                let help = "in a notice it has `run.id`, `run.target`, `run.state` and `run.why`".to_owned();
                unknown(format!("a run has no `{name}`"), help)
            }
            "run" if self.in_run && !self.in_notice && !["id", "target"].contains(name) => {
                unknown(format!("a run has no `{name}`"), "it has `run.id` and `run.target`".to_owned())
            }
            "incident" if self.in_notice && !INCIDENT.contains(name) => {
                let help = match nearest(name, INCIDENT) {
                    Some(near) => format!("did you mean `incident.{near}`?"),
                    None => format!("it has {}", listed(INCIDENT, "nothing")),
                };
                unknown(format!("an incident has no `{name}`"), help)
            }
            "steps" if self.in_run => {
                if let Some((_, why)) = self.other_steps.iter().find(|(id, _)| id == name) {
                    return unknown(format!("step `{name}` has no receipt here"), why.clone());
                }
                if !self.steps.contains(name) {
                    let ids = || self.steps.iter().copied().chain(self.other_steps.iter().map(|(id, _)| *id));
                    // `steps.a-b` is a difference in both languages.
                    let hyphen = code[way.span.end..].starts_with('-').then(|| format!("{name}-"));
                    let meant = hyphen.and_then(|start| ids().find(|id| id.starts_with(&start)));
                    let help = match (meant, nearest(name, self.steps.iter().copied())) {
                        (Some(id), _) => format!("a name with a hyphen is written  steps[\"{id}\"].receipt"),
                        (None, Some(near)) => format!("did you mean `{}`?", step_way(near)),
                        (None, None) => {
                            format!("steps with a receipt here: {}", listed(self.steps.iter().copied(), "none"))
                        }
                    };
                    return unknown(format!("no step `{name}` before this"), help);
                }
                match rest.first() {
                    Some(&"receipt") => None,
                    Some(field) => unknown(
                        format!("a step has no `{field}`, only a `receipt`"),
                        format!("write `{}.{field}`", step_way(name)),
                    ),
                    None => None,
                }
            }
            _ => None,
        }
    }
}

fn missing(
    known: &BTreeSet<&str>,
    name: &str,
    what: &str,
    root: &str,
    otherwise: &str,
    unknown: impl Fn(String, String) -> Option<Unknown>,
) -> Option<Unknown> {
    if known.contains(name) {
        return None;
    }
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{root}.{near}`?"),
        None => otherwise.replace("NAME", name),
    };
    unknown(format!("no {what} `{name}`"), help)
}

fn step_way(id: &str) -> String {
    if id.contains('-') { format!("steps[\"{id}\"].receipt") } else { format!("steps.{id}.receipt") }
}

/// A variable with the fields that are taken of it.
#[derive(Debug, PartialEq, Eq)]
struct Way<'c> {
    segments: Vec<&'c str>,
    span: Range<usize>,
}

/// A character of a name: a letter, a digit, `_`, and whatever ASCII does not have. Each start compiles
/// it, and Unicode's own class of such characters takes milliseconds.
const NAMING: &str = r"[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]";

#[expect(clippy::unwrap_used, reason = "constant expressions, compiled by the tests")]
static WAY: LazyLock<Regex> = LazyLock::new(|| {
    let space = r"[\x20\t\r\n]*";
    Regex::new(&format!(
        r#"(?x)
        "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'    # a string: passed over
        | (?<way> [A-Za-z_]{NAMING}* (?: {space}\.{space}{NAMING}+ | {space}\[{space}(?:"[^"\\]*"|'[^'\\]*'){space}\] )* )"#,
    ))
    .unwrap()
});

#[expect(clippy::unwrap_used, reason = "constant expressions, compiled by the tests")]
static SEGMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!(r#"{NAMING}+|"[^"]*"|'[^']*'"#)).unwrap());

/// Compiles what every plan needs.
pub(super) fn compile() {
    LazyLock::force(&WAY);
    LazyLock::force(&SEGMENT);
}

fn ways(code: &str) -> Vec<Way<'_>> {
    let ways = WAY.captures_iter(code).filter_map(|found| found.name("way"));
    // `.params` behind something that is no name (`f().params.x`) is a field, not the variable.
    ways.filter(|way| !code[..way.start()].trim_end().ends_with('.'))
        .map(|way| {
            let segments = SEGMENT.find_iter(way.as_str()).map(|segment| segment.as_str().trim_matches(['"', '\'']));
            // Of a whole way, only what matters here: the variable, the name, and one field.
            Way { segments: segments.take(3).collect(), span: way.range() }
        })
        .collect()
}
