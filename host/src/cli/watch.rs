//! `watch`: a run that begins with watching its plan's triggers.

use std::time::Duration;

use super::args::WatchOptions;
use super::context::{Context, Files};
use super::exit::{Exit, Fault};
use super::{drift, run};
use crate::journal::WatchShape;

pub(super) async fn watch(context: &Context, options: WatchOptions) -> Result<Exit, Fault> {
    if drift::is_a_run(&options) {
        return drift::watch(context, options).await;
    }
    let WatchOptions { window, run } = options;
    run::carry(context, run, Some(Watching { window })).await
}

/// That triggers are to be watched, and for how long if not for as long as their plan says.
pub(super) struct Watching {
    window: Option<Duration>,
}

impl Watching {
    pub(super) fn shape(self, files: &Files) -> Result<WatchShape, Fault> {
        let plan = &files.plan;
        if plan.triggers.is_empty() {
            return Err(Fault::wrong(format!("plan {} has no trigger: there is nothing to watch", plan.name))
                .hint("add one to the plan:  [[trigger]]  with the id, use, bind, with and expect of a check, and a title")
                .hint(format!("to roll back now:  ripcord run {}", files.plan_path.display())));
        }
        plan.watch_shape(self.window)
            .map_err(|error| Fault::wrong(error.to_string()).hint("give another one, like  --window 30m"))
    }
}
