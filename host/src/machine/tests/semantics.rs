//! "Failure, fallback, undo" and "Doubt" of the design, claim by claim: after these events, this is next.

use std::time::Duration;

use super::*;
use crate::machine::{Fate, Next, State};

const A: CallId = CallId { execution: ExecutionId(1), ordinal: 0 };

fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// One event a second.
fn fold(shape: &Shape, events: &[Event]) -> State {
    let mut state = State::default();
    for (seconds, event) in (0..).zip([&started(shape.clone()), &attached()].into_iter().chain(events)) {
        state.apply(at(seconds), event).unwrap();
    }
    state
}

fn shape(steps: &[StepShape], checks: &[CheckShape]) -> Shape {
    Shape { steps: steps.to_vec(), verify: checks.to_vec(), ..Shape::default() }
}

fn stand_in(id: &str, replaced: &str) -> StepShape {
    StepShape { fallback: Some(replaced.into()), ..step(id) }
}

fn gated(step: StepShape) -> StepShape {
    StepShape { gate: true, ..step }
}

fn undoing(step: StepShape) -> StepShape {
    StepShape { on_failure: OnFailure::Undo, ..step }
}

fn check(within_ms: u64, every_ms: u64) -> CheckShape {
    CheckShape { id: "c".into(), within_ms, every_ms }
}

/// A step that has had one effect, and ended so.
fn done(execution: u32, step: &str, end: End) -> Vec<Event> {
    let call = call(execution, 0);
    vec![began(execution, apply(step)), intended(call), answered(call), ended(execution, end)]
}

fn judged(execution: u32, outcome: CheckOutcome) -> Event {
    Event::Judged { execution: ExecutionId(execution), outcome, summary: "so".into() }
}

fn checked(execution: u32, outcome: CheckOutcome) -> Vec<Event> {
    vec![began(execution, Purpose::Check("c".into())), ended(execution, returned()), judged(execution, outcome)]
}

fn begin(step: &str) -> Next {
    Next::Begin(apply(step))
}

fn undo(execution: u32) -> Purpose {
    Purpose::Undo(ExecutionId(execution))
}

fn end(outcome: RunOutcome) -> Next {
    Next::End(outcome, String::new())
}

/// The words of an end are for people.
fn without_words(next: Next) -> Next {
    match next {
        Next::End(outcome, _) => end(outcome),
        next => next,
    }
}

