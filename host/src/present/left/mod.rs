//! What is left for people to do in a run.

mod remains;

use serde::{Deserialize, Serialize};

use crate::capability::{Reply, notify};
use crate::id::{CallId, ExecutionId, RunId};
use crate::journal::{End, Occasion, Purpose, RunOutcome};
use crate::language::Language;
use crate::machine::{After, Fate, Made, Standing, State};

use super::notices::{Delivered, Delivery, Told};
use super::words::{self, Before};

/// Something that a person has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Left {
    /// Answer a gate.
    Gate {
        /// The run.
        run: RunId,
        /// The gate.
        gate: String,
        /// What stands behind it.
        before: Before,
        /// What is asked.
        ask: String,
    },
    /// Find out what became of a call.
    Doubt {
        /// The run.
        run: RunId,
        /// The call's address.
        call: String,
        /// What was asked for.
        request: String,
    },
    /// Go on with a run that may have been cut off.
    CutOff {
        /// The run.
        run: RunId,
    },
    /// Go on once all of that is answered.
    ThenResume {
        /// The run.
        run: RunId,
    },
    /// Go on with a follow-up that may have been cut off.
    FollowUpCutOff {
        /// The run.
        run: RunId,
        /// The follow-up.
        item: String,
    },
    /// See to it that a target is as it was verified.
    Drifted {
        /// The check that does not hold any more.
        check: String,
        /// What it saw then, and what now.
        why: String,
    },
    /// Look whether something is so that could not be measured.
    Unmeasured {
        /// The condition.
        title: String,
        /// Why it could not be measured.
        why: String,
    },
    /// Take back what was done, or go on by hand.
    CanUndo {
        /// The run.
        run: RunId,
        /// The steps whose changes are still there.
        steps: Vec<String>,
    },
    /// Go on by hand.
    CannotUndo {
        /// The steps whose changes are still there.
        steps: Vec<String>,
    },
    /// Look what became of a call that nobody could find out about.
    Unknowable {
        /// The call's address.
        call: String,
        /// Where to look.
        connection: String,
        /// What was asked for.
        request: String,
    },
    /// Tell people what a notice should have told them.
    NotSent {
        /// The notice.
        request: String,
        /// Why it has not gone out.
        why: String,
    },
    /// Tell people what a notice of the plan should have told them.
    NotTold {
        /// The notice.
        notice: String,
        /// What it was to tell of.
        occasion: Occasion,
        /// Why it has not.
        why: String,
    },
    /// Ask people whether a notice has reached them.
    PerhapsSent {
        /// The notice.
        request: String,
        /// Why that is not known.
        why: String,
    },
    /// Start containers that the run has stopped and not started again.
    Stopped {
        /// The engine's connection.
        connection: String,
        /// The containers, in the order in which they were stopped.
        containers: Vec<String>,
    },
    /// Commit what was changed in a working copy.
    Uncommitted {
        /// The working copy's connection.
        connection: String,
        /// What was changed and not committed.
        paths: Vec<String>,
    },
    /// Push what was committed.
    Unpushed {
        /// The working copy's connection.
        connection: String,
        /// The commit that no push has taken along.
        head: String,
    },
}

impl Left {
    /// In English, for the terminal.
    pub(crate) fn words(&self) -> String {
        Language::En.say("left", self)
    }
}

