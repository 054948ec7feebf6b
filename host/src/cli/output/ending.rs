//! Where a run, a watch or a follow-up has got to, and what a person does next.

use serde_json::json;

use super::{clean, err, object, out, stderr_style};
use crate::cli::context::Context;
use crate::cli::follow_up::items;
use crate::cli::interrupt::Cause;
use crate::id::{CallId, RunId};
use crate::journal::{Purpose, Question, RunOutcome};
use crate::machine::{After, FollowUpState, State};
use crate::present::left::left_to_do;
use crate::present::{self, Left};
use crate::runner::{Stand, UnderWay};

/// What a run that is to pause waits for, and how not to wait.
pub(in crate::cli) fn pausing(run: &RunId, cause: Cause, under_way: Option<&UnderWay>) {
    let Some(UnderWay { request, left }) = under_way else {
        return err(&format!("{cause}: the run pauses at its next durable point; Ctrl-C again stops it at once"));
    };
    let left = present::rounded(*left);
    let doing = clean(&present::request(request)).into_owned();
    if request.call.outlives_its_host() {
        err(&format!("{cause}: the run pauses when this has ended, in {left} at most: {doing}"));
        err(&format!(
            "Ctrl-C again does not wait: it goes on by itself, and  ripcord resume {run}  finds out how it ended"
        ));
    } else {
        err(&format!("{cause}: the run pauses when this is answered, in {left} at most: {doing}"));
        err(&format!("Ctrl-C again leaves it in doubt, and  ripcord resume {run}  finds out whether it happened"));
    }
}

/// Where a run has got to, and what a person has to do.
pub(in crate::cli) fn stand(context: &Context, run: &RunId, stand: &Stand, state: &State) {
    let why = match stand {
        Stand::Ended(_, why) => why.clone(),
        Stand::Asks(Question::DidItHappen { call, .. }) => format!("it is not known whether call {call} happened"),
        Stand::AtGate(gate) => format!("gate {gate} has no answer yet"),
        Stand::Paused => "it was interrupted".to_owned(),
    };
    told(context, run, stand, state, &why);
}

/// As [`stand`], for a run that has paused for this reason.
pub(in crate::cli) fn paused(context: &Context, run: &RunId, cause: Cause, state: &State) {
    told(context, run, &Stand::Paused, state, &cause.to_string());
}

/// As [`stand`], for a run that no process carries.
pub(in crate::cli) fn left(context: &Context, run: &RunId, stand: &Stand, state: &State) {
    told(context, run, stand, state, "no process carries it");
}

fn told(context: &Context, run: &RunId, stand: &Stand, state: &State, why: &str) {
    let outcome = match stand {
        Stand::Ended(outcome, _) => outcome.to_string(),
        Stand::Asks(_) | Stand::AtGate(_) => "waiting".to_owned(),
        Stand::Paused => "paused".to_owned(),
    };
    let unknown = match stand {
        Stand::Paused => unknown(state),
        Stand::Ended(..) | Stand::Asks(_) | Stand::AtGate(_) => Vec::new(),
    };
    if context.global.json {
        // The end of a run is its own event, and was printed when it was recorded.
        if !matches!(stand, Stand::Ended(..)) {
            object(&json!({
                "version": 1,
                "event": "run-stopped",
                "run": run,
                "state": outcome,
                "why": why,
                "in-doubt": unknown.iter().map(|(call, what)| json!({ "call": call, "what": what })).collect::<Vec<_>>(),
            }));
        }
    } else {
        out(&format!("run {run}: {outcome}"));
    }
    err(&format!("\n{outcome}: {}", clean(why)));
    for (call, what) in &unknown {
        err(&format!("in doubt: call {call}: {}; `ripcord resume` finds out whether it happened", clean(what)));
    }
    for hint in besides(run, state).iter().map(|hint| clean(hint)) {
        err(&format!("hint: {hint}"));
    }
    for hint in what_next(run, stand, state) {
        err(&format!("hint: {hint}"));
    }
}

/// What the outcome does not say, and somebody has to know: what a run has stopped and left down, and the notices that
/// have not reached anybody.
fn besides(run: &RunId, state: &State) -> Vec<String> {
    let left = left_to_do(state, run).into_iter();
    let is_besides = |left: &Left| {
        matches!(left, Left::Stopped { .. } | Left::NotTold { .. } | Left::NotSent { .. } | Left::PerhapsSent { .. })
    };
    left.filter(is_besides).map(|left| left.words()).collect()
}

/// The calls that may or may not have happened.
pub(in crate::cli) fn unknown(state: &State) -> Vec<(CallId, String)> {
    state.doubts().map(|(call, mutation)| (call, present::request(&mutation.request))).collect()
}

