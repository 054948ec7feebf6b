//! `ripcord init`: the two files to begin with.

#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::capability::http::BaseUrl;

/// What the operator's file is called.
pub const OPERATOR_FILE: &str = "ripcord.toml";

/// A plan to start from, with the operator's file that it needs. Both are sound as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starter {
    /// Its name; the plan's file is called after it.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// The plan's text.
    pub plan: &'static str,
    /// The operator's file's text.
    pub operator: &'static str,
    /// The service's address in that file, to be put in.
    url: &'static str,
    /// Further plans that the operator's file is for: each one's file, and its text.
    pub further: &'static [(&'static str, &'static str)],
}

/// All of them. The first is for those who have no other in mind.
pub const STARTERS: &[Starter] = &[
    Starter {
        name: "rollback",
        about: "switch a feature of your own service off, and take its code back to an older version",
        plan: include_str!("../../../plans/rollback.toml"),
        operator: include_str!("../../../plans/operator/rollback.toml"),
        url: "http://localhost:8080",
        further: &[],
    },
    Starter {
        name: "genia-connector",
        about: "GENIA, scenario 1: switch a connector off, take its code back, tell everybody",
        plan: include_str!("../../../plans/genia-connector.toml"),
        operator: include_str!("../../../plans/operator/genia-connector.toml"),
        url: "https://api.genia.ai/admin",
        further: &[],
    },
    Starter {
        name: "genia-executor",
        about: "GENIA, scenario 2: all connectors read-only, the executor's code back, tell everybody",
        plan: include_str!("../../../plans/genia-executor.toml"),
        operator: include_str!("../../../plans/operator/genia-executor.toml"),
        url: "https://api.genia.ai/admin",
        further: &[],
    },
    Starter {
        name: "genia-panel",
        about: "GENIA, scenario 3: close the administration panel, take its code back, tell administrators",
        plan: include_str!("../../../plans/genia-panel.toml"),
        operator: include_str!("../../../plans/operator/genia-panel.toml"),
        url: "https://api.genia.ai/admin",
        further: &[],
    },
    Starter {
        name: "asistente-andrea",
        about: "Asistente Andrea: back to the last good version, through Coolify or by hand; with its five triggers",
        plan: include_str!("../../../plans/asistente-andrea.toml"),
        operator: include_str!("../../../plans/operator/asistente-andrea.toml"),
        url: "https://andrea.example.org",
        further: &[
            ("asistente-andrea-backup.toml", include_str!("../../../plans/asistente-andrea-backup.toml")),
            ("asistente-andrea-database.toml", include_str!("../../../plans/asistente-andrea-database.toml")),
        ],
    },
    Starter {
        name: "backup-before-deploy",
        about: "before a deploy: dump the database, see that the dump can be read, keep the last ones",
        plan: include_str!("../../../plans/backup-before-deploy.toml"),
        operator: include_str!("../../../plans/operator/backup-before-deploy.toml"),
        url: "http://localhost:3000",
        further: &[],
    },
];

/// Why the files were not written. None of them was, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// They would take the place of others.
    #[error("{} there already, and nothing is ever overwritten; nothing was written", exist(.0))]
    Exists(Vec<PathBuf>),
    /// The service's address can't be one.
    #[error("--url: {0}")]
    Url(String),
    /// The disk, or its rights.
    #[error("can't write {}: {problem}", path.display())]
    Unwritable {
        /// The file or the folder.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
}

impl Starter {
    /// The name of the plan's file.
    pub fn plan_file(&self) -> String {
        format!("{}.toml", self.name)
    }

    /// Writes its files into a folder, which is made if it is missing; the operator's file first. `url`
    /// is the service's own address, if it is known.
    ///
    /// # Errors
    /// If one of the files is there, whatever it holds, or can't be written.
    pub fn write(&self, folder: &Path, url: Option<&str>) -> Result<Vec<PathBuf>, InitError> {
        let operator = match url {
            None => self.operator.to_owned(),
            Some(url) => {
                BaseUrl::try_from(url.to_owned()).map_err(InitError::Url)?;
                let quoted = |url: &str| toml::Value::from(url).to_string();
                self.operator.replacen(&quoted(self.url), &quoted(url), 1)
            }
        };
        let further = self.further.iter().map(|(name, plan)| (folder.join(name), (*plan).to_owned()));
        let own = [(folder.join(OPERATOR_FILE), operator), (folder.join(self.plan_file()), self.plan.to_owned())];
        let files: Vec<(PathBuf, String)> = own.into_iter().chain(further).collect();
        let there = files.iter().map(|(path, _)| path).filter(|path| path.symlink_metadata().is_ok());
        let there: Vec<PathBuf> = there.cloned().collect();
        if !there.is_empty() {
            return Err(InitError::Exists(there));
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |problem| InitError::Unwritable { path, problem }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let mut written = Vec::new();
        for (path, text) in files {
            // Somebody may have been faster.
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed(&path))?;
            written.push(path);
        }
        Ok(written)
    }
}

fn exist(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    format!("{} {}", names.join(" and "), if names.len() == 1 { "is" } else { "are" })
}
