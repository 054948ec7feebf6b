//! The incident of a run on a status page: its first notice opens one, later ones add to it.
//!
//! A status page names incidents itself, and a driver keeps nothing. So the name is kept in a small
//! file of the spool folder, which is swept with the others there. Without it, after the state folder
//! was lost, a later notice opens an incident of its own: nobody misses anything.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::State;
use crate::id::Digest;

/// An incident that is open on a status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Incident {
    /// The page's name for it.
    pub(super) id: String,
    /// Where it stood last.
    pub(super) state: State,
}

/// Where the incidents of one page are kept.
pub(super) struct Incidents {
    spool: PathBuf,
    page: String,
}

impl Incidents {
    /// `page` is what tells one page from another; it stands in no file's name as it is.
    pub(super) fn new(spool: &Path, page: &str) -> Self {
        Self { spool: spool.to_owned(), page: page.to_owned() }
    }

    /// The incident that a run has opened.
    pub(super) fn of(&self, run: &str) -> Option<Incident> {
        let text = std::fs::read(self.file(run)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps a run's incident. Not being able to is worth a line in the log, and nothing more.
    pub(super) fn keep(&self, run: &str, incident: &Incident) {
        let keep = || -> std::io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.spool)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.spool)?;
            serde_json::to_writer(&mut file, incident)?;
            file.flush()?;
            file.persist(self.file(run))?;
            Ok(())
        };
        if let Err(error) = keep() {
            tracing::warn!(%error, run, "the incident's name can't be kept: the next notice will open another one");
        }
    }

    fn file(&self, run: &str) -> PathBuf {
        let digest = Digest::of(format!("{run}\n{}", self.page).as_bytes()).to_string();
        self.spool.join(format!("incident-{}.json", digest.rsplit(':').next().unwrap_or_default()))
    }
}