#[test]
fn failure_fallback_and_undo() {
    use RunOutcome::*;
    let two = shape(&[step("a"), step("b")], &[]);
    let undo_two = shape(&[undoing(step("a")), undoing(step("b"))], &[]);
    let fallback = shape(&[step("a"), stand_in("a2", "a"), stand_in("a3", "a2"), step("b")], &[]);
    let gate = shape(&[step("a"), gated(stand_in("a2", "a"))], &[]);
    let no_undo = shape(&[undoing(StepShape { can_undo: false, ..step("a") }), undoing(step("b"))], &[]);
    let verified = shape(&[step("a")], &[check(0, 5_000)]);
    let patient = shape(&[step("a")], &[check(9_000, 5_000)]);
    let nothing = vec![began(1, apply("a")), ended(1, failed())];
    let refused_call =
        [began(1, apply("a")), gate_of_call(A), gate_answered("call-1.0", Answer::No), ended(1, End::Refused)];
    let table: Vec<(&str, &Shape, Vec<Vec<Event>>, Next)> = vec![
        ("steps run in file order", &two, vec![], begin("a")),
        ("a step that worked is followed by the next", &two, vec![done(1, "a", returned())], begin("b")),
        ("a failed step halts and keeps what was done", &two, vec![done(1, "a", failed())], end(Halted)),
        ("so does one that did nothing", &two, vec![nothing.clone()], end(Halted)),
        (
            "on-failure = undo takes back what was done, the last first",
            &undo_two,
            vec![done(1, "a", returned()), done(2, "b", failed())],
            Next::Begin(undo(2)),
        ),
        (
            "and then what was done before",
            &undo_two,
            vec![done(1, "a", returned()), done(2, "b", failed()), vec![began(3, undo(2)), ended(3, returned())]],
            Next::Begin(undo(1)),
        ),
        (
            "and then it is undone",
            &undo_two,
            vec![done(1, "a", failed()), vec![began(2, undo(1)), ended(2, returned())]],
            end(Undone),
        ),
        (
            "an undo that fails halts: nothing older is taken back from under it",
            &undo_two,
            vec![done(1, "a", returned()), done(2, "b", failed()), vec![began(3, undo(2)), ended(3, failed())]],
            end(Halted),
        ),
        ("what can't be taken back halts", &no_undo, vec![done(1, "a", failed())], end(Halted)),
        ("a step that failed is stood in for", &fallback, vec![done(1, "a", failed())], begin("a2")),
        (
            "and its stand-in too",
            &fallback,
            vec![done(1, "a", failed()), done(2, "a2", End::Trapped("x".into()))],
            begin("a3"),
        ),
        (
            "a stand-in that worked is as good as its step",
            &fallback,
            vec![done(1, "a", failed()), done(2, "a2", returned())],
            begin("b"),
        ),
        ("a step that worked needs no stand-in", &fallback, vec![done(1, "a", returned())], begin("b")),
        ("a stand-in has its own gate", &gate, vec![nothing.clone()], Next::OpenGate(Behind::Step("a2".into()))),
        (
            "a refused gate leaves what was not touched unchanged",
            &gate,
            vec![nothing, vec![gate_of_step("a2"), gate_answered("a2", Answer::No)]],
            end(Unchanged),
        ),
        (
            "and halts otherwise",
            &gate,
            vec![done(1, "a", failed()), vec![gate_of_step("a2"), gate_answered("a2", Answer::Expired)]],
            end(Halted),
        ),
        ("a refused call starts no fallback", &fallback, vec![refused_call.to_vec()], end(Unchanged)),
        (
            "a failed verification halts",
            &verified,
            vec![done(1, "a", returned()), checked(2, CheckOutcome::Fail)],
            end(Halted),
        ),
        (
            "and so does an inconclusive one",
            &verified,
            vec![done(1, "a", returned()), checked(2, CheckOutcome::Inconclusive)],
            end(Halted),
        ),
        (
            "a check is tried again as long as the plan says",
            &patient,
            vec![done(1, "a", returned()), checked(2, CheckOutcome::Fail)],
            // It ended in second 7.
            Next::BeginAfter(at(12), Purpose::Check("c".into())),
        ),
        (
            "a person may have it verified again",
            &verified,
            vec![
                done(1, "a", returned()),
                checked(2, CheckOutcome::Fail),
                vec![
                    Event::RunEnded { outcome: Halted, why: String::new() },
                    Event::VerificationRequested { by: "ada".into() },
                ],
            ],
            Next::Begin(Purpose::Check("c".into())),
        ),
        (
            "a run that did nothing is unchanged",
            &verified,
            vec![vec![began(1, apply("a")), ended(1, returned())], checked(2, CheckOutcome::Pass)],
            end(Unchanged),
        ),
        (
            "one that did something and passed is verified",
            &verified,
            vec![done(1, "a", returned()), checked(2, CheckOutcome::Pass)],
            end(Verified),
        ),
        (
            "an abort takes back what was done",
            &two,
            vec![done(1, "a", returned()), vec![aborted()]],
            Next::Begin(undo(1)),
        ),
        ("an abort before anything was done leaves it unchanged", &two, vec![vec![aborted()]], end(Unchanged)),
        (
            "a run that has ended can be taken back",
            &verified,
            vec![
                done(1, "a", returned()),
                vec![
                    Event::RunEnded { outcome: Verified, why: String::new() },
                    Event::UndoRequested { by: "ada".into() },
                ],
            ],
            Next::Begin(undo(1)),
        ),
    ];
    for (claim, shape, events, next) in table {
        assert_eq!(without_words(fold(shape, &events.concat()).next()), next, "{claim}");
    }
}

