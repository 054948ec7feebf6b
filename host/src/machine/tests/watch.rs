//! Argo Rollouts' rules, and what a person may say while triggers are watched, claim by claim.

use std::time::Duration;

use super::*;
use crate::machine::{Next, Standing, State};

const ID: &str = "errors";

fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn trigger() -> TriggerShape {
    TriggerShape {
        id: ID.into(),
        title: "too many errors".into(),
        severity: None,
        interval_ms: 30_000,
        initial_delay_ms: 0,
        count: None,
        failure_limit: 0,
        inconclusive_limit: 0,
        consecutive_error_limit: 4,
    }
}

fn watch(triggers: &[TriggerShape]) -> WatchShape {
    WatchShape {
        window_ms: 1_800_000,
        then: Then::Ask,
        expires_ms: None,
        triggers: triggers.to_vec(),
        alerts: vec![],
        listen: None,
    }
}

fn watching(watch: WatchShape) -> State {
    let mut state = State::default();
    let shape = Shape { steps: vec![step("a")], watch: Some(watch), ..Shape::default() };
    state.apply(at(0), &started(shape)).unwrap();
    state.apply(at(0), &attached()).unwrap();
    state
}

fn tell(state: &mut State, seconds: u64, events: &[Event]) {
    for event in events {
        state.apply(at(seconds), event).unwrap();
    }
}

/// `p`asses, `f`ails, is `i`nconclusive, or ends with an `e`rror; a second later it is known.
fn measure(state: &mut State, id: &str, seconds: u64, what: char) {
    let execution = state.next_execution();
    let end = if what == 'e' { failed() } else { returned() };
    let outcome = match what {
        'p' => CheckOutcome::Pass,
        'f' => CheckOutcome::Fail,
        _ => CheckOutcome::Inconclusive,
    };
    tell(state, seconds, &[began(execution.0, Purpose::Check(id.into()))]);
    let judged = Event::Judged { execution, outcome, summary: "so".into() };
    tell(state, seconds + 1, &[ended(execution.0, end), judged]);
}

fn measured(trigger: TriggerShape, found: &str) -> State {
    let mut state = watching(watch(&[trigger]));
    for (time, what) in (0..).zip(found.chars()) {
        measure(&mut state, ID, time * 31, what);
    }
    state
}

fn due(seconds: u64) -> Next {
    Next::BeginAfter(at(seconds), Purpose::Check(ID.into()))
}

fn trips(execution: u32) -> Next {
    Next::Trip(ID.into(), Cause::Measurement(ExecutionId(execution)))
}

fn outcome(next: &Next) -> Option<RunOutcome> {
    match next {
        Next::End(outcome, _) | Next::EndAfter(_, outcome, _) => Some(*outcome),
        _ => None,
    }
}

#[test]
fn each_of_argo_s_rules() {
    let limits = |failure_limit, inconclusive_limit, consecutive_error_limit| TriggerShape {
        failure_limit,
        inconclusive_limit,
        consecutive_error_limit,
        ..trigger()
    };
    let counted = |count, failure_limit| TriggerShape { count: Some(count), failure_limit, ..trigger() };
    let delayed = |initial_delay_ms| TriggerShape { initial_delay_ms, ..trigger() };
    let cases: &[(&str, TriggerShape, &str, Next)] = &[
        ("the first measurement comes at once", trigger(), "", due(0)),
        ("or after the initial delay, from the run's beginning", delayed(90_000), "", due(90)),
        ("the next an interval after the last has ended", trigger(), "p", due(31)),
        ("an error is tried again after an interval too", trigger(), "e", due(31)),
        ("one failure is too many without a limit", trigger(), "pf", trips(2)),
        ("as many failures as the limit are not too many", limits(2, 0, 4), "fpf", due(93)),
        ("one more is, wherever the others were", limits(2, 0, 4), "fpfpf", trips(5)),
        ("errors are no failures", trigger(), "eeee", due(124)),
        ("a measurement forgets the errors before it", limits(0, 0, 1), "epepep", due(186)),
        ("an inconclusive one too", limits(0, 9, 1), "eieiei", due(186)),
        ("errors don't count as measurements", counted(2, 0), "pee", due(93)),
        ("the failures count before all else", limits(0, 0, 0), "f", trips(1)),
        ("a failure does not mend what was inconclusive before", limits(1, 1, 4), "iff", trips(3)),
    ];
    for (claim, trigger, found, next) in cases {
        assert_eq!(measured(trigger.clone(), found).next(), *next, "{claim}");
    }
}

