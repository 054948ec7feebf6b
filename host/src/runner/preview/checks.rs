//! The verification in a preview: what each check expects, and what it says before anything is done.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::super::execute::judged;
use super::{BranchEnd, Finding, PreviewedCheck, Previewer};
use crate::component::{Context, Export, Returned};
use crate::journal::{CheckOutcome, CheckShape, Purpose};
use crate::pipeline::{Depth, Preview};
use crate::plan::{check_config, render};
use crate::runner::RunError;

/// How long a check may take in a preview. A smoke test takes its minutes when the run is over; nobody
/// waits for it at three in the morning to hear that all is not well.
const CHECK_TIMEOUT_MAX: Duration = Duration::from_secs(10);

impl Previewer<'_> {
    /// The checks, all at once if they are asked what they say now. A check observes: what it would change is denied.
    pub(super) async fn checks(&self, depth: Depth) -> Result<Vec<PreviewedCheck>, RunError> {
        try_join_all(self.job.shape.verify.iter().map(|check| self.check(check, depth))).await
    }

    async fn check(&self, check: &CheckShape, depth: Depth) -> Result<PreviewedCheck, RunError> {
        let unit = self.unit(&check.id)?;
        Ok(PreviewedCheck {
            id: check.id.clone(),
            plugin: self.plugin(unit),
            expect: unit.expect.as_ref().map(|expect| expect.as_str().to_owned()),
            within: Duration::from_millis(check.within_ms),
            every: Duration::from_millis(check.every_ms),
            now: match depth {
                Depth::Whole => Some(self.finding(&check.id).await?),
                Depth::Listed => None,
            },
        })
    }

    async fn finding(&self, id: &str) -> Result<Finding, RunError> {
        let unit = self.unit(id)?;
        let unknown = |summary: String| Ok(Finding { outcome: CheckOutcome::Inconclusive, summary });
        let scope = self.job.scope_with(&self.run, self.receipts.clone());
        let config = render(&unit.with, &scope).map_err(|error| error.to_string());
        let config = config.and_then(|config| check_config(&unit.manifest, &config).map(|()| config));
        let config = match config {
            Ok(config) => config,
            Err(why) => return unknown(self.seen.show(format!("its configuration can't be made yet: {why}"))),
        };
        let context = Context {
            run: self.run.to_string(),
            step: id.to_owned(),
            target: self.job.target.clone(),
            roles: unit.bound_roles(),
        };
        let export = Export::Check { context, config };
        let timeout = unit.timeout.min(CHECK_TIMEOUT_MAX);
        // It looks at what is there, not at what the steps have assumed.
        let purpose = Purpose::Check(id.to_owned());
        let (_, _, returned) = self.execute_after(Preview::default(), unit, purpose, &export, timeout).await?;
        let (outcome, summary) = match returned {
            Ok(Returned::Receipt(Ok(verdict))) => judged(unit, &verdict, &scope),
            Ok(Returned::Receipt(Err(failure))) => (CheckOutcome::Inconclusive, failure.to_string()),
            Ok(_) => (CheckOutcome::Inconclusive, "it returned no verdict".to_owned()),
            Err(BranchEnd::Open(why) | BranchEnd::Fails(why)) => (CheckOutcome::Inconclusive, why),
            Err(BranchEnd::Whole) => (CheckOutcome::Inconclusive, "it ended early".to_owned()),
        };
        Ok(Finding { outcome, summary: self.seen.show(summary) })
    }
}
