//! Taking one part of a system back whose code is in a working copy: it is switched off, its code restored from a
//! version, committed and pushed if asked, built and deployed. What already is so is left alone, and a version or a
//! path that does not exist is found out before anything is touched.
//!
//! It goes the way of GENIA's `rollback_connector.sh` and `rollback_executor.sh`. What is switched off, and where, is
//! the plugin's: its [`Part`].

mod code;
mod switch;
mod undo;

use ripcord_plugin::command::{Output, Program};
use ripcord_plugin::{Effects, Pending, Reconciliation, Result, Role, log};
use serde::{Deserialize, Serialize};

pub use code::Code;
pub use switch::{Observed, Switch};

const BUILD: Program = Program::role("build");
const DEPLOY: Program = Program::role("deploy");

/// What is taken back.
#[derive(Debug, Clone)]
pub struct Part {
    /// What switches it off and on.
    pub switch: Switch,
    /// Its code, and the version to go back to.
    pub code: Code,
    /// Whether to build and deploy even if the code already is at the version.
    pub redeploy: bool,
}

/// What was done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Receipt {
    version: String,
    /// The commit that the version names.
    commit: String,
    /// Where the working copy was, and where it is now.
    previous: String,
    head: String,
    /// The paths whose code is another one now.
    changed: Vec<String>,
    /// Whether this run has switched it off; false if it already was.
    switched_off: bool,
    /// The branch that was pushed to.
    pushed: Option<String>,
    deployed: bool,
}

impl Part {
    /// Switches it off, takes its code back, builds and deploys.
    pub fn apply(&self) -> Result<Receipt> {
        let code = self.code.look()?;
        let mut receipt = Receipt {
            version: self.code.version.clone(),
            commit: code.commit.clone(),
            head: code.head.clone(),
            previous: code.head.clone(),
            changed: Vec::new(),
            switched_off: false,
            pushed: None,
            deployed: false,
        };
        if self.switch.is_off(false)? != Some(true) {
            self.switch.off()?;
            receipt.switched_off = true;
        }
        if !code.is_restored() {
            let restored = self.code.restore(&code)?;
            (receipt.changed, receipt.head, receipt.pushed) = (restored.changed, restored.head, restored.pushed);
        }
        if !code.is_restored() || self.redeploy {
            build_and_deploy()?;
            receipt.deployed = true;
        } else {
            log::info(format!(
                "{} already is at {}: nothing is built or deployed, because the plan says `redeploy = false`",
                self.code.named(),
                self.code.version
            ));
        }
        Ok(receipt)
    }

    /// Takes back what an [`apply`](Self::apply) did, wherever it ended: the code of before, built and deployed if the
    /// other one had been, and the part switched on at last, when the code that it runs is in place.
    pub fn undo(&self, effects: &Effects) -> Result<()> {
        undo::undo(self, &undo::Done::from_effects(self, effects)?)
    }

    /// Asks the service whether the part is as a lost request wanted it to be.
    pub fn reconcile(&self, pending: &Pending) -> Reconciliation {
        self.switch.reconcile(pending)
    }
}

/// The roles of a plugin that takes a part back, with the reasons for the two that differ.
pub fn roles(admin: &'static str, code: &'static str) -> Vec<Role> {
    vec![
        Role::write("admin", "http", admin),
        Role::write("code", "git", code),
        Role::write("build", "command", "to build what is then deployed"),
        Role::write("deploy", "command", "to deploy it"),
    ]
}

fn build_and_deploy() -> Result<()> {
    log::info("building");
    BUILD.run().assume(Output::exited(0)).send()?.expect_success()?;
    log::info("deploying");
    DEPLOY.run().assume(Output::exited(0)).send()?.expect_success()?;
    Ok(())
}