#[test]
fn what_can_t_be_measured_is_given_up_and_what_was_measured_enough_is_done() {
    let errors = TriggerShape { consecutive_error_limit: 2, ..trigger() };
    let unclear = TriggerShape { inconclusive_limit: 1, ..trigger() };
    let enough = TriggerShape { count: Some(3), failure_limit: 1, ..trigger() };
    let cases: &[(&str, TriggerShape, &str, bool, Option<RunOutcome>)] = &[
        ("as many errors in a row as the limit", errors.clone(), "ee", false, None),
        ("one more", errors, "eee", true, Some(RunOutcome::Halted)),
        ("as many inconclusive ones as the limit", unclear.clone(), "pi", false, None),
        ("one more, not in a row", unclear, "ipi", true, Some(RunOutcome::Halted)),
        ("fewer than the count", enough.clone(), "pp", false, None),
        ("as many as the count, failures among them", enough.clone(), "pfp", false, Some(RunOutcome::Unchanged)),
        ("the last of them fails too often", enough, "pff", false, None),
    ];
    for (claim, trigger, found, is_given_up, end) in cases {
        let state = measured(trigger.clone(), found);
        let standing = state.tally(ID).standing(trigger);
        assert_eq!(matches!(standing, Standing::GivenUp(_)), *is_given_up, "{claim}");
        assert_eq!(outcome(&state.next()), *end, "{claim}");
    }
}

#[test]
fn the_one_that_is_due_first_is_measured_first() {
    let other = |id: &str, interval_ms, initial_delay_ms| TriggerShape {
        id: id.into(),
        interval_ms,
        initial_delay_ms,
        ..trigger()
    };
    let mut state =
        watching(watch(&[other("slow", 60_000, 0), other("fast", 10_000, 0), other("late", 10_000, 20_000)]));
    let mut order = Vec::new();
    for _ in 0..8 {
        let Next::BeginAfter(due, Purpose::Check(id)) = state.next() else { panic!("{:?}", state.next()) };
        let due = due.as_second() as u64;
        order.push((due, id.clone()));
        measure(&mut state, &id, due, 'p');
    }
    let order: Vec<_> = order.iter().map(|(due, id)| (*due, id.as_str())).collect();
    let expected =
        [(0, "slow"), (0, "fast"), (11, "fast"), (20, "late"), (22, "fast"), (31, "late"), (33, "fast"), (42, "late")];
    assert_eq!(order, expected);
}

#[test]
fn the_window_ends_it_whoever_carries_it_by_then() {
    let window = |seconds: u64| WatchShape { window_ms: seconds * 1_000, ..watch(&[trigger()]) };
    let over = |outcome| Next::EndAfter(at(60), outcome, String::new());
    let words_apart = |next| match next {
        Next::EndAfter(at, outcome, _) => Next::EndAfter(at, outcome, String::new()),
        next => next,
    };
    // Measured at 0, 31 and not at 62.
    let mut state = watching(window(60));
    measure(&mut state, ID, 0, 'p');
    measure(&mut state, ID, 31, 'p');
    assert_eq!(words_apart(state.next()), over(RunOutcome::Unchanged));

    // The host was gone, and the next one comes in time, or too late.
    for (back, next) in [(50, due(31)), (61, over(RunOutcome::Unchanged))] {
        let mut state = watching(window(60));
        measure(&mut state, ID, 0, 'p');
        tell(&mut state, back, &[attached()]);
        assert_eq!(words_apart(state.next()), next, "back at {back}");
        assert_eq!(state.tally(ID).passed, 1, "measurements made are not lost");
    }

    // One trigger passes to the end, of another one nobody knows.
    let blind = TriggerShape { id: "blind".into(), consecutive_error_limit: 0, ..trigger() };
    let mut state = watching(WatchShape { window_ms: 60_000, ..watch(&[blind, trigger()]) });
    measure(&mut state, "blind", 0, 'e');
    measure(&mut state, ID, 1, 'p');
    measure(&mut state, ID, 32, 'p');
    assert_eq!(words_apart(state.next()), over(RunOutcome::Halted));
    let Next::EndAfter(_, _, why) = state.next() else { unreachable!() };
    assert!(why.starts_with("1m are over, and no trigger tripped; it is not known of blind"), "{why}");
}

