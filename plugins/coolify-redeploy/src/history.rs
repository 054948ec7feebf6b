//! The deployments of an application, newest first.

use serde::Deserialize;
use serde_json::Value;

/// What matters of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Deployment {
    #[serde(rename = "deployment_uuid")]
    pub(crate) uuid: String,
    #[serde(default)]
    pub(crate) commit: Option<String>,
    pub(crate) status: String,
    #[serde(default)]
    pull_request_id: Option<u64>,
    #[serde(default)]
    restart_only: Option<bool>,
    #[serde(default)]
    rollback: Option<bool>,
    #[serde(default)]
    pub(crate) created_at: Option<String>,
}

impl Deployment {
    /// Whether it is queued or under way.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "in_progress")
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.status == "finished"
    }

    /// Whether it came of a rollback.
    pub(crate) fn is_rollback(&self) -> bool {
        self.rollback == Some(true)
    }

    /// Whether it is of the application itself: a pull request's has an address of its own.
    fn is_main(&self) -> bool {
        self.pull_request_id.unwrap_or(0) == 0
    }

    /// Whether it put a version in place.
    fn is_of_a_version(&self) -> bool {
        self.is_main() && self.restart_only != Some(true)
    }

    fn full_commit(&self) -> Option<&str> {
        self.commit.as_deref().filter(|commit| is_commit(commit))
    }
}

/// Deployments, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History(pub(crate) Vec<Deployment>);

impl History {
    /// Reads `{"count": …, "deployments": […]}`; what is no deployment in it is left out. None if it is
    /// something else.
    pub(crate) fn parse(page: &Value) -> Option<Self> {
        let items = page.get("deployments").unwrap_or(page);
        let items: Vec<&Value> = match items {
            Value::Array(items) => items.iter().collect(),
            // PHP writes a list with gaps as an object.
            Value::Object(items) => items.values().collect(),
            _ => return None,
        };
        Some(Self(items.into_iter().filter_map(|item| Deployment::deserialize(item).ok()).collect()))
    }

    /// What has to be cancelled: what waits first, so that nothing of it starts when what is under way
    /// has gone.
    pub(crate) fn active(&self) -> Vec<&Deployment> {
        let mut active: Vec<_> = self.0.iter().filter(|known| known.is_main() && known.is_active()).collect();
        active.sort_by_key(|known| known.status != "queued");
        active
    }

    /// The last one that was to put a version in place, however it went.
    pub(crate) fn last(&self) -> Option<&Deployment> {
        self.0.iter().find(|known| known.is_of_a_version())
    }

    /// The last one that did: what runs, as far as Coolify knows.
    pub(crate) fn running(&self) -> Option<&Deployment> {
        self.0.iter().find(|known| known.is_of_a_version() && known.is_finished())
    }

    /// The last good deployment.
    pub(crate) fn last_good(&self, bad: &[String]) -> Option<&Deployment> {
        let is_good = |commit: &str| !bad.iter().any(|bad| is_same_commit(bad, commit));
        let mut finished = self.0.iter().filter(|known| known.is_of_a_version() && known.is_finished());
        finished.find(|known| known.full_commit().is_some_and(is_good))
    }

    /// The commit that begins like this, if one deployment or more of just one commit do.
    pub(crate) fn commit(&self, begins: &str) -> Option<&str> {
        let mut commits =
            self.0.iter().filter_map(Deployment::full_commit).filter(|commit| is_same_commit(begins, commit));
        let first = commits.next()?;
        commits.all(|other| other == first).then_some(first)
    }

    /// What came of a deployment that was asked for when `behind` was the newest: the newest of those
    /// since then, with this commit if it has to have one.
    pub(crate) fn begun_since(&self, behind: &str, commit: Option<&str>) -> Option<&Deployment> {
        let since = self.0.iter().take_while(|known| known.uuid != behind);
        since
            .filter(|known| known.is_of_a_version())
            .find(|known| commit.is_none() || known.commit.as_deref() == commit)
    }
}

