//! What an examination finds.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose it is: `http.coolify`, or `state` for ripcord's own folder.
    pub subject: String,
    /// What was looked at.
    pub aspect: Aspect,
    /// What was seen, in one sentence.
    pub seen: String,
    /// What that means, and what to do about it.
    #[serde(flatten)]
    pub grade: Grade,
}

/// What can be looked at. The words are meant to do for every capability: a new one rarely needs
/// a new one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// What the operator's file says, as far as it does not fit this machine.
    Settings,
    /// Whether a secret can be had.
    Secret,
    /// Whether a host's name means an address.
    Name,
    /// Whether somebody listens there.
    Connection,
    /// Whether it is who it should be, and nobody else can listen in.
    Encryption,
    /// Whether it accepts the credentials.
    Login,
    /// What it answers to a read.
    Answer,
    /// Whether its clock and this machine's agree.
    Clock,
    /// Whether a program is there and can be run.
    Program,
    /// Whether a program or a service is new enough.
    Version,
    /// Whether a folder is there, with the rights that are needed in it.
    Folder,
    /// Whether something half done stands in the way.
    State,
    /// Whether the rules speak of something that exists.
    Rules,
    /// Whether a remote repository is there.
    Remote,
    /// Whether there is room to write.
    Disk,
    /// Whether the record of runs can be opened.
    Journal,
}

/// What a finding means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "grade")]
pub enum Grade {
    /// It is as it should be.
    Good,
    /// It could not be looked at without changing something, or without something else that is
    /// missing.
    Untried,
    /// A rollback can do with it, but it is probably not meant.
    Warning {
        /// What to do, in one line.
        remedy: String,
    },
    /// A rollback would fail of it.
    Fault {
        /// What to do next, in one line.
        remedy: String,
    },
}

impl Grade {
    /// A [`Grade::Warning`] with this remedy.
    pub fn warning(remedy: impl Into<String>) -> Self {
        Self::Warning { remedy: remedy.into() }
    }

    /// A [`Grade::Fault`] with this remedy.
    pub fn fault(remedy: impl Into<String>) -> Self {
        Self::Fault { remedy: remedy.into() }
    }
}

impl Finding {
    /// Whether it has to be put right.
    pub fn is_fault(&self) -> bool {
        matches!(self.grade, Grade::Fault { .. })
    }
}
