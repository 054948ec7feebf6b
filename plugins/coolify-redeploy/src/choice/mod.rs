//! What to do: a function of what was seen.

use serde::{Deserialize, Serialize};

use super::application::{Application, Kind};
use super::history::{History, is_commit, is_same_commit};
use super::version::{Version, Way};

/// A version that an application can be at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    /// Built from this commit.
    Commit(String),
    /// The image with this tag.
    ImageTag(String),
}

impl Target {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Commit(name) | Self::ImageTag(name) => name,
        }
    }

    pub(crate) fn commit(&self) -> Option<&str> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::ImageTag(_) => None,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Commit(commit) => write!(f, "commit {commit}"),
            Self::ImageTag(tag) => write!(f, "tag {tag}"),
        }
    }
}

/// A good state as this plugin writes it into its receipt, and reads it in the ledger of good states;
/// other plugins' states have some of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Good {
    /// Coolify's UUID. A state without one speaks of the plan's only application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application: Option<String>,
    /// What the service calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image_tag: Option<String>,
}

impl Good {
    /// Whether it speaks of this application, as far as it says.
    pub(crate) fn is_of(&self, application: &str) -> bool {
        self.application.as_deref().is_none_or(|known| known == application)
    }

    /// With the tag that its version has, where it says none.
    pub(crate) fn with_tag(self, template: Option<&str>) -> Self {
        let tag = || Some(template?.replace("{version}", self.version.as_deref()?));
        Self { image_tag: self.image_tag.clone().or_else(tag), ..self }
    }

    fn is(&self, target: &Target) -> bool {
        match target {
            Target::Commit(commit) => self.commit.as_deref().is_some_and(|known| is_same_commit(known, commit)),
            Target::ImageTag(tag) => self.image_tag.as_deref() == Some(tag),
        }
    }
}

/// Everything that a choice depends on.
pub(crate) struct Seen<'a> {
    pub(crate) application: &'a Application,
    pub(crate) history: &'a History,
    /// The ledger of good states, newest first: of this application only.
    pub(crate) good: &'a [Good],
    /// What the plan says to go to.
    pub(crate) to: Option<&'a str>,
    /// What the plan says not to go to.
    pub(crate) bad: &'a [String],
}

/// Where to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) target: Target,
    /// It is what runs, as far as Coolify knows, and nothing waits that would change it.
    pub(crate) is_there: bool,
    /// Why this one, for people.
    pub(crate) why: String,
}

/// How this Coolify gets this application to another version, or why it can't.
pub(crate) fn way(coolify: Version, application: &Application) -> Result<Way, String> {
    match (application.kind(), coolify.way()) {
        (Kind::Image, _) => Ok(Way::Pin),
        (Kind::Inline, _) => Err(format!(
            "{} is built from a Dockerfile that stands in Coolify itself: there are no versions of it that one could go \
             back to. Put the older Dockerfile in by hand",
            application.name
        )),
        (Kind::Git, Way::None) => Err(format!(
            "Coolify {coolify} deploys the head of {} whatever commit is asked for, so it can't go back to one (4.2.0 \
             can). Move the branch instead: a revert that is pushed, as `manual-restore` makes one, or by hand",
            application.git_branch.as_deref().unwrap_or("the branch")
        )),
        // The images of a compose file are not kept under the commit's name.
        (Kind::Git, _) if application.build_pack == "dockercompose" => Ok(Way::Pin),
        (Kind::Git, way) => Ok(way),
    }
}

/// Chooses, or says why not: nothing has been touched.
pub(crate) fn choose(seen: &Seen<'_>) -> Result<Choice, String> {
    match seen.application.kind() {
        Kind::Git | Kind::Inline => choose_commit(seen),
        Kind::Image => choose_tag(seen),
    }
}