/// What is left to do, most urgent first.
pub(crate) fn left_to_do(state: &State, run: &RunId) -> Vec<Left> {
    let mut left = Vec::new();
    let under_way = match &state.after {
        Some(After::FollowUp(item)) => Some(item),
        Some(After::Drift) | None => None,
    };
    let is_over = state.ended.is_some() && under_way.is_none();
    let open_gates = state.gates.iter().filter(|gate| gate.answer.is_none() && !is_over);
    left.extend(open_gates.map(|gate| Left::Gate {
        run: run.clone(),
        gate: gate.opened.gate.to_string(),
        before: Before::from(&gate.opened.before),
        ask: gate.opened.ask.clone(),
    }));
    let doubts = state.doubts().filter(|(call, _)| state.seen(*call).is_some());
    left.extend(doubts.map(|(call, mutation)| Left::Doubt {
        run: run.clone(),
        call: call.to_string(),
        request: words::request(&mutation.request),
    }));
    match &state.ended {
        Some(_) if !is_over && left.is_empty() => {
            let cut_off = |item: &String| Left::FollowUpCutOff { run: run.clone(), item: item.clone() };
            left.extend(under_way.map(cut_off));
        }
        Some(_) if !is_over => left.push(Left::ThenResume { run: run.clone() }),
        None if left.is_empty() => left.push(Left::CutOff { run: run.clone() }),
        None => left.push(Left::ThenResume { run: run.clone() }),
        Some((RunOutcome::Undone, _)) => left.extend(remains::stopped(state)),
        Some((RunOutcome::Halted, _)) => {
            left.extend(remains::stopped(state));
            left.extend(unmeasured(state));
            left.extend(halted(state, run));
        }
        Some(_) => {}
    }
    let drifted = state.has_drifted();
    left.extend(drifted.map(|(check, why)| Left::Drifted { check: check.to_owned(), why: why.to_owned() }));
    // What a probe's call has come to is its check's business.
    for (call, made) in calls(state).filter(|(call, _)| !state.is_beside(call.execution)) {
        let Made::Mutation(mutation) = made else { continue };
        let request = words::request(&mutation.request);
        match &mutation.fate {
            Fate::Unknowable => {
                let connection = mutation.request.connection.clone();
                left.push(Left::Unknowable { call: call.to_string(), connection, request });
            }
            Fate::Answered(Ok(Reply::Notify(notify::Reply::NotSent(why)))) => {
                left.push(Left::NotSent { request, why: why.clone() });
            }
            Fate::Answered(Ok(Reply::Notify(notify::Reply::PerhapsSent(why)))) => {
                left.push(Left::PerhapsSent { request, why: why.clone() });
            }
            Fate::Answered(Err(failure)) if mutation.request.call.is_notice() => {
                left.push(Left::NotSent { request, why: failure.to_string() });
            }
            _ => {}
        }
    }
    left.extend(Told::all_of(state).into_iter().flat_map(untold));
    left.extend(remains::working_copies(state));
    left
}

/// What the plan's notices were to tell people, and have not, or perhaps not.
fn untold(told: Told) -> Vec<Left> {
    let Told { notice, on: occasion, deliveries, problem, .. } = told;
    let whole = problem.map(|why| Left::NotTold { notice: notice.clone(), occasion, why });
    let by = deliveries.into_iter().filter_map(|Delivery { connection, delivered }| {
        let request = format!("{connection}, {notice} ({occasion})");
        match delivered {
            Delivered::NotSent { why } => Some(Left::NotSent { request, why }),
            Delivered::PerhapsSent { why } => Some(Left::PerhapsSent { request, why }),
            Delivered::Sent | Delivered::Open => None,
        }
    });
    whole.into_iter().chain(by).collect()
}

/// What was to be watched and could not be, if the run has ended on that.
fn unmeasured(state: &State) -> Vec<Left> {
    if state.executions.values().any(|execution| matches!(execution.purpose, Purpose::Apply(_))) {
        return Vec::new();
    }
    let triggers = state.shape.watch.iter().flat_map(|watch| &watch.triggers);
    let unmeasured = triggers.filter_map(|trigger| match state.tally(&trigger.id).standing(trigger) {
        Standing::GivenUp(why) => Some(Left::Unmeasured { title: trigger.title.clone(), why }),
        _ => None,
    });
    unmeasured.collect()
}

fn halted(state: &State, run: &RunId) -> Option<Left> {
    let remaining = remaining(state);
    let can_undo = remaining.iter().all(|step| state.step(step).is_some_and(|step| step.can_undo));
    let steps: Vec<_> = remaining.into_iter().map(str::to_owned).collect();
    match can_undo {
        _ if steps.is_empty() => None,
        true => Some(Left::CanUndo { run: run.clone(), steps }),
        false => Some(Left::CannotUndo { steps }),
    }
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
