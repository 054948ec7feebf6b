//! The beginning of a run: one write, all or nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::Job;
use crate::id::{Digest, RunId};
use crate::journal::{Approval, BeginError, Beginning, Dated, Event, HostAttached, IncidentNoted, Journal};
use crate::record::{Record, RecordError};

/// Why a run has not begun. Nothing was touched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BeginRunError {
    /// The journal did not take it.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// It can't be read back.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Begins a run that was approved, with what is known of the incident by then. The caller holds the
/// lock of `run`.
pub async fn begin(
    journal: &Arc<dyn Journal>,
    run: &RunId,
    job: &Job,
    approval: Approval,
    noted: IncidentNoted,
    host: HostAttached,
) -> Result<Record, BeginRunError> {
    let at = Timestamp::now();
    let started = Event::RunStarted(Box::new(job.started(run, approval)));
    let mut blobs = vec![job.plan_text.as_bytes().to_vec()];
    for unit in job.units.values() {
        debug_assert_eq!(Digest::of(&unit.bytes), unit.component.digest);
        blobs.push(unit.bytes.to_vec());
    }
    let noted = (!noted.is_empty()).then_some(Event::IncidentNoted(noted));
    let events = std::iter::once(started).chain(noted).chain([Event::HostAttached(host)]);
    let events = events.map(|event| Dated { at, event }).collect();
    journal.begin(Beginning { run: run.clone(), events, holds: job.holds(), blobs }).await?;
    Ok(Record::open(Arc::clone(journal), run).await?)
}
