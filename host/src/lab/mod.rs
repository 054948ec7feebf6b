//! The lab: real services on this machine, for `ripcord demo` and for tests.
//!
//! [`Lab`] is scenario 1 of GENIA's rollback plan in a folder: a git repository with its remote, the
//! service with its administration, a mailbox, and the operator's files, which also work by hand as
//! long as the lab is up.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod authority;
mod files;
pub mod mailbox;
mod repository;
mod service;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::process::Command;

use mailbox::{Mail, Mailbox};
use repository::Repository;
use service::Service;

pub use service::{Condition, Health, Request};

/// The connector that makes trouble.
pub const CONNECTOR: &str = "facebook";
/// The version that works.
pub const GOOD: &str = "v1.4.2";
/// The version that does not.
pub const BAD: &str = "v1.5.0";
/// Who gets the notices to users.
pub const USERS: &str = "users@genia.example";
/// Who gets the notices to administrators.
pub const ADMINISTRATORS: &str = "administrators@genia.example";

/// How GENIA is built, and deployed: with nothing that is not on every machine.
const BUILD: [&str; 3] = ["cp", "genia/src/lib/connectors/facebook.ts", "build/facebook.ts"];
const DEPLOY: [&str; 3] = ["cp", "build/facebook.ts", "deployed/facebook.ts"];

/// A running lab. Its services stop when it is dropped; its folder stays.
pub struct Lab {
    folder: PathBuf,
    repository: Repository,
    service: Service,
    mailbox: Mailbox,
    client: reqwest::Client,
}

/// All that a rollback could have changed in a lab. What was only looked at leaves two of them equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the application says.
    pub health: Health,
    /// The code that is deployed.
    pub deployed: String,
    /// The changes that the administration was asked for.
    pub changes: Vec<Request>,
    /// The commit of the working copy.
    pub head: String,
    /// The commit of the remote's main.
    pub remote_head: String,
    /// What is changed and not committed; empty if nothing.
    pub uncommitted: String,
    /// How many mails have come.
    pub mails: usize,
}

/// Why the lab can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// There is no git.
    #[error(
        "the lab needs `git`, and there is none in PATH: install it (`apt install git`, `brew install git`) and try again"
    )]
    NoGit,
    /// The folder already has something in it.
    #[error("the lab wants a folder of its own, and {} is not empty: name another one", .0.display())]
    NotEmpty(PathBuf),
    /// A file or a folder can't be written or read.
    #[error("the lab's {}: {problem}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What came back.
        problem: String,
    },
    /// A program did not do its part.
    #[error("`{program}`: {problem}")]
    Program {
        /// With its arguments.
        program: String,
        /// What came back.
        problem: String,
    },
    /// A service can't be started or does not answer.
    #[error("the lab's {service}: {problem}")]
    Service {
        /// Which one.
        service: &'static str,
        /// What came back.
        problem: String,
    },
}

impl Lab {
    /// Starts one in a folder that is empty, or not there yet. [`GOOD`] is deployed, and all is well.
    ///
    /// # Errors
    /// If the folder has something in it or can't be written, if there is no `git`, or if no port of
    /// the loopback interface can be had.
    pub async fn start(folder: &Path) -> Result<Self, LabError> {
        let folder = make_folder(folder)?;
        let repository = Repository::create(&folder).await?;
        let token = format!("genia-{:032x}", rand::random::<u128>());
        let service = Service::start(folder.clone(), token.clone()).await;
        let service = service.map_err(|error| LabError::service("service of GENIA", error))?;
        let mailbox = Mailbox::start().await.map_err(|error| LabError::service("mailbox", error))?;
        files::write(&folder, service.address(), mailbox.addr(), &token)?;
        let lab = Self { folder, repository, service, mailbox, client: client()? };
        lab.deploy().await?;
        Ok(lab)
    }

    /// Its folder, as an absolute path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The operator's file.
    pub fn operator(&self) -> PathBuf {
        self.folder.join(files::OPERATOR)
    }

