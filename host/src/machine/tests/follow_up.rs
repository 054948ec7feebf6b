//! What stays to be done, by name: when it is open, and what carrying it out asks for.

use super::*;
use crate::machine::{FollowUpState, Impossible, Next, State};

const ITEM: &str = "reopen";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn item(id: &str, step: Option<FollowUpStep>) -> FollowUpShape {
    FollowUpShape { id: id.into(), what: "so".into(), owner: None, due_ms: Some(60_000), step }
}

fn tell(state: &mut State, second: i64, events: &[Event]) {
    events.iter().for_each(|event| state.apply(at(second), event).unwrap());
}

/// A run of one step that has changed something and has ended so, at second 10.
fn ended_so(gate: bool, outcome: RunOutcome) -> State {
    let step_of_it = FollowUpStep { gate, ends: Vec::new() };
    let follow_ups = vec![item(ITEM, Some(step_of_it)), item("cause", None)];
    let mut state = State::default();
    tell(&mut state, 0, &[started(Shape { steps: vec![step("a")], follow_ups, ..Shape::default() }), attached()]);
    tell(&mut state, 1, &[began(1, apply("a")), intended(call(1, 0)), answered(call(1, 0)), ended(1, returned())]);
    tell(&mut state, 10, &[Event::RunEnded { outcome, why: "so".into() }]);
    state
}

fn verified(gate: bool) -> State {
    ended_so(gate, RunOutcome::Verified)
}

fn requested() -> Event {
    let approval = Approval { by: "Ana".into(), ..Approval::default() };
    Event::FollowUpRequested(FollowUpRequested { item: ITEM.into(), approval })
}

fn its() -> Purpose {
    Purpose::FollowUp(ITEM.into())
}

fn of(state: &State, id: &str) -> FollowUpState {
    state.follow_up_state(state.follow_up(id).unwrap())
}

fn outcome(next: &Next) -> Option<FollowUpOutcome> {
    match next {
        Next::EndFollowUp(item, outcome, _) if item == ITEM => Some(*outcome),
        _ => None,
    }
}

/// Carries out what the machine wants to be the end of it.
fn end(state: &mut State, second: i64) -> String {
    let Next::EndFollowUp(item, outcome, why) = state.next() else { panic!("{:?}", state.next()) };
    tell(state, second, &[Event::FollowUpEnded { item, outcome, why: why.clone() }]);
    why
}

#[test]
fn what_is_open_depends_on_how_the_run_has_ended() {
    use FollowUpState as Is;
    for (outcome, step, people) in [
        (RunOutcome::Verified, Is::Open, Is::Open),
        (RunOutcome::Halted, Is::Waits, Is::Open),
        (RunOutcome::Undone, Is::Closed, Is::Open),
        (RunOutcome::Unchanged, Is::NotNeeded, Is::NotNeeded),
    ] {
        let state = ended_so(false, outcome);
        assert_eq!((of(&state, ITEM), of(&state, "cause")), (step, people), "{outcome}");
        assert_eq!(state.follow_up_due(state.follow_up("cause").unwrap()), Some(at(70)));
    }
    // A run that has changed nothing and halted leaves nothing to be done.
    let mut state = State::default();
    let follow_ups = vec![item("cause", None)];
    tell(&mut state, 0, &[started(Shape { follow_ups, ..Shape::default() }), attached()]);
    assert_eq!(of(&state, "cause"), Is::Waits);
    tell(&mut state, 1, &[Event::RunEnded { outcome: RunOutcome::Halted, why: "so".into() }]);
    assert_eq!(of(&state, "cause"), Is::NotNeeded);
}

#[test]
fn a_person_s_word_that_it_is_done_counts_once() {
    let mut state = verified(false);
    let noted = |by: &str, done, note: Option<&str>| {
        let (by, note) = (by.to_owned(), note.map(str::to_owned));
        Event::FollowUpNoted(FollowUpNoted { item: "cause".into(), by, done, note })
    };
    tell(
        &mut state,
        20,
        &[noted("Ana", false, Some("a migration")), noted("Ana", true, None), noted("Luis", true, None)],
    );
    assert_eq!(of(&state, "cause"), FollowUpState::Done { at: at(20), by: "Ana".into() });
    assert_eq!(state.follow_up_notes("cause"), [(at(20), "Ana".to_owned(), "a migration".to_owned())]);
    assert_eq!(state.next(), Next::Nothing);
    let unheard = FollowUpNoted { item: "other".into(), by: "Ana".into(), done: true, note: None };
    tell(&mut state, 21, &[Event::FollowUpNoted(unheard)]);
}

