//! Who may send alerts.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secret::SecretRef;

/// What `ripcord watch --alertmanager` lets in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AlertmanagerRules {
    /// The bearer token that an Alertmanager or Grafana has to send along.
    pub token: SecretRef,
}