/// What of the undo's calls a second request still knows.
#[test]
fn an_undo_that_went_wrong_can_be_asked_for_again_and_goes_on_where_it_got_stuck() {
    let shape = shape(&[step("a")], &[]);
    let b = |ordinal| call(2, ordinal);
    let no = |call| Event::Answered { call, outcome: Err(Failure::permanent("no")), took_us: 1 };
    let says_no = |call| {
        let reply = Reply::Http(http::Reply { status: 500, ..http::Reply::default() });
        Event::Answered { call, outcome: Ok(reply), took_us: 1 }
    };
    let read = |call| Event::Called { call, request: request(), outcome: Ok(reply()), took_us: 1 };
    let denied = |call| Event::Called { call, request: request(), outcome: Err(Failure::denied("no")), took_us: 1 };
    let worked = |call| vec![intended(call), answered(call)];
    let go = Next::Go(ExecutionId(2));
    type Case = (&'static str, Vec<Vec<Event>>, End, usize, Next);
    let table: Vec<Case> = vec![
        ("what was taken back stays so", vec![worked(b(0)), vec![intended(b(1)), no(b(1))]], failed(), 1, go.clone()),
        (
            "an answer that says no is a failure too",
            vec![worked(b(0)), vec![intended(b(1)), says_no(b(1))]],
            failed(),
            1,
            go.clone(),
        ),
        (
            "what was done behind a failure is not done again for it",
            vec![worked(b(0)), vec![intended(b(1)), no(b(1))], worked(b(2)), vec![intended(b(3)), no(b(3))]],
            failed(),
            3,
            go.clone(),
        ),
        ("so is a denial, by the rules of today", vec![worked(b(0)), vec![denied(b(1))]], failed(), 1, go.clone()),
        (
            "what was read behind the last change is read again",
            vec![vec![read(b(0))], worked(b(1)), vec![read(b(2))]],
            failed(),
            2,
            go.clone(),
        ),
        ("an undo that did nothing begins anew", vec![vec![read(b(0))]], failed(), 0, go.clone()),
        ("one that trapped goes on too", vec![worked(b(0))], End::Trapped("x".into()), 1, go),
        (
            "what it left in doubt is found out first",
            vec![worked(b(0)), vec![intended(b(1))]],
            End::TimedOut("late".into()),
            2,
            Next::Settle(b(1)),
        ),
    ];
    let is_over = Event::RunEnded { outcome: RunOutcome::Halted, why: String::new() };
    let again = Event::UndoRequested { by: "ada".into() };
    for (claim, undone, end, known, next) in table {
        let before =
            [done(1, "a", returned()), vec![aborted(), began(2, undo(1))], undone.concat(), vec![ended(2, end)]];
        let mut state = fold(&shape, &before.concat());
        // The host settles what is in doubt before the run ends, unless it is cut off.
        state.apply(at(98), &is_over).unwrap();
        assert_eq!(state.next(), Next::Nothing, "{claim}: before");
        state.apply(at(99), &again).unwrap();
        assert_eq!((state.executions[&ExecutionId(2)].calls.len(), state.next()), (known, next), "{claim}");
    }
}

/// At the same place another call may stand the next time.
#[test]
fn a_yes_before_a_call_that_is_made_anew_lets_no_other_through() {
    let shape = shape(&[step("a")], &[]);
    let call = call(2, 0);
    let no = Event::Answered { call, outcome: Err(Failure::permanent("no")), took_us: 1 };
    let agreed = vec![aborted(), began(2, undo(1)), gate_of_call(call), gate_answered("call-2.0", Answer::Yes)];
    let over = vec![intended(call), no, ended(2, failed())];
    let over = [over, vec![Event::RunEnded { outcome: RunOutcome::Halted, why: String::new() }]].concat();
    let before = [done(1, "a", returned()), agreed, over].concat();
    assert!(fold(&shape, &before).gate_before(call).is_some());
    let state = fold(&shape, &[before, vec![Event::UndoRequested { by: "ada".into() }]].concat());
    assert_eq!(state.next(), Next::Go(call.execution));
    assert!(state.gate_before(call).is_none());
}

#[test]
fn a_call_of_an_undo_that_was_refused_is_asked_about_again() {
    let shape = shape(&[step("a")], &[]);
    let call = call(2, 0);
    let refused = vec![aborted(), began(2, undo(1)), gate_of_call(call), gate_answered("call-2.0", Answer::No)];
    let over = vec![ended(2, End::Refused), Event::RunEnded { outcome: RunOutcome::Halted, why: String::new() }];
    let again = vec![Event::UndoRequested { by: "ada".into() }];
    let state = fold(&shape, &[done(1, "a", returned()), refused, over, again].concat());
    assert_eq!(state.next(), Next::Go(call.execution));
    assert!(state.gate_before(call).is_none());
}

#[test]
fn doubt() {
    let alone = shape(&[step("a")], &[]);
    let fallback = shape(&[step("a"), stand_in("a2", "a")], &[]);
    let question = |call| Next::Halt(Question::DidItHappen { call, seen: "nothing".into() });
    let open = vec![began(1, apply("a")), intended(A)];
    let with = |more: &[Event]| [open.clone(), more.to_vec()].concat();
    let ended_open = with(&[ended(1, End::TimedOut("late".into()))]);
    let table: Vec<(&str, &Shape, Vec<Event>, Next)> = vec![
        ("an intent without an answer is looked at", &alone, with(&[attached()]), Next::Settle(A)),
        (
            "what did not happen goes on, and so is sent",
            &alone,
            with(&[settled(A, Settler::Driver, Verdict::DidNotHappen)]),
            Next::Go(A.execution),
        ),
        (
            "and so does what may be repeated",
            &alone,
            with(&[settled(A, Settler::Policy, Verdict::Repeat)]),
            Next::Go(A.execution),
        ),
        ("what nothing can settle is a person's", &alone, with(&[unsettled(A)]), question(A)),
        ("who is asked once", &alone, with(&[unsettled(A), halted(A)]), Next::AwaitAnswer(A)),
        (
            "a new host looks again before it asks",
            &alone,
            with(&[unsettled(A), halted(A), attached()]),
            Next::Settle(A),
        ),
        (
            "a person's answer is taken",
            &alone,
            with(&[unsettled(A), halted(A), settled(A, person(), Verdict::Unknowable)]),
            Next::Go(A.execution),
        ),
        (
            "a fallback does not wait for a person",
            &fallback,
            with(&[unsettled(A)]),
            Next::Conclude(A.execution, End::InDoubt),
        ),
        ("and starts", &fallback, with(&[unsettled(A), ended(1, End::InDoubt)]), begin("a2")),
        (
            "but none may be left when the run is verified",
            &fallback,
            [with(&[unsettled(A), ended(1, End::InDoubt)]), done(2, "a2", returned())].concat(),
            Next::Settle(A),
        ),
        ("nor when it halts", &alone, ended_open.clone(), Next::Settle(A)),
        (
            "what an ended execution may have repeated stays in doubt",
            &alone,
            with(&[settled(A, Settler::Policy, Verdict::Repeat), ended(1, End::TimedOut("late".into()))]),
            Next::Settle(A),
        ),
        ("what may still happen can't be taken back", &alone, with(&[aborted()]), Next::Settle(A)),
        (
            "what can't be known is taken back",
            &alone,
            [ended_open, vec![unsettled(A), settled(A, person(), Verdict::Unknowable), aborted()]].concat(),
            Next::Begin(undo(1)),
        ),
        (
            "a reconciliation that a crash has left is given up",
            &alone,
            with(&[began(2, Purpose::Reconcile(A)), attached()]),
            Next::Conclude(ExecutionId(2), End::Abandoned),
        ),
        (
            "a repetition that failed leaves the doubt to a person",
            &alone,
            with(&[settled(A, Settler::Policy, Verdict::Repeat), unsettled(A)]),
            question(A),
        ),
    ];
    for (claim, shape, events, next) in table {
        assert_eq!(fold(shape, &events).next(), next, "{claim}");
    }
}

#[test]
fn the_target_itself_counts_more_than_a_person_and_a_person_more_than_a_guess() {
    let shape = shape(&[step("a")], &[]);
    let said = |verdict| settled(A, person(), verdict);
    let happened = || Verdict::Happened(reply());
    let table = [
        ("a reply", vec![said(Verdict::DidNotHappen), answered(A)], Fate::Answered(Ok(reply()))),
        (
            "a driver that looked",
            vec![said(happened()), settled(A, Settler::Driver, Verdict::DidNotHappen)],
            Fate::Cleared,
        ),
        (
            "a person, before the policy",
            vec![said(happened()), settled(A, Settler::Policy, Verdict::Repeat)],
            Fate::Answered(Ok(reply())),
        ),
        ("a person, before a time-out", vec![said(happened()), unsettled(A)], Fate::Answered(Ok(reply()))),
        ("the first person", vec![said(Verdict::Unknowable), said(Verdict::DidNotHappen)], Fate::Unknowable),
        ("a reply, before a late person", vec![answered(A), said(Verdict::DidNotHappen)], Fate::Answered(Ok(reply()))),
    ];
    for (claim, events, fate) in table {
        let events = [vec![began(1, apply("a")), intended(A)], events].concat();
        assert_eq!(fold(&shape, &events).mutation(A).unwrap().fate, fate, "{claim} counts");
    }
}

#[test]
fn what_this_program_can_t_have_written_is_refused() {
    let shape = shape(&[step("a")], &[]);
    let open = vec![began(1, apply("a")), intended(A)];
    let closed = [open.clone(), vec![answered(A)]].concat();
    let table = [
        ("a second start", vec![], started(shape.clone())),
        ("an execution out of turn", vec![], began(2, apply("a"))),
        ("an intent of an execution that never began", vec![], intended(A)),
        ("a second intent with nothing in between", open.clone(), intended(A)),
        ("an intent after a reply", closed.clone(), intended(A)),
        ("a second reply", closed.clone(), answered(A)),
        ("a doubt about what has a reply", closed.clone(), unsettled(A)),
        ("a call out of turn", open.clone(), intended(call(1, 2))),
        ("a second end", vec![began(1, apply("a")), ended(1, returned())], ended(1, returned())),
        ("a gate that is opened twice", vec![gate_of_step("a")], gate_of_step("a")),
    ];
    for (claim, events, event) in table {
        fold(&shape, &events).apply(at(99), &event).expect_err(claim);
    }
    State::default().apply(at(0), &attached()).expect_err("an event before the start");
}

/// What a probe has done is neither an effect nor a question, however it ends.
#[test]
fn a_probe_is_no_part_of_the_rollback() {
    use RunOutcome::*;
    let shape = shape(&[undoing(step("a"))], &[check(0, 5_000)]);
    let (probe, nothing) = (call(2, 0), vec![began(1, apply("a")), ended(1, returned())]);
    let began_probe = vec![began(2, Purpose::Check("c".into())), intended(probe)];
    let done_probe = [began_probe.clone(), vec![answered(probe), ended(2, returned())]].concat();
    let pass = vec![judged(2, CheckOutcome::Pass)];
    let lost = Event::Doubted { call: probe, seen: "no answer".into() };
    let table: Vec<(&str, Vec<Vec<Event>>, Next)> = vec![
        (
            "it verifies nothing that was not done",
            vec![nothing.clone(), done_probe.clone(), pass.clone()],
            end(Unchanged),
        ),
        ("what was done is verified", vec![done(1, "a", returned()), done_probe.clone(), pass], end(Verified)),
        ("a failed one halts", vec![nothing.clone(), done_probe, vec![judged(2, CheckOutcome::Fail)]], end(Halted)),
        ("its doubt is looked at", vec![nothing.clone(), began_probe.clone(), vec![lost]], Next::Settle(probe)),
        (
            "and it goes on, told so",
            vec![nothing.clone(), began_probe.clone(), vec![settled(probe, Settler::Policy, Verdict::Unknowable)]],
            Next::Go(ExecutionId(2)),
        ),
        (
            "nobody is asked what became of it",
            vec![nothing.clone(), began_probe.clone(), vec![unsettled(probe)]],
            Next::Conclude(ExecutionId(2), End::InDoubt),
        ),
        (
            "nor by an abort",
            vec![nothing.clone(), began_probe.clone(), vec![unsettled(probe), aborted()]],
            Next::Conclude(ExecutionId(2), End::Abandoned),
        ),
        (
            "and nothing of it is left when it is over",
            vec![nothing, began_probe, vec![ended(2, End::TimedOut("late".into()))]],
            end(Halted),
        ),
    ];
    for (claim, events, next) in table {
        let state = fold(&shape, &events.concat());
        assert_eq!(without_words(state.next()), next, "{claim}");
        if let Next::End(..) = next {
            assert_eq!(state.doubts().count(), 0, "{claim}");
        }
    }
    // Taken back is what the step did, and not what the probe did.
    let events = [done(1, "a", returned()), vec![began(2, Purpose::Check("c".into())), intended(probe), aborted()]];
    let mut state = fold(&shape, &events.concat());
    for event in [ended(2, End::Abandoned), began(3, undo(1)), ended(3, returned())] {
        state.apply(at(99), &event).unwrap();
    }
    assert_eq!(without_words(state.next()), end(Undone));
}

#[test]
fn time_counts_while_a_host_holds_the_run_and_nobody_is_waited_for() {
    let shape = shape(&[gated(step("a"))], &[]);
    let mut state = State::default();
    for (seconds, event, held) in [
        (0, started(shape), 0),
        (1, attached(), 0),
        (3, gate_of_step("a"), 2),
        (100, gate_answered("a", Answer::Yes), 2),
        (101, began(1, apply("a")), 3),
        (105, Event::VerificationRequested { by: "ada".into() }, 3),
        (106, gate_of_call(A), 8),
        (200, attached(), 8),
        (300, aborted(), 8),
        // The gate is open for ever, and holds up nothing any more.
        (301, ended(1, End::Abandoned), 9),
        (303, Event::RunEnded { outcome: RunOutcome::Unchanged, why: String::new() }, 11),
    ] {
        state.apply(at(seconds), &event).unwrap();
        assert_eq!(state.held_ms, held * 1_000, "after second {seconds}");
    }
    assert_eq!(state.executions[&ExecutionId(1)].held_ms, 6_000);
}

#[test]
fn a_gate_s_expiry_is_absolute() {
    let shape = shape(&[gated(step("a"))], &[]);
    for (said, next) in [(10, begin("a")), (11, end(RunOutcome::Unchanged))] {
        let mut state = fold(&shape, &[opened("a", Behind::Step("a".into()), Some(at(10)))]);
        state.apply(at(said), &gate_answered("a", Answer::Yes)).unwrap();
        assert_eq!(without_words(state.next()), next, "yes in second {said}");
    }
}

#[test]
fn no_duration_of_a_plan_is_too_long_for_the_calendar() {
    let shape = shape(&[step("a")], &[check(u64::MAX, u64::MAX - 1)]);
    let events = [done(1, "a", returned()), checked(2, CheckOutcome::Fail)].concat();
    assert_eq!(without_words(fold(&shape, &events).next()), end(RunOutcome::Halted));
}

#[test]
fn what_a_person_has_made_pointless_is_not_recorded() {
    let shape = shape(&[step("a"), step("b")], &[]);
    let done_a = done(1, "a", returned());
    let all_done = [done_a.clone(), done(2, "b", returned())].concat();
    let cleared = vec![began(1, apply("a")), intended(A), settled(A, Settler::Driver, Verdict::DidNotHappen)];
    let asked = vec![began(1, apply("a")), intended(A), unsettled(A)];
    let verified = Event::RunEnded { outcome: RunOutcome::Verified, why: String::new() };
    let table = [
        ("a step after an abort", done_a, aborted(), began(2, apply("b"))),
        ("a first sending after an abort", vec![began(1, apply("a"))], aborted(), intended(A)),
        ("a second sending after an abort", cleared, aborted(), intended(A)),
        ("an end as if nobody had asked for another", all_done, aborted(), verified),
        ("a question that has its answer", asked.clone(), settled(A, person(), Verdict::Unknowable), halted(A)),
        (
            "a reconciliation of what is known",
            asked,
            settled(A, person(), Verdict::Unknowable),
            began(2, Purpose::Reconcile(A)),
        ),
    ];
    for (claim, events, word, event) in table {
        let mut state = fold(&shape, &events);
        assert!(state.still_wants(&event), "{claim}: before");
        state.apply(at(99), &word).unwrap();
        assert!(!state.still_wants(&event), "{claim}");
    }
}