#[test]
fn it_is_carried_out_behind_its_gate_and_the_run_stays_verified() {
    let mut state = verified(true);
    tell(&mut state, 20, &[attached(), requested()]);
    assert_eq!(of(&state, ITEM), FollowUpState::UnderWay);
    assert_eq!(state.next(), Next::OpenGate(Behind::FollowUp(ITEM.into())));
    tell(&mut state, 21, &[opened(ITEM, Behind::FollowUp(ITEM.into()), None)]);
    assert_eq!(state.next(), Next::AwaitGate(GateId(ITEM.into())));
    tell(&mut state, 60, &[gate_answered(ITEM, Answer::Yes)]);
    assert_eq!(state.next(), Next::Begin(its()));
    tell(&mut state, 61, &[began(2, its()), intended(call(2, 0)), answered(call(2, 0))]);
    assert_eq!(state.next(), Next::Go(ExecutionId(2)));
    tell(&mut state, 62, &[ended(2, returned())]);
    assert_eq!(end(&mut state, 63), "it is done");
    assert_eq!(of(&state, ITEM), FollowUpState::Done { at: at(63), by: "Ana".into() });
    assert_eq!((state.next(), state.is_verified(), state.held_ms), (Next::Nothing, true, 10_000));
    assert!(matches!(state.apply(at(70), &requested()), Err(Impossible(_))), "nothing is done twice");
}

#[test]
fn who_says_no_leaves_it_open() {
    for (answer, why) in [(Answer::No, "ada refused the gate before it"), (Answer::Expired, "nobody answered")] {
        let mut state = verified(true);
        let before = Behind::FollowUp(ITEM.into());
        tell(&mut state, 20, &[attached(), requested(), opened(ITEM, before, None), gate_answered(ITEM, answer)]);
        assert_eq!(outcome(&state.next()), Some(FollowUpOutcome::Refused));
        assert!(end(&mut state, 21).starts_with(why));
        assert!(matches!(of(&state, ITEM), FollowUpState::Refused { .. }) && of(&state, ITEM).is_open());
    }
}

/// What it has done stays so, and what failed is tried again; its doubts are settled before it ends.
#[test]
fn one_that_failed_goes_on_where_it_got_stuck() {
    let mut state = verified(false);
    tell(&mut state, 20, &[attached(), requested(), began(2, its()), intended(call(2, 0)), answered(call(2, 0))]);
    tell(&mut state, 21, &[intended(call(2, 1)), ended(2, End::TimedOut("too long".into()))]);
    assert_eq!(state.next(), Next::Settle(call(2, 1)), "no end in doubt");
    tell(&mut state, 22, &[settled(call(2, 1), Settler::Driver, Verdict::DidNotHappen)]);
    assert_eq!(end(&mut state, 23), "too long");
    tell(&mut state, 30, &[requested()]);
    assert_eq!(state.next(), Next::Go(ExecutionId(2)));
    assert_eq!(state.executions[&ExecutionId(2)].calls.len(), 2, "a call that did not happen is sent, not forgotten");

    // Without an effect it begins anew.
    let mut state = verified(false);
    tell(&mut state, 20, &[attached(), requested(), began(2, its()), ended(2, failed())]);
    end(&mut state, 21);
    assert!(matches!(of(&state, ITEM), FollowUpState::Failed { .. }));
    tell(&mut state, 30, &[requested()]);
    assert_eq!(state.next(), Next::Begin(its()));
}

