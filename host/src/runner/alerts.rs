//! Takes alerts in while the run goes on: first they are durable, then their sender is told so.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::sync::{Mutex, mpsc, watch};

use crate::alertmanager::{Notification, first_of};
use crate::journal::{Alert, AlertKey, AlertsReceived, Event, WatchShape};
use crate::machine::State;
use crate::record::{Record, RecordError};
use crate::secret::{Scrub, Scrubber};

/// How many notifications become durable together at most.
const BATCH_MAX: usize = 256;

/// How many alerts are written down that no trigger waits for: a run's record must not fill a disk.
const OTHERS_MAX: usize = 2_000;

/// How much of the labels of such an alert is written down, names included, in bytes.
const OTHER_BYTES_MAX: usize = 1024;

/// After how long without a new alert the repeated ones are noted.
const REPEATED_AFTER: Duration = Duration::from_secs(1);

/// Takes in what comes, and interrupts the run if that trips a trigger.
pub(super) async fn take_alerts(
    record: Arc<Mutex<Record>>,
    scrubber: Scrubber,
    interrupt: watch::Sender<bool>,
    mut notifications: mpsc::Receiver<Notification>,
) {
    let mut intake = Intake::new(record.lock().await.state(), scrubber);
    let mut batch = Vec::new();
    loop {
        let came = tokio::time::timeout(REPEATED_AFTER, notifications.recv_many(&mut batch, BATCH_MAX)).await;
        if came == Ok(0) {
            return;
        }
        let mut record = record.lock().await;
        let kept = match record.state().ended {
            Some(_) => false,
            None => intake.take(&mut record, &mut batch, came.is_err()).await.is_ok(),
        };
        if !kept {
            // What was noted may be gone: it is new again when it is sent again. And whoever carries the run out
            // has to look what it asks for now.
            intake = Intake::new(record.state(), intake.scrubber);
            interrupt.send_replace(true);
        } else if record.state().is_alerted() {
            interrupt.send_replace(true);
        }
        drop(record);
        for notification in batch.drain(..) {
            // Whoever does not wait any more sends it again.
            let _ = notification.kept.send(kept);
        }
    }
}

struct Intake {
    triggers: Vec<(String, BTreeMap<String, Regex>)>,
    known: HashSet<AlertKey>,
    others: usize,
    repeated: u64,
    left_out: u64,
    scrubber: Scrubber,
}

impl Intake {
    fn new(state: &State, scrubber: Scrubber) -> Self {
        Self {
            triggers: state.shape.watch.as_ref().map(triggers).unwrap_or_default(),
            known: state.alerts.iter().map(Alert::key).collect(),
            others: state.alerts.iter().filter(|alert| alert.triggers.is_empty()).count(),
            repeated: 0,
            left_out: 0,
            scrubber,
        }
    }

    /// What of it is new becomes durable, with all that is pending. What has been counted goes along; if nothing
    /// new comes for a while (`is_quiet`), by itself.
    async fn take(
        &mut self,
        record: &mut Record,
        batch: &mut [Notification],
        is_quiet: bool,
    ) -> Result<(), RecordError> {
        let mut alerts = Vec::new();
        for notification in batch.iter_mut() {
            self.left_out += notification.left_out;
            for alert in notification.alerts.drain(..) {
                alerts.extend(self.sort(alert));
            }
        }
        let has_counted = self.repeated > 0 || self.left_out > 0;
        if !alerts.is_empty() || (is_quiet && has_counted) {
            let (repeated, left_out) = (std::mem::take(&mut self.repeated), std::mem::take(&mut self.left_out));
            record.note(Event::AlertsReceived(AlertsReceived { alerts, repeated, left_out }))?;
        }
        // What was known may not be durable yet, if an attempt before this one was cut off.
        if batch.is_empty() { Ok(()) } else { record.flush().await }
    }

    /// The alert with its triggers, if it is a new one.
    fn sort(&mut self, mut alert: Alert) -> Option<Alert> {
        for text in [&mut alert.group, &mut alert.fingerprint] {
            text.scrub(&self.scrubber);
        }
        for texts in [&mut alert.labels, &mut alert.annotations] {
            texts.values_mut().for_each(|text| text.scrub(&self.scrubber));
        }
        if self.known.contains(&alert.key()) {
            self.repeated += 1;
            return None;
        }
        let matches = |(_, labels): &&(String, BTreeMap<String, Regex>)| {
            labels.iter().all(|(name, value)| value.is_match(alert.labels.get(name).map_or("", String::as_str)))
        };
        alert.triggers = self.triggers.iter().filter(matches).map(|(id, _)| id.clone()).collect();
        if alert.triggers.is_empty() {
            if self.others >= OTHERS_MAX {
                self.left_out += 1;
                return None;
            }
            self.others += 1;
            alert.annotations.clear();
            alert.labels = first_of(std::mem::take(&mut alert.labels), OTHER_BYTES_MAX);
        }
        self.known.insert(alert.key());
        Some(alert)
    }
}

/// The triggers that wait for an alert, with what its labels have to match. The plan's reader has compiled the
/// same expressions, so each of them can be.
fn triggers(watch: &WatchShape) -> Vec<(String, BTreeMap<String, Regex>)> {
    let whole = |text: &str| Regex::new(&format!(r"\A(?:{text})\z")).ok();
    let labels = |labels: &BTreeMap<String, String>| {
        labels.iter().map(|(name, text)| Some((name.clone(), whole(text)?))).collect::<Option<BTreeMap<_, _>>>()
    };
    watch.alerts.iter().filter_map(|shape| Some((shape.id.clone(), labels(&shape.labels)?))).collect()
}
