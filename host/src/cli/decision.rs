//! Who decides on a rollback, and who coordinates it: given with the command, said by the plan, or asked for.

use super::terminal;
use crate::journal::IncidentNoted;
use crate::runner::Job;

/// The role of a plan's people that coordinates.
const COORDINATOR: &str = "coordinator";

/// What is known of the incident, with who decides and who coordinates, as far as somebody is here to say so.
/// Only a plan that names people is asked about.
pub(super) async fn decided(job: &Job, mut said: IncidentNoted, asks: bool) -> IncidentNoted {
    if !asks || job.people.is_empty() {
        return said;
    }
    // A watch is decided on when a trigger trips, by whoever answers then.
    if said.decided_by.is_none() && job.shape.watch.is_none() {
        let named = named(&format!("Who has decided on this rollback? [{}] ", said.by)).await;
        said.decided_by = Some(named.unwrap_or_else(|| said.by.clone()));
    }
    let planned = job.people.get(COORDINATOR).is_some_and(|name| !name.trim().is_empty());
    if said.coordinator.is_none() && !planned {
        said.coordinator = named("Who coordinates it? [Enter to leave it open] ").await;
    }
    said
}

async fn named(question: &str) -> Option<String> {
    let name = terminal::ask(question).await?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
