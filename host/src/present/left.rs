//! What is left for people to do in a run.

use crate::capability::{Reply, notify};
use crate::id::{CallId, ExecutionId, RunId};
use crate::journal::{End, Purpose, RunOutcome};
use crate::machine::{Fate, Made, State};

use super::words;

/// What is left to do, most urgent first, one sentence each, with the command if there is one.
pub(crate) fn left_to_do(state: &State, run: &RunId) -> Vec<String> {
    let mut left = Vec::new();
    for gate in state.gates.iter().filter(|gate| gate.answer.is_none() && state.ended.is_none()) {
        let name = &gate.opened.gate;
        left.push(format!(
            "Answer the gate before {}: {} `ripcord approve {run} {name}` says yes, `ripcord approve {run} {name} --no` \
             says no.",
            words::behind(&gate.opened.before),
            gate.opened.ask
        ));
    }
    for (call, mutation) in state.doubts().filter(|(call, _)| state.seen(*call).is_some()) {
        left.push(format!(
            "Find out whether this happened: {}. Then `ripcord resolve {run} {call}` with `--happened`, \
             `--did-not-happen` or `--unknowable`.",
            words::request(&mutation.request)
        ));
    }
    match &state.ended {
        None if left.is_empty() => left.push(format!(
            "The run has not ended. If no process carries it any more, `ripcord resume {run}` goes on where it stopped."
        )),
        None => left.push(format!("Then `ripcord resume {run}`, unless a process still carries the run.")),
        Some((RunOutcome::Halted, _)) => halted(state, run, &mut left),
        Some(_) => {}
    }
    for (call, made) in calls(state) {
        let Made::Mutation(mutation) = made else { continue };
        let request = words::request(&mutation.request);
        match &mutation.fate {
            Fate::Unknowable => left.push(format!(
                "Look at {} yourself: nobody knows whether call {call} happened ({request}).",
                mutation.request.connection
            )),
            Fate::Answered(Ok(Reply::Notify(notify::Reply::NotSent(why)))) => {
                left.push(format!("Tell them yourself, the notice has not gone out: {request} ({why})."));
            }
            Fate::Answered(Ok(Reply::Notify(notify::Reply::PerhapsSent(why)))) => {
                left.push(format!("Ask whether the notice has arrived: {request} ({why})."));
            }
            Fate::Answered(Err(failure)) if mutation.request.call.is_notice() => {
                left.push(format!("Tell them yourself, the notice has not gone out: {request} ({failure})."));
            }
            _ => {}
        }
    }
    left
}

fn halted(state: &State, run: &RunId, left: &mut Vec<String>) {
    let remaining = remaining(state);
    if remaining.is_empty() {
        return;
    }
    let can_undo = remaining.iter().all(|step| state.step(step).is_some_and(|step| step.can_undo));
    let steps = remaining.join(", ");
    left.push(if can_undo {
        format!("What was done is still done ({steps}). `ripcord undo {run}` takes it back; else go on by hand.")
    } else {
        format!("What was done is still done ({steps}), and not all of it can be taken back by ripcord.")
    });
}

/// The steps that have changed something that was not taken back, in their order.
pub(crate) fn remaining(state: &State) -> Vec<&str> {
    let applied = state.executions.iter().filter_map(|(id, execution)| match &execution.purpose {
        Purpose::Apply(step) if execution.has_effects() && !is_undone(state, *id) => Some(step.as_str()),
        _ => None,
    });
    applied.collect()
}

/// Whether an `undo` of this execution has ended well.
pub(crate) fn is_undone(state: &State, application: ExecutionId) -> bool {
    state.executions.values().any(|execution| {
        execution.purpose == Purpose::Undo(application) && matches!(execution.end, Some(End::Returned(_)))
    })
}

/// All calls that are known, by address.
fn calls(state: &State) -> impl Iterator<Item = (CallId, &Made)> {
    state.executions.iter().flat_map(|(&execution, known)| {
        (0..).zip(&known.calls).map(move |(ordinal, made)| (CallId { execution, ordinal }, made))
    })
}
