//! The last good state that ripcord knows of the target, as far as plugins write it alike.

use ripcord_plugin::Context;
use serde::{Deserialize, Serialize};

/// What a receipt says under `good-state`. Each plugin knows a part of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Good {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<GoodBackup>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct GoodBackup {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) sha256: Option<String>,
}

impl Good {
    /// What names its code: its commit, or else its version.
    pub(crate) fn revision(&self) -> Option<String> {
        self.commit.clone().or_else(|| self.version.clone())
    }
}

/// The known good states, newest first.
pub(crate) fn states(context: &Context) -> impl Iterator<Item = Good> {
    context.good_states_as::<Good>().map(|good| good.state)
}
