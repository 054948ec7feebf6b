//! An application of a Coolify with a bad version deployed, and a plan that rolls it back.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{COOLIFY_TOKEN, Coolify, Journal, Ran, Ripcord, home};

/// The application's UUID.
pub(super) const APP: &str = "app1";
pub(super) const GOOD: &str = "1111111111111111111111111111111111111111";
pub(super) const BAD: &str = "2222222222222222222222222222222222222222";

pub(super) const RUN: &[&str] = &["run", "plan.toml", "--yes"];

/// How the application comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Git,
    Image,
}

/// The good version's name.
impl Kind {
    pub(super) fn good(self) -> &'static str {
        match self {
            Self::Git => GOOD,
            Self::Image => "1.9",
        }
    }

    pub(super) fn bad(self) -> &'static str {
        match self {
            Self::Git => BAD,
            Self::Image => "2.0",
        }
    }
}

pub(super) struct Scene {
    folder: TempDir,
    pub(super) coolify: Coolify,
    pub(super) kind: Kind,
}

impl Scene {
    /// The good version was deployed, then the bad one, which runs.
    pub(super) fn new(version: &str, kind: Kind) -> Self {
        let folder = home();
        let coolify = Coolify::start(version, &folder.path().join("coolify"));
        let scene = Self { folder, coolify, kind };
        scene.application(kind.bad());
        scene.coolify.order(&json!({ "deploy-ms": 20 }));
        scene.deployment("good", kind.good(), "finished");
        scene.deployment("bad", kind.bad(), "finished");
        scene.write("ripcord.toml", &scene.operator());
        // Nothing but the plan knows which tag was good.
        let to = if kind == Kind::Image { "to = \"1.9\", " } else { "" };
        scene.plan(to);
        scene
    }

    /// Sets the application up anew, with this version running.
    pub(super) fn application(&self, runs: &str) {
        let (build_pack, image, tag) = match self.kind {
            Kind::Git => ("nixpacks", Value::Null, Value::Null),
            Kind::Image => ("dockerimage", json!("ghcr.io/acme/andrea"), json!(runs)),
        };
        self.coolify.order(&json!({ "application": {
            "uuid": APP, "build_pack": build_pack, "git_repository": "/nowhere", "git_branch": "main",
            "git_commit_sha": "HEAD", "docker_registry_image_name": image, "docker_registry_image_tag": tag,
            "is_auto_deploy_enabled": true, "running": runs, "kept": [BAD, GOOD],
        } }));
    }

    /// Puts a deployment into the history, as the newest.
    pub(super) fn deployment(&self, uuid: &str, version: &str, status: &str) {
        let commit = if self.kind == Kind::Image { "HEAD" } else { version };
        self.coolify.order(&json!({ "deployment": {
            "uuid": uuid, "application": APP, "commit": commit, "deploys": version, "status": status,
            "created_at": "2026-11-20T10:00:00Z",
        } }));
    }

    /// The operator's file of the example, narrow as it is.
    fn operator(&self) -> String {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/operator/coolify.toml");
        let mut text = std::fs::read_to_string(example).unwrap();
        for (from, to) in [
            ("https://coolify.example.org/api/v1", self.coolify.url()),
            ("https://andrea.example.org", self.coolify.application_url(APP)),
        ] {
            assert!(text.contains(from), "the example has no `{from}` any more");
            text = text.replace(from, &to);
        }
        text.replace("[http.app]", "timeout = \"1s\"\nsettles-within = \"100ms\"\n\n[http.app]")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn journal(&self) -> Journal {
        Journal::open(&self.path("state/journal.sqlite"))
    }

    /// Waits until something holds that another process sees to.
    pub(super) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < until, "waited in vain for {what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A plan in a hurry, with more of a configuration.
    pub(super) fn plan(&self, with: &str) {
        self.write(
            "plan.toml",
            &format!(
                "name = \"andrea\"\ntarget = \"coolify/andrea\"\n\n[[step]]\nid = \"redeploy\"\n\
                 use = \"coolify-redeploy\"\nbind = {{ coolify = \"coolify\", service = \"app\" }}\n\
                 retry = {{ attempts = 2, backoff = \"20ms\" }}\n\
                 with = {{ application = \"{APP}\", {with}poll = \"20ms\", deploys-within = \"10s\", \
                 settles-within = \"300ms\", waits-at-most = \"2s\" }}\n\n\
                 [[verify]]\nid = \"version\"\nuse = \"http-check\"\nbind = {{ service = \"app\" }}\n\
                 with = {{ path = \"/health\" }}\n\
                 expect = \"response.json.version == steps.redeploy.receipt.version\"\n"
            ),
        );
    }

    pub(super) fn ripcord(&self, arguments: &[&str]) -> Ripcord {
        Ripcord::new(self.folder.path(), arguments).env("COOLIFY_TOKEN", COOLIFY_TOKEN)
    }

    pub(super) fn run(&self) -> Ran {
        self.ripcord(RUN).run()
    }

    /// What runs, the pin or the tag, and whether a push deploys.
    pub(super) fn stands(&self) -> (String, String, bool) {
        let application = self.coolify.kept().applications.remove(APP).unwrap();
        let pin = match self.kind {
            Kind::Git => application.git_commit_sha,
            Kind::Image => application.docker_registry_image_tag.unwrap_or_default(),
        };
        (application.running, pin, application.is_auto_deploy_enabled)
    }

    /// As it should stand when all went well.
    pub(super) fn rolled_back(&self) -> (String, String, bool) {
        let good = self.kind.good().to_owned();
        // An image has no pushes that could deploy it.
        (good.clone(), good, self.kind == Kind::Image)
    }

    /// As it stood before.
    pub(super) fn untouched(&self) -> (String, String, bool) {
        let pin = if self.kind == Kind::Git { "HEAD" } else { self.kind.bad() };
        (self.kind.bad().to_owned(), pin.to_owned(), true)
    }

    /// The statuses of all deployments, oldest first.
    pub(super) fn statuses(&self) -> Vec<String> {
        self.coolify.kept().deployments.into_iter().map(|deployment| deployment.status).collect()
    }
}
