//! What a guest may use, as a run keeps it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a guest may use. Kept with the run: a replay gets the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Linear memory of one instance, all memories together.
    #[schemars(range(min = 1))]
    pub memory_bytes_max: u64,
    /// Time on the processor of one execution, host calls not counted.
    #[schemars(range(min = 1))]
    pub cpu_ms_max: u64,
    /// Calls of one execution.
    #[schemars(range(min = 1))]
    pub calls_max: u32,
    /// One value that crosses the border, either way: a configuration, a body, a receipt.
    #[schemars(range(min = 1))]
    pub value_bytes_max: u64,
    /// Log lines of one execution.
    #[schemars(range(min = 1))]
    pub log_lines_max: u32,
    /// Log bytes of one execution.
    #[schemars(range(min = 1))]
    pub log_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 128 << 20,
            cpu_ms_max: 10_000,
            calls_max: 10_000,
            value_bytes_max: 8 << 20,
            log_lines_max: 1_000,
            log_bytes_max: 256 << 10,
        }
    }
}