/// What it saw before its host was gone, and what is to be seen now, are two things.
/// Whoever comes back when the window is over knows nothing of the time in which nobody measured.
#[test]
fn what_nobody_has_measured_for_long_is_not_known() {
    let mut state = measured(trigger(), "pp");
    tell(&mut state, 5_000, &[attached()]);
    let Next::EndAfter(_, RunOutcome::Halted, why) = state.next() else { panic!("{:?}", state.next()) };
    assert!(why.contains("nobody has measured it since 1970-01-01T00:01:02Z"), "{why}");
}

#[test]
fn a_measurement_that_was_cut_off_is_made_anew() {
    let mut state = watching(watch(&[trigger()]));
    measure(&mut state, ID, 0, 'p');
    tell(&mut state, 31, &[began(2, Purpose::Check(ID.into()))]);
    assert_eq!(state.next(), Next::Go(ExecutionId(2)));
    tell(&mut state, 40, &[attached()]);
    assert_eq!(state.next(), Next::Conclude(ExecutionId(2), End::Abandoned));
    tell(&mut state, 41, &[ended(2, End::Abandoned)]);
    assert_eq!(state.next(), due(31), "it was due then, and still is");
    assert_eq!(state.tally(ID).measured(), 1);
}

fn tripped() -> Vec<Event> {
    vec![Event::Tripped { trigger: ID.into(), cause: Cause::Measurement(ExecutionId(1)) }]
}

fn gate(trigger: &str) -> Event {
    opened("watch", Behind::Watch { trigger: Some(trigger.into()) }, None)
}

#[test]
fn a_trigger_that_tripped_leads_to_a_question_or_to_the_steps() {
    let begin = Next::Begin(apply("a"));
    let of = |then, events: &[Event]| {
        let mut state = watching(WatchShape { then, ..watch(&[trigger()]) });
        measure(&mut state, ID, 0, 'f');
        tell(&mut state, 2, &tripped());
        tell(&mut state, 3, events);
        state
    };
    let answer = |answer| [gate(ID), gate_answered("watch", answer)];
    assert_eq!(of(Then::Run, &[]).next(), begin);
    assert_eq!(of(Then::Ask, &[]).next(), Next::OpenGate(Behind::Watch { trigger: Some(ID.into()) }));
    assert_eq!(of(Then::Ask, &[gate(ID)]).next(), Next::AwaitGate(GateId::watch()));
    assert_eq!(of(Then::Ask, &answer(Answer::Yes)).next(), begin);
    assert_eq!(outcome(&of(Then::Ask, &answer(Answer::No)).next()), Some(RunOutcome::Unchanged));
    assert_eq!(outcome(&of(Then::Ask, &answer(Answer::Expired)).next()), Some(RunOutcome::Unchanged));
    // Before the gate was opened somebody has seen it already.
    assert_eq!(of(Then::Ask, &[gate_answered("watch", Answer::Yes)]).next(), begin);
    assert!(!of(Then::Ask, &[gate_answered("watch", Answer::Yes)]).still_wants(&gate(ID)));
    // Nobody is asked, so nobody's no counts: to stop it there is `abort`.
    assert_eq!(of(Then::Run, &[gate_answered("watch", Answer::No)]).next(), begin);
    let aborted = of(Then::Run, &[aborted()]).next();
    assert_eq!(outcome(&aborted), Some(RunOutcome::Unchanged));
}

