//! What a Coolify has: applications, their deployments, the queue, and what runs.

use std::collections::BTreeMap;
use std::process::Command;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lies::{Told, Version};

/// How many deployments may wait.
pub(super) const QUEUE_MAX: usize = 25;

/// An application as people set it up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Application {
    /// Its name in the API.
    pub uuid: String,
    /// `nixpacks`, `dockerfile`, …; `dockerimage` for one that is not built.
    pub build_pack: String,
    /// The repository's path on this machine: its branch's head is asked there.
    pub git_repository: String,
    /// The branch.
    pub git_branch: String,
    /// The pin; `HEAD` for none.
    pub git_commit_sha: String,
    /// The image's name.
    #[serde(default)]
    pub docker_registry_image_name: Option<String>,
    /// The image's tag.
    #[serde(default)]
    pub docker_registry_image_tag: Option<String>,
    /// Whether a push deploys.
    pub is_auto_deploy_enabled: bool,
    /// What runs: a commit, or a tag.
    #[serde(default)]
    pub running: String,
    /// Builds that are kept: commits of the last versions, newest first.
    #[serde(default)]
    pub kept: Vec<String>,
    /// The pin has changed since the last build.
    #[serde(default)]
    pub is_pin_new: bool,
    /// How often the status is still to be shown as unhealthy.
    #[serde(default)]
    pub unhealthy_looks: u32,
    /// Whether it was stopped.
    #[serde(default)]
    pub is_stopped: bool,
}

/// A deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    /// Its name in the API.
    pub uuid: String,
    /// Of which application.
    pub application: String,
    /// A commit, or `HEAD` for an image's.
    pub commit: String,
    /// What is to run after it: the commit, or the image's tag, which the API never shows.
    pub deploys: String,
    /// `queued`, `in_progress`, `finished`, `failed`, `cancelled-by-user`.
    pub status: String,
    /// 0 for none.
    #[serde(default)]
    pub pull_request_id: u32,
    /// It only starts what was built before.
    #[serde(default)]
    pub restart_only: bool,
    /// It was asked for by `/rollback`.
    #[serde(default)]
    pub rollback: bool,
    /// It builds anew.
    #[serde(default)]
    pub force_rebuild: bool,
    /// A push asked for it.
    #[serde(default)]
    pub is_webhook: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What survives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct World {
    /// By UUID.
    pub applications: BTreeMap<String, Application>,
    /// Oldest first.
    pub deployments: Vec<Deployment>,
    /// Counts UUIDs.
    pub count: u32,
}

impl Application {
    /// Whether it is an image, and nothing is built.
    pub fn is_image(&self) -> bool {
        self.build_pack == "dockerimage"
    }

    /// The branch's head now.
    pub fn head(&self) -> String {
        let output = Command::new("git").args(["-C", &self.git_repository, "rev-parse", &self.git_branch]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    }

    /// What a deployment without a word of its own deploys.
    pub fn configured(&self, version: Version, told: &Told) -> String {
        if self.is_image() {
            return self.docker_registry_image_tag.clone().unwrap_or_else(|| "latest".to_owned());
        }
        match self.git_commit_sha.as_str() {
            "HEAD" => self.head(),
            _ if told.tells(version, "head-overwrites-pin") => self.head(),
            pin => pin.to_owned(),
        }
    }
}

impl World {
    /// A name that nothing has had.
    pub fn fresh(&mut self) -> String {
        self.count += 1;
        format!("d{:07}ployment", self.count)
    }

    /// The deployment with this name.
    pub fn deployment(&mut self, uuid: &str) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.uuid == uuid)
    }

    /// How many wait or go on.
    pub fn queued(&self) -> usize {
        self.deployments.iter().filter(|deployment| deployment.is_active()).count()
    }

    /// Takes a deployment in. It starts at once if none of its application goes on, whoever waits.
    pub fn queue(&mut self, mut deployment: Deployment) {
        let is_busy = self
            .deployments
            .iter()
            .any(|other| other.application == deployment.application && other.status == "in_progress");
        deployment.status = if is_busy { "queued" } else { "in_progress" }.to_owned();
        self.deployments.push(deployment);
    }

    /// Starts the one of an application that has waited longest, if none goes on.
    pub fn start_next(&mut self, application: &str) {
        let mut of_it = self.deployments.iter_mut().filter(|deployment| deployment.application == application);
        if of_it.any(|deployment| deployment.status == "in_progress") {
            return;
        }
        let mut of_it = self.deployments.iter_mut().filter(|deployment| deployment.application == application);
        if let Some(next) = of_it.find(|deployment| deployment.status == "queued") {
            next.status = "in_progress".to_owned();
        }
    }

    /// A deployment is over: what runs is another one now, unless it went wrong or was cancelled.
    pub fn end(&mut self, uuid: &str, went_well: bool, told: &Told, version: Version) {
        let Some(deployment) = self.deployment(uuid) else { return };
        if deployment.status != "in_progress" {
            return;
        }
        deployment.status = if went_well { "finished" } else { "failed" }.to_owned();
        let ended = deployment.clone();
        if let (true, Some(application)) = (went_well, self.applications.get_mut(&ended.application)) {
            if !told.tells(version, "finished-but-old") {
                application.running.clone_from(&ended.deploys);
            }
            application.is_stopped = false;
            application.is_pin_new = false;
            application.kept.retain(|kept| *kept != ended.deploys);
            application.kept.insert(0, ended.deploys.clone());
            application.kept.truncate(3);
            if told.tells(version, "unhealthy-for-a-moment") {
                application.unhealthy_looks = 2;
            }
        }
        self.start_next(&ended.application);
    }
}

impl Deployment {
    /// Whether it waits or goes on.
    pub fn is_active(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "in_progress")
    }
}
