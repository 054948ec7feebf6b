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

/// The newest state that names code: by its commit, or else by its version.
pub(crate) fn revision(context: &Context) -> Option<String> {
    context.good_states_as::<Good>().find_map(|good| good.state.commit.or(good.state.version))
}

/// The newest backup that was taken of a good state.
pub(crate) fn backup(context: &Context) -> Option<GoodBackup> {
    context.good_states_as::<Good>().find_map(|good| good.state.backup)
}
