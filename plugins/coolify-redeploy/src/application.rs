//! An application, as Coolify describes it.

use serde::Deserialize;

/// What matters of `GET /applications/{uuid}`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Application {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) build_pack: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) git_branch: Option<String>,
    #[serde(default)]
    git_commit_sha: Option<String>,
    #[serde(default)]
    docker_registry_image_tag: Option<String>,
    #[serde(default)]
    dockerfile: Option<String>,
    #[serde(default)]
    settings: Option<Settings>,
    /// Where a version shows it that shows no settings.
    #[serde(default)]
    is_auto_deploy_enabled: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Settings {
    #[serde(default)]
    is_auto_deploy_enabled: Option<bool>,
}

/// Where an application's code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is built from a git repository.
    Git,
    /// It is an image of a registry. It carries git fields as well, which are another repository's.
    Image,
    /// Its Dockerfile stands in Coolify itself, so there are no versions of it.
    Inline,
}

/// What a pin is while there is none: the branch's head.
pub(crate) const UNPINNED: &str = "HEAD";

impl Application {
    pub(crate) fn kind(&self) -> Kind {
        match self.build_pack.as_str() {
            "dockerimage" => Kind::Image,
            "dockerfile" if self.dockerfile.as_deref().is_some_and(|text| !text.trim().is_empty()) => Kind::Inline,
            _ => Kind::Git,
        }
    }

    /// The commit that it is pinned to, or [`UNPINNED`]: `null` and an empty text mean that as well, but
    /// are not taken back.
    pub(crate) fn pin(&self) -> &str {
        self.git_commit_sha.as_deref().filter(|pin| !pin.is_empty()).unwrap_or(UNPINNED)
    }

    /// The tag that a deployment takes.
    pub(crate) fn image_tag(&self) -> &str {
        self.docker_registry_image_tag.as_deref().filter(|tag| !tag.is_empty()).unwrap_or("latest")
    }

    /// Whether a push deploys; none if this version does not show it.
    pub(crate) fn auto_deploy(&self) -> Option<bool> {
        self.settings.as_ref().and_then(|settings| settings.is_auto_deploy_enabled).or(self.is_auto_deploy_enabled)
    }
}

/// How healthy an application has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Health {
    /// It runs, and no health check says that it is not well.
    Running,
    /// Its health check says that it is well.
    Healthy,
    /// Whatever Coolify says of it.
    Any,
}

impl Health {
    /// Whether a status like `running:unknown` is good enough.
    pub(crate) fn accepts(self, status: &str) -> bool {
        let mut parts = status.split(':');
        let (state, health) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match self {
            Self::Running => state == "running" && health != "unhealthy",
            Self::Healthy => state == "running" && health == "healthy",
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::*;

    fn application(json: Value) -> Application {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_build_pack_says_what_it_is_and_not_its_git_fields() {
        let git = json!({ "git_repository": "coollabsio/coolify", "git_branch": "main" });
        for (build_pack, dockerfile, kind) in [
            ("nixpacks", Value::Null, Kind::Git),
            ("dockercompose", Value::Null, Kind::Git),
            ("dockerfile", json!(""), Kind::Git),
            ("dockerfile", json!("FROM scratch"), Kind::Inline),
            ("dockerimage", Value::Null, Kind::Image),
        ] {
            let mut json = git.clone();
            json["build_pack"] = json!(build_pack);
            json["dockerfile"] = dockerfile;
            assert_eq!(application(json).kind(), kind, "{build_pack}");
        }
    }

    #[test]
    fn what_is_not_set_or_not_shown_is_told_apart() {
        let bare = application(json!({ "build_pack": "nixpacks", "git_commit_sha": null }));
        assert_eq!((bare.pin(), bare.image_tag(), bare.auto_deploy()), ("HEAD", "latest", None));
        let full = application(json!({
            "build_pack": "nixpacks", "git_commit_sha": "abc", "docker_registry_image_tag": "1.2",
            "settings": { "is_auto_deploy_enabled": false },
        }));
        assert_eq!((full.pin(), full.image_tag(), full.auto_deploy()), ("abc", "1.2", Some(false)));
    }

    #[test]
    fn a_status_is_well_or_not() {
        for (status, running, healthy) in [
            ("running:healthy", true, true),
            ("running:unknown", true, false),
            ("running", true, false),
            ("running:unhealthy", false, false),
            ("running:unhealthy:excluded", false, false),
            ("exited:unhealthy", false, false),
            ("restarting:unknown", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (Health::Running.accepts(status), Health::Healthy.accepts(status)),
                (running, healthy),
                "{status}"
            );
            assert!(Health::Any.accepts(status));
        }
    }
}