/// Whether this names a commit in full.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How short a commit's name may be cut.
const SHORT_COMMIT: usize = 7;

/// Whether a commit's name, in full or cut, is that of this commit.
pub(crate) fn is_same_commit(name: &str, commit: &str) -> bool {
    name == commit
        || (name.len() >= SHORT_COMMIT
            && commit.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
            && is_commit(commit))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    const GOOD: &str = "1111111111111111111111111111111111111111";
    const BAD: &str = "2222222222222222222222222222222222222222";

    fn history(items: &[(&str, &str, &str)]) -> History {
        let items: Vec<_> = items
            .iter()
            .map(|(uuid, commit, status)| json!({ "deployment_uuid": uuid, "commit": commit, "status": status, "pull_request_id": 0 }))
            .collect();
        History::parse(&json!({ "count": items.len(), "deployments": items })).unwrap()
    }

    fn uuid(deployment: Option<&Deployment>) -> Option<&str> {
        deployment.map(|deployment| deployment.uuid.as_str())
    }

    #[test]
    fn the_last_good_deployment_is_none_of_those_that_only_look_like_one() {
        let page = json!({ "deployments": [
            { "deployment_uuid": "f", "commit": BAD, "status": "failed" },
            { "deployment_uuid": "b", "commit": BAD, "status": "finished" },
            { "deployment_uuid": "p", "commit": GOOD, "status": "finished", "pull_request_id": 12 },
            { "deployment_uuid": "r", "commit": GOOD, "status": "finished", "restart_only": true },
            { "deployment_uuid": "h", "commit": "HEAD", "status": "finished" },
            { "deployment_uuid": "c", "commit": GOOD, "status": "cancelled-by-user" },
            { "what": "ever" },
            { "deployment_uuid": "g", "commit": GOOD, "status": "finished", "pull_request_id": 0, "restart_only": false },
        ] });
        let history = History::parse(&page).unwrap();
        assert_eq!(uuid(history.last_good(&[BAD.to_owned()])), Some("g"));
        assert_eq!(uuid(history.last_good(&["2222222".to_owned()])), Some("g"));
        assert_eq!(uuid(history.last_good(&[BAD.to_owned(), GOOD.to_owned()])), None);
        assert_eq!((uuid(history.last()), uuid(history.running())), (Some("f"), Some("b")));
        assert_eq!(history.commit("1111111"), Some(GOOD));
        assert_eq!((history.commit("111111"), history.commit("3333333")), (None, None));
    }

    #[test]
    fn what_waits_is_cancelled_before_what_is_under_way() {
        let history = history(&[
            ("q2", BAD, "queued"),
            ("i", BAD, "in_progress"),
            ("q1", BAD, "queued"),
            ("g", GOOD, "finished"),
        ]);
        let active: Vec<_> = history.active().into_iter().map(|known| known.uuid.as_str()).collect();
        assert_eq!(active, ["q2", "q1", "i"]);
    }

    #[test]
    fn what_was_begun_since_is_found_again() {
        let history = history(&[("n", GOOD, "queued"), ("w", BAD, "queued"), ("old", GOOD, "finished")]);
        assert_eq!(uuid(history.begun_since("old", Some(GOOD))), Some("n"));
        assert_eq!(uuid(history.begun_since("n", Some(GOOD))), None);
        assert_eq!(uuid(history.begun_since("w", None)), Some("n"));
        assert_eq!(uuid(history.begun_since("", Some(BAD))), Some("w"));
    }

    #[test]
    fn a_list_with_gaps_is_a_list() {
        let page = json!({ "deployments": { "3": { "deployment_uuid": "a", "status": "queued" } } });
        assert_eq!(History::parse(&page).unwrap().0.len(), 1);
        assert_eq!(History::parse(&json!("no")), None);
    }
}
