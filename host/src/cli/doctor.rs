//! `doctor`: tries everything that a rollback needs, and changes nothing.

use std::time::Duration;

use super::args::{DoctorOptions, PlanOptions};
use super::context::{Context, program};
use super::examined::Examined;
use super::exit::{Exit, Fault};
use crate::doctor::{ALERTMANAGER, STATE, examine, examine_receiver, examine_state};
use crate::runner::{self, Opens, Sources, opening};

/// How long one connection may take.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) async fn doctor(context: &Context, options: DoctorOptions) -> Result<Exit, Fault> {
    let state = context.state_dir();
    // What is tried leaves nothing behind, and is tried even if the state directory is what is wrong.
    let folder = tempfile::Builder::new()
        .prefix("ripcord-doctor-")
        .tempdir()
        .map_err(|error| Fault::wrong(format!("can't make a folder in {}: {error}", std::env::temp_dir().display())))?;
    let (operator, connections, receives) = match options.plan {
        None => {
            let operator = context.operator(None)?;
            let connections = operator.order.clone();
            (operator, connections, true)
        }
        Some(plan) => {
            let files = context.files(&PlanOptions { plan, params: Vec::new() })?;
            let cache = state.as_ref().map_or_else(|_| folder.path().join("components"), |state| state.components());
            let components = context.components_in(cache)?;
            let sources = Sources {
                plan: &files.plan,
                plan_path: &files.plan_path,
                plan_text: &files.plan_text,
                params: &[],
                operator: &files.operator,
                with_triggers: true,
                opens: Opens::Run,
                kept: None,
            };
            let bound = runner::check(&components, sources).await?.connections();
            let connections = files.operator.order.iter().filter(|named| bound.contains(named)).cloned().collect();
            (files.operator, connections, !files.plan.alerts.is_empty())
        }
    };
    let opening = opening(&operator, folder.path(), &program()?);
    let subjects = connections.iter().map(|(capability, name)| format!("{capability}.{name}"));
    let receiver = (receives && operator.alertmanager.is_some()).then(|| ALERTMANAGER.to_owned());
    let subjects = std::iter::once(STATE.to_owned()).chain(subjects).chain(receiver.clone());
    let examined = Examined::new(context, subjects);
    let listen = |progress| examined.progress(progress);
    futures_util::join!(
        examine_state(state.as_ref(), &listen),
        examine(&operator, &connections, &opening, DEADLINE, &listen),
        async {
            if receiver.is_some() {
                examine_receiver(&operator, &opening, DEADLINE, &listen).await;
            }
        }
    );
    Ok(if examined.finish() { Exit::Wrong } else { Exit::Done })
}
