//! Rolls the executor back: puts all connectors into read-only mode, restores its code, builds and deploys.

mod config;

use ripcord_plugin::{Action, Context, Effects, Manifest, Pending, Reconciliation, Result, export_action};
use switch_off::Receipt;

use config::Config;

struct ExecutorReadonly;

impl Action for ExecutorReadonly {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Roll the executor back",
            description: "Puts all connectors into read-only mode, restores the executor's code from a version, \
                          commits it, pushes it if asked, builds and deploys. What already is so is left alone. \
                          Undo goes back to the code of before, builds and deploys it if it had been deployed, and \
                          leaves read-only mode.",
            parameters: include_str!("parameters.json"),
            roles: switch_off::roles(
                "to enter read-only mode, and to leave it again in an undo",
                "to restore the executor's code",
            ),
            can_undo: true,
        }
    }

    fn apply(_: &Context, config: Config) -> Result<Receipt> {
        config.part().apply()
    }

    fn undo(_: &Context, config: Config, effects: Effects, _: Option<Receipt>) -> Result<()> {
        config.part().undo(&effects)
    }

    fn reconcile(_: &Context, config: Config, pending: Pending) -> Reconciliation {
        config.part().reconcile(&pending)
    }
}

export_action!(ExecutorReadonly);