    /// The plan. It has the parameters `connector` and `version`.
    pub fn plan(&self) -> PathBuf {
        self.folder.join(files::PLAN)
    }

    /// A place for ripcord's state, which is not there yet.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The file that makes the administration carry changes out without answering, as long as it is
    /// there. It is not there at first.
    pub fn hold(&self) -> PathBuf {
        self.folder.join(service::HOLD)
    }

    /// Where GENIA is: below it `/health`, `/ledger` and `/admin`.
    pub fn url(&self) -> String {
        format!("http://{}", self.service.address())
    }

    /// Releases and deploys [`BAD`].
    pub async fn break_deploy(&self) -> Result<(), LabError> {
        self.repository.release_bad_version().await?;
        self.deploy().await
    }

    /// `GET /health`, as any user's monitoring would ask.
    pub async fn health(&self) -> Result<Health, LabError> {
        let answer = async { self.client.get(format!("{}/health", self.url())).send().await?.bytes().await };
        let body = answer.await.map_err(|error| LabError::service("service of GENIA", error))?;
        serde_json::from_slice(&body).map_err(|error| LabError::service("service of GENIA", error))
    }

    /// What the administration let in so far, in order.
    pub fn ledger(&self) -> Vec<Request> {
        self.service.ledger()
    }

    /// What has come by mail so far, in order.
    pub fn mails(&self) -> Vec<Mail> {
        self.mailbox.messages()
    }

    /// The newest commits, one a line.
    pub async fn log(&self, commits: u32) -> Result<String, LabError> {
        self.repository.log(commits).await
    }

    /// How everything is now.
    pub async fn snapshot(&self) -> Result<Snapshot, LabError> {
        let deployed = self.folder.join(DEPLOY[2]);
        Ok(Snapshot {
            health: self.health().await?,
            deployed: std::fs::read_to_string(&deployed).map_err(|error| LabError::file(&deployed, error))?,
            changes: self.ledger().into_iter().filter(Request::is_change).collect(),
            head: self.repository.head().await?,
            remote_head: self.repository.remote_head().await?,
            uncommitted: self.repository.status().await?,
            mails: self.mails().len(),
        })
    }

    /// Builds and deploys what the working copy has, with the commands of the operator's file.
    async fn deploy(&self) -> Result<(), LabError> {
        for argv @ [program, arguments @ ..] in [&BUILD, &DEPLOY] {
            let output = Command::new(program).args(arguments).current_dir(&self.folder).output().await;
            let output = output.map_err(|error| LabError::program(argv.join(" "), error))?;
            if !output.status.success() {
                return Err(LabError::program(argv.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
            }
        }
        Ok(())
    }
}

impl LabError {
    fn file(path: &Path, problem: impl Display) -> Self {
        Self::File { path: path.to_owned(), problem: problem.to_string() }
    }

    fn program(program: impl Into<String>, problem: impl Display) -> Self {
        Self::Program { program: program.into(), problem: problem.to_string() }
    }

    fn service(service: &'static str, problem: impl Display) -> Self {
        Self::Service { service, problem: problem.to_string() }
    }
}

fn make_folder(path: &Path) -> Result<PathBuf, LabError> {
    let failed = |error: io::Error| LabError::file(path, error);
    std::fs::create_dir_all(path).map_err(failed)?;
    if std::fs::read_dir(path).map_err(failed)?.next().is_some() {
        return Err(LabError::NotEmpty(path.to_owned()));
    }
    let path = path.canonicalize().map_err(failed)?;
    for name in ["build", "deployed"] {
        std::fs::create_dir(path.join(name)).map_err(|error| LabError::file(&path.join(name), error))?;
    }
    Ok(path)
}

/// A client for this machine. reqwest wants to know a TLS all the same; this one trusts nobody.
fn client() -> Result<reqwest::Client, LabError> {
    let failed = |error: &dyn Display| LabError::service("HTTP client", error);
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().map_err(|error| failed(&error))
}
