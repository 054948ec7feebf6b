//! The notices in a preview: who would be told what, on each occasion.

use super::{BranchEnd, PreviewedNotice, PreviewedSending, Previewer};
use crate::component::{Export, Returned};
use crate::journal::{Listed, NoticeShape, Occasion, Purpose, Sending};
use crate::pipeline::Preview;
use crate::plan::{check_config, render};
use crate::runner::RunError;

/// Stands for what is only known when the notice is sent.
const WHY: &str = "…";

impl Previewer<'_> {
    pub(super) async fn notices(&self) -> Result<Vec<PreviewedNotice>, RunError> {
        let mut notices = Vec::new();
        for shape in &self.job.shape.notices {
            let mut sendings = Vec::new();
            // A run that does not watch never tells of a trigger.
            let comes = |on: &&Occasion| **on != Occasion::Tripped || self.job.shape.watch.is_some();
            for on in shape.on.iter().filter(comes) {
                sendings.push(self.sending(shape, *on).await?);
            }
            let unit = self.unit(&shape.id)?;
            let bound = unit.roles.values().filter_map(|grant| grant.bound.as_ref());
            let listed = bound.map(|bound| Listed::of_a_notice(&bound.name)).collect();
            notices.push(PreviewedNotice { id: shape.id.clone(), plugin: self.plugin(unit), sendings, listed });
        }
        Ok(notices)
    }

    async fn sending(&self, shape: &NoticeShape, on: Occasion) -> Result<PreviewedSending, RunError> {
        let unit = self.unit(&shape.id)?;
        // The beginning of a run that watches nothing has no reason to tell.
        let why = if on == Occasion::Begun && self.job.shape.watch.is_none() { "" } else { WHY };
        let scope = self.job.scope_of_a_notice(&self.run, on, why.to_owned(), self.job.said.clone());
        let config = render(&unit.with, &scope).map_err(|error| error.to_string());
        let config = match config.and_then(|config| check_config(&unit.manifest, &config).map(|()| config)) {
            Ok(config) => config,
            Err(why) => {
                let end = BranchEnd::Fails(self.seen.show(format!("its configuration can't be made: {why}")));
                return Ok(PreviewedSending { on, calls: Vec::new(), end });
            }
        };
        let export = Export::Apply { context: self.job.context(&self.run, &shape.id, unit), config: config.clone() };
        let mut preview = Preview::after(&self.seen);
        preview.knows(&config);
        let purpose = Purpose::Notice(Sending { notice: shape.id.clone(), on, call: None });
        let (calls, seen, returned) = self.execute_after(preview, unit, purpose, &export, unit.timeout).await?;
        let end = match returned {
            Ok(Returned::Receipt(Ok(_))) => BranchEnd::Whole,
            Ok(Returned::Receipt(Err(failure))) => BranchEnd::Fails(seen.show(failure.to_string())),
            Ok(_) => BranchEnd::Fails("it returned no receipt".to_owned()),
            Err(BranchEnd::Open(why)) => BranchEnd::Open(seen.show(why)),
            Err(BranchEnd::Fails(why)) => BranchEnd::Fails(seen.show(why)),
            Err(BranchEnd::Whole) => BranchEnd::Whole,
        };
        Ok(PreviewedSending { on, calls, end })
    }
}
