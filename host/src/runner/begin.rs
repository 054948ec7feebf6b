//! The beginning of a run: one write, all or nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::Job;
use crate::id::RunId;
use crate::journal::{Approval, BeginError, Beginning, Blob, Dated, Event, HostAttached, IncidentNoted, Journal};
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
    let plan = Blob::new(job.plan_text.as_bytes().to_vec());
    let blobs = std::iter::once(plan).chain(job.units.values().map(|unit| unit.bytes.clone())).collect();
    let noted = (!noted.is_empty()).then_some(Event::IncidentNoted(noted));
    let events = std::iter::once(started).chain(noted).chain([Event::HostAttached(host)]);
    let events = events.map(|event| Dated { at, event }).collect();
    journal.begin(Beginning { run: run.clone(), events, holds: job.holds(), blobs }).await?;
    Ok(Record::open(Arc::clone(journal), run).await?)
}
