//! The verification in a preview: what each check expects, and what it says before anything is done.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::super::execute::judged;
use super::{BranchEnd, Finding, PreviewedCheck, PreviewedProbe, Previewer, Unit};
use crate::component::{Export, Returned};
use crate::journal::{CheckOutcome, CheckShape, Purpose};
use crate::pipeline::{Depth, Preview, Previewed};
use crate::plan::{check_config, render};
use crate::runner::RunError;

/// How long a check may take in a preview. A smoke test takes its minutes when the run is over; nobody
/// waits for it at three in the morning to hear that all is not well.
const CHECK_TIMEOUT_MAX: Duration = Duration::from_secs(10);

impl Previewer<'_> {
    /// The checks, all at once. One that observes is asked what it says, if somebody reads it; what a
    /// probe would do is always seen, because it belongs to what is agreed to.
    pub(super) async fn checks(&self, depth: Depth) -> Result<Vec<PreviewedCheck>, RunError> {
        try_join_all(self.job.shape.verify.iter().map(|check| self.check(check, depth))).await
    }

    /// The triggers that are probes: what they do belongs to what is agreed to. Those that look are not
    /// asked.
    pub(super) async fn probing_triggers(&self) -> Result<Vec<PreviewedCheck>, RunError> {
        let mut probing = Vec::new();
        let Some(watch) = &self.job.shape.watch else { return Ok(probing) };
        for trigger in &watch.triggers {
            if self.unit(&trigger.id)?.probe {
                let (id, within_ms, every_ms) = (trigger.id.clone(), watch.window_ms, trigger.interval_ms);
                probing.push(self.check(&CheckShape { id, within_ms, every_ms }, Depth::Listed).await?);
            }
        }
        Ok(probing)
    }

    async fn check(&self, check: &CheckShape, depth: Depth) -> Result<PreviewedCheck, RunError> {
        let unit = self.unit(&check.id)?;
        let (mut probe, mut now) = (None, None);
        match depth {
            _ if unit.probe => probe = Some(self.probe(&check.id).await?),
            Depth::Whole => now = Some(self.finding(&check.id).await?),
            Depth::Listed => {}
        }
        Ok(PreviewedCheck {
            id: check.id.clone(),
            plugin: self.plugin(unit),
            expect: unit.expect.as_ref().map(|expect| expect.as_str().to_owned()),
            within: Duration::from_millis(check.within_ms),
            every: Duration::from_millis(check.every_ms),
            probe,
            now,
        })
    }

    /// A check comes behind the steps: its calls are taken for what they would be then.
    async fn probe(&self, id: &str) -> Result<PreviewedProbe, RunError> {
        let unit = self.unit(id)?;
        let (export, config) = match self.export(id, unit) {
            Ok(export) => export,
            Err(why) => return Ok(PreviewedProbe { calls: Vec::new(), end: BranchEnd::Open(self.seen.show(why)) }),
        };
        let mut preview = Preview::after(&self.seen);
        preview.knows(&config);
        let (calls, seen, returned) = self.look(preview, id, unit, &export).await?;
        let end = match returned {
            // What it makes of replies that were assumed says nothing.
            Ok(Returned::Receipt(Ok(_))) => BranchEnd::Whole,
            Ok(Returned::Receipt(Err(failure))) => BranchEnd::Fails(seen.show(failure.to_string())),
            Ok(_) => BranchEnd::Fails("it returned no verdict".to_owned()),
            Err(BranchEnd::Open(why)) => BranchEnd::Open(seen.show(why)),
            Err(BranchEnd::Fails(why)) => BranchEnd::Fails(seen.show(why)),
            Err(BranchEnd::Whole) => BranchEnd::Whole,
        };
        Ok(PreviewedProbe { calls, end })
    }

    async fn finding(&self, id: &str) -> Result<Finding, RunError> {
        let unit = self.unit(id)?;
        let (export, _) = match self.export(id, unit) {
            Ok(export) => export,
            Err(why) => {
                return Ok(Finding { outcome: CheckOutcome::Inconclusive, summary: self.seen.show(why) });
            }
        };
        // It looks at what is there, not at what the steps have assumed.
        let (_, _, returned) = self.look(Preview::default(), id, unit, &export).await?;
        let scope = self.job.scope_with(&self.run, self.receipts.clone());
        let (outcome, summary) = match returned {
            Ok(Returned::Receipt(Ok(verdict))) => judged(unit, &verdict, &scope),
            Ok(Returned::Receipt(Err(failure))) => (CheckOutcome::Inconclusive, failure.to_string()),
            Ok(_) => (CheckOutcome::Inconclusive, "it returned no verdict".to_owned()),
            Err(BranchEnd::Open(why) | BranchEnd::Fails(why)) => (CheckOutcome::Inconclusive, why),
            Err(BranchEnd::Whole) => (CheckOutcome::Inconclusive, "it ended early".to_owned()),
        };
        Ok(Finding { outcome, summary: self.seen.show(summary) })
    }

    /// What a check is called with, and its configuration; or why that is not known yet.
    fn export(&self, id: &str, unit: &Unit) -> Result<(Export, Value), String> {
        let scope = self.job.scope_with(&self.run, self.receipts.clone());
        let config = render(&unit.with, &scope).map_err(|error| error.to_string());
        let config = config.and_then(|config| check_config(&unit.manifest, &config).map(|()| config));
        let config = config.map_err(|why| format!("its configuration can't be made yet: {why}"))?;
        let context = self.job.context(&self.run, id, unit);
        Ok((Export::Check { context, config: config.clone() }, config))
    }

    async fn look(
        &self,
        preview: Preview,
        id: &str,
        unit: &Unit,
        export: &Export,
    ) -> Result<(Vec<Previewed>, Preview, Result<Returned, BranchEnd>), RunError> {
        let timeout = unit.timeout.min(CHECK_TIMEOUT_MAX);
        self.execute_after(preview, unit, Purpose::Check(id.to_owned()), export, timeout).await
    }
}
