//! What becomes of the containers when the database could not be exchanged.
//!
//! The live database is as it was then, and the containers that use it are stopped. Where the code is as it was too, they
//! are what ran before, bad as that was, and they are started again: an outage helps nobody. Where the code has gone back
//! already, starting them would run it on data that it was never tried with, perhaps behind a migration that it knows
//! nothing of; that is for a person to say, and they are told both ways out.

use ripcord_plugin::docker::Container;
use ripcord_plugin::{Context, Failure};

use crate::code::Way;
use crate::containers;

/// What there was before anything was stopped.
pub(crate) struct Stranded {
    /// The containers that ran, in the order in which they are to be started.
    up: Vec<Vec<String>>,
    /// Those that ran, and that the plan only stops: nobody has agreed to their start.
    only_stopped: Vec<String>,
    /// The revision whose code is there by now, if it was not there before.
    moved_to: Option<String>,
    has_database: bool,
}

impl Stranded {
    /// `starting` are the groups that the plan starts.
    pub(crate) fn new(
        stopping: &[Container],
        starting: &[Vec<Container>],
        way: Option<&Way>,
        has_database: bool,
    ) -> Self {
        let was_up = |container: &&Container| {
            stopping.iter().any(|stopped| stopped.id == container.id && containers::is_up(stopped.state))
        };
        let names = |group: Vec<&Container>| group.into_iter().map(|container| container.name.clone()).collect();
        let up = starting.iter().map(|group| names(group.iter().filter(was_up).collect())).collect();
        let is_started = |container: &&Container| starting.iter().flatten().any(|started| started.id == container.id);
        let only_stopped = names(stopping.iter().filter(was_up).filter(|container| !is_started(container)).collect());
        let moved_to = way.filter(|way| !way.is_there()).map(|way| way.to.clone());
        Self { up, only_stopped, moved_to, has_database }
    }

    /// Starts what may be started, and says behind the failure how things stand.
    pub(crate) fn help(&self, context: &Context, failure: Failure) -> Failure {
        let failure = if self.has_database { failure.and("the live database is as it was") } else { failure };
        let undo = format!("ripcord undo {}", context.run);
        let all = [self.up.concat(), self.only_stopped.clone()].concat();
        let down: Vec<String> = match containers::look(&all) {
            Ok(now) => {
                let down = now.into_iter().filter(|container| !containers::is_up(container.state));
                down.map(|container| container.name).collect()
            }
            Err(unknown) => {
                let names = all.join(", ");
                return failure.and(&format!(
                    "whether {names} are stopped could not be seen ({}); what was done is taken back by  {undo}",
                    unknown.message()
                ));
            }
        };
        if down.is_empty() {
            return failure;
        }
        let names = down.join(", ");
        if let Some(revision) = &self.moved_to {
            return failure.and(&format!(
                "{names} stay stopped, for the code is that of {revision} by now, which was never tried with the data of \
                 now. Put right what failed, and run the plan again: it starts them. Or take the code back to what it \
                 was, and start them with it:  {undo}"
            ));
        }
        for group in &self.up {
            let group: Vec<String> = group.iter().filter(|name| down.contains(name)).cloned().collect();
            if let Err(problem) = containers::start(&group) {
                return failure.and(&format!(
                    "{names} were stopped, and could not all be started again ({}): start them by hand, or by  {undo}",
                    problem.message()
                ));
            }
        }
        let (left, again): (Vec<_>, Vec<_>) = down.into_iter().partition(|name| self.only_stopped.contains(name));
        let failure = match again.is_empty() {
            true => failure,
            false => failure.and(&format!("{} had been stopped, and run again, as bad as before", again.join(", "))),
        };
        match left.is_empty() {
            true => failure,
            false => failure.and(&format!(
                "{} stay stopped, for the plan does not start them: start them by hand, or by  {undo}",
                left.join(", ")
            )),
        }
    }
}

/// What a failure means that came when all was exchanged, and the containers were being started. `exchanged` is the
/// backup, and the name under which the data of before is kept; `left` are the groups whose turn had not come.
pub(crate) fn half_started(
    context: &Context,
    failure: Failure,
    exchanged: Option<(&str, &str)>,
    left: &[Vec<String>],
) -> Failure {
    let failure = match exchanged {
        Some((backup, kept)) => {
            failure.and(&format!("the data of {backup} is live by now, and what was is kept in {kept}"))
        }
        None => failure,
    };
    let undo = format!("ripcord undo {}", context.run);
    match left.concat().as_slice() {
        [] => failure.and(&format!("put right what is wrong with it; or take all of it back:  {undo}")),
        left => failure.and(&format!(
            "{} were not started yet: put right what is wrong, and start them; or take all of it back:  {undo}",
            left.join(", ")
        )),
    }
}
