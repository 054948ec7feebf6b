//! The preview of a follow-up: what carrying it out would do now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    BranchEnd, From, Job, Outlook, PreviewReport, PreviewedFollowUp, PreviewedStep, Previewer, RunError, Seams, When,
    secrets,
};
use crate::component::{Components, Export, Returned};
use crate::id::RunId;
use crate::journal::{FollowUpShape, OnFailure, Purpose, StepShape};
use crate::machine::{Made, State};
use crate::pipeline::{Depth, Preview};
use crate::plan::{check_config, render};

/// Previews a follow-up of a run that has ended. Nothing is recorded and nothing is changed.
pub async fn preview_follow_up(
    components: &Components,
    job: &Job,
    seams: &Arc<dyn Seams>,
    depth: Depth,
    (run, state): (&RunId, &State),
    item: &FollowUpShape,
) -> Result<PreviewReport, RunError> {
    let seen = Preview::new(depth);
    let receipts = BTreeMap::new();
    let mut previewer = Previewer { components, job, seams, run: run.clone(), receipts, seen, branches: Vec::new() };
    previewer.follow_up(&item.id, state).await?;
    let step = previewer.described_follow_up(item, state)?;
    let what = item.what.clone();
    let behind = state.goes_on_behind(&item.id).map(|(_, _, known)| known.iter().filter_map(done).collect());
    let behind = behind.unwrap_or_default();
    Ok(PreviewReport {
        plan: job.plan_name.clone(),
        follow_up: Some(PreviewedFollowUp { run: run.clone(), item: item.id.clone(), what, behind }),
        plan_path: job.plan_path.display().to_string(),
        params: job.params.clone(),
        operator_path: job.operator_path.display().to_string(),
        target: job.target.clone(),
        good_states: Vec::new(),
        holds: job.holds(),
        secrets: secrets(job),
        binding: job.binding_of(run, &item.id),
        steps: vec![step],
        branches: previewer.branches,
        probing_triggers: Vec::new(),
        checks: Vec::new(),
        notices: Vec::new(),
    })
}

/// A change that was made and is not made again.
fn done(made: &Made) -> Option<String> {
    match made {
        Made::Mutation(mutation) => Some(mutation.request.call.summary()),
        Made::Read { .. } | Made::Clock(_) | Made::Sleep(_) => None,
    }
}

impl Previewer<'_> {
    async fn follow_up(&mut self, id: &str, state: &State) -> Result<(), RunError> {
        let unit = self.unit(id)?;
        let stuck = state.goes_on_behind(id);
        let config = match stuck {
            // It goes on with what it was told then.
            Some((_, attempt, _)) => Ok(attempt.config.clone()),
            None => {
                let config = render(&unit.with, &self.job.scope(&self.run, state)).map_err(|error| error.to_string());
                config.and_then(|config| check_config(&unit.manifest, &config).map(|()| config))
            }
        };
        let (calls, end) = match config {
            Err(why) => (Vec::new(), BranchEnd::Fails(format!("its configuration can't be made: {why}"))),
            Ok(config) => {
                let context = self.job.context(&self.run, id, unit);
                let apply = Export::Apply { context, config: config.clone() };
                let purpose = Purpose::FollowUp(id.to_owned());
                let mut preview = Preview::after(&self.seen);
                preview.knows(&config);
                let from = match stuck {
                    Some((execution, attempt, known)) => {
                        From { execution, began: attempt.began, known: known.to_vec() }
                    }
                    None => From::default(),
                };
                let (calls, seen, returned) =
                    self.execute_from(from, preview, unit, purpose, &apply, unit.timeout).await?;
                self.seen = seen;
                let end = match returned {
                    Ok(Returned::Receipt(Ok(_))) => BranchEnd::Whole,
                    Ok(Returned::Receipt(Err(failure))) => BranchEnd::Fails(failure.to_string()),
                    Ok(_) => BranchEnd::Fails("it returned no receipt".to_owned()),
                    Err(end) => end,
                };
                (calls, end)
            }
        };
        self.branch(id, When::Always, Outlook::Taken, calls, end);
        Ok(())
    }

    fn described_follow_up(&self, item: &FollowUpShape, state: &State) -> Result<PreviewedStep, RunError> {
        let shape = StepShape {
            id: item.id.clone(),
            fallback: None,
            gate: false,
            on_failure: OnFailure::Halt,
            can_undo: self.unit(&item.id)?.manifest.can_undo,
        };
        self.described_in(&shape, &self.job.scope(&self.run, state))
    }
}