#[test]
fn an_abort_stops_it_and_leaves_the_run_as_it_was() {
    let mut state = verified(false);
    tell(&mut state, 20, &[attached(), requested(), began(2, its()), intended(call(2, 0))]);
    tell(&mut state, 21, &[aborted()]);
    assert!(!state.goes_on(ExecutionId(2)), "nothing more is sent");
    assert_eq!(state.next(), Next::Settle(call(2, 0)));
    tell(&mut state, 22, &[settled(call(2, 0), Settler::Driver, Verdict::DidNotHappen)]);
    assert_eq!(state.next(), Next::Conclude(ExecutionId(2), End::Abandoned));
    tell(&mut state, 23, &[ended(2, End::Abandoned)]);
    assert_eq!(end(&mut state, 24), "ada stopped it");
    assert_eq!((state.next(), state.is_verified()), (Next::Nothing, true));
}

/// The undo takes back what the run did, and looks after what a follow-up has left in doubt.
#[test]
fn an_undo_closes_what_was_cut_off() {
    let mut state = verified(false);
    tell(&mut state, 20, &[attached(), requested(), began(2, its()), intended(call(2, 0))]);
    tell(&mut state, 30, &[attached(), Event::UndoRequested { by: "ada".into() }]);
    assert_eq!(state.next(), Next::Settle(call(2, 0)));
    tell(&mut state, 31, &[settled(call(2, 0), Settler::Driver, Verdict::Happened(reply()))]);
    assert_eq!(state.next(), Next::Conclude(ExecutionId(2), End::Abandoned));
    tell(&mut state, 32, &[ended(2, End::Abandoned)]);
    assert_eq!(state.next(), Next::Begin(Purpose::Undo(ExecutionId(1))), "the follow-up itself is not taken back");
    tell(&mut state, 33, &[began(3, Purpose::Undo(ExecutionId(1))), ended(3, returned())]);
    tell(&mut state, 34, &[Event::RunEnded { outcome: RunOutcome::Undone, why: "so".into() }]);
    assert_eq!(of(&state, ITEM), FollowUpState::Closed);
}

/// Its time was over while a call was under way, and nobody knows what became of that: the run isn't taken back
/// before somebody has said so.
#[test]
fn an_undo_looks_at_what_a_follow_up_has_left_in_doubt() {
    let mut state = verified(false);
    tell(&mut state, 20, &[attached(), requested(), began(2, its()), intended(call(2, 0))]);
    tell(&mut state, 30, &[ended(2, End::TimedOut("its time-out is over".into()))]);
    assert_eq!(state.next(), Next::Settle(call(2, 0)));
    tell(&mut state, 31, &[unsettled(call(2, 0)), Event::UndoRequested { by: "ada".into() }, attached()]);
    assert_eq!(state.next(), Next::Settle(call(2, 0)));
    tell(&mut state, 32, &[settled(call(2, 0), Settler::Driver, Verdict::DidNotHappen)]);
    assert_eq!(state.next(), Next::Begin(Purpose::Undo(ExecutionId(1))));
}

#[test]
fn it_can_t_be_carried_out_where_it_means_nothing() {
    let refused = |mut state: State, event: Event| matches!(state.apply(at(20), &event), Err(Impossible(_)));
    for outcome in [RunOutcome::Halted, RunOutcome::Undone, RunOutcome::Unchanged] {
        assert!(refused(ended_so(false, outcome), requested()), "{outcome}");
    }
    let other = FollowUpRequested { item: "cause".into(), approval: Approval::default() };
    assert!(refused(verified(false), Event::FollowUpRequested(other)), "people do it");
    let mut state = verified(false);
    tell(&mut state, 20, &[requested()]);
    assert!(refused(state.clone(), requested()), "it is under way");
    let why = String::new();
    assert!(refused(verified(false), Event::FollowUpEnded { item: ITEM.into(), outcome: FollowUpOutcome::Done, why }));
}

/// A follow-up has its own agreement: what the run's preview listed says nothing of it.
#[test]
fn each_has_its_own_approval() {
    let mut state = verified(false);
    tell(&mut state, 20, &[attached(), requested(), began(2, its())]);
    assert_eq!(state.approval_of(ExecutionId(2)).by, "Ana");
    assert_eq!(state.approval_of(ExecutionId(1)).by, "");
}