fn what_next(run: &RunId, stand: &Stand, state: &State) -> Vec<String> {
    match stand {
        Stand::Ended(RunOutcome::Verified | RunOutcome::Undone, _) => {
            let mut next = vec![format!("the incident report:  ripcord report {run}")];
            let open = items(state).iter().filter(|item| item.is_open).map(|item| item.id.clone()).collect::<Vec<_>>();
            if !open.is_empty() {
                next.push(format!("what stays to be done ({}):  ripcord follow-up {run}", open.join(", ")));
            }
            next
        }
        Stand::Ended(RunOutcome::Unchanged, _) => Vec::new(),
        Stand::Ended(RunOutcome::Halted, _) => {
            let mut next = vec![format!("what was done and what was not:  ripcord show {run}")];
            if state.can_verify_again() {
                next.push(format!("verify again:  ripcord resume {run}"));
            }
            let has_begun = |state: &State| {
                state.executions.values().any(|execution| matches!(execution.purpose, Purpose::Apply(_)))
            };
            next.push(if state.has_effects() {
                format!("take back what it did, or what is left of it:  ripcord undo {run}")
            } else if state.shape.watch.is_some() && !has_begun(state) {
                "nothing was changed: look yourself whether there is something to roll back, or put right what could \
                 not be measured, and watch again"
                    .to_owned()
            } else {
                "nothing was changed: put the cause right, and run the plan again".to_owned()
            });
            next
        }
        Stand::Asks(Question::DidItHappen { call, .. }) => vec![
            format!("what was sent, and how to find out:  ripcord show {run}"),
            format!("answer with  ripcord resolve {run} {call} --happened | --did-not-happen | --unknowable"),
            format!("then  ripcord resume {run}"),
        ],
        Stand::AtGate(gate) => vec![
            format!("answer with  ripcord approve {run} {gate}    (or --no)"),
            format!("then  ripcord resume {run}"),
        ],
        Stand::Paused if state.after == Some(After::Drift) => vec![format!("go on with  ripcord watch {run}")],
        Stand::Paused if state.after.is_some() => {
            vec![format!("go on with  ripcord resume {run}    or stop it with  ripcord abort {run}")]
        }
        Stand::Paused => vec![format!("go on with  ripcord resume {run}    or take it back with  ripcord abort {run}")],
    }
}

/// What a watch has come to, and what to do.
pub(in crate::cli) fn drift_ended(context: &Context, run: &RunId, state: &State) {
    let Some(drift) = present::DriftWatch::of(state) else { return };
    let (word, why) = match &drift.standing {
        present::DriftState::Open => ("open", String::new()),
        present::DriftState::Held { why } => ("held", why.clone()),
        present::DriftState::Drifted { check } => ("drifted", format!("check {check} does not hold any more")),
        present::DriftState::Unknown { why } => ("unknown", why.clone()),
    };
    if !context.global.json {
        out(&format!("run {run}: {word}"));
    }
    err(&format!("\n{word}: {}", clean(&why)));
    for line in drift.lines(&stderr_style().zone) {
        err(&format!("  {}", clean(&line)));
    }
    match &drift.standing {
        present::DriftState::Drifted { .. } => {
            err("hint: find out what has undone the rollback (a restart, a push, another deploy), and stop that");
            err("hint: to roll back once more, run the plan again");
            err(&format!("hint: the incident report has it now:  ripcord report {run}"));
        }
        present::DriftState::Unknown { .. } => {
            err("hint: look yourself whether what was verified is still so");
            err(&format!("hint: or put right what can't be looked at, and watch again:  ripcord watch {run}"));
        }
        present::DriftState::Held { .. } | present::DriftState::Open => {}
    }
}

/// What came of carrying a follow-up out.
pub(in crate::cli) fn follow_up_ended(context: &Context, run: &RunId, item: &str, state: &State) {
    let Some(known) = items(state).into_iter().find(|known| known.id == item) else { return };
    let (word, why, next) = match &known.standing {
        FollowUpState::Done { .. } => ("done", "it is done".to_owned(), None),
        FollowUpState::Failed { why, .. } => {
            let again = format!("put that right; then  ripcord follow-up {run} {item}    goes on where it got stuck");
            ("failed", why.clone(), Some(again))
        }
        FollowUpState::Refused { why, .. } => {
            ("refused", why.clone(), Some(format!("it stays open:  ripcord follow-up {run} {item}")))
        }
        _ => ("open", String::new(), None),
    };
    if !context.global.json {
        out(&format!("run {run}: follow-up {item}: {word}"));
    }
    err(&format!("\n{word}: {}", clean(&why)));
    next.iter().for_each(|next| err(&format!("hint: {next}")));
    let open = items(state).iter().filter(|item| item.is_open).count();
    if open > 0 && next.is_none() {
        err(&format!("hint: what is open still:  ripcord follow-up {run}"));
    }
}
