//! Watching after the verification, by name: when it has drifted, when it is over, and what it leaves alone.

use super::*;
use crate::machine::{Impossible, Next, State};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn tell(state: &mut State, second: i64, events: &[Event]) {
    events.iter().for_each(|event| state.apply(at(second), event).unwrap());
}

fn judged(execution: u32, found: char) -> Event {
    let outcome = match found {
        'p' => CheckOutcome::Pass,
        'f' => CheckOutcome::Fail,
        _ => CheckOutcome::Inconclusive,
    };
    Event::Judged { execution: ExecutionId(execution), outcome, summary: format!("saw {found}{execution}") }
}

/// A verified run with a follow-up that ends check `a`.
fn verified() -> State {
    let check = |id: &str| CheckShape { id: id.into(), within_ms: 0, every_ms: 0 };
    let step_of_it = FollowUpStep { gate: false, ends: vec!["a".into()] };
    let item = FollowUpShape { id: "on".into(), what: "so".into(), owner: None, due_ms: None, step: Some(step_of_it) };
    let verify = vec![check("a"), check("b")];
    let shape = Shape { steps: vec![step("s")], verify, follow_ups: vec![item], ..Shape::default() };
    let mut state = State::default();
    tell(&mut state, 0, &[started(shape), attached()]);
    tell(&mut state, 1, &[began(1, apply("s")), intended(call(1, 0)), answered(call(1, 0)), ended(1, returned())]);
    tell(&mut state, 2, &[began(2, Purpose::Check("a".into())), ended(2, returned()), judged(2, 'p')]);
    tell(&mut state, 3, &[began(3, Purpose::Check("b".into())), ended(3, returned()), judged(3, 'p')]);
    tell(&mut state, 4, &[Event::RunEnded { outcome: RunOutcome::Verified, why: "so".into() }]);
    state
}

fn watch(failure_limit: u32) -> Event {
    let checks = vec!["a".into(), "b".into()];
    Event::DriftBegan(DriftBegan { by: "Ana".into(), until: at(200), interval_ms: 50_000, failure_limit, checks })
}

/// Measures what is due, as it is found, until nothing is due any more or the findings are used up.
fn measure(state: &mut State, found: &str) {
    for found in found.chars() {
        let Next::BeginAfter(due, purpose) = state.next() else { panic!("{:?}", state.next()) };
        let id = state.next_execution().0;
        let second = due.as_second().max(100);
        tell(state, second, &[began(id, purpose), ended(id, returned()), judged(id, found)]);
    }
}

fn watched(failure_limit: u32, found: &str) -> State {
    let mut state = verified();
    tell(&mut state, 100, &[attached(), watch(failure_limit)]);
    measure(&mut state, found);
    state
}

fn found(next: &Next) -> Option<&DriftOutcome> {
    match next {
        Next::EndDrift { found, .. } => Some(found),
        _ => None,
    }
}

#[test]
fn the_checks_are_made_again_until_the_time_is_over() {
    let state = watched(0, "pppp");
    let Next::EndDrift { until, found, why } = state.next() else { panic!("{:?}", state.next()) };
    assert_eq!((until, found), (Some(at(200)), DriftOutcome::Held), "at 100 and 150, and not at 200");
    assert_eq!(why, "1m 40s are over, and all that was verified was so to the end");
    assert_eq!(watched(0, "p").next(), Next::BeginAfter(at(100), Purpose::Drift("b".into())));
    assert_eq!(watched(0, "pp").next(), Next::BeginAfter(at(150), Purpose::Drift("a".into())));
}

#[test]
fn a_check_has_drifted_with_one_failure_in_a_row_too_many() {
    let drifted =
        |check: &str, first| Some(DriftOutcome::Drifted { check: check.into(), first_failed: ExecutionId(first) });
    assert_eq!(found(&watched(0, "pf").next()).cloned(), drifted("b", 5));
    assert_eq!(found(&watched(1, "pf").next()), None, "one may fail");
    assert_eq!(found(&watched(1, "pfpf").next()).cloned(), drifted("b", 5), "two in a row");
    assert_eq!(found(&watched(1, "fpp").next()), None, "a check that passes again begins anew");
    assert_eq!(found(&watched(1, "pff").next()), None, "each check counts for itself");
    let Next::EndDrift { why, .. } = watched(0, "f").next() else { unreachable!() };
    assert_eq!(why, "check a does not hold any more: when it was verified, saw p2; now, saw f4");
}

