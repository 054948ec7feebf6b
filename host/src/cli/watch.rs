//! `watch`: a run that begins with watching its plan's triggers.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::args::WatchOptions;
use super::context::{Context, Files};
use super::exit::{Exit, Fault};
use super::{drift, run};
use crate::alertmanager::Listening;
use crate::journal::WatchShape;
use crate::operator::Operator;
use crate::runner::Job;
use crate::secret::Secrets;

pub(super) async fn watch(context: &Context, options: WatchOptions) -> Result<Exit, Fault> {
    if drift::is_a_run(&options) {
        return drift::watch(context, options).await;
    }
    let WatchOptions { window, alertmanager, run } = options;
    run::carry(context, run, Some(Watching { window, alertmanager })).await
}

/// That triggers are to be watched, for how long if not for as long as their plan says, and where alerts are
/// received.
pub(super) struct Watching {
    window: Option<Duration>,
    alertmanager: Option<SocketAddr>,
}

impl Watching {
    pub(super) fn shape(self, files: &Files) -> Result<WatchShape, Fault> {
        let plan = &files.plan;
        if plan.triggers.is_empty() && plan.alerts.is_empty() {
            return Err(Fault::wrong(format!("plan {} has no trigger: there is nothing to watch", plan.name))
                .hint("add one to the plan:  [[trigger]]  with the id, use, bind, with and expect of a check, and a title")
                .hint(format!("to roll back now:  ripcord run {}", files.plan_path.display())));
        }
        if let (Some(trigger), None) = (plan.alerts.first(), self.alertmanager) {
            let id = &trigger.id;
            return Err(Fault::wrong(format!("trigger {id} waits for an alert, and nobody would receive it"))
                .hint("say where alerts are sent to:  --alertmanager 127.0.0.1:9095"));
        }
        let shape = plan
            .watch_shape(self.window)
            .map_err(|error| Fault::wrong(error.to_string()).hint("give another one, like  --window 30m"))?;
        Ok(WatchShape { listen: self.alertmanager, ..shape })
    }
}

/// Listens for alerts, where a watch wants that.
pub(super) async fn listen(job: &Job, operator: &Operator) -> Result<Option<Listening>, Fault> {
    let Some(address) = job.shape.watch.as_ref().and_then(|watch| watch.listen) else { return Ok(None) };
    let file = operator.path.display();
    let Some(rules) = &operator.alertmanager else {
        return Err(Fault::wrong(format!(
            "alerts can't be received: {file} does not say by which token they are let in"
        ))
        .hint("add to it:  [alertmanager]  with  token = \"secret:alertmanager\"")
        .hint("and below [secrets]:  alertmanager = { env = \"ALERTMANAGER_TOKEN\" }"));
    };
    let secrets = Secrets::new(operator.secrets.clone(), operator.base.clone());
    let token = secrets.get(&rules.token).await;
    let token = token.map_err(|error| Fault::wrong(format!("[alertmanager] in {file} can't be used: {error}")))?;
    // It must not come back in an alert.
    job.scrubber.add(token.expose_secret());
    let listening = Listening::at(address, token).await;
    listening.map(Some).map_err(|error| {
        Fault::wrong(format!("alerts can't be received at {address}: {error}"))
            .hint("is another watch running there? `ss -ltnp` says who listens")
            .hint("a watch that begins may be given another address:  --alertmanager 127.0.0.1:9096")
    })
}
