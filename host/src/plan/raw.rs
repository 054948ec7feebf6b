//! The plan's parts as they stand in the file, before anything is checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Gate, Retry};
use crate::journal::OnFailure;
use crate::language::Language;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "the parts are known here, and read one by one")]
pub(super) struct Head {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) target: String,
    #[serde(default, with = "crate::duration::option")]
    pub(super) timeout: Option<Duration>,
    #[serde(default)]
    pub(super) on_failure: OnFailure,
    #[serde(default)]
    pub(super) language: Language,
    #[serde(default)]
    pub(super) params: IgnoredAny,
    #[serde(default)]
    pub(super) people: IgnoredAny,
    #[serde(default)]
    pub(super) step: IgnoredAny,
    #[serde(default)]
    pub(super) verify: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawStep {
    pub(super) id: String,
    pub(super) r#use: String,
    #[serde(default)]
    pub(super) fallback: Option<String>,
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) with: IgnoredAny,
    #[serde(default)]
    pub(super) gate: Option<Gate>,
    #[serde(default, with = "crate::duration::option")]
    pub(super) timeout: Option<Duration>,
    #[serde(default)]
    pub(super) retry: Retry,
    #[serde(default)]
    pub(super) on_failure: Option<OnFailure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "`with` is known here, and read as JSON")]
pub(super) struct RawCheck {
    pub(super) id: String,
    pub(super) r#use: String,
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) with: IgnoredAny,
    #[serde(default)]
    pub(super) expect: Option<String>,
    #[serde(default, with = "crate::duration::option")]
    pub(super) within: Option<Duration>,
    #[serde(default, with = "crate::duration::option")]
    pub(super) every: Option<Duration>,
    #[serde(default, with = "crate::duration::option")]
    pub(super) timeout: Option<Duration>,
}