fn choose_commit(seen: &Seen<'_>) -> Result<Choice, String> {
    let Seen { application, history, .. } = seen;
    let is_settled = history.active().is_empty();
    let running = history.running();
    let chosen = |commit: &str, why: String| Choice {
        is_there: is_settled && running.is_some_and(|known| known.commit.as_deref() == Some(commit)),
        target: Target::Commit(commit.to_owned()),
        why,
    };
    if let Some(to) = seen.to {
        let commit = if is_commit(to) { Some(to) } else { history.commit(to) };
        let commit = commit.ok_or_else(|| {
            format!("`to` is {to}, and no deployment has such a commit, or several do: write all 40 digits of it")
        })?;
        return Ok(chosen(commit, "the plan says so".to_owned()));
    }
    let last = history.last();
    if let (true, [], Some(known)) = (is_settled, seen.bad, last.filter(|known| known.is_finished()))
        && let Some(commit) = known.commit.as_deref().filter(|commit| is_commit(commit))
    {
        let target = Target::Commit(commit.to_owned());
        if seen.good.iter().any(|good| good.is(&target)) {
            return Ok(chosen(
                commit,
                "it is verified; to go back further, the plan has to say `bad` or `to`".to_owned(),
            ));
        }
        if known.is_rollback() {
            let why = "it was rolled back to already; to go back further, the plan has to say `bad` or `to`";
            return Ok(chosen(commit, why.to_owned()));
        }
    }
    let bad = match seen.bad {
        [] => Vec::from_iter(last.and_then(|known| known.commit.clone())),
        bad => bad.to_vec(),
    };
    match history.last_good(&bad) {
        Some(known) => {
            let when = known.created_at.as_deref().map(|at| format!(", of {at}")).unwrap_or_default();
            let why =
                format!("its deployment {}{when}, is the last one that finished before {}", known.uuid, bad.join(", "));
            Ok(chosen(known.commit.as_deref().unwrap_or_default(), why))
        }
        None => Err(format!(
            "none of the last {} deployments of {} finished with another commit than {}, so there is nothing known to go \
             back to. If you know a good commit, write it into the plan: to = \"…\"",
            history.0.len(),
            application.name,
            if bad.is_empty() { "the one that runs".to_owned() } else { bad.join(", ") }
        )),
    }
}

fn choose_tag(seen: &Seen<'_>) -> Result<Choice, String> {
    let Seen { application, history, .. } = seen;
    let configured = application.image_tag();
    let is_settled = history.active().is_empty() && history.last().is_none_or(|known| known.is_finished());
    let chosen = |tag: &str, why: &str| Choice {
        is_there: is_settled && tag == configured,
        target: Target::ImageTag(tag.to_owned()),
        why: why.to_owned(),
    };
    if let Some(to) = seen.to {
        return Ok(chosen(to, "the plan says so"));
    }
    let mut tags = seen.good.iter().filter_map(|good| good.image_tag.as_deref());
    if seen.bad.is_empty() && tags.clone().any(|tag| tag == configured) {
        return Ok(chosen(configured, "it is verified; to go back further, the plan has to say `bad` or `to`"));
    }
    let is_bad = |tag: &str| match seen.bad {
        [] => tag == configured,
        bad => bad.iter().any(|bad| bad == tag),
    };
    match tags.find(|tag| !is_bad(tag)) {
        Some(tag) => Ok(chosen(tag, "it is the last one that ripcord has verified")),
        None => Err(format!(
            "nobody has said which tag of {} is good: Coolify's history records none, and ripcord has verified no other \
             than {configured} on this target. Write it into the plan: to = \"…\"",
            application.name
        )),
    }
}

/// What the service has to call the version that runs. `{commit}`, `{tag}` and `{version}` stand for the
/// target's, the last one as the ledger of good states knows it.
pub(crate) fn expected(template: Option<&str>, target: &Target, good: &[Good]) -> Result<String, String> {
    let Some(template) = template else { return Ok(target.name().to_owned()) };
    let text = template.replace("{commit}", target.name()).replace("{tag}", target.name());
    if !text.contains("{version}") {
        return Ok(text);
    }
    match good.iter().find(|good| good.is(target)).and_then(|good| good.version.as_deref()) {
        Some(version) => Ok(text.replace("{version}", version)),
        None => Err(format!(
            "`expect` is {template}, and no verified run has recorded which version {target} is. Write the version itself, \
             or {{commit}} or {{tag}}"
        )),
    }
}

/// Whether what a service says is what is expected of it. It may cut a commit's name short.
pub(crate) fn is_expected(said: &str, expected: &str) -> bool {
    is_same_commit(said, expected)
}

#[cfg(test)]
mod tests;
