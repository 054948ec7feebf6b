//! What the name of a preview stands for, part by part: kept where previews are made, so that whoever
//! runs one later hears which part is another one by then. Nothing depends on its being there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::job::Bound;
use super::{Job, PreviewReport};
use crate::id::Digest;
use crate::journal::Listed;
use crate::state::make_private_folder;

/// Nobody runs an older preview.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many calls are named before the rest is only counted.
const NAMED_MAX: usize = 5;

/// The parts that a preview's name is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Agreement {
    bound: Bound,
    listed: Vec<Listed>,
}

impl Agreement {
    /// What somebody agrees to who agrees to this preview of this job.
    pub fn of(job: &Job, report: &PreviewReport) -> Self {
        Self { bound: job.bound(), listed: report.listed() }
    }

    /// Keeps it in this folder under the preview's name, and forgets those that nobody runs any more.
    pub fn keep(&self, folder: &Path, name: Digest) -> io::Result<()> {
        make_private_folder(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if age > KEPT {
                fs::remove_file(entry.path())?;
            }
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.persist(folder.join(file_name(name))).map_err(|error| error.error)?;
        Ok(())
    }

    /// The one with this name, if it was made here.
    pub fn find(folder: &Path, name: Digest) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(file_name(name))).ok()?).ok()
    }

    /// What is another one now, one sentence for each part.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let Bound { plan, params, plugins, rules } = &self.bound;
        if *plan != now.bound.plan {
            found.push("the plan's text is another one".to_owned());
        }
        for name in names(params, &now.bound.params) {
            let value = |params: &BTreeMap<String, String>| params.get(name).map(|value| format!("`{value}`"));
            let [then, now] = [value(params), value(&now.bound.params)].map(|value| value.unwrap_or("none".to_owned()));
            if then != now {
                found.push(format!("parameter `{name}` was {then}, and is {now}"));
            }
        }
        for id in names(plugins, &now.bound.plugins) {
            if plugins.get(id) != now.bound.plugins.get(id) {
                found.push(format!("the plugin of `{id}` is another one"));
            }
        }
        if *rules != now.bound.rules {
            found.push(
                "the operator's file is another one: a connection, its rules or where a secret comes from".to_owned(),
            );
        }
        let [then, now]: [BTreeSet<_>; 2] = [self, now].map(|agreement| agreement.listed.iter().collect());
        found.extend(named("it would also change, which was not listed", now.difference(&then)));
        found.extend(named("it would no longer change", then.difference(&now)));
        found
    }
}

fn file_name(name: Digest) -> String {
    format!("{}.json", hex::encode(name.0))
}

fn names<'a, T>(one: &'a BTreeMap<String, T>, other: &'a BTreeMap<String, T>) -> BTreeSet<&'a String> {
    one.keys().chain(other.keys()).collect()
}

fn named<'a>(what: &str, listed: impl Iterator<Item = &'a &'a Listed>) -> Option<String> {
    let calls: Vec<_> = listed
        .map(|Listed { connection, operation, target }| {
            format!("{operation} {target} on {connection}").replace("  ", " ")
        })
        .collect();
    let more = calls.len().saturating_sub(NAMED_MAX);
    let shown = calls[..calls.len() - more].join(", ");
    match (calls.len(), more) {
        (0, _) => None,
        (_, 0) => Some(format!("{what}: {shown}")),
        (_, more) => Some(format!("{what}: {shown}, and {more} more")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn agreement() -> Agreement {
        let listed = |target: &str| Listed {
            connection: "http.coolify".to_owned(),
            operation: "POST".to_owned(),
            target: target.to_owned(),
        };
        let bound = Bound {
            plan: Digest::of(b"plan"),
            params: BTreeMap::from([("version".to_owned(), "v1".to_owned())]),
            plugins: BTreeMap::from([("redeploy".to_owned(), Digest::of(b"plugin"))]),
            rules: Digest::of(b"rules"),
        };
        Agreement { bound, listed: vec![listed("/deploy"), listed("/stop")] }
    }

    #[test]
    fn what_was_kept_is_found_under_its_name_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("previews");
        agreement().keep(&folder, Digest::of(b"name")).unwrap();
        assert_eq!(Agreement::find(&folder, Digest::of(b"name")), Some(agreement()));
        assert_eq!(Agreement::find(&folder, Digest::of(b"another")), None);
    }

    #[test]
    fn each_part_that_differs_is_named_and_no_other() {
        type Change = fn(&mut Agreement);
        let cases: [(Change, &[&str]); 6] = [
            (|_| {}, &[]),
            (|now| now.bound.plan = Digest::of(b"x"), &["plan"]),
            (|now| _ = now.bound.params.insert("version".to_owned(), "v2".to_owned()), &["`v1`", "`v2`"]),
            (|now| now.bound.plugins.clear(), &["plugin of `redeploy`"]),
            (|now| now.bound.rules = Digest::of(b"x"), &["operator's file"]),
            (|now| now.listed[0].target = "/delete".to_owned(), &["POST /delete", "POST /deploy"]),
        ];
        for (change, said) in cases {
            let mut now = agreement();
            change(&mut now);
            let differences = agreement().differences(&now).join("\n");
            assert_eq!(differences.is_empty(), said.is_empty(), "{differences}");
            assert!(said.iter().all(|part| differences.contains(part)), "{differences}");
            assert!(!differences.contains("/stop"), "{differences}");
        }
    }
}
