//! Who is told, and when again.

use std::time::Duration;

use super::*;
use crate::machine::{Next, State};

const A: CallId = CallId { execution: ExecutionId(1), ordinal: 0 };

fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A run of one step, of which people are told on this occasion. One event a second.
fn told(on: Occasion, events: &[Event]) -> State {
    let notices = vec![NoticeShape { id: "n".into(), on: vec![on] }];
    let shape = Shape { steps: vec![step("a")], notices, ..Shape::default() };
    let mut state = State::default();
    for (seconds, event) in (0..).zip([&started(shape), &attached()].into_iter().chain(events)) {
        state.apply(at(seconds), event).unwrap();
    }
    state
}

fn tell(on: Occasion, call: Option<CallId>) -> Purpose {
    Purpose::Notice(Sending { notice: "n".into(), on, call })
}

#[test]
fn to_tell_people_takes_nothing_of_a_plan_s_time() {
    let sending = began(1, tell(Occasion::Begun, None));
    let mut state = told(Occasion::Begun, &[sending]);
    let held = state.held_ms;
    state.apply(at(62), &ended(1, End::TimedOut("late".into()))).unwrap();
    assert_eq!((state.held_ms, state.executions[&ExecutionId(1)].held_ms), (held, 60_000));
    assert_eq!(state.next(), Next::Begin(apply("a")));
}

#[test]
fn a_stop_behind_an_abort_is_told_whatever_was_told_before() {
    let halts = tell(Occasion::Halted, None);
    let done = [began(1, apply("a")), intended(A), answered(A), ended(1, failed())];
    let cut_off = [began(2, halts.clone()), aborted()];
    let mut state = told(Occasion::Halted, &[done.as_slice(), &cut_off].concat());
    assert!(!state.goes_on(ExecutionId(2)), "what it says is not so any more");
    for event in [ended(2, End::Abandoned), began(3, Purpose::Undo(ExecutionId(1))), ended(3, failed())] {
        state.apply(at(20), &event).unwrap();
    }
    assert_eq!(state.next(), Next::Begin(halts), "taking it back has failed");
}

#[test]
fn a_question_that_is_asked_again_is_told_again() {
    let asks = tell(Occasion::Halted, Some(A));
    let lost = Event::Doubted { call: A, seen: "no answer".into() };
    let question = [lost, unsettled(A), halted(A)];
    let answered = settled(A, person(), Verdict::DidNotHappen);
    let begun = [began(1, apply("a")), intended(A)];
    let first = [begun.as_slice(), &question].concat();
    assert_eq!(told(Occasion::Halted, &first).next(), Next::Begin(asks.clone()));
    let both = [first.as_slice(), &[began(2, asks.clone()), ended(2, returned())]].concat();
    assert_eq!(told(Occasion::Halted, &both).next(), Next::AwaitAnswer(A), "once");
    let again = [both.as_slice(), &[answered, intended(A)], &question].concat();
    assert_eq!(told(Occasion::Halted, &again).next(), Next::Begin(asks));
}

#[test]
fn a_call_that_nobody_has_agreed_to_is_told_of_before_it_is_waited_for() {
    let asks = tell(Occasion::Halted, Some(A));
    let waits = [began(1, apply("a")), gate_of_call(A)];
    assert_eq!(told(Occasion::Halted, &waits).next(), Next::Begin(asks.clone()));
    let sent = [waits.as_slice(), &[began(2, asks), ended(2, returned())]].concat();
    let mut state = told(Occasion::Halted, &sent);
    assert_eq!(state.next(), Next::AwaitGate(GateId(format!("call-{A}"))));
    state.apply(at(99), &gate_answered(&format!("call-{A}"), Answer::Yes)).unwrap();
    assert_eq!(state.next(), Next::Go(ExecutionId(1)));
}