#[test]
fn what_could_not_be_seen_at_the_end_is_not_known() {
    let unknown =
        |checks: &[&str]| Some(DriftOutcome::Unknown { checks: checks.iter().map(|it| (*it).into()).collect() });
    assert_eq!(found(&watched(0, "ippp").next()), Some(&DriftOutcome::Held), "it was seen later");
    assert_eq!(found(&watched(0, "pppi").next()).cloned(), unknown(&["b"]));
    assert_eq!(found(&watched(3, "pppf").next()).cloned(), unknown(&["b"]));
}

/// Whoever comes back when the time is over knows nothing of the time in which nobody looked.
#[test]
fn what_nobody_has_looked_at_for_long_is_not_known() {
    let mut state = verified();
    let checks = vec!["a".into(), "b".into()];
    let wanted = DriftBegan { by: "Ana".into(), until: at(1_000), interval_ms: 50_000, failure_limit: 0, checks };
    tell(&mut state, 100, &[attached(), Event::DriftBegan(wanted)]);
    measure(&mut state, "pp");
    tell(&mut state, 5_000, &[attached()]);
    let unknown = DriftOutcome::Unknown { checks: vec!["a".into(), "b".into()] };
    assert_eq!(found(&state.next()), Some(&unknown));
}

/// What was seen before the host was gone and what is to be seen now are two things.
#[test]
fn it_survives_its_host() {
    let mut state = watched(0, "pp");
    tell(&mut state, 150, &[began(6, Purpose::Drift("a".into()))]);
    assert_eq!(state.next(), Next::Go(ExecutionId(6)));
    tell(&mut state, 160, &[attached()]);
    assert_eq!(state.next(), Next::Conclude(ExecutionId(6), End::Abandoned));
    tell(&mut state, 161, &[ended(6, End::Abandoned)]);
    assert_eq!(state.next(), Next::BeginAfter(at(150), Purpose::Drift("a".into())));
    // It comes back when the time is over.
    tell(&mut state, 201, &[attached()]);
    assert_eq!(found(&state.next()), Some(&DriftOutcome::Held));
}

/// The run is as it was: verified, with its own verification.
#[test]
fn it_changes_nothing_of_the_run() {
    let mut state = watched(0, "pf");
    let Next::EndDrift { found, why, .. } = state.next() else { unreachable!() };
    assert!(state.still_wants(&Event::DriftEnded { found: found.clone(), why: why.clone() }));
    tell(&mut state, 120, &[Event::DriftEnded { found, why }]);
    assert_eq!((state.next(), state.is_verified(), state.held_ms), (Next::Nothing, true, 4_000));
    assert_eq!(state.verified_by("b"), Some(ExecutionId(3)));
    // Another one begins afresh.
    tell(&mut state, 130, &[attached(), watch(0)]);
    assert_eq!(state.next(), Next::BeginAfter(at(130), Purpose::Drift("a".into())));
}

/// A connector that was switched on again on purpose has not drifted.
#[test]
fn a_follow_up_ends_the_checks_that_it_says() {
    let mut state = watched(0, "pp");
    tell(&mut state, 140, &[began(6, Purpose::Drift("a".into()))]);
    let approval = Approval::default();
    tell(&mut state, 141, &[attached(), Event::FollowUpRequested(FollowUpRequested { item: "on".into(), approval })]);
    assert_eq!(state.next(), Next::Conclude(ExecutionId(6), End::Abandoned), "what was cut off is given up");
    tell(&mut state, 142, &[ended(6, End::Abandoned), began(7, Purpose::FollowUp("on".into())), ended(7, returned())]);
    let Next::EndFollowUp(item, outcome, why) = state.next() else { panic!("{:?}", state.next()) };
    tell(&mut state, 143, &[Event::FollowUpEnded { item, outcome, why }]);
    tell(&mut state, 144, &[attached(), watch(0)]);
    assert_eq!(state.next(), Next::BeginAfter(at(144), Purpose::Drift("b".into())), "check a is over");
}

#[test]
fn only_what_was_verified_can_drift() {
    let mut state = verified();
    tell(&mut state, 5, &[Event::UndoRequested { by: "ada".into() }]);
    assert!(matches!(state.apply(at(6), &watch(0)), Err(Impossible(_))));
    let over = Event::DriftEnded { found: DriftOutcome::Held, why: String::new() };
    assert!(matches!(verified().apply(at(6), &over), Err(Impossible(_))));
}