#[test]
fn nobody_has_to_wait_for_a_trigger() {
    for (answer, next) in [(Answer::Yes, None), (Answer::No, Some(RunOutcome::Unchanged))] {
        let mut state = watching(watch(&[trigger()]));
        measure(&mut state, ID, 0, 'p');
        tell(&mut state, 31, &[began(2, Purpose::Check(ID.into())), gate_answered("watch", answer)]);
        assert_eq!(state.next(), Next::Conclude(ExecutionId(2), End::Abandoned), "what is measured is given up");
        tell(&mut state, 32, &[ended(2, End::Abandoned)]);
        match next {
            None => assert_eq!(state.next(), Next::Begin(apply("a"))),
            next => assert_eq!(outcome(&state.next()), next),
        }
        // The first word counts.
        let before = state.next();
        let other = if answer == Answer::Yes { Answer::No } else { Answer::Yes };
        tell(&mut state, 33, &[gate_answered("watch", other)]);
        assert_eq!(state.next(), before);
    }
    // In a run that does not watch the word means nothing.
    let mut state = State::default();
    state.apply(at(0), &started(Shape { steps: vec![step("a")], ..Shape::default() })).unwrap();
    tell(&mut state, 1, &[attached(), gate_answered("watch", Answer::No)]);
    assert_eq!(state.next(), Next::Begin(apply("a")));
}

/// A plan of 10 minutes can be watched for an hour.
#[test]
fn the_plan_s_time_does_not_run_while_it_watches() {
    let mut state = watching(watch(&[trigger()]));
    measure(&mut state, ID, 0, 'p');
    measure(&mut state, ID, 300, 'f');
    assert_eq!(state.held_ms, 0);
    assert_eq!(state.executions[&ExecutionId(2)].held_ms, 1_000, "a measurement has its own time-out");
    tell(&mut state, 301, &tripped());
    tell(&mut state, 302, &[gate(ID)]);
    tell(&mut state, 400, &[gate_answered("watch", Answer::Yes)]);
    tell(&mut state, 401, &[began(3, apply("a"))]);
    tell(&mut state, 405, &[ended(3, returned())]);
    assert_eq!(state.held_ms, 5_000);
}

fn alert(status: AlertStatus, trigger: Option<&str>) -> Event {
    let alert = Alert {
        status,
        group: "g".into(),
        fingerprint: "f".into(),
        starts_at: at(0),
        labels: Default::default(),
        annotations: Default::default(),
        triggers: trigger.map(str::to_owned).into_iter().collect(),
    };
    Event::AlertsReceived(AlertsReceived { alerts: vec![alert], repeated: 0, left_out: 0 })
}

/// Not even a measurement that is under way is waited for.
#[test]
fn an_alert_that_a_trigger_waits_for_trips_at_once_and_no_other_does() {
    let shape = AlertShape { id: "burning".into(), title: "B".into(), severity: None, labels: Default::default() };
    let mut state = watching(WatchShape { window_ms: 60_000, alerts: vec![shape], ..watch(&[]) });
    assert!(
        matches!(state.next(), Next::EndAfter(until, RunOutcome::Unchanged, _) if until == at(60)),
        "{:?}",
        state.next()
    );
    tell(&mut state, 1, &[alert(AlertStatus::Firing, None), alert(AlertStatus::Resolved, Some("burning"))]);
    assert!(matches!(state.next(), Next::EndAfter(..)), "{:?}", state.next());
    tell(&mut state, 2, &[alert(AlertStatus::Firing, Some("burning"))]);
    assert_eq!(state.next(), Next::Trip("burning".into(), Cause::Alert(2)));
    // A host that was gone meanwhile has not forgotten it, however late it is.
    tell(&mut state, 200, &[attached()]);
    assert_eq!(state.next(), Next::Trip("burning".into(), Cause::Alert(2)));
    tell(&mut state, 201, &[Event::Tripped { trigger: "burning".into(), cause: Cause::Alert(2) }]);
    assert!(matches!(state.next(), Next::OpenGate(Behind::Watch { trigger: Some(_) })), "{:?}", state.next());

    let shape = AlertShape { id: "burning".into(), title: "B".into(), severity: None, labels: Default::default() };
    let mut state = watching(WatchShape { alerts: vec![shape], ..watch(&[trigger()]) });
    tell(&mut state, 1, &[began(1, Purpose::Check(ID.into()))]);
    assert_eq!(state.next(), Next::Go(ExecutionId(1)));
    tell(&mut state, 2, &[alert(AlertStatus::Firing, Some("burning"))]);
    assert_eq!(state.next(), Next::Conclude(ExecutionId(1), End::Abandoned));
    tell(&mut state, 2, &[ended(1, End::Abandoned)]);
    assert_eq!(state.next(), Next::Trip("burning".into(), Cause::Alert(0)));
}
