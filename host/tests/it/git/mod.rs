//! The `git` capability, against real repositories.

mod foreseen;
mod killed;
mod lab;
mod local;
mod remote;

use std::path::Path;

use ::ripcord;
use ripcord::capability::git::{Call, Reply};
use ripcord::failure::Failure;

use crate::SUPERVISOR;
use lab::{Lab, at};

impl Lab {
    async fn read(&self, call: Call) -> Result<Reply, Failure> {
        self.driver().read(&at(0), &call).await
    }
}

fn push(revision: &str, branch: &str, lease: Option<&str>) -> Call {
    Call::Push { revision: revision.to_owned(), branch: branch.to_owned(), lease: lease.map(str::to_owned) }
}

/// Plants hooks that say that they ran.
fn plant_hooks(hooks: &Path, witness: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(hooks).unwrap();
    for hook in [
        "pre-commit",
        "commit-msg",
        "post-commit",
        "pre-push",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
    ] {
        let path = hooks.join(hook);
        std::fs::write(&path, format!("#!/bin/sh\necho {hook} >> '{}'\n", witness.display())).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
